"""Frozen, strict value objects: the base of spec, recipe, study and records; their ids and their one-line refusals."""

import hashlib
import json
import re
import types
from collections.abc import Mapping
from typing import Annotated, Any, Self, TypeVar, Union, get_args, get_origin

from pydantic import AfterValidator, AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from segsearch.errors import InputError, meant

_WORDS = {"yes": True, "on": True, "no": False, "off": False}


def yes_or_no(value: object) -> object:
    """Read the words yes, no, on, off as a person means them where a truth value is asked for."""
    return _WORDS.get(value.lower(), value) if isinstance(value, str) else value


YesNo = Annotated[bool, BeforeValidator(yes_or_no)]

_JOINERS = "\u200c\u200d"
"""Letters of Persian, Hindi and their like that shape their neighbours; Python counts them as not printable."""


def shown_name(name: str) -> str:
    """Give back a name that can be drawn in one line and told from all others. Raises ValueError for another one."""
    if not name.strip():
        raise ValueError(f"{name!r} is blank")
    if name != name.strip() or name[0] in _JOINERS or name[-1] in _JOINERS:
        raise ValueError(f"{name!r} begins or ends with a blank")
    if not all(letter.isprintable() or letter in _JOINERS for letter in name):
        raise ValueError(f"{name!r} holds what cannot be printed in one line, such as a line break")
    return name


ShownName = Annotated[str, Field(min_length=1), AfterValidator(shown_name)]
"""What people call a class or a data set."""

V = TypeVar("V")


def height_by_width(text: str) -> tuple[int, int] | None:
    """Read ``512x1024`` as two sides in pixels; None where the text is anything else."""
    match = re.fullmatch(r"(\d{1,6})[xX](\d{1,6})", text.strip())
    return (int(match[1]), int(match[2])) if match else None


def _two_sides(value: object) -> object:
    """Let a person write two sides as options take them. Raises ValueError for other text."""
    if not isinstance(value, str):
        return tuple(value) if isinstance(value, list) else value  # as JSON has it
    sides = height_by_width(value)
    if sides is None:
        raise ValueError(f"{value!r} is not a size (allowed: [HEIGHT, WIDTH] or HEIGHTxWIDTH in pixels, as 512x1024)")
    return sides


HeightByWidth = BeforeValidator(_two_sides)
"""Of a field of two sides, height first: it may be written as text, too."""


class Frozen(BaseModel):
    """An immutable value with known fields only, compared and hashed by content."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    @classmethod
    def parse(cls, data: object, place: object) -> Self:
        """Validate plain data as read from YAML or JSON.

        Raises:
            InputError: the first refusal, as ``place.field: value law (allowed: ...)``.

        """
        try:
            return cls.model_validate_json(json.dumps(data))
        except ValidationError as error:
            first = min(error.errors(), key=lambda found: _TELLING.get(found["type"], len(_TELLING)))
            raise _refusal(cls, first, str(place)) from error
        except (TypeError, ValueError) as error:
            raise InputError(place, f"cannot be read as data: {error}") from error

    def canonical(self) -> str:
        """Canonical JSON: sorted keys, fields equal to their default left out, so a new default renames nothing."""
        return json.dumps(self.model_dump(mode="json", exclude_defaults=True), sort_keys=True, separators=(",", ":"))

    def lines(self) -> str:
        """JSON with one line per field, for people and for diff."""
        fields = self.model_dump(mode="json").items()
        lines = [f"  {json.dumps(name)}: {json.dumps(field, ensure_ascii=False)}" for name, field in fields]
        return "{\n" + ",\n".join(lines) + "\n}\n"

    @property
    def id(self) -> str:
        """12 hex digits of sha256 over `canonical`."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()[:12]


_TELLING = {"extra_forbidden": 0, "finite_number": 1}
"""Errors to tell before others: an unknown key is often why another one is missing, and of a union's members only one
says that nan and inf are refused."""


def _refusal(model: type[BaseModel], error: ErrorDetails, place: str) -> InputError:
    """Turn one pydantic error into place, law, value and known values."""
    location, kind, value = error["loc"], error["type"], error["input"]
    context = error.get("ctx", {})
    where = place + _dotted(model, location)
    if kind == "extra_forbidden":
        known = sorted(_fields(model, location[:-1]))
        where = (
            f"{place}{_dotted(model, location[:-1])}.{location[-1]}"  # a key that a literal has among its words, too
        )
        return InputError(where, f"unknown key{meant(location[-1], known)}", known)
    if kind == "json_invalid":
        return InputError(where, "holds text that is not valid Unicode")
    if kind == "missing":
        return InputError(where, "is missing")
    if kind in ("literal_error", "enum"):
        return _unknown(where, value, str(context.get("expected", "")))
    if kind == "union_tag_invalid":
        return _unknown(where, context["tag"], str(context["expected_tags"]), f"{_bare(context['discriminator'])} ")
    if kind == "union_tag_not_found":
        return InputError(where, f"must have the key {_bare(context['discriminator'])}")
    if kind == "value_error":
        return InputError(where, str(context["error"]))
    return InputError(where, law_broken(error))


