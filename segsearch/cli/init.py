"""The verb init: from a folder of images and labels to a first study."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from segsearch.cli.arguments import JsonOption
from segsearch.progress import say

if TYPE_CHECKING:
    from segsearch.study.draft import Draft


def init(
    images: Annotated[
        Path, typer.Argument(metavar="IMAGES", help="Folder of images, or of images and labels in any usual layout.")
    ],
    labels: Annotated[
        Path | None, typer.Argument(metavar="LABELS", help="Folder of labels; default: found inside IMAGES.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the files.")] = Path(),
    fps: Annotated[float | None, typer.Option(min=0.01, help="FPS budget; default: measured.")] = None,
    no_measure: Annotated[bool, typer.Option("--no-measure", help="Time nothing; the study has no budget.")] = False,
    device: Annotated[str, typer.Option(help="What the networks are for: cpu, cuda or cuda:N.")] = "cpu",
    backend: Annotated[
        str | None,
        typer.Option(help="Software that runs them; default: eager, on a GPU cudagraph."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be written; write nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Look at a folder of images and labels, and write the files that a first study needs.

    Cityscapes, CamVid, ADE20K, Pascal Context and Mapillary are recognised as they are published. Anything else is
    paired by the names of folders (images and labels, JPEGImages and SegmentationClass, train and trainannot) or files
    (a.jpg with a_mask.png, or with a.png), and described in NAME.yaml. Folders train and val, or lists of these names,
    are used as they are; else whole sequences, or a fifth of the images, validate. Labels may be ids, palettes, colours
    or 0 and 255; classes without names become class_0, class_1 and so on, to be named in that file.

    NAME_study.yaml gets a size and an FPS budget: the median of one published network of each paper, timed quickly on
    this device.

    Example: segsearch init my_photos

    Example: segsearch init my_photos my_labels --fps 60 --out studies
    """
    from segsearch.measure.conditions import Conditions
    from segsearch.report.console import bar
    from segsearch.study.draft import draft
    from segsearch.study.draft_speed import QUICK

    chosen = backend or ("cudagraph" if device.startswith("cuda") else "eager")
    under = Conditions(device=device, backend=chosen, timer=QUICK)
    with bar("init") as report:
        found = draft(
            images, labels, out, under, fps=fps, measured=not no_measure, force=force or dry_run, report=report
        )
    if not dry_run:
        found.write()
    if as_json:
        print(json.dumps(_plain(found, dry_run), indent=2, ensure_ascii=False))
        return
    from segsearch.report.console import show
    from segsearch.report.draft import classes_table, lines

    show(*lines(found, written=not dry_run), *classes_table(found))
    for warning in found.warnings:
        say(f"warning: {warning}")
    show("nothing was written; without --dry-run, next would be:" if dry_run else "next:")
    show(*(f"  {command}" for command in found.commands))


def _plain(found: "Draft", dry_run: bool) -> dict[str, Any]:
    """Everything as plain data."""
    speed, classes = found.speed, found.classes
    return {
        "layout": found.layout,
        "images": found.images,
        "classes": None if classes is None else dict(zip(classes.names, classes.values, strict=True)),
        "ignore": None if classes is None else classes.ignore,
        "encoding": None if found.seen is None else found.seen.encoding,
        "size": speed.size_hw,
        "size_why": speed.why,
        "fps": speed.fps,
        "fps_how": speed.how,
        "latencies_ms": speed.latencies_ms,
        "warnings": found.warnings,
        "notes": found.notes,
        "files": {str(path): text for path, text in found.texts.items()},
        "written": not dry_run,
        "commands": found.commands,
    }
