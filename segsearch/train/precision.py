"""Mixed precision: what the forward pass computes in, and how fp16 gradients are kept from vanishing."""

from contextlib import AbstractContextManager

import torch

from segsearch.errors import DeviceError

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Precision:
    """``none``, ``bf16`` or ``fp16`` on one device; fp16 brings its gradient scaler, which does nothing otherwise.

    Raises:
        DeviceError: fp16 on a device other than CUDA.
    """

    def __init__(self, amp: str, device: torch.device) -> None:
        if amp == "fp16" and device.type != "cuda":
            raise DeviceError(f"recipe.amp: 'fp16' needs a CUDA device, got {device.type} (allowed: none, bf16)")
        self._device, self._dtype = device.type, _DTYPES.get(amp)
        self.scaler = torch.amp.GradScaler(device.type, enabled=amp == "fp16")

    def forward(self) -> AbstractContextManager[object]:
        """Context of the forward pass."""
        return torch.autocast(self._device, dtype=self._dtype, enabled=self._dtype is not None)