def law_broken(error: ErrorDetails) -> str:
    """Say what pydantic asks of a value and what was given: ``should be greater than 0, got -1``."""
    return f"{error['msg'].removeprefix('Input ').lower()}, got {_short(error['input'])}"


def _unknown(where: str, value: object, expected: str, what: str = "") -> InputError:
    """Refuse a word; ``expected`` has the known ones as pydantic lists them, ``'a', 'b' or 'c'``."""
    nearest = meant(value, re.findall("'([^']*)'", expected))
    return InputError(where, f"{what}{value!r} is not known{nearest}", expected)


def _bare(quoted: str) -> str:
    return quoted.strip("'").removesuffix("()")  # of a function that finds the word


def _short(value: object) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def _dotted(model: type[BaseModel], location: tuple[str | int, ...]) -> str:
    """Write a location as ``.encoder.stages[1].block``, leaving out what tells the members of unions apart."""
    text, here = "", frozenset[Any]([model])
    for step in location:
        if isinstance(step, int):
            text, here = f"{text}[{step}]", _inside(here, (tuple, list))
        elif found := _below(here, step):
            text, here = f"{text}.{step}", found
        elif tagged := _tagged(here, step):
            here = tagged
        elif len(here) < 2:
            text += f".{step}"
    return text


def _fields(model: type[BaseModel], location: tuple[str | int, ...]) -> set[str]:
    """Names of the fields allowed at a location, as they are written."""
    here = frozenset[Any]([model])
    for step in location:
        inside = _inside(here, (tuple, list)) if isinstance(step, int) else _below(here, step) or _tagged(here, step)
        here = inside or here
    return {name for one in _models(here) for name in _written(one)}


def _written(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Fields by the names that a person writes: of several the first."""
    found: dict[str, FieldInfo] = {}
    for name, field in model.model_fields.items():
        alias = field.validation_alias
        first = alias.choices[0] if isinstance(alias, AliasChoices) else alias
        found[first if isinstance(first, str) else name] = field
    return found


def _below(here: frozenset[Any], step: str) -> frozenset[Any]:
    """Give what may stand at a key: of the models that have it as a field, else of mappings."""
    fields = [field for model in _models(here) if (field := (model.model_fields | _written(model)).get(step))]
    if fields:
        return frozenset[Any]().union(*(_members(field.annotation) for field in fields))
    return _inside(here, (dict,))


def _inside(here: frozenset[Any], kinds: tuple[type, ...]) -> frozenset[Any]:
    """Give what may stand inside the sequences, or mappings, among some types."""
    within = [get_args(one) for one in here if get_origin(one) in kinds]
    values = [args[1:] if dict in kinds else args for args in within]
    return frozenset[Any]().union(*(_members(each) for args in values for each in args if each is not Ellipsis))


def _members(annotation: Any) -> frozenset[Any]:
    """Give the types that an annotation allows: those of a union one by one."""
    if get_origin(annotation) is Annotated:
        return _members(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return frozenset[Any]().union(*map(_members, get_args(annotation)))
    return frozenset([annotation])


def _models(here: frozenset[Any]) -> list[type[BaseModel]]:
    plain = (one for one in here if isinstance(one, type) and not isinstance(one, types.GenericAlias))
    return [one for one in plain if issubclass(one, BaseModel)]


def _tagged(here: frozenset[Any], tag: str) -> frozenset[Any]:
    """Those of a union's models that carry ``tag`` as the value of a literal field."""
    return frozenset(m for m in _models(here) if any(tag in get_args(f.annotation) for f in m.model_fields.values()))


def differing(had: Mapping[str, V], has: Mapping[str, V]) -> dict[str, tuple[V | None, V | None]]:
    """Return by key what two mappings hold differently, the first one's value before the second's; None is nothing."""
    return {key: (had.get(key), has.get(key)) for key in dict.fromkeys((*had, *has)) if had.get(key) != has.get(key)}


def flat(data: dict[str, Any], prefix: str = "") -> dict[str, object]:
    """Give every value by its dotted name, ``recipe.iterations`` and its like; an empty dict is a value."""
    found: dict[str, object] = {}
    for key, value in data.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) and value else {f"{prefix}{key}": value}
    return found
