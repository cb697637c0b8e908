"""The weights of a network alone, as safetensors: plain numbers that cannot carry code."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from segsearch.errors import InputError
from segsearch.files import replacing
from segsearch.frozen import Frozen
from segsearch.spec.network import NetworkSpec

_AUXILIARY = "auxiliary."
"""Prefix of the tensors of auxiliary heads; loading into a network with none of these heads ignores them."""

_CLASSIFIER = re.compile(r"(head|auxiliary\.\d+)\.classify\..*")
"""Tensors of the last layer of each head, whose number of outputs is that of the classes."""
_FACTS = "segsearch"
"""Key of a file's text beside the tensors."""
_CLASSES_OF = "head.classify.weight"
"""Tensor (K, C, 1, 1) that tells how many classes there are."""


class WeightFacts(Frozen, extra="ignore"):
    """What a file of weights says of itself; empty or None where it does not say."""

    point: str = ""
    """Name of the network."""
    spec: str = ""
    """Id of its spec."""
    classes: tuple[str, ...] = ()
    """Their names, in order."""
    release: str = ""
    """The published file that it was made from."""
    step: int | None = None
    """How many steps it was trained."""
    miou: float | None = None
    """What it scored then on the validation images, 0..1."""

    @classmethod
    def read(cls, metadata: Mapping[str, str]) -> Self:
        """Read what stands beside the tensors, also by earlier versions; other programs may write anything there."""
        with suppress(ValueError):
            if _FACTS in metadata:
                return cls.model_validate_json(metadata[_FACTS])
            words = {name: metadata[name] for name in ("point", "release") if name in metadata}
            names = metadata.get("classes", "")
            known = {} if not names or names.isdecimal() else {"classes": tuple(names.split("\n"))}
            best = (
                {"step": int(metadata["step"]), "miou": float(metadata["miou"])}
                if {"step", "miou"} <= metadata.keys()
                else {}
            )
            return cls.model_validate({"spec": metadata.get("spec", metadata.get("id", "")), **words, **known, **best})
        return cls()

    def written(self) -> dict[str, str]:
        """Write it for the file, as one entry: the library that writes several leaves their order to chance."""
        return {_FACTS: self.canonical()}

    def foreign_to(self, network: nn.Module) -> str | None:
        """Say that weights that fit a network were trained in another one; None where nothing says so."""
        spec_id = _spec_id(network)
        if spec_id is None or self.spec in ("", spec_id):
            return None
        own = f"{self.point}, spec {self.spec}" if self.point else f"spec {self.spec}"
        return (
            f"the weights were trained in another network ({own}, not {spec_id}); all tensors fit, so that the"
            " two differ only in what has no weights, such as the scale of the image or dilations"
        )


def save_weights(network: nn.Module, path: str | Path, facts: WeightFacts | None = None) -> None:
    """Write all parameters and buffers of a network, with ``facts`` beside them, and at least the id of its spec.

    Raises:
        InputError: the folder cannot be written, or the disk is full.
    """
    path, facts = Path(path), facts or WeightFacts()
    facts = facts.model_copy(update={"spec": facts.spec or _spec_id(network) or ""})
    tensors = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in network.state_dict().items()}
    with replacing(path) as temporary:
        try:
            save_file(tensors, temporary, metadata=facts.written())
        except SafetensorError as error:
            raise InputError(path, f"cannot be written: {error}") from error


def load_weights(network: nn.Module, path: Path, note: Callable[[str], None] = lambda line: None) -> WeightFacts:
    """Fill a network from a file of `save_weights`; return its facts. An error leaves the network as it was.

    ``note`` is told in a sentence where the weights were trained in another network.

    Auxiliary heads in the file are ignored if the network has none: they serve training only.

    Raises:
        InputError: unreadable, or not this network's; names tensors that are missing, unexpected or of other shapes.
    """
    tensors, facts = read_weights(path)
    wanted = network.state_dict()
    if not any(name.startswith(_AUXILIARY) for name in wanted):
        tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith(_AUXILIARY)}
    _check_names(path, tensors, wanted)
    network.load_state_dict(tensors)
    if (foreign := facts.foreign_to(network)) is not None:
        note(foreign)
    return facts


