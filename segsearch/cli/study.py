"""Verbs around a study: search, pareto."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segsearch.cli.arguments import JsonOption

if TYPE_CHECKING:
    from segsearch.search.config import StudyConfig

RootOption = Annotated[
    str | None, typer.Option("--root", metavar="PATH", help="Where the data lies, in place of the file's.")
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
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of what is proposed, in place of the file's.")] = None,
    fps: Annotated[float | None, typer.Option(min=0.01, help="FPS budget, in place of the file's.")] = None,
    root: RootOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be tried and how long it takes.")] = False,
) -> None:
    """Search networks: measure each one first, train what meets the budget, keep the best.

    The same command goes on with a study that was stopped, by Ctrl-C or by anything else; a finished one is only shown.
    With other --trials or --fps it goes on as well: networks that an earlier budget rejected and that meet the new one
    are trained, and those over the new one are left out of the front.

    Example: segsearch search my_study.yaml --dry-run
    """
    from segsearch.search.config import load_study
    from segsearch.search.store import StudyFolder
    from segsearch.study_files import STUDY

    begun = (Path(study) / STUDY).is_file()  # not any folder: one may happen to have the name of a shipped study
    config = StudyFolder(Path(study)).read_study().config if begun else load_study(study)
    config = changed(config, trials=trials, seed=seed, fps=fps, root=root)
    for note in config.notes:
        print(f"note: {note}", file=sys.stderr)
    folder = out or (Path(study) if begun else Path("runs") / config.name)
    if dry_run:
        from segsearch.report.bars import bar
        from segsearch.report.console import show
        from segsearch.report.plan import plan_table
        from segsearch.search.plan import plan

        with bar("dry run") as report:
            planned = plan(config, report=report)
        show(plan_table(planned))
        return
    from segsearch.report.console import optional
    from segsearch.report.progress import study_progress
    from segsearch.search.driver import run_study

    outcome = run_study(config, folder, progress=study_progress())
    if outcome.records:
        with optional(f"a table or file of {folder}", refusals=True):
            pareto(folder)
    if outcome.exit_code:
        sys.exit(outcome.exit_code)  # past `main`, as the study has said why it stopped


def changed(
    config: "StudyConfig", *, trials: int | None, seed: int | None, fps: float | None, root: str | None
) -> "StudyConfig":
    """Return a study with what the command line says in place of what its file says.

    Raises:
        InputError: ``root`` for data that is drawn and lies nowhere.
    """
    from segsearch.search.config import at_root, parse_study

    data = config.model_dump(mode="json", exclude_unset=True)
    data |= {name: value for name, value in (("trials", trials), ("seed", seed)) if value is not None}
    if fps is not None:
        data["budget"] = data.get("budget", {}) | {"fps": fps}
    new = parse_study(data, config.name)
    return new if root is None else at_root(new, root)


def pareto(
    study: StudyFolderArgument,
    all_trials: Annotated[bool, typer.Option("--all", help="List every trial, not only the front.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Print a study's Pareto front; write trials.csv and pareto.png into its folder.

    Example: segsearch pareto runs/my_study --all
    """
    from segsearch.report import tables
    from segsearch.report.console import optional, show
    from segsearch.report.plot import plot_study
    from segsearch.report.trials_csv import trials_frame, write_csv
    from segsearch.search.store import StudyFolder

    store = StudyFolder(study)
    config, records = store.read_study().config, store.records()
    if as_json:
        frame = trials_frame(records, config.budget)
        print((frame if all_trials else frame[frame.on_front]).to_json(orient="records", indent=2))
        return
    if all_trials:
        there = store.exportable(records)
        show(tables.trials_table(records, title=config.name, budget=config.budget, exportable=there))
    show(tables.study_table(records, title=config.name, budget=config.budget))
    # last, as the table is worth having where nothing can be written
    write_csv(records, study / "trials.csv", config.budget)
    with optional("pareto.png"):
        plot_study(records, study / "pareto.png", title=config.name, subtitle=config.data.name, budget=config.budget)
    show(f"{study / 'pareto.png'}  {study / 'trials.csv'}")
