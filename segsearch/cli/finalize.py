"""The verb finalize: a study's best networks trained in full."""

import json
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Annotated

import typer

from segsearch.cli.arguments import JsonOption
from segsearch.cli.run import draw, recipes
from segsearch.cli.study import (
    AddressOption,
    ExecutorOption,
    RootOption,
    StudyFolderArgument,
    check_address,
    ray_site,
)
from segsearch.progress import say

if TYPE_CHECKING:
    from segsearch.engine.prepare import Target


def finalize(
    study: StudyFolderArgument,
    top: Annotated[
        int | None, typer.Option(min=1, help="Networks, spread along the front; default: 5, or the whole front.")
    ] = None,
    seeds: Annotated[int | None, typer.Option(min=1, max=100, help="Trainings of each; default: 3.")] = None,
    recipe: Annotated[
        str | None,
        typer.Option(metavar="NAME|FILE", autocompletion=recipes, help="How to train; default: as the study does."),
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="In place of the recipe's length.")] = None,
    root: RootOption = None,
    split: Annotated[
        str | None,
        typer.Option(help="CamVid: official, to learn what the search held back, too; default: as the search did."),
    ] = None,
    executor: ExecutorOption = "serial",
    address: AddressOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be trained, and how long.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Train the best networks of a study in full, with several seeds, time them again, and name the winner.

    Of the front the best network is taken, the knee, the fastest, and then always the one that lies farthest from those
    taken. Where the intervals of one standard error around the means overlap, the networks are tied, and the fastest of
    them wins. `segsearch export` then takes the winner with the weights of the seed nearest the mean, never the best
    seed's. The same command goes on after any interruption; with more --top or --seeds it adds to what is there. The
    runs are in final/TRIAL/seed_N of the study's folder, the figures in final.json.

    Example: segsearch finalize runs/my_study --recipe strong --epochs 100 --dry-run

    Example: segsearch finalize runs/my_study --recipe strong --split official

    Example: segsearch finalize runs/my_study --top 3 --seeds 5

    Example: segsearch finalize runs/my_study --executor ray
    """
    from segsearch.engine import finalize as work
    from segsearch.report import final as report
    from segsearch.report.console import bar, show
    from segsearch.report.run import checked as where
    from segsearch.study.store import StudyFolder

    def prepared(target: "Target | None" = None) -> work.Finals:
        return work.prepare(
            study, top=top, seeds=seeds, recipe=recipe, epochs=epochs, root=root, split=split, target=target
        )

    check_address(executor, address)
    if dry_run:
        finals = prepared()
        with bar("dry run") as moved:
            rehearsed = work.rehearse(finals, moved)
        show(*report.planned_table(finals, rehearsed))
        return

    with ExitStack() as stack:
        site = None
        if executor == "ray":
            site = stack.enter_context(closing(ray_site(StudyFolder(study).read_study().config, address)))
        finals = prepared(site.target if site else None)
        moved = stack.enter_context(bar("finalize"))
        file = work.finalize(
            finals,
            site=site,
            report=moved,
            note=say,
            checked=lambda title, check: say(f"{title}: {where(check)}"),
            finished=draw,
        )
    if as_json:
        print(json.dumps(report.final_plain(file), indent=2, ensure_ascii=False))
    else:
        show(report.final_table(file, finals.config.name), *report.final_lines(file, study))
