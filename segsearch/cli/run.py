"""Verbs around one network and its mIoU: train, evaluate, visualize."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segsearch.cli.arguments import JsonOption, PointArgument, size_hw
from segsearch.cli.outputs import SCORES, check_output
from segsearch.cli.study import RootOption
from segsearch.errors import InputError
from segsearch.progress import say

if TYPE_CHECKING:
    from segsearch.data.dataset import Dataset
    from segsearch.run.subject import Subject
    from segsearch.run.train import Run


def recipes(incomplete: str) -> list[str]:
    """Give the shipped recipes that a shell may complete a word to."""
    from segsearch.training.recipes import recipe_names

    return [name for name in recipe_names() if name.startswith(incomplete)]


DATA_HELP = "A known data set (camvid, streets ...), or the YAML file or folder of one."
WhatArgument = Annotated[
    str,
    typer.Argument(metavar="RUN|MODEL|POINT", help="A run's folder, an exported file or folder, or a POINT."),
]
DataOption = Annotated[
    str | None, typer.Option("--data", metavar="DATA", help=f"{DATA_HELP} Default: the data of a run.")
]
SplitOption = Annotated[str, typer.Option("--split", help="train, val or report.")]
WeightsOption = Annotated[
    Path | None, typer.Option("--weights", metavar="RUN|TRIAL|FILE", help="POINT: its trained weights.")
]
DeviceOption = Annotated[str, typer.Option("--device", help="cpu, cuda or cuda:N.")]
SizeOption = Annotated[
    str | None,
    typer.Option("--size", metavar="HxW", help="Image height x width; default: a run's, a file's, or the data's own."),
]


def train(
    point: PointArgument,
    data: Annotated[str, typer.Option("--data", metavar="DATA", help=DATA_HELP)],
    root: RootOption = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            autocompletion=recipes,
            help="How to train; default: that of the point's paper for this data, or strong.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of initial weights, batches and augmentation.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="The run's folder; default: runs/POINT_DATA_SIZE_RECIPE_seedN."),
    ] = None,
    device: DeviceOption = "cpu",
    size: SizeOption = None,
    split: Annotated[
        str | None,
        typer.Option(help="CamVid: official (default), holdout, or trainval, which learns what validates, too."),
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="In place of the recipe's length.")] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="RUN|FILE",
            help="Begin with the weights of a run, a study's trial, or a .safetensors file of the same network.",
        ),
    ] = None,
    reset_head: Annotated[
        bool, typer.Option("--reset-head", help="With --weights of other classes: all but the classifiers is taken.")
    ] = False,
    teacher: Annotated[
        str | None,
        typer.Option(metavar="RUN", help="Learn from this run's, or study's trial's, outputs, too: distillation."),
    ] = None,
    compiled: Annotated[
        bool, typer.Option("--compile", help="Run the steps through torch.compile: later steps are faster.")
    ] = False,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write event files for TensorBoard, too, in the run's folder.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say how long it takes; write nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Train one network by one recipe, score it, and set its mIoU beside the one that its paper prints.

    The same command goes on with a training that was stopped, by Ctrl-C or by anything else, to the same weights (on
    a GPU up to rounding); a finished one is only shown. The folder holds the weights (averaged ones, where the recipe
    averages), the scores, a line of metrics a second, and their curves.

    Example: segsearch train fpenet --data camvid --root PATH/TO/CamVid --recipe fpenet

    Example: segsearch train runs/my_study#12 --data my_dataset.yaml --size 512x1024 --dry-run

    Example: segsearch train fpenet --data mine.yaml --weights runs/fpenet_camvid_360x480_fpenet_seed0 --reset-head
    """
    from segsearch.report import run as report
    from segsearch.report.console import bar
    from segsearch.run.ask import ask
    from segsearch.run.train import rehearse_run, train_run
    from segsearch.training.parallel import started_rank

    others = started_rank() > 0  # of torchrun's processes the first one speaks for all
    wanted = None if size is None else size_hw(size)
    training = ask(
        point,
        data,
        root=root,
        recipe=recipe,
        seed=seed,
        device=device,
        size_hw=wanted,
        epochs=epochs,
        split=split,
        weights=weights,
        reset_head=reset_head,
        teacher=teacher,
    )
    if dry_run:
        if not others:
            with bar("dry run") as looked:
                planned = rehearse_run(training, compiled=compiled, report=looked)
            print(report.planned(*planned))
        return
    folder = out or Path("runs") / training.folder_name

    with bar("train", shown=not others) as moved:
        run = train_run(
            training,
            folder,
            compiled=compiled,
            tensorboard=tensorboard,
            report=moved,
            checked=lambda check: say(report.checked(check)),
            note=lambda line: say(f"note: {line}"),
        )
    if others:
        return
    if as_json:
        print(json.dumps(report.as_plain(run), indent=2, ensure_ascii=False))
    else:
        from segsearch.report.console import show

        show(report.scores_table(run.result.scores), *report.finished(run))
    draw(run)


