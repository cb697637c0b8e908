"""Small videos that the tests write themselves."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

RATE = Fraction(30000, 1001)
BASE = Fraction(1, 30000)


def scene(k: int, size_hw: tuple[int, int]) -> np.ndarray:
    """Red at the left and green at the right; darker as time goes on."""
    height, width = size_hw
    picture = np.zeros((height, width, 3), np.uint8)
    picture[:, : width // 2, 0] = picture[:, width // 2 :, 1] = 200 - 3 * k
    return picture


def write_clip(
    path: Path,
    times: Sequence[int] = tuple(range(0, 12 * 1001, 1001)),
    *,
    size_hw: tuple[int, int] = (64, 96),
    sound: bool = False,
    options: dict[str, str] | None = None,
) -> Path:
    """Frames at ``times``, in 1/30000 s, and silence beside them where sound is wanted."""
    with av.open(str(path), "w", options=options or {}) as out:
        video = out.add_stream("libx264", rate=RATE, options={"g": "4"})
        video.height, video.width = size_hw
        video.pix_fmt = "yuv420p"
        video.codec_context.time_base = BASE
        audio = out.add_stream("aac", rate=16000) if sound else None
        for k, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(scene(k, size_hw), format="rgb24")
            frame.pts, frame.time_base = time, BASE
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        if audio is not None:
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), format="fltp", layout="mono")
            silence.rate = 16000
            out.mux(audio.encode(silence))
            out.mux(audio.encode(None))
    return path


def turn(path: Path) -> Path:
    """Say in an MP4's header that players should turn it by a quarter clockwise, as a phone that is held upright does."""
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 4 + 40  # version and flags, times, ids, layer and volume stand before it
    for place, value in enumerate((0, 0x10000, 0, -0x10000, 0, 0)):
        data[matrix + 4 * place : matrix + 4 * place + 4] = value.to_bytes(4, "big", signed=True)
    path.write_bytes(data)
    return path


def read_clip(path: Path) -> tuple[list[np.ndarray], list[Fraction], Fraction]:
    """Frames, their times in seconds, and the average rate."""
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        frames = list(file.decode(stream))
        assert not file.streams.audio and stream.average_rate is not None
        times = [Fraction(frame.pts * frame.time_base) for frame in frames]
        return [frame.to_ndarray(format="rgb24") for frame in frames], times, stream.average_rate
