"""The verb predict: an exported model over images, videos and cameras."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segsearch.errors import InputError
from segsearch.progress import say

if TYPE_CHECKING:
    from segsearch.deployment.predict import Model
    from segsearch.deployment.results import Results


def predict(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="What `segsearch export` wrote: its folder, .onnx, .xml or .pt2.")
    ],
    images: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="IMAGE|FOLDER|VIDEO...", help="Images, folders of them, videos, or patterns in quotes: 'in/*.jpg'."
        ),
    ] = None,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the results.")] = Path("predictions"),
    forms: Annotated[
        list[str] | None,
        typer.Option("--as", metavar="FORM", help="overlay, colours, ids, geojson or coco; may be repeated."),
    ] = None,
    blend: Annotated[float, typer.Option(min=0.0, max=1.0, help="Share of the colours over the image.")] = 0.5,
    legend: Annotated[bool, typer.Option("--legend", help="Put the classes' names below what is drawn.")] = False,
    masks: Annotated[
        bool, typer.Option("--masks", help="Also write the masks of class ids, as --as ids does.")
    ] = False,
    camera: Annotated[
        str | None, typer.Option("--camera", metavar="N", help="Segment a camera, such as 0, until Ctrl-C.")
    ] = None,
) -> None:
    """Run an exported model over images, videos or a camera.

    Folders are read at any depth, and the results keep their structure. Forms: overlay, colours over the image, the
    default; colours alone; ids, a PNG of class indices; geojson, polygons along the edges of the pixels, in pixels (the
    extra contours); coco, one coco.json of runs.

    Of a video (the extra video), overlays and colours become videos with the same frames and times, without sound; the
    other forms a file for each frame. The last line tells how long a frame took to decode, in the network, to draw and
    to encode. Ctrl-C ends with a video of what was done. Where a file is cut short or broken, the results are those of
    the readable part, and the exit code is 2, as for images that cannot be read.

    Example: segsearch predict winner photos --out overlays

    Example: segsearch predict winner drive.mp4 --legend
    """
    from segsearch.artefacts.load import load_model
    from segsearch.deployment.images import find_images, said_of
    from segsearch.deployment.predict import predict_files
    from segsearch.deployment.results import Results, check_forms
    from segsearch.deployment.video import SUFFIXES
    from segsearch.report.console import bar

    if not images and camera is None:
        raise InputError("images", "none given", "images, folders or videos, or --camera 0")
    loaded, wanted = load_model(model), check_forms([*(forms or ["overlay"]), *(["ids"] if masks else [])], "--as")
    results = Results(loaded.classes, loaded.colours, out, wanted, blend=blend, with_legend=legend)
    if images:
        found = find_images(_matching(images), but=out)
        videos = {path: name for path, name in found.names.items() if path.suffix.lower() in SUFFIXES}
        pictures = {path: name for path, name in found.names.items() if path not in videos}
        if "coco" in wanted and videos and len(found.names) > 1:
            raise InputError("--as", "coco is one file, for images or for one video", "one call for each video")
        if pictures:
            with bar("predict") as report:
                written = predict_files(loaded, pictures, out, blend=blend, forms=wanted, legend=legend, report=report)
            print(f"{len(written)} files in {out}{said_of(found.skipped)}")
        _videos(loaded, videos, out, results)
    if camera is not None:
        _videos(loaded, {camera: Path(f"camera_{Path(camera).name}")}, out, results)


def _matching(paths: Sequence[Path]) -> list[Path]:
    """Put the files in the place of patterns; what is there is taken as it is, whatever signs its name holds."""
    found: list[Path] = []
    for path in paths:
        if path.exists() or not any(sign in str(path) for sign in "*?["):
            found.append(path)
        elif matches := sorted(glob(str(path), recursive=True)):
            found += map(Path, matches)
        else:
            raise InputError(path, "no file has such a name")
    return found


def _videos(model: "Model", videos: Mapping[Path, Path] | Mapping[str, Path], out: Path, results: "Results") -> None:
    """Segment one video after another; those that are cut short are told last. Ctrl-C ends them."""
    from segsearch.deployment.predict import refuse_overwriting
    from segsearch.deployment.predict_video import predict_video, video_targets
    from segsearch.deployment.video import Video
    from segsearch.interrupt import stop_requests
    from segsearch.report.console import bar

    read = [source for source in videos if isinstance(source, Path)]
    refuse_overwriting(read, (target for name in videos.values() for target in video_targets(results, out, name)))
    cut: list[InputError] = []
    for source, name in videos.items():
        with closing(Video(source)) as video, stop_requests(say) as stop:
            with bar("predict") as report:
                done = predict_video(model, video, name, out, results, stop=stop, report=report)
            stopped = stop()
        print(f"{video.place}: {done}: {', '.join(map(str, (*done.files, *results.finish())))}")
        for note in done.notes:
            say(f"note: {video.place}: {note}")
        if stopped and not video.live:
            raise KeyboardInterrupt
        if done.cut is not None:
            cut.append(InputError(video.place, f"{done.cut}; the results are of these"))
    if cut:
        raise cut[0]
