"""Memory that running a network takes: on a GPU by torch's own count, on a processor by the size of the process."""

import contextlib
import ctypes
import mmap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import torch

from segsearch.errors import DeviceError, SegsearchError
from segsearch.measure.machine import device_name

MIB = 2**20
_NO_MEMORY = ("can't allocate memory", "failed to allocate", "out of memory", "bad_alloc", "bad allocation")
"""What torch, onnxruntime and OpenVINO say, whose errors have no class of their own for it."""
_PROCESS = Path("/proc/self")
_MOST_BLOCKS = 8
_KEPT_BYTES = 64
"""What a heap must keep of its end. Were more left out, a free block elsewhere could be taken for the end."""


class FullDeviceError(DeviceError):
    """The network and its images do not fit into the device's memory."""


def lacks_memory(error: Exception) -> bool:
    """Whether an error says that a device is full."""
    known = isinstance(error, (torch.OutOfMemoryError, MemoryError))
    return known or any(words in str(error).lower() for words in _NO_MEMORY)


@contextlib.contextmanager
def memory_errors(device: torch.device) -> Iterator[None]:
    """Turn a full device into one line, whoever noticed. Raises FullDeviceError."""
    try:
        yield
    except SegsearchError:
        raise
    except Exception as error:
        if not lacks_memory(error):
            raise
        line = f"device: {device_name(device)} has too little memory for this network and size"
        raise FullDeviceError(line) from error


def counts_memory(kind: str) -> bool:
    """Whether memory can be told on this machine, of ``cpu`` or ``cuda``."""
    return kind == "cuda" or (_PROCESS / "clear_refs").exists()


class MemoryWatch:
    """Knows what was held on a GPU before the network came there."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._before = torch.cuda.memory_allocated(device) if device.type == "cuda" else 0

    def running_mib(self, run: Callable[[], object]) -> float | None:
        """Run a prepared network once and return the most memory that this took, in MiB.

        On a GPU everything since the watch was made, weights too; what a runtime takes past torch is not seen. On a
        processor what came on top of the loaded network; None where the system does not keep a process's peak.
        """
        if self._device.type != "cuda":
            return _grown_mib(run)
        torch.cuda.synchronize(self._device)
        torch.cuda.reset_peak_memory_stats(self._device)
        run()
        torch.cuda.synchronize(self._device)
        return (torch.cuda.max_memory_allocated(self._device) - self._before) / MIB


def _grown_mib(run: Callable[[], object]) -> float | None:
    """MiB between the resident memory before a run and its peak meanwhile."""
    _give_back()
    try:
        (_PROCESS / "clear_refs").write_text("5", encoding="ascii")  # lets the peak start again from what is held now
        before = _resident_kib("VmRSS")
    except OSError:
        before = None
    run()
    return None if before is None else max(0, _resident_kib("VmHWM") - before) / 1024


def _give_back() -> None:
    """Return freed memory to the system, or a run would find it in the process and seem to need none."""
    with contextlib.suppress(OSError, AttributeError):  # another C library
        libc = ctypes.CDLL(None)
        libc.malloc_trim(0)
        _give_back_ends(libc)


def _give_back_ends(libc: ctypes.CDLL) -> None:
    """Return the heaps' free ends too, which ``malloc_trim`` keeps.

    Of the main heap it does so where something else was mapped behind it; of another heap, which the main thread takes
    for good once memory was refused to it, always. An end is allocated, its pages are returned, and it is freed again.
    A block may come from elsewhere in the heap, so a few are held until the end is among them.
    """
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    blocks, page = list[int](), mmap.PAGESIZE
    for number in range(len(_heaps(libc))):
        before = None
        while len(blocks) < _MOST_BLOCKS:
            heap = _heaps(libc)[number]
            if heap.end_bytes <= MIB or heap == before:  # small, or the heap of another thread
                break
            size, before = heap.end_bytes - _KEPT_BYTES, heap
            if not (block := libc.malloc(size)):
                break
            blocks.append(block)
            start = -(-block // page) * page
            libc.madvise(start, (block + size - start) // page * page, mmap.MADV_DONTNEED)
    for block in blocks:
        libc.free(block)


class _Heap(NamedTuple):
    """What is free in one of the C library's heaps."""

    free_bytes: int
    end_bytes: int


def _heaps(libc: ctypes.CDLL) -> list[_Heap]:
    """Read ``malloc_info``, which lists all free blocks by size but those at the ends, and counts them all."""
    libc.open_memstream.restype = ctypes.c_void_p
    libc.malloc_info.argtypes = [ctypes.c_int, ctypes.c_void_p]
    libc.fclose.argtypes = [ctypes.c_void_p]
    text, length = ctypes.c_void_p(), ctypes.c_size_t()
    stream = libc.open_memstream(ctypes.byref(text), ctypes.byref(length))
    try:
        libc.malloc_info(0, stream)
    finally:
        libc.fclose(stream)
    heaps = ElementTree.fromstring(ctypes.string_at(text, length.value)).iter("heap")
    libc.free(text)
    found = []
    for heap in heaps:
        free = sum(int(total.attrib["size"]) for total in heap.findall("total"))
        listed = sum(int(blocks.attrib["total"]) for blocks in heap.iterfind("sizes/*"))
        found.append(_Heap(free, free - listed))
    return found


def _resident_kib(name: str) -> int:
    lines = (_PROCESS / "status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))
