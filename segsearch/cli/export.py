"""The verb export: a study's winner, or any point, as files with proof."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segsearch.cli.arguments import BUDGET_MISSED, JsonOption, size_hw
from segsearch.cli.study import RootOption
from segsearch.errors import InputError
from segsearch.progress import say

if TYPE_CHECKING:
    from segsearch.deployment.card import Card
    from segsearch.progress import Report

REFUSED = {
    "study": (("--size", "--weights", "--classes", "--images", "--threads"), "a point"),
    "run": (("--pick", "--point", "--weights", "--classes", "--images"), "a study or a point"),
    "point": (("--pick", "--point", "--root"), "a study"),
}
"""Options that a kind of what is exported does not take, and whose they are."""


def export(
    what: Annotated[
        str,
        typer.Argument(
            metavar="STUDY|RUN|POINT",
            help="A study's folder, one trial of it (STUDY#12), a run's folder, or any POINT.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the artefacts.")],
    fps: Annotated[
        float | None, typer.Option(min=0.01, help="Least FPS of the file; default: a study's budget.")
    ] = None,
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", metavar="NAME", help="onnx (always), pt2, openvino; default: all that are installed."),
    ] = None,
    fastest: Annotated[
        bool, typer.Option("--fastest", help="As `segsearch tune`: only the fastest file that keeps the mIoU.")
    ] = False,
    int8: Annotated[bool, typer.Option("--int8", help="Also in int8; the card says what it costs.")] = False,
    how: Annotated[
        str | None,
        typer.Option(
            "--pick", metavar="HOW", help="STUDY: which network within the budget: miou (default), knee, fastest."
        ),
    ] = None,
    point: Annotated[
        str | None, typer.Option(metavar="ID", help="STUDY: export this trial: its number, name or id.")
    ] = None,
    root: RootOption = None,
    size: Annotated[str | None, typer.Option("--size", metavar="HxW", help="POINT: image height x width.")] = None,
    weights: Annotated[
        Path | None,
        typer.Option(metavar="RUN|TRIAL|FILE", help="POINT: weights of a training; default: fresh ones."),
    ] = None,
    classes: Annotated[
        int | None, typer.Option(min=2, max=256, help="POINT: number of classes; default: the weights' own, or 19.")
    ] = None,
    images: Annotated[
        Path | None, typer.Option(metavar="DIR", help="POINT: images for the proof; default: drawn street scenes.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="POINT: processor threads; default: torch's number.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Export the best network of a study, a trained run, or any point, as ONNX, torch program and OpenVINO, with proof.

    Each file is run on real images, a study's and a run's on its validation images: unless 99.9 % of the pixels are
    those of the network, nothing is kept. The ONNX file is timed again in fresh processes. A model card says all of it.
    Of a study, the best network whose file meets the budget is taken; if none does, the nearest is written. The exit
    code is 3 where a file misses the budget, or --fps. A trial, STUDY#12, is exported as it was trained; with --size,
    as a point with fresh weights. Where `segsearch finalize` has trained networks of the study in full, its figures
    choose, and its weights are exported.

    Example: segsearch export runs/my_study --fps 60 --out winner

    Example: segsearch export runs/fpenet_camvid_360x480_fpenet_seed0 --out fpenet

    Example: segsearch export sfnet_r18 --size 512x1024 --out sfnet
    """
    from segsearch.named import kind_of, trial_of
    from segsearch.report.card import lines
    from segsearch.report.console import bar

    given: dict[str, object] = {
        "--pick": how, "--point": point, "--root": root, "--size": size,
        "--weights": weights, "--classes": classes, "--images": images, "--threads": threads,
    }  # fmt: skip
    if fastest:
        _fastest(what, out, given | {"--format": formats, "--int8": int8 or None}, fps=fps, as_json=as_json)
        return
    kind = kind_of(what, sized=size is not None)
    _refuse(given, *REFUSED[kind])
    folder, point = trial_of(what, point) if kind == "study" else (Path(what), None)
    with bar("export") as report:
        if kind == "run":
            from segsearch.run.export import export_run

            card = export_run(
                Path(what),
                out=out,
                size_hw=None if size is None else size_hw(size),
                root=root,
                formats=formats,
                int8=int8,
                fps=fps,
                threads=threads,
                report=report,
            )
        elif kind == "study":
            card = _study(folder, out, report, fps=fps, how=how, formats=formats, int8=int8, point=point, root=root)
        else:
            if size is None:
                raise InputError("--size", "is needed to export a point", "HEIGHTxWIDTH in pixels, such as 512x1024")
            from segsearch.artefacts.point import export_point
            from segsearch.artefacts.trained import weights_of

            card = export_point(
                what,
                out=out,
                size_hw=size_hw(size),
                classes=classes,
                weights=None if weights is None else weights_of(str(weights), "--weights"),
                images=images,
                formats=formats,
                int8=int8,
                fps=fps,
                threads=threads,
                report=report,
                note=say,
            )
    print(card.lines() if as_json else "\n".join(lines(card, out)))
    if card.meets_budget is False:
        raise typer.Exit(BUDGET_MISSED)


def _fastest(what: str, out: Path, given: dict[str, object], *, fps: float | None, as_json: bool) -> None:
    """Do what `segsearch tune` does with its defaults."""
    from segsearch.cli.tune import tune

    taken = {"--root", "--size", "--weights", "--threads"}
    _refuse(given, tuple(option for option in given if option not in taken), "an export without --fastest")
    tune(
        what,
        out,
        fps=fps,
        threads=given["--threads"],  # type: ignore[arg-type]  # a number or None
        weights=given["--weights"],  # type: ignore[arg-type]
        root=given["--root"],  # type: ignore[arg-type]
        size=given["--size"],  # type: ignore[arg-type]
        as_json=as_json,
    )


def _refuse(given: dict[str, object], others: tuple[str, ...], whose: str) -> None:
    """Raise InputError for an option that is only for the other kind."""
    for option in others:
        if given[option] is not None:
            raise InputError(option, f"is only for {whose}")


def _study(
    folder: Path,
    out: Path,
    report: "Report",
    *,
    fps: float | None,
    how: str | None,
    formats: list[str] | None,
    int8: bool,
    point: str | None,
    root: str | None,
) -> "Card":
    from segsearch.study.final import read_final
    from segsearch.study.pick import check_pick
    from segsearch.winner.export import export_winner

    if how is not None and point is not None:
        raise InputError("--pick", "picks a network, and --point names one", "one of the two")
    final = read_final(folder)
    if final is not None and final.winner is None:
        say(f"note: final trainings are unfinished and not used (`segsearch finalize {folder}`)")
    return export_winner(
        folder,
        out=out,
        fps=fps,
        how=check_pick(how or "miou"),
        point=point,
        root=root,
        formats=formats,
        int8=int8,
        report=report,
    )
