"""What released codes give: outputs in float64 under weights drawn by tensor name, and the names and shapes of all their tensors.

`outputs.json`: for each case and each tensor captured in it, shape, sum, mean of absolute values, and the values at
eight flat indices. `names/NETWORK.txt`: one tensor a line, ``NAME SHAPE``; ``NAME.* CHANNELS`` are the four of a BatchNorm.
"""

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

FOLDER = Path(__file__).parent
OUTPUTS: dict[str, dict[str, Any]] = json.loads((FOLDER / "outputs.json").read_text())
NORM = ("weight", "bias", "running_mean", "running_var")


def shapes(network: str) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a released network's tensors, in their order."""
    found: dict[str, tuple[int, ...]] = {}
    for line in (FOLDER / "names" / f"{network}.txt").read_text().splitlines():
        name, sides = line.split(" ")
        parts = [name.replace("*", kind) for kind in NORM] if name.endswith(".*") else [name]
        found |= dict.fromkeys(parts, tuple(map(int, sides.split(","))))
    return found


def drawn(known: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Weights that depend on the tensors' released names alone, so that both codes can draw the same ones."""
    normalised = {name.removesuffix(".running_mean") for name in known if name.endswith(".running_mean")}
    return {name: _drawn(name, shape, normalised) for name, shape in known.items()}


def _drawn(name: str, shape: tuple[int, ...], normalised: set[str]) -> Tensor:
    u = np.random.RandomState(zlib.crc32(name.encode())).uniform(-1, 1, shape)
    module, _, kind = name.rpartition(".")
    if kind.endswith(("_w1", "_w2")):
        value = 0.6 + 0.9 * u
    elif len(shape) > 1:
        value = u * (3 / np.prod(shape[1:])) ** 0.5 * (12 if "flow_make" in name else 1)
    elif kind == "running_mean":
        value = 0.1 * u
    elif kind == "running_var":
        value = 1 + 0.5 * u
    elif module not in normalised:
        value = 0.1 * u  # the bias of a convolution
    else:
        value = 0.6 + 0.2 * u if kind == "weight" else 0.2 * u
    return torch.from_numpy(np.asarray(value))


def image(batch: int, height: int, width: int) -> Tensor:
    """The image of every case [B, 3, H, W], in float64."""
    return torch.from_numpy(np.random.RandomState(7).uniform(-2, 2, (batch, 3, height, width)))


def assert_given(ours: Tensor, wanted: dict[str, Any], what: str) -> None:
    """Our tensor is the released code's, within 1e-6 of its mean absolute value."""
    assert list(ours.shape) == wanted["shape"], what
    flat = ours.flatten()
    error = float((flat[wanted["idx"]] - torch.tensor(wanted["val"], dtype=torch.float64)).abs().max())
    assert error < 1e-6 * wanted["mean_abs"], f"{what}: {error / wanted['mean_abs']:.2e}"
    assert abs(float(flat.abs().mean()) / wanted["mean_abs"] - 1) < 1e-6, what
    assert abs(float(flat.sum()) - wanted["sum"]) < 1e-6 * wanted["mean_abs"] * flat.numel(), what
