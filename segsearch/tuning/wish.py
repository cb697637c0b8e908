"""What a person wants of a file for this device, and what can be tried for it here."""

from dataclasses import dataclass, field

from segsearch.errors import DeviceError, MissingExtraError, unknown
from segsearch.measure.backends.table import FILE_BACKENDS, file_backend
from segsearch.measure.machine import find_device
from segsearch.measure.timer import TimerSettings


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What is asked for.

    Attributes:
        within_points: points of mIoU that the file may lose.
        device, threads: what it will run on.
        backends, precisions: those to try; empty for all that are here.
        variants: whether the network is also exported without each step that changes its graph.
        fine_tune_epochs: where int8 loses too much, train the network so long for it; 0 for not.
        minutes: begin nothing after so long; None for no limit.
        patience_seconds: for one answer of a file that runs.
        processes: new ones that time each file that is close to the fastest.
        timer: how long each of them samples.
    """

    within_points: float = 0.2
    device: str = "cpu"
    threads: int = 1
    backends: tuple[str, ...] = ()
    precisions: tuple[str, ...] = ()
    variants: bool = True
    fine_tune_epochs: int = 0
    minutes: float | None = None
    patience_seconds: float = 120.0
    processes: int = 3
    timer: TimerSettings = field(default_factory=TimerSettings)


def abilities(wish: Wish) -> dict[str, tuple[str, ...]]:
    """Return the backends that are to be tried, each with its precisions on the device.

    Raises:
        InputError: an unknown backend or precision, or one that no backend here has. MissingExtraError: a backend that
            was asked for by name is not installed. DeviceError: the device is not here.
    """
    kind, found = find_device(wish.device).type, dict[str, tuple[str, ...]]()
    for name in wish.backends or FILE_BACKENDS:
        if name not in FILE_BACKENDS:
            raise unknown("--backend", name, FILE_BACKENDS)
        backend = file_backend(name)
        try:
            backend.version()
        except MissingExtraError:
            if wish.backends:
                raise
            continue
        able = [p for p in backend.precisions if kind == "cuda" or p not in backend.cuda_precisions]
        if kind in backend.devices:
            found[name] = tuple(p for p in able if not wish.precisions or p in wish.precisions or p == "float32")
    known = sorted({precision for able in found.values() for precision in able})
    for precision in wish.precisions:
        if precision not in known:
            raise unknown("--precision", precision, known)
    if not found:
        raise DeviceError(f"device: no runtime for exported files is installed for {wish.device}")
    return found
