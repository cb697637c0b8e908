"""What a person should know of a data set before anything is trained on it."""

from collections import Counter
from collections.abc import Iterable, Iterator

from segsearch.data.pairs import Pairing
from segsearch.data.unnamed import Classes, Look

FEW = 50
"""Fewer images than these are hardly enough to tell networks apart."""
_RARE = 0.001
_SHAPES = 1.25
"""Shapes (width / height) that differ by more than this factor should not be stretched to one."""
_MOST_NAMED = 8


def differing_shapes(sizes: Counter[tuple[int, int]]) -> bool:
    """Whether images (H, W) are of very different shapes."""
    shapes = [width / height for height, width in sizes]
    return max(shapes) > _SHAPES * min(shapes)


def doubts(pairings: Iterable[Pairing], sizes: Counter[tuple[int, int]]) -> Iterator[str]:
    """Tell of files without a partner, too few images, and shapes that differ, a sentence each."""
    every = list(pairings)
    paired = {str(path) for found in every for pair in found.pairs for path in (pair.image, pair.label)}
    # in a folder that holds both, a label also looks like an image without one
    alone = {problem.place: problem for found in every for problem in found.problems if problem.place not in paired}
    if alone:
        first = next(iter(alone.values()))
        yield f"{len(alone):,} files have no partner and are left out: {first}" + (" ..." if len(alone) > 1 else "")
    images = sum(len(found.pairs) for found in every)
    if images < FEW:
        yield f"there are only {images} images with labels, so that scores depend on which of them validate"
    if differing_shapes(sizes):
        shapes = sorted(width / height for height, width in sizes)
        yield f"images have very different shapes, width / height from {shapes[0]:.2f} to {shapes[-1]:.2f}: `fit: pad`"


def label_doubts(seen: Look, classes: Classes) -> Iterator[str]:
    """Tell of files that cannot be used, and of classes that are rare, a sentence each."""
    if seen.problems:
        count = f"{len(seen.problems)} of {seen.looked:,} pairs"
        yield f"{count} cannot be used, and no study begins before they are mended or gone: {seen.problems[0]}"
    rare = [
        f"{name} ({100 * seen.share(value):.2g} %, {seen.images[value]} images)"
        for name, value in zip(classes.names, classes.values, strict=True)
        if 0 < seen.share(value) < _RARE or (seen.images[value] == 1 and seen.looked > 1)
    ]
    if rare:
        more = f" and {len(rare) - _MOST_NAMED} more" if len(rare) > _MOST_NAMED else ""
        yield f"rare classes, which are hard to learn: {', '.join(rare[:_MOST_NAMED])}{more}"
