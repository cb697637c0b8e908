"""The weights of a network alone, as safetensors: plain numbers that cannot carry code."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from segsearch.errors import InputError
from segsearch.files import replacing

_AUXILIARY = "auxiliary."
"""Prefix of the tensors of auxiliary heads; loading into a network with none of these heads ignores them."""

_CLASSIFIER = re.compile(r"(head|auxiliary\.\d+)\.classify\..*")
"""Tensors of the last layer of each head, whose number of outputs is that of the classes."""
CLASSES = "classes"
"""Key of a file's metadata: the names of the classes, in order."""


def save_weights(network: nn.Module, path: Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write all parameters and buffers of a network, with ``metadata`` beside them.

    Raises:
        InputError: the folder cannot be written, or the disk is full.
    """
    tensors = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in network.state_dict().items()}
    with replacing(path) as temporary:
        try:
            save_file(tensors, temporary, metadata=dict(metadata or {}))
        except SafetensorError as error:
            raise InputError(path, f"cannot be written: {error}") from error


def load_weights(network: nn.Module, path: Path) -> dict[str, str]:
    """Fill a network from a file of `save_weights`; return the file's metadata. An error leaves the network as it was.

    Auxiliary heads in the file are ignored if the network has none: they serve training only.

    Raises:
        InputError: unreadable, or not this network's; names tensors that are missing, unexpected or of other shapes.
    """
    tensors, metadata = read_weights(path)
    wanted = network.state_dict()
    if not any(name.startswith(_AUXILIARY) for name in wanted):
        tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith(_AUXILIARY)}
    _check_names(path, tensors, wanted)
    network.load_state_dict(tensors)
    return metadata


def start_with(network: nn.Module, path: Path, classes: Sequence[str], *, reset_head: bool = False) -> bool:
    """Fill a network that is to be trained from a file of `save_weights`; an error leaves it as it was.

    Args:
        network: its auxiliary heads keep their weights, all of them, where the file's are others or it has none.
        path: the file.
        classes: names of those that are to be learnt.
        reset_head: leave the classifiers as they are, so that the file may be for other classes.

    Returns:
        Whether the auxiliary heads were filled; true where there are none.

    Raises:
        InputError: as `load_weights`, or the file is for other classes.
    """
    tensors, metadata = read_weights(path)
    own = network.state_dict()
    auxiliary = {name for name in own if name.startswith(_AUXILIARY)}
    fresh = {name for name in own if reset_head and _CLASSIFIER.fullmatch(name)}
    given = {name: tensor for name, tensor in tensors.items() if name in own or not name.startswith(_AUXILIARY)}
    filled = all(name in given and given[name].shape == own[name].shape for name in auxiliary - fresh)
    fresh |= set() if filled else auxiliary
    bodies = ({name: t for name, t in some.items() if not _CLASSIFIER.fullmatch(name)} for some in (given, own))
    _check_names(path, *({name: t for name, t in body.items() if name not in fresh} for body in bodies))
    if not reset_head:
        problem = differing_classes(tensors, metadata, classes)
        if problem is not None:
            raise InputError(path, problem, "--reset-head, with which all but the classifiers begins with it")
    learnt = {name: tensor for name, tensor in given.items() if name not in fresh}
    _check_names(path, learnt, {name: tensor for name, tensor in own.items() if name not in fresh})
    network.load_state_dict(own | learnt)
    return filled


def differing_classes(tensors: Mapping[str, Tensor], metadata: Mapping[str, str], classes: Sequence[str]) -> str | None:
    """Say that a file of weights is for other ``classes``, by their number, or by their names where the file has them.

    Returns None where it is for the same, or tells nothing.
    """
    rows, told = tensors.get("head.classify.weight"), metadata.get(CLASSES)
    if rows is not None and rows.shape[0] != len(classes):
        return f"is of a network for {rows.shape[0]} classes, and the data has {len(classes)}"
    if told is None or told.isdecimal() or told == class_names(classes):  # a number: in imports of earlier versions
        return None
    pairs = list(zip(told.split("\n"), classes, strict=False))
    index = next((k for k, (theirs, ours) in enumerate(pairs) if theirs != ours), 0)
    return "calls class {} {!r}, and the data calls it {!r}".format(index, *pairs[index])


def class_names(classes: Sequence[str]) -> str:
    """Write the names of the classes as the metadata of a file has them."""
    return "\n".join(classes)


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors and the metadata of a file. Raises InputError where it is none of `save_weights`."""
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})
    except OSError as error:
        raise InputError(path, f"cannot be read: {error.strerror or error}") from error
    except SafetensorError as error:
        raise InputError(path, f"is not a safetensors file ({error})") from error


def _check_names(path: Path, tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    """Refuse another network's tensors."""
    shapes = [
        f"{name} {tuple(tensors[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in tensors and tensors[name].shape != tensor.shape
    ]
    faults = {"missing": wanted.keys() - tensors.keys(), "unexpected": tensors.keys() - wanted.keys(), "shapes": shapes}
    told = [f"{fault} {_some(names)}" for fault, names in faults.items() if names]
    if told:
        raise InputError(path, f"does not fit the network: {'; '.join(told)}")


def _some(names: Iterable[str], most: int = 3) -> str:
    """List the first few names and the number of the others."""
    ordered = sorted(names)
    more = len(ordered) - most
    return ", ".join(ordered[:most]) + (f" and {more} more" if more > 0 else "")
