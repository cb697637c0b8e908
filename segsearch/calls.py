"""Calls of scripts: arguments are held against their annotations, and refusals name arguments in place of options."""

import functools
import inspect
import operator
import re
import types
from collections.abc import Callable
from typing import Annotated, Any, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import BeforeValidator, ConfigDict, TypeAdapter, ValidationError

from segsearch.errors import InputError, SegsearchError
from segsearch.frozen import law_broken

P = ParamSpec("P")
T = TypeVar("T")

_STRICT = ConfigDict(strict=True, arbitrary_types_allowed=True, allow_inf_nan=False)
_WORDS = {
    **{"str": "text", "int": "a whole number", "float": "a number", "bool": "True or False", "NoneType": "None"},
    **{"Path": "a path", "Sequence": "a list", "Mapping": "a dict", "Callable": "a function"},
}
_BOUNDS = ("greater_than", "greater_than_equal", "less_than", "less_than_equal", "finite_number")
"""What pydantic calls the refusals of a value whose kind is right."""
_OPTION = re.compile(r"(`[^`]*`)|(?<![\w/.-])--([a-z][a-z0-9-]*)(?: ([A-Z]+)\b)?")


def _whole(value: object) -> object:
    return operator.index(value) if hasattr(value, "__index__") and not isinstance(value, bool) else value


Whole = Annotated[int, BeforeValidator(_whole)]
"""A whole number, NumPy's included."""


def arguments_checked(call: Callable[P, T]) -> Callable[P, T]:
    """Let a function begin only with arguments that its annotations allow.

    Raises:
        InputError: another argument. What the function itself refuses is passed on, with the command line's
            ``--reset-head`` written ``reset_head``.
    """
    signature, hints = inspect.signature(call), get_type_hints(call, include_extras=True)

    @functools.wraps(call)
    def checking(*args: P.args, **kwargs: P.kwargs) -> T:
        given = signature.bind(*args, **kwargs)
        for name, value in given.arguments.items():
            given.arguments[name] = _allowed(name, value, hints[name])
        try:
            return call(*given.args, **given.kwargs)
        except SegsearchError as error:
            error.args = tuple(map(_named, error.args))
            error.__dict__.update({fact: _named(value) for fact, value in error.__dict__.items()})
            raise

    plain = get_type_hints(call)  # what `help` shows, without bounds and validators
    shown = [each.replace(annotation=plain[name]) for name, each in signature.parameters.items()]
    checking.__signature__ = signature.replace(parameters=shown, return_annotation=plain["return"])  # type: ignore[attr-defined]
    return checking


def _allowed(name: str, value: object, hint: Any) -> Any:
    """Return the value of an argument. Raises InputError where its annotation does not allow it."""
    try:
        return _adapter(hint).validate_python(value)
    except ValidationError as error:
        for each in error.errors():
            if each["type"] in _BOUNDS:
                raise InputError(name, law_broken(each)) from None
        told = " ".join(repr(value).split())
        told = told if len(told) <= 60 else f"{told[:57]}..."
        raise InputError(name, f"is {told}, of type {type(value).__name__}", _kinds(hint)) from None


@functools.cache
def _adapter(hint: Any) -> TypeAdapter[Any]:
    return TypeAdapter(hint, config=_STRICT)


def _kinds(hint: Any) -> list[str]:
    """Name the kinds of values that an annotation allows."""
    origin = get_origin(hint)
    if origin is Annotated:
        return _kinds(get_args(hint)[0])
    if origin in (Union, types.UnionType):
        return list(dict.fromkeys(word for each in get_args(hint) for word in _kinds(each)))
    name = (origin or hint).__name__
    return [_WORDS.get(name, name)]


def _named(text: object) -> object:
    """Write ``root=DIR`` for ``--root DIR`` and ``reset_head`` for ``--reset-head``; commands in backticks stay."""
    if not isinstance(text, str):
        return text
    return _OPTION.sub(
        lambda found: found[1] or found[2].replace("-", "_") + (f"={found[3]}" if found[3] else ""), text
    )