def start_with(network: nn.Module, path: Path, classes: Sequence[str], *, reset_head: bool = False) -> list[str]:
    """Fill a network that is to be trained from a file of `save_weights`; an error leaves it as it was.

    Args:
        network: its auxiliary heads keep their weights, all of them, where the file's are others or it has none.
        path: the file.
        classes: names of those that are to be learnt.
        reset_head: leave the classifiers as they are, so that the file may be for other classes.

    Returns:
        What a person should know: that auxiliary heads begin with fresh weights, or that the file is of a network that
        differs in what has no weights.

    Raises:
        InputError: as `load_weights`, or the file is for other classes.
    """
    tensors, facts = read_weights(path)
    own = network.state_dict()
    auxiliary = {name for name in own if name.startswith(_AUXILIARY)}
    fresh = {name for name in own if reset_head and _CLASSIFIER.fullmatch(name)}
    given = {name: tensor for name, tensor in tensors.items() if name in own or not name.startswith(_AUXILIARY)}
    filled = all(name in given and given[name].shape == own[name].shape for name in auxiliary - fresh)
    fresh |= set() if filled else auxiliary
    bodies = ({name: t for name, t in some.items() if not _CLASSIFIER.fullmatch(name)} for some in (given, own))
    _check_names(path, *({name: t for name, t in body.items() if name not in fresh} for body in bodies))
    if not reset_head:
        problem = differing_classes(tensors, facts, classes)
        if problem is not None:
            raise InputError(path, problem, "--reset-head, with which all but the classifiers begins with it")
    learnt = {name: tensor for name, tensor in given.items() if name not in fresh}
    _check_names(path, learnt, {name: tensor for name, tensor in own.items() if name not in fresh})
    network.load_state_dict(own | learnt)
    told = [] if filled else [f"{path.name} has no such auxiliary heads, which begin with fresh weights"]
    foreign = facts.foreign_to(network)
    return told if foreign is None else [*told, foreign]


def differing_classes(tensors: Mapping[str, Tensor], facts: WeightFacts, classes: Sequence[str]) -> str | None:
    """Say that a file of weights is for other ``classes``, by their number, or by their names where the file has them.

    Returns None where it is for the same, or tells nothing.
    """
    rows, told = tensors.get(_CLASSES_OF), facts.classes
    if rows is not None and rows.shape[0] != len(classes):
        return f"is of a network for {rows.shape[0]} classes, and the data has {len(classes)}"
    if told in ((), tuple(classes)):
        return None
    pairs = list(zip(told, classes, strict=False))
    index = next((k for k, (theirs, ours) in enumerate(pairs) if theirs != ours), 0)
    return "calls class {} {!r}, and the data calls it {!r}".format(index, *pairs[index])


def read_weights(path: Path) -> tuple[dict[str, Tensor], WeightFacts]:
    """Return the tensors and the facts of a file.

    Raises:
        InputError: it is none of `save_weights`, or holds NaN or infinite values.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}
            facts = WeightFacts.read(file.metadata() or {})
    except OSError as error:
        raise InputError(path, f"cannot be read: {error.strerror or error}") from error
    except SafetensorError as error:
        raise InputError(path, f"is not a safetensors file ({error})") from error
    spoilt = [name for name, tensor in tensors.items() if not bool(tensor.isfinite().all())]
    if spoilt:
        raise InputError(path, f"holds NaN or infinite values: {_some(spoilt)}", "weights that were trained well")
    rows = tensors.get(_CLASSES_OF)
    if rows is not None and len(rows) != len(facts.classes):  # of another program's file, or edited
        facts = facts.model_copy(update={"classes": ()})
    return tensors, facts


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


def _spec_id(network: nn.Module) -> str | None:
    """Id of the spec that a network was built from; None of other modules."""
    spec = getattr(network, "spec", None)
    return spec.id if isinstance(spec, NetworkSpec) else None


def _some(names: Iterable[str], most: int = 3) -> str:
    """List the first few names and the number of the others."""
    ordered = sorted(names)
    more = len(ordered) - most
    return ", ".join(ordered[:most]) + (f" and {more} more" if more > 0 else "")
