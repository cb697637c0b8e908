"""YAML as people mean it: 1.2 scalars (``1e-3`` is a number, ``no`` is a word), no duplicate keys, one-line errors."""

import json
import re
from pathlib import Path
from typing import Any

import yaml

from segsearch.errors import InputError
from segsearch.files import no_file


class _Loader(yaml.SafeLoader):
    """SafeLoader with the scalar rules of YAML 1.2's core schema."""

    yaml_implicit_resolvers = {}  # noqa: RUF012  pyyaml's own interface: the 1.1 rules are dropped whole


_RULES = {
    "tag:yaml.org,2002:bool": (r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    "tag:yaml.org,2002:int": (r"^[-+]?[0-9]+$|^0o[0-7]+$|^0x[0-9a-fA-F]+$", "-+0123456789"),
    "tag:yaml.org,2002:float": (
        r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$|^[-+]?\.(?:inf|Inf|INF)$|^\.(?:nan|NaN|NAN)$",
        "-+0123456789.",
    ),
    "tag:yaml.org,2002:null": (r"^(?:~|null|Null|NULL|)$", "~nN\0"),
}
for _tag, (_pattern, _first) in _RULES.items():
    _Loader.add_implicit_resolver(_tag, re.compile(_pattern), [c if c != "\0" else "" for c in _first])


def _construct_int(loader: _Loader, node: yaml.ScalarNode) -> int:
    text = node.value
    base = {"0o": 8, "0x": 16}.get(text[:2], 10)
    number = int(text.removeprefix("0o"), base) if len(text) <= _MOST_DIGITS else _MOST_INT + 1
    if abs(number) > _MOST_INT:
        raise yaml.constructor.ConstructorError(
            None, None, f"a whole number of {len(text)} digits is too large", node.start_mark
        )
    return number


def _construct_mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str | int | float | bool):
            raise yaml.constructor.ConstructorError(
                None, None, "a key must be a plain word or number", key_node.start_mark
            )
        if key in seen:
            raise yaml.constructor.ConstructorError(None, None, f"key '{key}' stands twice", key_node.start_mark)
        seen.add(key)
    return {loader.construct_object(k, deep=True): loader.construct_object(v, deep=True) for k, v in node.value}


_MOST_DIGITS, _MOST_INT, _MOST_BYTES = 100, 2**63 - 1, 4 * 2**20
"""Of a whole number that is looked at, and of one that is taken; of a file, which takes a minute to parse."""
_MOST = 10_000_000
"""Values and letters that a file may stand for; a few lines of aliases of aliases could fill any memory."""

_Loader.add_constructor("tag:yaml.org,2002:int", _construct_int)
_Loader.add_constructor("tag:yaml.org,2002:map", _construct_mapping)


_DEEPEST = 100
"""Levels of nesting; what is deeper would overflow the stack of whoever walks it."""
_TOO_DEEP = f"is nested more than {_DEEPEST} levels deep"


def load_yaml(path: Path) -> dict[str, Any]:
    """Read one YAML mapping.

    Raises:
        InputError: unreadable, not YAML, a duplicate key, or not a mapping; the place is ``file:line``.

    """
    return parse_yaml(_text(path), str(path))


def load_json(path: Path) -> dict[str, Any]:
    """Read one JSON mapping. Raises InputError as `load_yaml`."""
    try:
        data = json.loads(_text(path))
    except json.JSONDecodeError as error:
        raise InputError(f"{path}:{error.lineno}", f"is not JSON: {error.msg}") from error
    except RecursionError as error:
        raise InputError(path, _TOO_DEEP) from error
    except ValueError as error:  # a number of too many digits
        raise InputError(path, f"is not JSON: {error}") from error
    return _mapping(data, str(path))


def parse_yaml(text: str, place: str) -> dict[str, Any]:
    """Read one YAML mapping from text; ``place`` opens the error's line. Raises as `load_yaml`."""
    try:
        data = yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{place}:{mark.line + 1}" if mark else place
        raise InputError(where, _problem(error)) from error
    except RecursionError as error:
        raise InputError(place, _TOO_DEEP) from error
    except (yaml.YAMLError, ValueError) as error:
        raise InputError(place, f"is not YAML: {' '.join(str(error).split())}") from error
    return _mapping(data, place)


def _text(path: Path) -> str:
    if path.exists() and not path.is_file():  # a device has no size, and no end
        raise InputError(path, no_file(path))
    try:
        size = path.stat().st_size
        if size > _MOST_BYTES:
            raise InputError(path, f"is {size / 2**20:.0f} MB, too large for YAML or JSON", f"{_MOST_BYTES >> 20} MB")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(path, f"cannot be read: {getattr(error, 'strerror', None) or 'not UTF-8 text'}") from error


def _mapping(data: object, place: str) -> dict[str, Any]:
    try:
        size, depth = _extent(data, {})
    except RecursionError:
        size, depth = 0, _DEEPEST + 1
    if depth > _DEEPEST:
        raise InputError(place, _TOO_DEEP)
    if size > _MOST:
        raise InputError(place, "is too large once its aliases are written out")
    if not isinstance(data, dict):
        raise InputError(place, f"must be a mapping of keys to values, got {type(data).__name__}")
    return data


def _extent(data: object, known: dict[int, tuple[int, int]]) -> tuple[int, int]:
    """Count values and letters, and levels, with every alias written out, without writing them out."""
    if not isinstance(data, dict | list):
        return 1 + (len(data) if isinstance(data, str) else 0), 0
    if id(data) not in known:
        inside = [_extent(value, known) for value in (data.values() if isinstance(data, dict) else data)]
        known[id(data)] = 1 + sum(size for size, _ in inside), 1 + max((depth for _, depth in inside), default=0)
    return known[id(data)]


def _problem(error: yaml.MarkedYAMLError) -> str:
    """Say it in one line; some problems of the parser only end a sentence that the context began."""
    problem = error.problem or "is not YAML"
    if "recursive" in problem:
        return "an anchor (&) contains its own alias (*)"
    return " ".join(f"{error.context} {problem}".split() if problem.startswith("but ") else problem.split())
