import pytest
import torch

from segsearch.errors import DeviceError, InputError
from segsearch.measure.machine import (
    available,
    cpu_name,
    find_device,
    software,
)


def test_the_processor_has_a_name():
    assert cpu_name().strip()


def test_the_cpu_is_always_there():
    assert find_device("cpu") == torch.device("cpu")
    assert available()[0] == "cpu"


@pytest.mark.parametrize("device", ["tpu", "cpu:0", "cuda:", "cuda:x", "cuda:-1", "", "CPU"])
def test_unknown_devices_are_one_line(device):
    with pytest.raises(InputError) as error:
        find_device(device)
    assert str(error.value) == f"device: {device!r} is not known (allowed: cpu, cuda, cuda:N)"


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what a machine without CUDA says")
@pytest.mark.parametrize("device", ["cuda", "cuda:3"])
def test_absent_devices_name_what_is_here(device):
    with pytest.raises(DeviceError) as error:
        find_device(device)
    assert str(error.value) == f"device: {device} is not here (available: cpu)"


def test_software_on_a_cpu_has_no_cuda_in_it():
    found = software(torch.device("cpu"))
    assert found.torch == torch.__version__
    assert (found.driver, found.cuda, found.cudnn, found.tf32) == (None, None, None, None)
