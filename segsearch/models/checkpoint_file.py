"""Checkpoints of whatever origin, read without running any code in them: names and tensors, nothing else."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from segsearch.errors import InputError

NESTS = ("segmenter", "state_dict", "model_state_dict", "model", "network", "net")
"""Keys under which checkpoints keep the tensors, beside whatever else they hold."""
WRAPPERS = ("module.",)
"""Openings of names that only say how the network was trained."""


def read_state(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a checkpoint without running any code in it: safetensors, or torch's weights-only loading.

    Raises:
        InputError: unreadable, not a checkpoint, or one that would have to run code.
    """
    try:
        if path.suffix == ".safetensors":
            content: object = load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(path, f"cannot be read: {error.strerror or error}") from error
    except SafetensorError as error:
        raise InputError(path, f"is not a safetensors file ({error})") from error
    except Exception as error:  # torch raises many kinds for what is no checkpoint, or is more than weights
        raise InputError(
            path, "is not a file of plain tensors", "safetensors, or a dict saved by torch.save"
        ) from error
    return bare(content, path)


def bare(content: object, place: object) -> dict[str, Tensor]:
    """Take the tensors out of a checkpoint's nests, and the wrappers off their names. Raises as `read_state`."""
    for nest in NESTS:
        if isinstance(content, dict) and isinstance(content.get(nest), dict):
            return bare(content[nest], place)
    tensors = {str(k): v for k, v in content.items() if isinstance(v, Tensor)} if isinstance(content, dict) else {}
    if not tensors:
        raise InputError(place, "holds no named tensors", f"a dict of tensors, bare or under {', '.join(NESTS)}")
    for wrapper in WRAPPERS:
        if all(name.startswith(wrapper) for name in tensors):
            tensors = {name.removeprefix(wrapper): tensor for name, tensor in tensors.items()}
    return tensors
