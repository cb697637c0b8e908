"""Checkpoints of whatever origin, read without running any code in them: names and tensors, nothing else."""

import errno
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from segsearch.errors import InputError, one_line
from segsearch.files import unpacked_bytes
from segsearch.quiet import quiet

_SHARE = 1 / 8
"""Of a file's tensors: a prefix of so many names may be a wrapper's, and a dict with so many may be a network."""
_MOST_STATES, _MOST_DEPTH = 64, 8


class _Skipped:
    """Stands for an object that is not read: takes any arguments and any state, and does nothing with them."""

    def __new__(cls, *arguments: object) -> "_Skipped":
        return super().__new__(cls)

    def __init__(self, *arguments: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


_NUMBERS = (
    "numpy.dtype",
    "numpy.ndarray",
    *(
        f"numpy.{core}.{name}"
        for core in ("core", "_core")
        for name in ("multiarray.scalar", "multiarray._reconstruct", "numeric._frombuffer")
    ),
)
"""Classes and functions of numpy that scores and arrays beside the tensors are stored with: passed over unread."""
_UNKNOWN = re.compile(r"GLOBAL (\S+)")
_TORCH_SAYS = re.compile(r"WeightsUnpickler error:\s*(.+)")


def read_checkpoint(path: Path) -> dict[Any, Any]:
    """Read a checkpoint without running any code in it: safetensors, or torch's weights-only loading.

    Returns: what is in it, nested as it is; `states` finds the tensors.

    Raises:
        InputError: unreadable, not a checkpoint, without tensors, one that would have to run code (says which object
            and how to keep the tensors alone), or one that would take far more memory than the file is large.
    """
    try:
        size_bytes = unpacked_bytes(path)
        content: object = load_file(path) if path.suffix == ".safetensors" else _load(path, _NUMBERS)
    except InputError:
        raise
    except OSError as error:
        if error.errno == errno.EINVAL:  # torch looked for a place that the file does not have
            raise InputError(path, "is not a file of plain tensors: it is damaged, or not whole") from error
        raise InputError(path, f"cannot be read: {error.strerror or error}") from error
    except SafetensorError as error:
        raise InputError(path, f"is not a safetensors file ({one_line(error)})") from error
    except Exception as error:  # torch raises many kinds for what is no checkpoint, or is more than weights
        raise InputError(path, _refusal(path, error)) from error
    found = [tensor for _, tensors in _dicts(content) for tensor in tensors.values()]
    if not isinstance(content, dict) or not found:
        raise InputError(path, "holds no named tensors", "a dict of tensors, or one inside other dicts")
    for tensor in found:
        if tensor.layout is not torch.strided or tensor.device.type != "cpu" or tensor.is_quantized:
            raise InputError(path, "holds a tensor that is sparse, quantised or without numbers", "plain tensors")
        if math.prod(tensor.shape) * tensor.element_size() > size_bytes:
            raise InputError(path, f"holds a tensor of shape {tuple(tensor.shape)}, larger than the file itself")
    return content


def states(content: Mapping[Any, Any], *, rest: bool = False) -> Iterator[dict[str, Tensor]]:
    """Give every set of named tensors in a checkpoint that may be a network's.

    Checkpoints nest the tensors (``state_dict``, ``model`` ...) and wrap their names (``module.``, ``_orig_mod.``,
    ``backbone.`` ...). Which of these words are wrappers only the network can tell, by fitting; so each dict with
    many tensors comes with its names as they are, then without each prefix that many of them share: only the tensors
    that have it, or with ``rest`` also the others. Moving averages of weights (``ema``) come last.
    """
    found = list(_dicts(content))
    least = _SHARE * max((len(tensors) for _, tensors in found), default=0)
    large = [(keys, tensors) for keys, tensors in found if len(tensors) >= least]
    ordered = sorted(large, key=lambda pair: "ema" in "".join(map(str, pair[0])).lower())
    return islice((state for _, tensors in ordered for state in _unwrapped(tensors, rest)), _MOST_STATES)


def _unwrapped(tensors: dict[str, Tensor], rest: bool) -> Iterator[dict[str, Tensor]]:
    prefixes = [""]
    for prefix in prefixes:  # which grows on the way
        under = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
        others = {name: tensor for name, tensor in tensors.items() if not name.startswith(prefix)} if rest else {}
        yield {**others, **under}
        if prefix.count(".") < _MOST_DEPTH:
            words = Counter(name.partition(".")[0] for name in under if "." in name)
            prefixes += [f"{prefix}{word}." for word, count in words.items() if count >= _SHARE * len(tensors)]


def _dicts(content: object) -> Iterator[tuple[tuple[object, ...], dict[str, Tensor]]]:
    """Give the tensors of every dict inside others, with the keys on the way there."""
    seen: set[int] = set()
    ahead: list[tuple[tuple[object, ...], object]] = [((), content)]
    for keys, inside in ahead:  # which grows on the way
        if not isinstance(inside, dict) or id(inside) in seen or len(keys) > _MOST_DEPTH:
            continue
        seen.add(id(inside))
        tensors = {n: t for n, t in inside.items() if isinstance(n, str) and isinstance(t, Tensor)}
        if tensors:
            yield keys, tensors
        ahead += [((*keys, key), value) for key, value in inside.items()]


def _load(path: Path, passed_over: tuple[str, ...] | list[str]) -> object:
    skipped: list[Any] = [(_Skipped, name) for name in passed_over]
    with torch.serialization.safe_globals(skipped), quiet():  # torch warns of newer pickle protocols
        return torch.load(path, map_location="cpu", weights_only=True)


def _refusal(path: Path, error: Exception) -> str:
    """Say why torch does not read a file, and how to keep its tensors alone where that is another program's object."""
    unknown = _UNKNOWN.search(str(error))
    if unknown is None:
        said = _TORCH_SAYS.search(str(error))
        reason = one_line(said[1] if said else error)
        newer = " (a pickle protocol that torch.save does not use by default)" if "operand" in reason else ""
        return f"is not a file of plain tensors: {reason}{newer}"
    if "is blocked" in str(error) or "." not in unknown[1]:  # such as os.system and getattr, which no weights need
        return f"holds {unknown[1]}, which weights never need and hostile files do; do not open it by other means"
    target = path.with_name(f"{path.stem}_tensors.pth")
    loaded = f"torch.load({str(path)!r}, weights_only=False){_nest(path)}"
    kept = f"{{k: v for k, v in {loaded}.items() if torch.is_tensor(v)}}"
    line = f'python -c "import torch; torch.save({kept}, {str(target)!r})"'
    return (
        f"holds {unknown[1]}, which can only be read by running code; if you trust the file, keep its tensors: {line}"
    )


def _nest(path: Path) -> str:
    """Write, as an index, under which keys of a refused file most tensors are; none of its objects is made."""
    try:
        content = _load(path, torch.serialization.get_unsafe_globals_in_checkpoint(path))
    except Exception:  # it is refused in any case
        return ""
    keys, _ = max(_dicts(content), key=lambda pair: len(pair[1]), default=((), {}))
    return "".join(f"[{key!r}]" for key in keys)
