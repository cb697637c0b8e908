"""How many threads of the processor torch may use, for a while."""

import contextlib
from collections.abc import Iterator

import torch

from segsearch.errors import InputError
from segsearch.measure.timer import MOST_THREADS


def check_threads(threads: int | None) -> None:
    """Raise InputError for a number that no processor has; None is torch's own."""
    if threads is not None and not 1 <= threads <= MOST_THREADS:
        raise InputError("threads", f"{threads} is too {'few' if threads < 1 else 'many'}", f"1 to {MOST_THREADS}")


@contextlib.contextmanager
def torch_threads(threads: int | None) -> Iterator[None]:
    """Let torch use that many threads inside the block; as many as before when None."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
