import subprocess
import sys

import pytest
import torch

from segsearch.errors import InputError
from segsearch.measure import memory
from segsearch.measure.memory import FullDeviceError, MemoryWatch, memory_errors

CPU = torch.device("cpu")


def test_what_a_run_takes_for_a_while_is_seen():
    def run():
        torch.ones(24 * 2**20 // 4).sum()

    taken = [MemoryWatch(CPU).running_mib(run) for _ in range(3)]
    seen = [mib for mib in taken if mib is not None]
    if not seen:
        pytest.skip("this system keeps no peak of a process")
    assert 20 < max(seen) < 60  # a system short of memory may take other pages of this process meanwhile


def test_memory_that_was_freed_before_is_not_free():
    def run():
        return [torch.ones(16 * 1024 // 4) for _ in range(1500)]  # from the heap, which keeps what is freed

    run()
    taken = MemoryWatch(CPU).running_mib(run)
    assert taken is None or taken > 15


MAPPED_BEHIND_THE_HEAP = """
libc, page = ctypes.CDLL(None), 4096
libc.sbrk.restype = libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
behind = -(-libc.sbrk(0) // page) * page
PRIVATE, ANONYMOUS, EXACTLY_THERE = 0x2, 0x20, 0x100000
assert libc.mmap(behind, page, 0, PRIVATE | ANONYMOUS | EXACTLY_THERE, -1, 0) == behind
"""
REFUSED_BEFORE = """
try:
    torch.empty(2**46, dtype=torch.uint8)
    sys.exit("this system refuses nothing")
except RuntimeError:
    pass
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the heaps of another system")
@pytest.mark.parametrize("cause", [MAPPED_BEHIND_THE_HEAP, REFUSED_BEFORE])
@pytest.mark.parametrize("threads", [0, 3])
def test_memory_that_was_freed_is_not_free_where_a_heap_cannot_shrink(cause, threads):
    lines = f"""
import ctypes, sys, threading, torch
from segsearch.measure.memory import MemoryWatch
def run():
    torch.ones(24 * 2**20 // 4).sum()
for _ in range({threads}):
    threading.Thread(target=threading.Event().wait, daemon=True).start()
torch.ones(30 * 2**20 // 4)  # freed, after which the heap holds what is smaller
{cause}
for _ in range(4):
    print(MemoryWatch(torch.device("cpu")).running_mib(run))
"""
    done = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True)
    if "refuses nothing" in done.stderr:
        pytest.skip("this system refuses no memory")
    assert done.returncode == 0, done.stderr
    taken = done.stdout.split()
    assert len(taken) == 4 and ("None" in taken or all(20 < float(mib) < 60 for mib in taken)), taken


def test_each_run_is_looked_at_alone():
    MemoryWatch(CPU).running_mib(lambda: torch.ones(64 * 2**20 // 4).sum())
    taken = MemoryWatch(CPU).running_mib(lambda: None)
    assert taken is None or taken < 10


def test_a_system_without_peaks_still_runs(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "_PROCESS", tmp_path / "none")
    ran = []
    assert MemoryWatch(CPU).running_mib(lambda: ran.append(1)) is None
    assert ran == [1]


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("[enforce fail at alloc_cpu.cpp:121] . DefaultCPUAllocator: can't allocate memory: you tried to"),
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
        ValueError("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Failed to allocate memory for requested buffer"),
    ],
)
def test_a_full_device_is_one_line_whoever_notices(error):
    with pytest.raises(FullDeviceError, match="has too little memory for this network and size$"):
        with memory_errors(torch.device("cpu")):
            raise error


def test_what_is_no_lack_of_memory_passes():
    for error in (RuntimeError("shape mismatch"), InputError("x", "failed to allocate")):
        with pytest.raises(type(error)) as raised, memory_errors(torch.device("cpu")):
            raise error
        assert raised.value is error


def test_an_image_that_no_memory_holds_is_one_line():
    with pytest.raises(FullDeviceError), memory_errors(torch.device("cpu")):
        torch.empty(2**50, dtype=torch.uint8)
