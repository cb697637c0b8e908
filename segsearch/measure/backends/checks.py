"""What every backend refuses alike: devices and precisions it does not have, and hardware that cannot do them."""

import torch

from segsearch.errors import DeviceError, InputError
from segsearch.measure.backends.base import Backend

_AMPERE = (8, 0)
"""First compute capability with TF32 and bfloat16 units; before it torch runs something else under these names."""


def check_ability(backend: Backend, device_kind: str | None, precision: str | None) -> None:
    """Refuse a kind of device, or a precision there, that ``backend`` does not have; None asks for nothing.

    Raises:
        InputError: this backend does not have that precision.
        DeviceError: it does not run on that kind of device, or has that precision on a GPU only.
    """
    if device_kind is not None and device_kind not in backend.devices:
        here = ", ".join(backend.devices)
        raise DeviceError(f"backend: {backend.name} does not run on {device_kind} (available: {here})")
    if precision is None:
        return
    if precision not in backend.precisions:
        raise InputError("precision", f"{backend.name} does not run in {precision!r}", backend.precisions)
    if device_kind == "cpu" and precision in backend.cuda_precisions:
        left = [p for p in backend.precisions if p not in backend.cuda_precisions]
        raise DeviceError(f"precision: {backend.name} does not run {precision} on cpu (available: {', '.join(left)})")


def check_hardware(device: torch.device, precision: str | None) -> None:
    """Refuse TF32 and bfloat16 on a GPU that has no units for them.

    Raises:
        DeviceError: it is older than compute capability 8.0.
    """
    if device.type == "cuda" and precision in ("tf32", "bfloat16"):
        capability = torch.cuda.get_device_capability(device)
        if capability < _AMPERE:
            name, have = torch.cuda.get_device_name(device), ".".join(map(str, capability))
            raise DeviceError(f"precision: {name} has no {precision} (compute capability {have}, needs 8.0)")
