"""The weights of a network alone, as safetensors: plain numbers that cannot carry code."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from segsearch.errors import InputError
from segsearch.files import replacing

_AUXILIARY = "auxiliary."
"""Prefix of the tensors of auxiliary heads; loading into a network with none of these heads ignores them."""


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
    tensors, metadata = _read(path)
    wanted = network.state_dict()
    if not any(name.startswith(_AUXILIARY) for name in wanted):
        tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith(_AUXILIARY)}
    _check_names(path, tensors, wanted)
    network.load_state_dict(tensors)
    return metadata


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
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
