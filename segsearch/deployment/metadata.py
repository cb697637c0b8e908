"""What an artefact says about itself, stored inside the ONNX file, so that the file alone is enough to use it."""

import json
from collections.abc import Mapping
from typing import Self

from pydantic import Field, model_validator

from segsearch.errors import InputError
from segsearch.frozen import Frozen

_WRITER = "segsearch"
_DATA = ("classes", "colours", "size_hw", "mean", "std")


class Metadata(Frozen):
    """The artefact's own facts: segsearch's version, classes, their colours, image size, normalisation, free notes."""

    segsearch: str
    classes: tuple[str, ...] = Field(min_length=1, max_length=256)
    colours: tuple[tuple[int, int, int], ...]
    size_hw: tuple[int, int]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    notes: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(self.colours) != len(self.classes):
            raise ValueError(f"{len(self.classes)} classes have {len(self.colours)} colours")
        if any(not 0 <= value <= 255 for colour in self.colours for value in colour):
            raise ValueError("a colour's values must be 0 to 255")
        return self

    def to_properties(self) -> dict[str, str]:
        """Write as ONNX metadata properties: plain text for the version and the notes, JSON for the rest."""
        clash = {_WRITER, *_DATA} & self.notes.keys()
        assert not clash, f"notes cannot replace {sorted(clash)}"
        data = self.model_dump(mode="json", include=set(_DATA))
        return {_WRITER: self.segsearch} | {key: json.dumps(data[key]) for key in _DATA} | self.notes

    @classmethod
    def from_properties(cls, properties: Mapping[str, str], place: object) -> Self:
        """Read what `to_properties` wrote.

        Raises:
            InputError: not written by segsearch, or damaged.
        """
        if _WRITER not in properties:
            raise InputError(place, "is not a model exported by segsearch: it carries no segsearch metadata")
        try:
            data = {key: json.loads(properties[key]) for key in _DATA if key in properties}
        except (ValueError, RecursionError) as error:
            raise InputError(place, "has damaged segsearch metadata") from error
        notes = {key: value for key, value in properties.items() if key != _WRITER and key not in _DATA}
        return cls.parse({_WRITER: properties[_WRITER], **data, "notes": notes}, place)
