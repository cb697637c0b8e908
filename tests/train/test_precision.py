import pytest
import torch

from segsearch.errors import DeviceError
from segsearch.train.precision import Precision

CPU = torch.device("cpu")


@pytest.mark.parametrize(("amp", "dtype"), [("none", torch.float32), ("bf16", torch.bfloat16)])
def test_forward_computes_in_the_named_precision(amp: str, dtype: torch.dtype) -> None:
    with Precision(amp, CPU).forward():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype


def test_fp16_needs_cuda() -> None:
    with pytest.raises(DeviceError, match=r"'fp16' needs a CUDA device, got cpu \(allowed: none, bf16\)"):
        Precision("fp16", CPU)


def test_scaler_is_idle_on_cpu() -> None:
    scaler = Precision("bf16", CPU).scaler
    loss = torch.tensor(2.0)
    assert torch.equal(scaler.scale(loss), loss) and scaler.state_dict() == {}
