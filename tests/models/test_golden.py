"""Outputs of the released codes, under weights drawn by tensor name, against ours filled by `import-weights`."""

import json
import os
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from segsearch.importer import import_state
from segsearch.models.checkpoint_file import read_state
from segsearch.models.released import RELEASE_OF
from segsearch.space.lower import lower
from segsearch.space.points import named_points

REFERENCE = Path(os.environ.get("SEGSEARCH_REFERENCE", Path(__file__).parents[3] / "shared/reference"))
pytestmark = pytest.mark.skipif(
    not (REFERENCE / "golden.json").is_file(), reason="released outputs are not here: set SEGSEARCH_REFERENCE"
)

CASES = {
    "sfnet_df1_paper|ceil=False|64x96": ("sfnet_df1", {}),
    "sfnet_df1|ceil=False|75x101": ("sfnet_df1_released", {}),
    "sfnet_r18|ceil=False|64x96": ("sfnet_r18_released", {}),
    "sfnet_r18|ceil=True|75x101": ("sfnet_r18_released", {"encoder.resnet.stem_pool": "ceil"}),
    "sgcpnet|128x256": ("sgcpnet1", {}),
    "sgcpnet|360x480": ("sgcpnet1", {}),
}
"""Each case of the golden file: the point that stands for it, and what is changed in it."""


def shapes(keys: str, case: str) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a released network's tensors."""
    lines = [line.split("\t") for line in (REFERENCE / f"keys/{keys}.txt").read_text().splitlines()]
    found = {name: tuple(int(s) for s in shape.strip("()").split(",") if s.strip()) for name, shape in lines}
    if case.startswith("sfnet_df1_paper"):  # the same names; its finest level is the map of 64 channels, not of 256
        inputs = {"head.fpn_in.0.0.weight": (64, 64, 1, 1), "head.fpn_in.1.0.weight": (64, 128, 1, 1)}
        found |= inputs
    return found


def drawn(key: str, shape: tuple[int, ...], normalised: set[str]) -> Tensor:
    """Weights that depend on the tensor's released name alone, so that both codes can draw the same ones."""
    u = np.random.RandomState(zlib.crc32(key.encode())).uniform(-1, 1, shape)
    module, _, kind = key.rpartition(".")
    if kind.endswith(("_w1", "_w2")):
        value = 0.6 + 0.9 * u
    elif len(shape) == 4:
        value = u * (3 / np.prod(shape[1:])) ** 0.5 * (12 if "flow_make" in key else 1)
    elif kind == "running_mean":
        value = 0.1 * u
    elif kind == "running_var":
        value = 1 + 0.5 * u
    elif module not in normalised:
        value = 0.1 * u  # the bias of a convolution
    else:
        value = 0.6 + 0.2 * u if kind == "weight" else 0.2 * u
    return torch.from_numpy(np.asarray(value))


def released_file(case: str, folder: Path) -> Path:
    """A checkpoint as its authors save it: SGCPNet's nested and with `module.` before every name."""
    known = shapes(case.split("|")[0].removesuffix("_paper"), case)
    normalised = {name.removesuffix(".running_mean") for name in known if name.endswith(".running_mean")}
    state = {name: drawn(name, shape, normalised) for name, shape in known.items()}
    wrapped = {"segmenter": {f"module.{name}": t for name, t in state.items()}, "epoch": 3}
    torch.save(wrapped if case.startswith("sgcpnet") else state, folder / "released.pth")
    return folder / "released.pth"


def captured(network: nn.Module, image: Tensor) -> dict[str, Tensor]:
    seen: dict[str, Tensor] = {}
    watched: dict[str, nn.Module] = {}
    if len(network.auxiliary):
        watched = {"ppm": network.context, "logits_low": network.head}
        for i, stride in enumerate(sorted(network.neck.smooths, key=int)):
            watched[f"lateral{i}"] = network.neck.laterals[stride]
            watched[f"fpn_out{i}"] = network.neck.smooths[stride]
            watched[f"flow{i}"] = network.neck.fusions[stride].flow
            watched[f"fam{i}"] = network.neck.fusions[stride].warp
            watched[f"dsn{i}"] = network.auxiliary[i]
    else:
        watched = {"out": network.head}  # SGCPNet returns its logits at 1/8
    for name, module in watched.items():
        module.register_forward_hook(lambda m, args, out, name=name: seen.__setitem__(name, out))
    with torch.no_grad():
        logits = network.supervise(image)[0]
    return {"out": logits} | seen


def test_every_case_is_held() -> None:
    assert json.loads((REFERENCE / "golden.json").read_text()).keys() == CASES.keys()


@pytest.mark.parametrize("case", CASES)
def test_imported_weights_give_the_released_outputs(case: str, tmp_path: Path) -> None:
    point, changes = CASES[case]
    state = read_state(released_file(case, tmp_path))
    found = import_state(state, lower(named_points()[point].choices | changes), RELEASE_OF[point])
    assert (found.unused, found.missing) == ((), ())
    height, width = map(int, case.split("|")[-1].split("x"))
    batch = 2 if case.startswith("sfnet") else 1
    image = torch.from_numpy(np.random.RandomState(7).uniform(-2, 2, (batch, 3, height, width)))
    ours = captured(found.network.eval(), image)
    for name, tensor in json.loads((REFERENCE / "golden.json").read_text())[case].items():
        assert list(ours[name].shape) == tensor["shape"], name
        flat = ours[name].flatten()
        error = (flat[tensor["idx"]] - torch.tensor(tensor["val"], dtype=torch.float64)).abs().max()
        assert error / tensor["mean_abs"] < 1e-6, f"{name}: {error / tensor['mean_abs']:.2e}"
        assert abs(flat.abs().mean() / tensor["mean_abs"] - 1) < 1e-6, name
        assert abs(flat.sum() - tensor["sum"]) < 1e-6 * tensor["mean_abs"] * flat.numel(), name


@pytest.mark.parametrize("keys", ["sfnet_r50", "sfnet_r101", "sfnet_df2"])
def test_every_released_name_has_its_place(keys: str) -> None:
    known = shapes(keys, keys)
    with torch.device("meta"):
        state = {name: torch.empty(shape) for name, shape in known.items()}
        found = import_state(state, named_points()[f"{keys}_released"].spec, RELEASE_OF[f"{keys}_released"])
    assert (found.unused, found.missing) == ((), ())
    assert found.filled == len(known)
