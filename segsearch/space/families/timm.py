"""Encoders of the timm library, written as a word with name, first level and channels; timm is not loaded here."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from segsearch.errors import InputError
from segsearch.space.nodes import Point, Scalar
from segsearch.space.numbers import Choices
from segsearch.spec.encoder import TimmSpec

MODEL = "encoder.timm.model"
_WORD = re.compile(r"(?P<name>[a-z0-9_]+)@P(?P<finest>[1-9]):(?P<channels>[0-9]+(,[0-9]+)*)")
_SHORT = "timm:"
Ask = Callable[[str], str]
"""Name of a timm encoder to its full word; needs timm."""


def timm(choices: Choices, width: float) -> TimmSpec:
    """Timm's encoder named by ``NAME@Pk:C,C,...``, its levels from Pk on. Its widths are its own: ``width`` is 1.

    Raises:
        InputError: the word is not of this form.
    """
    match = _WORD.fullmatch(str(choices["model"]))
    if match is None:
        raise InputError(MODEL, f"'{choices['model']}' does not name an encoder and its levels", "NAME@Pk:C,C,...")
    channels = tuple(map(int, match["channels"].split(",")))
    return TimmSpec(kind="timm", name=match["name"], finest=int(match["finest"]), channels=channels)


def written(name: str, finest: int, channels: Iterable[int]) -> str:
    """Write the word that `timm` reads."""
    return f"{name}@P{finest}:{','.join(map(str, channels))}"


def expand_point(point: Mapping[str, Scalar], ask: Ask) -> Point:
    """Write a point's short ``encoder: timm:NAME`` as its two choices."""
    short = _short(point.get("encoder"))
    return dict(point) if short is None else {**point, "encoder": "timm", MODEL: ask(short)}


def expand_values(narrow: Mapping[str, Sequence[Scalar]], ask: Ask) -> dict[str, list[Scalar]]:
    """Write the short ``timm:NAME`` among the encoders that a study narrows its space to as values of two choices."""
    values = {name: list(given) for name, given in narrow.items()}
    encoders = values.get("encoder", [])
    shorts = [short for short in map(_short, encoders) if short is not None]
    if not shorts:
        return values
    kept = [encoder for encoder in encoders if _short(encoder) is None and encoder != "timm"]
    return values | {"encoder": [*kept, "timm"], MODEL: [*values.get(MODEL, []), *map(ask, shorts)]}


def _short(encoder: object) -> str | None:
    """Return NAME of ``timm:NAME``."""
    return encoder.removeprefix(_SHORT) if isinstance(encoder, str) and encoder.startswith(_SHORT) else None
