import pytest
import torch

from segsearch.measure import memory
from segsearch.measure.memory import MemoryWatch

CPU = torch.device("cpu")


def test_what_a_run_takes_for_a_while_is_seen():
    def run():
        torch.ones(24 * 2**20 // 4).sum()

    taken = MemoryWatch(CPU).running_mib(run)
    if taken is None:
        pytest.skip("this system keeps no peak of a process")
    assert 20 < taken < 60


def test_memory_that_was_freed_before_is_not_free():
    def run():
        return [torch.ones(16 * 1024 // 4) for _ in range(1500)]  # from the heap, which keeps what is freed

    run()
    taken = MemoryWatch(CPU).running_mib(run)
    assert taken is None or taken > 15


def test_each_run_is_looked_at_alone():
    MemoryWatch(CPU).running_mib(lambda: torch.ones(64 * 2**20 // 4).sum())
    taken = MemoryWatch(CPU).running_mib(lambda: None)
    assert taken is None or taken < 10


def test_a_system_without_peaks_still_runs(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "_PROCESS", tmp_path / "none")
    ran = []
    assert MemoryWatch(CPU).running_mib(lambda: ran.append(1)) is None
    assert ran == [1]
