"""The device a user names, proven to be there."""

import torch

from segsearch.errors import DeviceError


def find_device(name: str | torch.device) -> torch.device:
    """Return a device after one allocation on it.

    Raises:
        DeviceError: unknown, absent, or of no use to this torch.
    """
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        here = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
        raise DeviceError(f"device {str(name)!r} cannot be used (this machine has {', '.join(here)})") from error
    return device
