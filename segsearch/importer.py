"""Weights that others trained, brought to our names: renamed, and every leftover told."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from torch import Tensor

from segsearch.errors import InputError, unknown
from segsearch.models.checkpoint_file import states
from segsearch.models.network import Network, build
from segsearch.models.pretrained import BATCH_COUNTER, fill
from segsearch.models.released import LIBRARIES, RELEASE_OF, RELEASES, from_released
from segsearch.models.timm_encoder import TimmEncoder
from segsearch.spec.encoder import TimmSpec
from segsearch.spec.network import NetworkSpec

_AUXILIARY = "auxiliary."


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
    """Return the release, or the library, whose tensor names a file for ``point`` is expected to have.

    Raises:
        InputError: not told, and not known for this point; or no such release.
    """
    known = (*LIBRARIES, *RELEASES)
    if names is not None and names not in known:
        raise unknown("--names", names, known)
    found = names or RELEASE_OF.get(point)
    if found is None:
        raise InputError("--as", f"how '{point}' is named in released files is not known: say it by --names", known)
    return found


def import_state(content: Mapping[Any, Any], spec: NetworkSpec, release: str, place: object = "state") -> Imported:
    """Build ``spec`` for as many classes as the tensors have, and fill it. Auxiliary heads are built if they are there.

    Args:
        content: a checkpoint; of the sets of tensors in it, the one that fits best is taken (`states`).
        spec: the network.
        release: whose names the tensors have, or the library.
        place: opens the line of an error.

    Raises:
        InputError: a tensor of another shape, or none that fits.
    """
    if release == "timm" and isinstance(spec.encoder, TimmSpec):
        return _filled_by_timm(content, spec, place)
    state, release = _nearest(content, spec, LIBRARIES.get(release, (release,)))
    tensors, unknown = from_released(state, release)
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
        missing=tuple(n for n in wanted if n not in fitting and not n.endswith(BATCH_COUNTER)),
    )


def _as_1x1(tensor: Tensor, wanted: Tensor) -> Tensor:
    """Bring the weights of a linear layer to the 1x1 convolution that does the same work."""
    linear = tensor.dim() == 2 and wanted.shape[2:] == (1, 1)
    return tensor[:, :, None, None] if linear else tensor


def _nearest(content: Mapping[Any, Any], spec: NetworkSpec, releases: tuple[str, ...]) -> tuple[dict[str, Tensor], str]:
    """Return the tensors of a checkpoint, and the release by whose names most of them fit."""
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in build(spec).state_dict().items()}

    def fitting(pair: tuple[dict[str, Tensor], str]) -> tuple[int, int]:
        known = from_released(*pair)[0]
        return sum(shapes.get(name) == t.shape for name, t in known.items()), len(known.keys() & shapes.keys())

    learnt = ({n: t for n, t in state.items() if not n.endswith(BATCH_COUNTER)} for state in states(content, rest=True))
    return max(product(learnt, releases), key=fitting)


def _filled_by_timm(content: Mapping[Any, Any], spec: NetworkSpec, place: object) -> Imported:
    """Let timm fill its own encoder, whose names it alone knows; nothing in the file is unused but the classifier."""
    network = build(spec)
    encoder = network.encoder
    assert isinstance(encoder, TimmEncoder), "as the spec says"
    if not fill(encoder, content):
        raise InputError(place, f"does not hold timm's {encoder.spec.name}")
    names = [name for name in network.state_dict() if not name.endswith(BATCH_COUNTER)]
    own = [name for name in names if name.startswith("encoder.")]
    missing = tuple(name for name in names if name not in own)
    return Imported(network=network, release="timm", filled=len(own), unused=(), missing=missing)


def _made(spec: NetworkSpec, tensors: Mapping[str, Tensor]) -> Network:
    classes: Any = tensors["head.classify.weight"].shape[0] if "head.classify.weight" in tensors else 19
    has_auxiliary = any(name.startswith(_AUXILIARY) for name in tensors)
    kinds = [t.dtype for t in tensors.values() if t.is_floating_point()]
    network = build(spec, int(classes), "neck" if has_auxiliary else "none")
    return network.to(kinds[0]) if kinds else network
