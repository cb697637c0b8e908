"""What a network may cost, and how far it is over."""

from typing import Annotated

from pydantic import Field

from segsearch.frozen import Frozen

Limit = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(gt=0)]


class Budget(Frozen):
    """Limits that a network must keep before it is trained; what is left out is not limited."""

    fps: Limit | None = None
    """At least so many images per second, one after another."""
    latency_ms: Limit | None = None
    """At most so many milliseconds per image; beside ``fps``, the tighter of the two holds."""
    params: Count | None = None
    macs: Count | None = None

    @property
    def limit_ms(self) -> float | None:
        """The latency that must not be passed, in milliseconds."""
        limits = [self.latency_ms, 1000 / self.fps if self.fps else None]
        return min((limit for limit in limits if limit is not None), default=None)

    def excess(self, params: int | None, macs: int | None, latency_ms: float | None) -> dict[str, float]:
        """Return ``value / limit - 1`` for each limit that is set: above 0 is too much, and the unknown is 0."""
        pairs = {
            "latency_ms": (latency_ms, self.limit_ms),
            "params": (params, self.params),
            "macs": (macs, self.macs),
        }
        return {name: value / limit - 1 if value else 0.0 for name, (value, limit) in pairs.items() if limit}

    def refusal(self, params: int, macs: int, latency_ms: float | None) -> str | None:
        """Say which limits are passed and by how much; None where all known values keep theirs."""
        excess = self.excess(params, macs, latency_ms)
        sentences = {
            "latency_ms": f"{_speed(latency_ms)}, allowed {_speed(self.limit_ms)}",
            "params": f"{short(params)} parameters, allowed {short(self.params or 0)}",
            "macs": f"{short(macs)} MACs, allowed {short(self.macs or 0)}",
        }
        return "; ".join(sentences[name] for name, over in excess.items() if over > 0) or None

    def __str__(self) -> str:
        """Write for people: ``60 FPS (16.67 ms), 5M parameters``."""
        limit_ms = self.limit_ms
        parts = [f"{1000 / limit_ms:g} FPS ({limit_ms:.2f} ms)"] if limit_ms else []
        parts += [f"{short(self.params)} parameters"] if self.params else []
        parts += [f"{short(self.macs)} MACs"] if self.macs else []
        return ", ".join(parts) or "no limit"


def short(count: int) -> str:
    """Write a large number for people: ``378K``, ``12.4M``, ``5.70G``."""
    for factor, letter in ((10**9, "G"), (10**6, "M"), (10**3, "K")):
        if count >= factor:
            return f"{count / factor:.3g}{letter}"
    return str(count)


def _speed(latency_ms: float | None) -> str:
    return f"{latency_ms:.2f} ms ({1000 / latency_ms:.1f} FPS)" if latency_ms else "unknown"
