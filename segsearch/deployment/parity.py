"""Proof that an artefact does what the network does, on masks and on real images."""

import zlib
from collections.abc import Callable, Iterable, Mapping
from operator import length_hint

import numpy as np
import numpy.typing as npt

from segsearch.errors import ProofError
from segsearch.frozen import Frozen
from segsearch.progress import Report, silent

Masks = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.uint8]]
"""Whatever turns an RGB image, uint8 [H, W, 3], into class indices, uint8 [H, W]."""


class Agreement(Frozen):
    """How far two sets of masks agree.

    Attributes:
        images: how many were compared.
        pixels: all of them together.
        equal: pixels that both give the same class.
        fraction: equal / pixels, 0 if nothing was compared.
        worst: the fraction of the image that agrees least.
        classes_seen: distinct classes in the reference's masks; with 1, agreement says little.
    """

    images: int
    pixels: int
    equal: int
    fraction: float
    worst: float
    classes_seen: int


def agreement(
    reference: Masks, candidate: Masks, images: Iterable[npt.NDArray[np.uint8]], report: Report | None = None
) -> Agreement:
    """Compare two makers of masks pixel by pixel over images, uint8 [H, W, 3].

    Raises:
        ProofError: their masks differ in size.
    """
    return agreements(reference, {"the artefact": candidate}, images, report)["the artefact"]


def agreements(
    reference: Masks,
    candidates: Mapping[str, Masks],
    images: Iterable[npt.NDArray[np.uint8]],
    report: Report | None = None,
) -> dict[str, Agreement]:
    """Compare several makers of masks with one reference, which sees each image once.

    Raises:
        ProofError: masks differ in size; names the candidate.
    """
    total = length_hint(images)
    tell, seen = report or silent, np.zeros(256, dtype=bool)
    pairs: dict[str, list[tuple[int, int]]] = {name: [] for name in candidates}
    for number, image in enumerate(images):
        expected = reference(image)
        seen[np.unique(expected)] = True
        for name, candidate in candidates.items():
            given = candidate(image)
            if expected.shape != given.shape:
                raise ProofError(
                    f"image {number}: the network's mask is {expected.shape}, that of {name} {given.shape}"
                )
            pairs[name].append((int((expected == given).sum()), expected.size))
        tell("compare", number + 1, max(total, number + 1))
    return {name: _summary(found, int(seen.sum())) for name, found in pairs.items()}


class Comparison:
    """Compares masks with those that a reference made of the same images before, one after another.

    The reference's masks are kept compressed: of a whole validation split they would fill the memory.
    """

    def __init__(self) -> None:
        self._kept: list[tuple[bytes, tuple[int, ...]]] = []
        self._seen = np.zeros(256, dtype=bool)

    def keeping(self, reference: Masks) -> Masks:
        """Wrap the reference: what it makes is kept."""

        def masks(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
            mask = reference(image)
            self._seen[np.unique(mask)] = True
            self._kept.append((zlib.compress(mask.tobytes(), level=1), mask.shape))
            return mask

        return masks

    def of(self, candidate: Masks) -> tuple[Masks, Callable[[], Agreement]]:
        """Wrap another maker of masks, to be given the same images; the second function tells how far it agreed.

        Raises:
            ProofError: in the call, a mask has another size.
        """
        pairs: list[tuple[int, int]] = []

        def masks(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
            mask, (content, shape) = candidate(image), self._kept[len(pairs)]
            if mask.shape != shape:
                raise ProofError(f"image {len(pairs)}: the network's mask is {shape}, this one {mask.shape}")
            expected = np.frombuffer(zlib.decompress(content), np.uint8).reshape(shape)
            pairs.append((int((expected == mask).sum()), mask.size))
            return mask

        return masks, lambda: _summary(pairs, int(self._seen.sum()))


def _summary(pairs: list[tuple[int, int]], classes_seen: int) -> Agreement:
    """Sum up (equal, pixels) per image."""
    equal, pixels = sum(e for e, _ in pairs), sum(p for _, p in pairs)
    return Agreement(
        images=len(pairs),
        pixels=pixels,
        equal=equal,
        fraction=equal / pixels if pixels else 0.0,
        worst=min((e / p for e, p in pairs), default=0.0),
        classes_seen=classes_seen,
    )


def prove(agreement: Agreement, minimum: float = 0.999, name: str = "the artefact") -> None:
    """Let an artefact pass only if it agrees with its network; ``name`` says which one it is.

    Raises:
        ProofError: no image was compared, or fewer than ``minimum`` of the pixels are equal; says the figures.
    """
    if not agreement.images:
        raise ProofError(f"{name} was compared on 0 images, which proves nothing")
    if agreement.fraction < minimum:
        raise ProofError(
            f"{name} agrees with its network on {agreement.fraction:.4f} of {agreement.pixels} pixels "
            f"({agreement.images} images, worst {agreement.worst:.4f}); at least {minimum} is needed"
        )
