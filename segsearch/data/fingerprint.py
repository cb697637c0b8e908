"""What a data set holds, in a few short values, so that the same data is known again wherever it lies."""

import hashlib

from segsearch.data.dataset import Splits

MOST_CHARACTERS = 200
"""A longer value keeps its beginning and ends in a hash of the whole."""


def fingerprint(splits: Splits) -> dict[str, str]:
    """Describe the content of a data set: equal for equal data, whatever folder it lies in and however it is written.

    Files are hashed as bytes and not decoded. The values name what differs in words as far as they are short.

    Returns:
        ``classes`` with the label values that stand for them, ``ignore``, ``size``, and for each split ``train``,
        ``val`` and ``report`` what it consists of: ``train.files`` (names relative to the split's folder) and
        ``train.labels`` (content of the label files), or ``train.drawn``.

    Raises:
        InputError: a label file cannot be read.
    """
    found: dict[str, str] = {}
    for part, dataset in splits.parts():
        for key, value in dataset.content().items():
            shared = key in ("classes", "ignore", "size")  # the same for every split of a data set
            found[key if shared else f"{part}.{key}"] = _short(value)
    return found


def _short(value: str) -> str:
    if len(value) <= MOST_CHARACTERS:
        return value
    return f"{value[:MOST_CHARACTERS]}... {hashlib.sha256(value.encode()).hexdigest()[:16]}"
