"""What a user can cause. Every other exception is a mistake of ours."""

from collections.abc import Iterable


class SegsearchError(Exception):
    """One clear line for the user; the command line prints it and exits with code 2."""


class InputError(SegsearchError):
    """A file, key, value, flag or image that cannot be used.

    The line reads ``place: problem (allowed: ...)``.
    """

    def __init__(self, place: object, problem: str, allowed: Iterable[object] | str | None = None) -> None:
        self.place = str(place)
        self.problem = problem
        self.allowed = allowed if allowed is None or isinstance(allowed, str) else ", ".join(str(a) for a in allowed)
        super().__init__(f"{self.place}: {problem}" + (f" (allowed: {self.allowed})" if self.allowed else ""))


class UnfitError(InputError):
    """A network, or a file of one, that a backend cannot take: no other network is at fault, and no study ends."""


class MissingExtraError(SegsearchError):
    """An optional library is not installed; names the extra that brings it."""

    def __init__(self, library: str, extra: str, note: str = "") -> None:
        line = f"{library} is not installed: pip install 'segsearch[{extra}]'"
        super().__init__(f"{line} ({note})" if note else line)


class DeviceError(SegsearchError):
    """A device that is not there or cannot do what was asked."""


class WorkerError(DeviceError):
    """A measuring worker that is not reachable, died, or answered what was not asked: no network's fault."""


class BudgetError(SegsearchError):
    """Nothing meets the budget; the message names what came nearest."""


class ProofError(SegsearchError):
    """An exported artefact does not do what the network does."""
