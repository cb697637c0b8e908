"""Weights that others trained, brought to our names: read safely, renamed, every leftover told."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from segsearch.errors import InputError
from segsearch.models.build import build
from segsearch.models.network import Network
from segsearch.models.released import RELEASE_OF, RELEASES, from_released
from segsearch.spec.network import NetworkSpec

NESTS = ("segmenter", "state_dict", "model_state_dict", "model", "network", "net")
"""Keys under which checkpoints keep the tensors, beside whatever else they hold."""
WRAPPERS = ("module.",)
"""Openings of names that only say how the network was trained."""
_AUXILIARY = "auxiliary."
_UNLEARNT = "num_batches_tracked"


@dataclass(frozen=True, kw_only=True)
class Imported:
    """A network with foreign weights, and what did not meet."""

    network: Network
    release: str
    filled: int
    """Tensors that were filled."""
    unused: tuple[str, ...]
    """Names in the file that this network has no place for."""
    missing: tuple[str, ...]
    """Tensors of the network that the file does not have: they stay fresh."""


def release_of(point: str, names: str | None) -> str:
    """Return the release whose tensor names a file for ``point`` is expected to have.

    Raises:
        InputError: not told, and not known for this point; or no such release.
    """
    if names is not None and names not in RELEASES:
        raise InputError("--names", f"'{names}' is not known", RELEASES)
    found = names or RELEASE_OF.get(point)
    if found is None:
        raise InputError("--as", f"how '{point}' is named in released files is not known: say it by --names", RELEASES)
    return found


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


def import_state(state: Mapping[str, Tensor], spec: NetworkSpec, release: str, place: object = "state") -> Imported:
    """Build ``spec`` for as many classes as the tensors have, and fill it. Auxiliary heads are built if they are there.

    Raises:
        InputError: a tensor of another shape, or none that fits.
    """
    tensors, unknown = from_released({k: v for k, v in state.items() if not k.endswith(_UNLEARNT)}, release)
    network = _made(spec, tensors)
    wanted = network.state_dict()
    fitting = {name: _as_1x1(tensor, wanted[name]) for name, tensor in tensors.items() if name in wanted}
    if not fitting:
        raise InputError(place, f"holds none of the tensors of '{release}'")
    for name, tensor in fitting.items():
        if tensor.shape != wanted[name].shape:
            raise InputError(place, f"{name} is {tuple(tensor.shape)} instead of {tuple(wanted[name].shape)}")
    network.load_state_dict(fitting, strict=False)
    return Imported(
        network=network,
        release=release,
        filled=len(fitting),
        unused=(*unknown, *sorted(tensors.keys() - fitting.keys())),
        missing=tuple(n for n in wanted if n not in fitting and not n.endswith(_UNLEARNT)),
    )


def _as_1x1(tensor: Tensor, wanted: Tensor) -> Tensor:
    """Bring the weights of a linear layer to the 1x1 convolution that does the same work."""
    linear = tensor.dim() == 2 and wanted.shape[2:] == (1, 1)
    return tensor[:, :, None, None] if linear else tensor


def _made(spec: NetworkSpec, tensors: Mapping[str, Tensor]) -> Network:
    classes: Any = tensors["head.classify.weight"].shape[0] if "head.classify.weight" in tensors else 19
    has_auxiliary = any(name.startswith(_AUXILIARY) for name in tensors)
    kinds = [t.dtype for t in tensors.values() if t.is_floating_point()]
    network = build(spec, int(classes), "neck" if has_auxiliary else "none")
    return network.to(kinds[0]) if kinds else network
