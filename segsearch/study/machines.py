"""The machines of a study, as its file names them: where latency is measured, and what one training takes."""

from typing import Annotated

from pydantic import AfterValidator, Field

from segsearch.errors import InputError
from segsearch.frozen import Frozen
from segsearch.measure.machine import DeviceName
from segsearch.remote.access import Address


def at_address(value: object) -> object:
    """Let a person write only the address."""
    return {"address": value} if isinstance(value, str) else value


def _address(text: str) -> str:
    try:
        return str(Address.parse(text))
    except InputError as error:
        raise ValueError(f"{error.problem} (allowed: {error.allowed})") from error


class Remote(Frozen):
    """The machine that a study is for: where `segsearch measure-worker` listens on it."""

    address: Annotated[str, AfterValidator(_address)] = Field(description="HOST:PORT")
    device: DeviceName = Field(default="cpu", description="what is timed there; training stays here")


class Resources(Frozen):
    """What one training takes of a machine, where trainings run side by side; for the executor `ray`."""

    cpus: float = Field(default=1, gt=0, le=1024, description="processors; torch trains with so many threads")
    gpus: float | None = Field(
        default=None, ge=0, le=64, description="GPUs; 0.5 lets two trainings share one; default 1 for a study on GPUs"
    )
    silence: float = Field(
        default=1800,
        ge=1,
        le=86_400,
        description="seconds without a report after which a training is started again",
    )

    @property
    def threads(self) -> int:
        """Threads of torch in a training."""
        return max(1, int(self.cpus))

    def on(self, device: str) -> "Resources":
        """Return them with the number of GPUs that a training on a device takes where none is written."""
        return self if self.gpus is not None else self.model_copy(update={"gpus": float(device.startswith("cuda"))})

    def fit_in(self, offered: dict[str, float]) -> int:
        """Count the trainings that fit in what a machine offers, by Ray's names."""
        most = offered.get("CPU", 0) / self.cpus
        return int(min(most, offered.get("GPU", 0) / self.gpus) if self.gpus else most)

    def __str__(self) -> str:
        """Write it for people: ``1 cpus and 0.5 gpus``."""
        return f"{self.cpus:g} cpus" + (f" and {self.gpus:g} gpus" if self.gpus else "")
