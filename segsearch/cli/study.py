"""Verbs around a study: search, pareto."""

import shlex
import sys
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from segsearch.cli.arguments import JsonOption
from segsearch.progress import say

if TYPE_CHECKING:
    from segsearch.engine.executors.ray_study import OnRay
    from segsearch.study.config import StudyConfig

RootOption = Annotated[
    str | None, typer.Option("--root", metavar="PATH", help="Where the data lies, in place of the file's.")
]
ExecutorOption = Annotated[
    Literal["serial", "ray"],
    typer.Option(help="One after another, or trainings side by side on the nodes of a Ray."),
]
AddressOption = Annotated[
    str | None, typer.Option(metavar="HOST:PORT", help="A Ray's head; default: a Ray of this machine alone.")
]
StudyFolderArgument = Annotated[Path, typer.Argument(metavar="STUDY", help="Folder that `segsearch search` wrote.")]


def search(
    study: Annotated[
        str, typer.Argument(metavar="STUDY", help="A study file, a shipped one (quickstart), or a study's folder.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Folder of the study; default: runs/NAME.")
    ] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Trained networks wanted, in place of the file's.")] = None,
    minutes: Annotated[
        float | None, typer.Option(min=0.1, help="Time the study may take, its earlier runs included.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of what is proposed, in place of the file's.")] = None,
    fps: Annotated[
        float | None, typer.Option(min=0.01, help="FPS budget, in place of the file's fps and latency_ms.")
    ] = None,
    root: RootOption = None,
    executor: ExecutorOption = "serial",
    address: AddressOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be tried next and how long it takes.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Search networks: measure each one first, train what meets the budget, keep the best.

    The same command goes on with a study that was stopped, by Ctrl-C or by anything else; a finished one is only shown.
    With other --trials or --fps it goes on as well: networks that an earlier budget rejected and that meet the new one
    are trained, and those over the new one are left out of the front. A study may change its executor, too. The exit
    code is 1 where something is wrong with every network that was not rejected. At the end the front is
    printed, as `segsearch pareto` does.

    Example: segsearch search my_study.yaml --dry-run
    """
    from segsearch.study.config import load_study
    from segsearch.study.store import StudyFolder
    from segsearch.study_files import STUDY

    check_address(executor, address)
    begun = (Path(study) / STUDY).is_file()  # not any folder: one may happen to have the name of a shipped study
    config = StudyFolder(Path(study)).read_study().config if begun else load_study(study)
    config = changed(config, trials=trials, minutes=minutes, seed=seed, fps=fps, root=root)
    for note in config.notes:
        say(f"note: {note}")
    folder = out or (Path(study) if begun else Path("runs") / config.name)
    if dry_run:
        from segsearch.engine.plan import plan
        from segsearch.report.console import bar, show
        from segsearch.report.plan import plan_table

        with bar("dry run") as report:
            planned = plan(config, folder, here=executor == "serial", report=report)
        show(plan_table(planned))
        return
    from segsearch.engine.driver import run_study
    from segsearch.report.console import optional
    from segsearch.report.progress import study_progress

    with ExitStack() as stack:
        site = None
        if executor == "ray":
            site = stack.enter_context(closing(ray_site(config, address)))
        outcome = run_study(config, folder, progress=study_progress(), site=site)
    if outcome.records:
        with optional(f"a table or file of {folder}", refusals=True):
            pareto(folder, as_json=as_json)
    if outcome.exit_code:
        sys.exit(outcome.exit_code)  # past `main`, as the study has said why it stopped


def check_address(executor: str, address: str | None) -> None:
    """Raise InputError for the address of a Ray where none is to run anything."""
    from segsearch.errors import InputError

    if address is not None and executor != "ray":
        raise InputError("--address", "is that of a Ray", "with --executor ray")


def ray_site(config: "StudyConfig", address: str | None) -> "OnRay":
    """Return the machines of a Ray, to be closed; raises as `segsearch.engine.executors.ray_study.OnRay`."""
    from segsearch.engine.executors.ray_study import OnRay

    return OnRay(config, address)


def changed(
    config: "StudyConfig",
    *,
    trials: int | None = None,
    minutes: float | None = None,
    seed: int | None = None,
    fps: float | None = None,
    root: str | None = None,
) -> "StudyConfig":
    """Return a study with what the command line says in place of what its file says.

    Raises:
        InputError: ``root`` for data that is drawn and lies nowhere.
    """
    from segsearch.study.config import at_root, parse_study

    data = config.model_dump(mode="json", exclude_unset=True)
    given = {"trials": trials, "minutes": minutes, "seed": seed}
    data |= {name: value for name, value in given.items() if value is not None}
    if fps is not None:
        data["budget"] = config.budget.at_fps(fps).model_dump(mode="json", exclude_none=True)
    new = parse_study(data, config.name)
    return new if root is None else at_root(new, root)


def pareto(
    study: StudyFolderArgument,
    all_trials: Annotated[bool, typer.Option("--all", help="List every trial, not only the front.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Print a study's Pareto front; write trials.csv, pareto.png, analysis.png and analysis.json into its folder.

    The analysis says how the area under the front grew with the trainings, how far the order of networks at one rung is
    that at the next, and which choices matter for being on the front: by PED-ANOVA, from fifteen networks on.

    Where `segsearch finalize` has trained networks in full, their final figures stand beside those of the search.

    Example: segsearch pareto runs/my_study --all
    """
    from segsearch.report import tables
    from segsearch.report.analysis import analysis_lines, write_analysis
    from segsearch.report.console import optional, show
    from segsearch.report.final import final_lines, final_table
    from segsearch.report.plot import plot_study
    from segsearch.report.trials_csv import trials_frame, write_csv
    from segsearch.study.analysis import analyse
    from segsearch.study.final import read_final
    from segsearch.study.store import StudyFolder

    store = StudyFolder(study)
    config, records, final = store.read_study().config, store.records(), read_final(study)
    if as_json:
        frame = trials_frame(records, config.budget, final)
        print((frame if all_trials else frame[frame.on_front]).to_json(orient="records", indent=2))
        return
    if all_trials:
        there = store.exportable(records)
        show(tables.trials_table(records, title=config.name, budget=config.budget, exportable=there))
    show(tables.study_table(records, title=config.name, budget=config.budget))
    if final is not None:
        show(final_table(final, config.name), *final_lines(final, study))
    # last, as the table is worth having where nothing can be written
    write_csv(records, study / "trials.csv", config.budget, final)
    with optional("analysis.png"):
        found = analyse(records, config.budget)
        show(*analysis_lines(found))
        write_analysis(found, study, title=config.name)
    with optional("pareto.png"):
        plot_study(records, study / "pareto.png", title=config.name, subtitle=config.data.name, budget=config.budget)
    show(f"{study / 'pareto.png'}  {study / 'trials.csv'}")
    show(f"as one HTML page: {shlex.join(['segsearch', 'report', str(study)])}")