def draw(run: "Run") -> None:
    """Draw the curves of a run, if that was not done yet; it can be done without harm later."""
    from segsearch.report.console import optional
    from segsearch.report.curves import plot_curves
    from segsearch.report.run import printed
    from segsearch.run.folder import CURVES, METRICS
    from segsearch.run.metrics import read_metrics

    path, file, row = run.folder / CURVES, run.file, printed(run.file)
    if not path.exists():
        title = f"{file.name} on {file.data.title} by {file.recipe_name}, seed {file.seed}"
        with optional(CURVES, refusals=True):
            plot_curves(
                read_metrics(run.folder / METRICS), path, title=title, printed=None if row is None else row.value
            )


def evaluate(
    what: WhatArgument,
    data: DataOption = None,
    root: RootOption = None,
    split: SplitOption = "val",
    weights: WeightsOption = None,
    size: SizeOption = None,
    window: Annotated[str | None, typer.Option(metavar="HxW", help="Slide a window of this size over images.")] = None,
    stride: Annotated[str | None, typer.Option(metavar="HxW", help="Of the window; default: two thirds of it.")] = None,
    scale: Annotated[list[float] | None, typer.Option(help="See images at this scale; several are averaged.")] = None,
    flip: Annotated[bool, typer.Option("--flip", help="See images mirrored, too.")] = False,
    best: Annotated[
        bool,
        typer.Option("--best", help="RUN: the weights that scored best on the way, not those after the last step."),
    ] = False,
    device: DeviceOption = "cpu",
    per_image: Annotated[
        Path | None,
        typer.Option(metavar="FILE.csv", help="Write a line per image, too: pixels right and pixels of the union."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Score a run, an exported model, or a point with weights: mIoU, IoU per class, pixel accuracy.

    Pixels are counted at the labels' own resolution: a network's logits are brought to it bilinearly, the masks of an
    exported file, which runs on the processor at its one size, to the nearest. Papers say "ms" and "flip" of scores
    that are means over --scale 0.75 --scale 1 --scale 1.25 and their like, and over mirrored images.

    What --per-image writes gives the mIoU on any choice of images: sums of hits over them by sums of unions.

    Example: segsearch evaluate runs/fpenet_camvid_360x480_fpenet_seed0

    Example: segsearch evaluate winner/model.onnx --data camvid --root PATH/TO/CamVid
    """
    from segsearch.report import run as report
    from segsearch.report.console import bar
    from segsearch.training.evaluate import Evaluation

    if per_image is not None:
        check_output("--per-image", per_image, SCORES)
    if stride is not None and window is None:
        raise InputError("--stride", "needs --window HxW, which it is the stride of")
    sides = {name: size_hw(text, f"--{name}") for name, text in (("window", window), ("stride", stride)) if text}
    views = {"mode": "slide" if window else "whole", "scales": scale or [1.0], "flip": flip} | sides
    settings = Evaluation.parse(views, "evaluate")
    subject, dataset, seen = _opened(what, weights, data, root, size, split, best=best)
    with bar("evaluate") as moved:
        written = None if per_image is None else lambda counts: counts.write(per_image)
        scores = subject.score(dataset, settings, device=device, report=moved, counted=written)
    if as_json:
        facts = {"what": what, "data": dataset.name, "size": list(seen), "views": settings.model_dump(mode="json")}
        print(json.dumps(facts | scores.model_dump(mode="json"), indent=2, ensure_ascii=False))
    else:
        from segsearch.report.console import show

        show(report.scores_table(scores), report.scored(scores, dataset.name, seen) + report.viewed(settings))


def visualize(
    what: WhatArgument,
    data: DataOption = None,
    root: RootOption = None,
    split: SplitOption = "val",
    weights: WeightsOption = None,
    size: SizeOption = None,
    count: Annotated[int, typer.Option(min=1, help="Images, spread over the split.")] = 8,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the pictures.")] = Path("pictures"),
) -> None:
    """Draw images, labels, predictions and errors side by side, a PNG each.

    Beside them stand the flow fields of SFNet's alignment, and the spatial attention of FPENet's upsampling.

    Example: segsearch visualize runs/fpenet_camvid_360x480_fpenet_seed0 --count 4
    """
    from segsearch.report.console import bar
    from segsearch.run.visualize import visualize as draw

    subject, dataset, _ = _opened(what, weights, data, root, size, split)
    with bar("visualize") as moved:
        written = draw(subject, dataset, out, count=count, report=moved)
    print(f"{len(written)} files in {out}")


def _opened(
    what: str,
    weights: Path | None,
    data: str | None,
    root: str | None,
    size: str | None,
    split: str,
    *,
    best: bool = False,
) -> "tuple[Subject, Dataset, tuple[int, int]]":
    from segsearch.run.subject import images_for, load_subject

    wanted = None if size is None else size_hw(size)
    subject = load_subject(what, weights, best=best, note=say)
    dataset, seen = images_for(subject, data, root=root, size_hw=wanted, split=split)
    return subject, dataset, seen
