"""The verb tune: the fastest file of a trained network for this device."""

import dataclasses
import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segsearch.cli.arguments import BUDGET_MISSED, JsonOption, size_hw
from segsearch.cli.run import DataOption, SizeOption, WeightsOption
from segsearch.cli.study import RootOption
from segsearch.errors import InputError
from segsearch.progress import say

if TYPE_CHECKING:
    from segsearch.tuning.subjects import Subject

NOTHING_KEEPS = 1
"""Exit code: no file keeps the mIoU within what is allowed."""


def tune(
    what: Annotated[
        str,
        typer.Argument(
            metavar="STUDY|RUN|POINT",
            help="A study's folder, one trial of it (STUDY#12), a run's folder, or a POINT with --weights.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the files and all that was tried.")],
    within: Annotated[
        float, typer.Option(min=0.0, help="Points of mIoU that the file may lose against the network in float32.")
    ] = 0.2,
    fps: Annotated[float | None, typer.Option(min=0.01, help="Least FPS of the file; exit code 3 if missed.")] = None,
    backends: Annotated[
        list[str] | None,
        typer.Option(
            "--backend", metavar="NAME", help="Only this runtime; may be repeated. Default: all that are here."
        ),
    ] = None,
    precisions: Annotated[
        list[str] | None,
        typer.Option(
            "--precision", metavar="NAME", help="Beside float32, only this one; may be repeated. Default: all."
        ),
    ] = None,
    variants: Annotated[
        bool, typer.Option(help="Also try the network without each step of deployment that changes its graph.")
    ] = True,
    qat: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="EPOCHS",
            help="Where int8 loses too much, train the network so long with rounded convolutions; 0 for not.",
        ),
    ] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")] = "cpu",
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="Processor threads that the file is run with; default: a study's own, or 1."),
    ] = None,
    minutes: Annotated[float | None, typer.Option(min=0.0, help="Begin nothing more after so long.")] = None,
    patience: Annotated[
        float, typer.Option(min=1.0, help="Seconds that a runtime may take to open a file, or for one image.")
    ] = 120.0,
    weights: WeightsOption = None,
    data: DataOption = None,
    root: RootOption = None,
    size: SizeOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be tried.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Try every runtime, precision and graph for a trained network, and keep the fastest file that keeps its mIoU.

    Each file runs in a process of its own: its masks of all validation images are compared with the network's and
    scored, and it is timed in new processes, by turns with the others and with a plain export. Where int8 loses too
    much, the layers that rounding changes most stay in float32; with --qat the network is first trained for int8. What
    fails is told with the reason. The same command goes on with one that was stopped. Written are `model.onnx`, for
    OpenVINO also `model.xml`, and TUNED.md, a table and a picture. The exit code is 1 where no file keeps the mIoU, and
    3 where the chosen one misses --fps.

    Example: segsearch tune runs/fpenet_camvid_360x480_fpenet_seed0 --out fastest --within 0.2

    Example: segsearch tune fpenet --weights fpenet.safetensors --data camvid --root PATH/TO/CamVid --out fastest
    """
    from segsearch.report.console import bar, show
    from segsearch.report.tuning import meets, plain, shown, write_tuned
    from segsearch.tuning.tune import deliver
    from segsearch.tuning.tune import tune as search
    from segsearch.tuning.wish import Wish, abilities

    wish = Wish(
        within_points=within,
        device=device,
        threads=threads or 1,
        backends=tuple(dict.fromkeys(backends or ())),
        precisions=tuple(dict.fromkeys(precisions or ())),
        variants=variants,
        fine_tune_epochs=qat,
        minutes=minutes,
        patience_seconds=patience,
    )
    able = abilities(wish)
    subject = _subject(what, weights, data, root, size)
    if threads is None and subject.threads is not None:
        wish = dataclasses.replace(wish, threads=subject.threads)
    if dry_run:
        print(f"would be tried, for {subject.name} at {subject.size_hw[0]}x{subject.size_hw[1]}:")
        print("\n".join(f"  {name}: {', '.join(precisions)}" for name, precisions in able.items()))
        return
    with bar("tune") as report:
        found = search(subject, out, wish, report=report, note=say)
    files = deliver(found, out)
    paths = write_tuned(found, out, files=files, within_points=within, command=shlex.join(["segsearch", *sys.argv[1:]]))
    if as_json:
        print(json.dumps(plain(found, within), indent=2, ensure_ascii=False))
    else:
        show(shown(found, within, fps))
        print("  ".join(map(str, [*files, *paths])))
    if found.chosen is None:
        raise typer.Exit(NOTHING_KEEPS)
    if fps is not None and not meets(found.chosen, fps):
        raise typer.Exit(BUDGET_MISSED)


def _subject(what: str, weights: Path | None, data: str | None, root: str | None, size: str | None) -> "Subject":
    from segsearch.named import kind_of, trial_of
    from segsearch.tuning.subjects import of_study, of_trained

    if weights is None and kind_of(what) == "study":
        for option, given in (("--data", data), ("--size", size)):
            if given is not None:
                raise InputError(option, "is only for a run or a point")
        folder, point = trial_of(what)
        return of_study(folder, point=point, root=root)
    wanted = None if size is None else size_hw(size)
    return of_trained(what, weights=weights, data=data, root=root, size_hw=wanted, note=say)
