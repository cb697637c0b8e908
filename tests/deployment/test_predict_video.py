"""Videos in, videos out: frames, times, turned and broken files."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segsearch.deployment import video as video_module
from segsearch.deployment.predict_video import STAGES, Done, predict_video
from segsearch.deployment.results import Form, Results
from segsearch.deployment.video import Video
from segsearch.errors import InputError
from tests.deployment.clips import RATE, read_clip, turn, write_clip


@dataclass
class Halves:
    """Says 1 where an image is more green than red: a model whose answer is known."""

    path: Path = Path("halves.onnx")
    size_hw: tuple[int, int] = (64, 96)
    classes: tuple[str, ...] = ("red", "green")
    colours: tuple[tuple[int, int, int], ...] = ((250, 0, 0), (0, 250, 0))
    notes: dict[str, str] = field(default_factory=dict)

    def predict(self, image: np.ndarray) -> np.ndarray:
        return (image[..., 1].astype(int) > image[..., 0].astype(int) + 20).astype(np.uint8)


def go(
    source: Path | str, out: Path, *forms: Form, stop: Callable[[], bool] = lambda: False, legend: bool = False
) -> Done:
    model = Halves()
    results = Results(model.classes, model.colours, out, forms or ("colours",), with_legend=legend)
    told: list[tuple[str, int, int]] = []
    with closing(Video(source)) as video:
        done = predict_video(
            model, video, Path("clip"), out, results, stop=stop, report=lambda *words: told.append(words)
        )
    assert [count for _, count, _ in told] == list(range(1, done.frames + 1))
    assert all(f"{stage} " in words for stage in STAGES for words, _, _ in told)
    return done


def test_frames_times_and_rate_stay(tmp_path: Path) -> None:
    done = go(write_clip(tmp_path / "in.mp4", sound=True), tmp_path / "out", "overlay", "colours")
    assert done.frames == 12 and done.notes == ("its sound is left out",) and done.cut is None
    assert [path.name for path in done.files] == ["clip_overlay.mp4", "clip_colours.mp4"]
    assert all(done.seconds[stage] > 0 for stage in STAGES) and "12 frames at" in str(done)
    for path in done.files:
        frames, times, rate = read_clip(path)
        assert rate == RATE and times == [k / RATE for k in range(12)]
    assert (frames[3][40, 10] - np.array([250, 0, 0])).max() < 20 and frames[3][40, 80, 1] > 220


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_varying_times_stay(tmp_path: Path, suffix: str) -> None:
    given = [0, 1000, 5000, 5500, 9000, 20000]
    source = write_clip(tmp_path / f"in{suffix}", given)
    _, wanted, _ = read_clip(source)
    done = go(source, tmp_path)
    assert done.frames == 6 and read_clip(done.files[0])[1] == wanted
    assert all(
        abs(time - Fraction(ticks, 30000)) <= Fraction(1, 1000) for time, ticks in zip(wanted, given, strict=True)
    )


def test_a_turned_video_is_turned_upright(tmp_path: Path) -> None:
    done = go(turn(write_clip(tmp_path / "in.mp4")), tmp_path, "colours", "ids")
    frames, _, _ = read_clip(done.files[0])
    assert frames[0].shape == (96, 64, 3)
    mask = np.asarray(Image.open(tmp_path / "clip/000000_mask.png"))
    # the left half, which was red, is above after a quarter turn clockwise
    assert mask.shape == (96, 64) and mask[:40].mean() < 0.1 and mask[56:].mean() > 0.9


def test_odd_sizes_and_legends_are_drawn(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", size_hw=(50, 70))
    frames, _, _ = read_clip(go(source, tmp_path, legend=True).files[0])
    assert frames[0].shape[1] == 70 and frames[0].shape[0] >= 50 + 12


def test_a_cut_file_gives_what_is_readable(tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "in.mp4", range(0, 40 * 1001, 1001), options={"movflags": "faststart"})
    (tmp_path / "cut.mp4").write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    done = go(tmp_path / "cut.mp4", tmp_path / "out")
    assert done.cut is not None and f"{done.frames} of 40 frames can be read" in done.cut
    frames, times, _ = read_clip(done.files[0])
    assert 0 < len(frames) == done.frames < 40 and times == [k / RATE for k in range(done.frames)]


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video at all\n" * 50)
    (tmp_path / "empty.mp4").write_bytes(b"")
    whole = write_clip(tmp_path / "in.mp4").read_bytes()
    (tmp_path / "headless.mp4").write_bytes(whole[: len(whole) // 2])  # what says how to read it stands at the end
    for name in ("text", "empty", "headless", "gone"):
        with pytest.raises(InputError, match="is no video that can be read"):
            Video(tmp_path / f"{name}.mp4")
    with pytest.raises(InputError, match=r"--camera 97: cannot be opened"):
        Video("97")


def test_a_stop_leaves_a_whole_file(tmp_path: Path) -> None:
    answers = iter([False] * 5 + [True] * 3)
    done = go(write_clip(tmp_path / "in.mp4"), tmp_path, stop=lambda: next(answers))
    assert done.frames == 5 and done.cut is None and len(read_clip(done.files[0])[0]) == 5
    assert not list(tmp_path.glob(".*"))


def test_a_camera_is_a_video_without_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # FFmpeg's own test picture in the place of a device, which no machine for tests has
    monkeypatch.setattr(video_module, "_camera", lambda name: ("testsrc=size=96x64:rate=25:duration=9", "lavfi"))
    answers = iter([False] * 7 + [True] * 3)
    done = go("0", tmp_path, stop=lambda: next(answers))
    _, times, rate = read_clip(done.files[0])
    assert done.cut is None and rate == 25 and times == [Fraction(k, 25) for k in range(7)]
