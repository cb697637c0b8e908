"""What an export prints when it has succeeded."""

from pathlib import Path

from segsearch.export.card import Card


def lines(card: Card, folder: Path) -> list[str]:
    """Say what was exported, how it was proven, and whether the file itself meets the budget."""
    said = [
        f"{card.name} (id {card.spec}) is in {folder / card.file}",
        f"proof: {card.agreement.fraction:.3%} of {card.agreement.pixels:,} pixels as the trained network,"
        f" on {card.agreement.images} validation images",
        f"mIoU of the file {_share(card.artefact_miou)}, of the trained network {_share(card.miou)}",
        f"search: {card.search.latency_ms:.2f} ms ({card.search.fps:.1f} FPS) with {card.search.backend}",
    ]
    if card.artefact is not None:
        met = "" if card.budget_fps is None else _met(card.artefact.meets(card.budget_fps), card.budget_fps)
        said.append(f"file:   {card.artefact.latency_ms:.2f} ms ({card.artefact.fps:.1f} FPS), timed again{met}")
    return said


def _share(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4f}"


def _met(met: bool | None, fps: float) -> str:
    return f"; the budget of {fps:g} FPS is {'met' if met else 'NOT met by the file'}"
