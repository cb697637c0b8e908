"""What a measurement ran on: the device by name, the software by version.

Settings are read and written down, never changed.
"""

import platform
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field

from segsearch.errors import DeviceError, InputError
from segsearch.frozen import Frozen

if TYPE_CHECKING:
    import torch

DEVICES = ("cpu", "cuda")
_DEVICE, _ALLOWED = re.compile(r"cpu|cuda(:[0-9]{1,3})?"), "cpu, cuda, cuda:N"


def _known(device: str) -> str:
    if not _DEVICE.fullmatch(device):
        raise ValueError(f"{device!r} is not known (allowed: {_ALLOWED})")
    return device


DeviceName = Annotated[
    str,
    AfterValidator(_known),
    Field(json_schema_extra={"pattern": f"^({_DEVICE.pattern})$"}, examples=["cpu", "cuda:1"]),
]
"""How a study file names a device: ``cpu``, ``cuda`` (the first GPU) or ``cuda:N``; see `find_device`."""


class Software(Frozen):
    """Versions and switches that a latency depends on; those of CUDA are None on a CPU."""

    torch: str
    python: str
    os: str
    driver: str | None = None
    cuda: str | None = None
    cudnn: str | None = None
    cudnn_benchmark: bool | None = None
    tf32: bool | None = None
    """Whether float32 convolutions may run in TF32."""


def find_device(device: str) -> "torch.device":
    """Resolve ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        InputError: another kind of device.
        DeviceError: no such device here.
    """
    import torch

    if not _DEVICE.fullmatch(device):
        raise InputError("device", f"{device!r} is not known", _ALLOWED)
    kind, _, index = device.partition(":")
    if kind == "cpu":
        return torch.device("cpu")
    number = int(index or 0)
    if number >= torch.cuda.device_count():
        raise DeviceError(f"device: {device} is not here (available: {', '.join(available())})")
    return torch.device("cuda", number)


def available() -> list[str]:
    """Names of the devices of this machine that `find_device` takes."""
    import torch

    return ["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]


def device_name(device: "torch.device") -> str:
    """Return what the maker calls the device."""
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else cpu_name()


def cpu_name() -> str:
    """Model name of the processor, or its architecture where the system does not tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(filter(None, [*names, platform.processor(), platform.machine()]), "unknown")


def software(device: "torch.device") -> Software:
    """Read the versions and switches that matter on ``device``."""
    import torch

    common = Software(torch=str(torch.__version__), python=platform.python_version(), os=platform.platform())
    if device.type != "cuda":
        return common
    cudnn = torch.backends.cudnn
    gpu: dict[str, object] = {
        "driver": _driver(),
        "cuda": torch.version.cuda,
        "cudnn": str(cudnn.version()),  # type: ignore[no-untyped-call]
        "cudnn_benchmark": cudnn.benchmark,
        # the older allow_tf32 raises where a program has used both ways
        "tf32": cudnn.conv.fp32_precision == "tf32",  # type: ignore[attr-defined]
    }
    return common.model_copy(update=gpu)


def _driver() -> str | None:
    """Version line of the NVIDIA kernel module, where the system shows it."""
    try:
        return Path("/proc/driver/nvidia/version").read_text(encoding="utf-8").splitlines()[0].strip()
    except (OSError, IndexError):
        return None
