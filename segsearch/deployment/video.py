"""Videos and cameras: frames in, upright and with their times; frames out, with the same times."""

import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from segsearch.deployment.images import Bytes
from segsearch.errors import InputError, MissingExtraError, one_line

if TYPE_CHECKING:
    from av.container import InputContainer

SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".wmv", ".flv")
"""What is taken for a video by its name; what is inside decides how it is read."""
_CAMERAS = {"linux": ("/dev/video{}", "v4l2"), "darwin": ("{}", "avfoundation"), "win32": ("video={}", "dshow")}
_USUAL_RATE = Fraction(25)
_MISSING_SECONDS = 0.5
"""A video that ends so much before the length in its header is cut short."""


def av() -> Any:
    """Load PyAV. Raises MissingExtraError where it is not installed."""
    try:
        import av
    except ImportError as error:
        raise MissingExtraError("PyAV", "video") from error
    return av


class Video:
    """Frames of a file or a camera, one after another.

    Attributes:
        place: what errors name.
        frames: how many the file says it has, or a guess; 0 of a camera.
        rate: frames a second, on the average.
        time_base: of the frames' times, in seconds.
        notes: what is left out, a sentence each.
    """

    def __init__(self, source: Path | str) -> None:
        """Open a file, or a camera by its number or name.

        Raises:
            InputError: no such file or camera, or no video in it. MissingExtraError: PyAV is not installed.
        """
        self.place = str(source) if isinstance(source, Path) else f"--camera {source}"
        self.live = not isinstance(source, Path)
        self._container = self._opened(source)
        if not self._container.streams.video:
            self._container.close()
            raise InputError(self.place, "holds no video")
        self._stream = self._container.streams.video[0]
        self._stream.thread_type = "AUTO"
        self.rate = self._stream.average_rate or self._stream.guessed_rate or _USUAL_RATE
        self.time_base = self._stream.time_base or 1 / self.rate
        self.notes = ["its sound is left out"] if self._container.streams.audio else []
        self.seconds = self._length()
        self.frames = 0 if self.live else self._stream.frames or round(self.seconds * self.rate)
        self.cut: str | None = None

    def _opened(self, source: Path | str) -> "InputContainer":
        library = av()
        name, form = (str(source), None) if isinstance(source, Path) else _camera(source)
        try:
            opened: InputContainer = library.open(name, format=form)
        except (library.FFmpegError, OSError, ValueError) as error:
            if self.live:
                raise InputError(self.place, f"cannot be opened: {_said(error)}", "a camera's number") from error
            raise InputError(source, f"is no video that can be read: {_said(error)}") from error
        return opened

    def _length(self) -> float:
        """Return the length in seconds as far as the header tells: 0 where it does not."""
        if self._stream.duration is not None:
            return float(self._stream.duration * self.time_base)
        alone = not self._container.streams.audio  # else the sound may be what takes longest
        return self._container.duration / 1e6 if alone and self._container.duration else 0.0

    def __iter__(self) -> Iterator[tuple[Bytes, int]]:
        """Give each frame upright, RGB, uint8 [H, W, 3], and its time in units of ``time_base``, which grows.

        Where the file ends before its header says so, ``cut`` says at the end how much of it there was.
        """
        done, last, begin, fault = 0, -1, None, ""
        step = max(1, round(1 / (self.rate * self.time_base)))
        try:
            for frame in self._container.decode(self._stream):
                time = last + step if frame.pts is None else int(frame.pts)
                begin = time if begin is None else begin
                time = max(time - begin, last + 1)
                last, done = time, done + 1
                yield _upright(frame), time
        except (av().FFmpegError, OSError) as error:
            fault = f" ({_said(error)})"
        seconds = float((last + step) * self.time_base)
        short = self._stream.frames > done or self.seconds - seconds > max(_MISSING_SECONDS, 5 / float(self.rate))
        if not self.live and (fault or short):
            of = f" of {self.frames}" if self.frames > done else ""
            self.cut = f"is cut short or broken: {done}{of} frames can be read{fault}"

    def close(self) -> None:
        """Let go of the file or camera."""
        self._container.close()


def _camera(name: str) -> tuple[str, str]:
    """Give what FFmpeg calls a camera on this system, and the way to it."""
    place, form = _CAMERAS.get(sys.platform, _CAMERAS["linux"])
    return (place.format(name) if name.isdecimal() or sys.platform == "win32" else name), form


def _said(error: Exception) -> str:
    return one_line(getattr(error, "strerror", None) or error)


def _upright(frame: Any) -> Bytes:
    """Turn a frame as its display matrix says, as players do."""
    pixels: Bytes = frame.to_ndarray(format="rgb24")
    turns = round((frame.rotation or 0) / 90) % 4
    return np.ascontiguousarray(np.rot90(pixels, turns)) if turns else pixels


class Clip:
    """A video file that is written frame by frame: H.264 in MP4, at the times of another video."""

    def __init__(self, path: Path, like: Video) -> None:
        self._library, self._like = av(), like
        self._container = self._library.open(str(path), "w", format="mp4")
        self._stream: Any = None

    def add(self, picture: Bytes, time: int) -> None:
        """Write a frame, RGB, uint8 [H, W, 3], whose time is in units of the other video's ``time_base``."""
        # sides must be even for the colours of H.264: the last row or column is doubled
        height, width = picture.shape[:2]
        if height % 2 or width % 2:
            picture = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        if self._stream is None:
            self._begin(picture)
        frame = self._library.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = time, self._like.time_base
        self._container.mux(self._stream.encode(frame))

    def _begin(self, picture: Bytes) -> None:
        name = next(name for name in ("libx264", "h264", "mpeg4") if name in self._library.codecs_available)
        quality = {"crf": "20", "preset": "veryfast"} if name == "libx264" else {}
        self._stream = self._container.add_stream(name, rate=self._like.rate, options=quality)
        self._stream.height, self._stream.width = picture.shape[:2]
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.time_base = self._like.time_base

    def close(self) -> None:
        """Write what the encoder holds back, and the end of the file."""
        if self._stream is not None:
            self._container.mux(self._stream.encode(None))
        self._container.close()
