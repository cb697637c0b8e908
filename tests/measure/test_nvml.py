"""NVML's answers in words; the library itself is played, as machines without a GPU have none to ask."""

import os
import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from segsearch.measure import load as nvml
from segsearch.measure.load import Contention, Gpu, GpuLog, GpuState


class Error(Exception):
    pass


class Library:
    """A driver with one card, which has no power meter."""

    NVMLError, NVML_CLOCK_SM, NVML_CLOCK_MEM, NVML_TEMPERATURE_GPU = Error, 1, 2, 0

    def __init__(self, pids=()):
        self.pids = pids

    def nvmlInit(self):  # noqa: N802
        pass

    def nvmlDeviceGetHandleByUUID(self, uuid):  # noqa: N802
        if uuid != "GPU-1":
            raise Error
        return "card"

    def nvmlDeviceGetClockInfo(self, handle, which):  # noqa: N802
        return {1: 1980, 2: 3201}[which]

    def nvmlDeviceGetTemperature(self, handle, sensor):  # noqa: N802
        return 41

    def nvmlDeviceGetPowerUsage(self, handle):  # noqa: N802
        raise Error

    def nvmlDeviceGetEnforcedPowerLimit(self, handle):  # noqa: N802
        return 700_000

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle):  # noqa: N802
        return 0x1 | 0x4 | 0x40

    def nvmlDeviceGetComputeRunningProcesses(self, handle):  # noqa: N802
        return [SimpleNamespace(pid=pid) for pid in self.pids]


@pytest.fixture
def library(monkeypatch):
    played = Library()
    monkeypatch.setitem(sys.modules, "pynvml", played)
    return played


def test_a_look_at_a_gpu(library):
    gpu = Gpu.by_uuid("1")
    assert gpu is not None and gpu.handle == "card"
    state = gpu.state()
    assert (state.sm_clock_mhz, state.memory_clock_mhz, state.temperature_c) == (1980, 3201, 41)
    assert (state.power_w, state.power_limit_w) == (None, 700.0)
    assert state.slowed_by == ("idle", "power cap", "hardware thermal")
    assert GpuLog(before=GpuState(), after=state).throttled == ("power cap", "hardware thermal")
    calm = GpuLog(before=GpuState(), after=GpuState())
    joined = GpuLog.joined([calm, GpuLog(before=GpuState(), after=state), calm])
    assert joined is not None and joined.throttled == ("power cap", "hardware thermal")
    assert GpuLog.joined([]) is None


@pytest.mark.parametrize(
    ("pids", "in_use", "others"),
    [((), True, 0), ((os.getpid(),), True, 0), ((os.getpid(), 1), True, 1), ((1,), False, 1), ((1, 2), True, 1)],
)
def test_other_processes_are_counted_without_this_one(pids, in_use, others, library, monkeypatch):
    library.pids = pids
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: in_use)
    assert Gpu.by_uuid("GPU-1").other_processes() == others


def test_a_card_that_nvml_does_not_know_is_none(library):
    assert Gpu.by_uuid("2") is None


def test_without_nvml_and_on_a_processor_there_is_none(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert Gpu.by_uuid("1") is None
    assert Gpu.find(torch.device("cpu")) is None


def test_another_program_on_the_gpu_is_busy():
    load: dict[str, Any] = {"load_average": 0.0, "others_percent_before": 0.0, "others_percent_during": 3.0}
    assert not Contention(**load, gpu_others=0).busy
    assert Contention(**load, gpu_others=2).busy
    assert Contention(**load, gpu_others=2).words == "2 other programs were on the GPU"
    both = Contention(**load | {"others_percent_before": 40.0}, gpu_others=1)
    assert both.words == "1 other programs were on the GPU and other programs used 40 % of the processor"


def test_harmless_reasons_are_reasons():
    assert set(nvml.HARMLESS) <= set(nvml.REASONS.values())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_this_gpu_can_be_asked():
    pytest.importorskip("pynvml")
    gpu = Gpu.find(torch.device("cuda", 0))
    assert gpu is not None and gpu.state().temperature_c
