"""Running an artefact over a video or a camera, and telling where the time goes."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from segsearch.deployment.predict import Model, segment
from segsearch.deployment.results import DRAWN, Form, Results
from segsearch.deployment.video import Clip, Video
from segsearch.errors import InputError
from segsearch.files import replacing
from segsearch.progress import Report, silent

STAGES = ("decode", "network", "draw", "encode")
"""What a frame goes through. Files of single frames, such as masks, are written in the last one."""


@dataclass(frozen=True, kw_only=True)
class Done:
    """What became of a video.

    Attributes:
        frames: that were segmented.
        seconds: spent in each of `STAGES`.
        files: those written; of files of single frames the folder.
        notes: what is left out, a sentence each.
        cut: why there are fewer frames than the file should have, if so.
    """

    frames: int
    seconds: dict[str, float]
    files: tuple[Path, ...]
    notes: tuple[str, ...]
    cut: str | None

    def __str__(self) -> str:
        """Write frames, frames per second, and milliseconds of a frame: ``90 frames at 12.3 FPS (decode 2.1, ...)``."""
        return f"{self.frames} frames at {_speed(self.frames, self.seconds)}"


def _speed(frames: int, seconds: dict[str, float]) -> str:
    each = ", ".join(f"{stage} {1000 * seconds[stage] / max(1, frames):.1f}" for stage in STAGES)
    return f"{frames / max(1e-9, sum(seconds.values())):.1f} FPS ({each} ms)"


def video_targets(results: Results, out: Path, name: Path) -> list[Path]:
    """Files that a video leads to, and the folder of those of its single frames."""
    clips = [_clip(out, name, form) for form in results.forms if form in DRAWN]
    return [*clips, *([out / name] if results.targets(name, but=DRAWN) else [])]


def _clip(out: Path, name: Path, form: Form) -> Path:
    return (out / name).with_name(f"{name.name}_{form}.mp4")


def predict_video(
    model: Model,
    video: Video,
    name: Path,
    out: Path,
    results: Results,
    *,
    stop: Callable[[], bool] = lambda: False,
    report: Report = silent,
) -> Done:
    """Segment every frame: overlays and colours become videos ``<name>_overlay.mp4``, other forms a file per frame.

    The videos have the frames and times of the first one, or of as much of it as can be read, and are whole files also
    where ``stop`` ends the work.

    Args:
        model: the artefact.
        video: the frames.
        name: of the results.
        out: the folder for the results.
        results: what writes them.
        stop: asked before each frame.
        report: told after each frame, with the speed so far.

    Raises:
        InputError: not a single frame can be read, nowhere to write, or a model that fails.
    """
    seconds, frames = dict.fromkeys(STAGES, 0.0), 0
    with ExitStack() as stack:
        clips: dict[Form, Clip] = {}
        every = iter(video)
        while not stop():
            with _timed("decode", seconds):
                found = next(every, None)
            if found is None:
                break
            image, at = found
            with _timed("network", seconds):
                mask = segment(model, image)
            with _timed("draw", seconds):
                pictures = {form: results.drawn(form, image, mask) for form in results.forms if form in DRAWN}
            with _timed("encode", seconds):
                for form, picture in pictures.items():
                    if form not in clips:
                        path = stack.enter_context(replacing(_clip(out, name, form)))
                        clips[form] = stack.enter_context(closing(Clip(path, video)))
                    clips[form].add(picture, at)
                results.write(name / f"{frames:06}", image, mask, but=DRAWN)
            frames += 1
            report(_speed(frames, seconds), frames, max(frames, video.frames))
    if not frames and not stop():
        raise InputError(video.place, video.cut or "holds no frame that can be read")
    files = tuple(path for path in video_targets(results, out, name) if frames)
    return Done(frames=frames, seconds=seconds, files=files, notes=tuple(video.notes), cut=video.cut)


@contextmanager
def _timed(stage: str, seconds: dict[str, float]) -> Iterator[None]:
    begin = time.perf_counter()
    yield
    seconds[stage] += time.perf_counter() - begin
