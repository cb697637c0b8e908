import pytest
import torch

from segsearch.errors import DeviceError
from segsearch.train.device import find_device


def test_finds_the_cpu() -> None:
    assert find_device("cpu") == find_device(torch.device("cpu")) == torch.device("cpu")


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "", "meta:x"])
def test_refuses_with_one_line(name: str) -> None:
    with pytest.raises(DeviceError, match="cannot be used") as refusal:
        find_device(name)
    assert "\n" not in str(refusal.value) and "cpu" in str(refusal.value)
