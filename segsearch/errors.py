"""What a user or the machine can cause, and foreign errors in one line. Every other exception is a mistake of ours."""

import errno
import os
from collections.abc import Callable, Iterable, Iterator


class SegsearchError(Exception):
    """One clear line for the user; the command line prints it and exits with code 2."""

    def __reduce__(self) -> tuple[Callable[..., "SegsearchError"], tuple[object, ...]]:
        """Let every kind be sent to another process; what a constructor takes is not what the line is made of."""
        return _remade, (type(self), self.args, self.__dict__)


def _remade(kind: type[SegsearchError], args: tuple[object, ...], facts: dict[str, object]) -> SegsearchError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(facts)
    return error


class InputError(SegsearchError):
    """A file, key, value, flag or image that cannot be used.

    The line reads ``place: problem (allowed: ...)``.
    """

    def __init__(self, place: object, problem: str, allowed: Iterable[object] | str | None = None) -> None:
        self.place = str(place)
        self.problem = problem
        self.allowed = allowed if allowed is None or isinstance(allowed, str) else ", ".join(str(a) for a in allowed)
        super().__init__(f"{self.place}: {problem}" + (f" (allowed: {self.allowed})" if self.allowed else ""))


def meant(value: object, known: Iterable[object]) -> str:
    """Return ``, did you mean 'fpenet'?`` for a mistyped name, to be put behind what is wrong; else nothing."""
    from difflib import get_close_matches

    names = {str(name).lower(): str(name) for name in known}
    close = get_close_matches(value.lower(), names, n=1) if isinstance(value, str) else []
    return f", did you mean '{names[close[0]]}'?" if close else ""


def unknown(place: object, value: object, known: Iterable[object]) -> InputError:
    """Return the refusal of a word that is not among the ``known``: the nearest is offered, all are listed."""
    words = list(known)
    return InputError(place, f"{value!r} is not known{meant(value, words)}", words)


class UnfitError(InputError):
    """A network, or a file of one, that a backend cannot take: no other network is at fault, and no study ends."""


class MissingExtraError(SegsearchError):
    """An optional library is not installed; names the extra that brings it."""

    def __init__(self, library: str, extra: str, note: str = "") -> None:
        line = f"{library} is not installed: pip install 'segsearch[{extra}]'"
        super().__init__(f"{line} ({note})" if note else line)


class DeviceError(SegsearchError):
    """A device that is not there or cannot do what was asked."""


class EndedError(DeviceError):
    """A process that was to answer was killed, or was too late: another time it may answer."""


class WorkerError(DeviceError):
    """A measuring worker that is not reachable, died, or answered what was not asked: no network's fault."""


class MachineError(SegsearchError):
    """No disk space, memory or file handles are left on the machine: no network is at fault, another try may do.

    ``memory`` says that it is the processor's memory, of which a network may also ask for more than there is.
    """

    def __init__(self, line: str, *, memory: bool = False) -> None:
        self.memory = memory
        super().__init__(line)


class BudgetError(SegsearchError):
    """Nothing meets the budget; the message names what came nearest."""


class DivergedError(SegsearchError):
    """A network whose loss, weights or outputs are NaN or infinite.

    A trial records it as failed: the same seed would do it again.
    """


class ProofError(SegsearchError):
    """An exported artefact does not do what the network does."""


MOST_LETTERS = 600
"""Of a foreign error that are told."""

_CURES = {
    errno.ENOSPC: "free disk space, or point TMPDIR at a disk that has some",
    errno.EDQUOT: "free disk space, or point TMPDIR at a disk that has some",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f)",
    errno.EMFILE: "raise the limit on open files (ulimit -n)",
    errno.ENFILE: "close other programs: the whole system has no file handle left",
    errno.EIO: "check the disk",
    errno.EROFS: "point TMPDIR at a disk that can be written",
    errno.ENOMEM: "free memory, or make the batch or the images smaller",
    errno.EAGAIN: "raise the limit on processes and threads (ulimit -u)",
}


def one_line(error: BaseException | str) -> str:
    """Write a foreign error's message in one printable line that keeps its cause.

    The whole message where it has at most `MOST_LETTERS`. A longer one is cut in the middle: its first line, which says
    what failed, and as much of its end, which says why, as there is room for.
    """
    lines = [line for raw in str(error).splitlines() if (line := _printable(raw))]
    if not lines:
        return "it does not say why" if isinstance(error, str) else type(error).__name__  # MemoryError has no message
    text = " ".join(lines)
    head = lines[0][: MOST_LETTERS // 2]
    return text if len(text) <= MOST_LETTERS else f"{head} ... {text[len(head) - MOST_LETTERS :]}"


def _printable(text: str) -> str:
    """Drop control characters, which could drive a terminal, and runs of blanks."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def machine_fault(error: BaseException) -> MachineError | None:
    """Return the fault of this machine that an error comes from; None where the machine is not at fault.

    Any OSError that was raised, or named as the cause, is one: no network causes it. Libraries written in C++ only
    quote the system's message, so messages are searched for it as well.
    """
    if isinstance(error, MachineError):
        return error
    for cause in _chain(error):
        code = _code(cause)
        if code or isinstance(cause, MemoryError):
            cure = _CURES.get(code or errno.ENOMEM, "")
            said = [line for line in str(cause).splitlines() if code and os.strerror(code) in line]
            told = one_line(said[0] if said else cause)
            line = f"this machine: {told}" + (f" (cure: {cure})" if cure else "")
            return MachineError(line, memory=code in (None, errno.ENOMEM))
    return None


def _code(error: BaseException) -> int | None:
    """Return the system's number of what went wrong, if an error tells one that the machine is to blame for."""
    if isinstance(error, OSError):
        return error.errno or errno.EIO
    text = str(error)
    return next((code for code in _CURES if os.strerror(code) in text), None)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Give an error, and what it was raised from."""
    seen: set[int] = set()
    here: BaseException | None = error
    while here is not None and id(here) not in seen:
        seen.add(id(here))
        yield here
        here = here.__cause__
