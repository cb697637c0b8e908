"""Verbs around several studies: study list, show, compare, merge."""

import json
from pathlib import Path
from typing import Annotated

import typer

from segsearch.cli.arguments import JsonOption
from segsearch.cli.study import StudyFolderArgument

study = typer.Typer(help="List, look into, compare and merge studies.", no_args_is_help=True)
OtherArgument = Annotated[Path, typer.Argument(metavar="STUDY", help="Folder of another study.")]


@study.command("list")
def list_studies(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder that holds studies.")] = Path("runs"),
    as_json: JsonOption = False,
) -> None:
    """List the studies in a folder: state, trials, best network, budget, device.

    Example: segsearch study list runs
    """
    from segsearch.errors import InputError
    from segsearch.study.overview import studies_in

    found = studies_in(folder)
    if as_json:
        plain = [{"error": str(each)} if isinstance(each, InputError) else each.as_plain() for each in found.values()]
        print(json.dumps(plain, indent=2, ensure_ascii=False))
        return
    from segsearch.report.console import show
    from segsearch.report.studies import list_table

    show(list_table(found) if found else f"{folder} holds no study")
    show(*(f"damaged: {each}" for each in found.values() if isinstance(each, InputError)))


@study.command("show")
def show_study(study: StudyFolderArgument, as_json: JsonOption = False) -> None:
    """Show what a study searches, how far it is, its front, what it takes on the disk, and how to go on.

    Example: segsearch study show runs/my_study
    """
    from segsearch.study.overview import disk_use, overview

    found = overview(study)
    if as_json:
        print(json.dumps(found.as_plain() | {"disk_bytes": disk_use(study)}, indent=2, ensure_ascii=False))
        return
    from segsearch.report.console import show
    from segsearch.report.studies import shown

    show(*shown(found))


@study.command()
def compare(study: StudyFolderArgument, other: OtherArgument, as_json: JsonOption = False) -> None:
    """Set two studies side by side: both fronts, their areas up to one reference, who beats whom, what differs.

    Where data, device, threads or backend differ, the figures are of different things, and no front beats the other.

    Example: segsearch study compare runs/tpe runs/random
    """
    from segsearch.study.compare import compare as compared
    from segsearch.study.overview import overview

    found = compared(overview(study), overview(other))
    if as_json:
        print(json.dumps(found.as_plain(), indent=2, ensure_ascii=False))
        return
    from segsearch.report import studies as report
    from segsearch.report.console import show

    show(*report.compared(found))


@study.command()
def merge(
    study: StudyFolderArgument,
    other: OtherArgument,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the new study.")],
    as_json: JsonOption = False,
) -> None:
    """Join the trials of two studies that search the same thing in a new study, numbered anew; it can be gone on with.

    Refused where their figures do not compare: another space, data, recipe, device or way to measure.

    Example: segsearch study merge runs/monday runs/tuesday --out runs/both
    """
    from segsearch.study.merge import merge as merged

    found = merged(study, other, out)
    if as_json:
        print(json.dumps({"folder": str(found.folder), "trials": found.trials, "twice": found.twice}, indent=2))
    else:
        print(f"{found.trials} trials in {found.folder}; {found.twice} networks were in both and are kept once")
