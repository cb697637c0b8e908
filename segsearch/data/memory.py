"""A bounded store of pairs in memory."""

from segsearch.data.dataset import Pair

LIMIT_BYTES = 2 * 1024**3


class Memory:
    """Keeps pairs until ``limit_bytes`` are full, and keeps those: epochs visit all images alike.

    A copy sent to another process starts empty.
    """

    def __init__(self, limit_bytes: int = LIMIT_BYTES) -> None:
        self.limit_bytes = limit_bytes
        self.used_bytes = 0
        self._pairs: dict[int, Pair] = {}

    def get(self, index: int) -> Pair | None:
        """Give a stored pair, which nobody can change."""
        return self._pairs.get(index)

    def put(self, index: int, pair: Pair) -> Pair:
        """Store a pair if there is room, and give it back, made read-only."""
        for array in pair:
            array.flags.writeable = False
        size = sum(array.nbytes for array in pair)
        if index not in self._pairs and self.used_bytes + size <= self.limit_bytes:
            self._pairs[index] = pair
            self.used_bytes += size
        return pair

    def __reduce__(self) -> tuple[type["Memory"], tuple[int]]:
        return Memory, (self.limit_bytes,)
