"""Outputs of the released SFNet code, under weights drawn by tensor name, against ours built from a point."""

import json
import os
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from segsearch.models.build import build
from segsearch.models.released import from_released
from segsearch.space.lower import lower
from segsearch.space.points import named_points

REFERENCE = Path(os.environ.get("SEGSEARCH_REFERENCE", Path(__file__).parents[3] / "shared/reference"))
pytestmark = pytest.mark.skipif(
    not (REFERENCE / "golden.json").is_file(), reason="released outputs are not here: set SEGSEARCH_REFERENCE"
)


def drawn(key: str, shape: tuple[int, ...]) -> Tensor:
    """Weights that depend on the tensor's released name alone, so that both codes can draw the same ones."""
    u = np.random.RandomState(zlib.crc32(key.encode())).uniform(-1, 1, shape)
    kind = key.rsplit(".", 1)[1]
    if len(shape) == 4:
        value = u * (3 / np.prod(shape[1:])) ** 0.5 * (12 if "flow_make" in key else 1)
    elif kind == "running_mean":
        value = 0.1 * u
    elif kind == "running_var":
        value = 1 + 0.5 * u
    else:
        value = _vector(key, kind, u)
    return torch.from_numpy(np.asarray(value))


def _vector(key: str, kind: str, u: np.ndarray) -> np.ndarray:
    names = {line.split("\t")[0] for line in (REFERENCE / "keys/sfnet_r18.txt").read_text().splitlines()}
    if key.rsplit(".", 1)[0] + ".running_mean" not in names:
        return 0.1 * u  # the bias of a convolution
    return 0.6 + 0.2 * u if kind == "weight" else 0.2 * u


def released_state() -> dict[str, Tensor]:
    state = {}
    for line in (REFERENCE / "keys/sfnet_r18.txt").read_text().splitlines():
        name, shape = line.split("\t")
        state[name] = drawn(name, tuple(int(s) for s in shape.strip("()").split(",") if s.strip()))
    return from_released(state, "sfnet_resnet")


def captured(network: nn.Module, image: Tensor) -> dict[str, Tensor]:
    seen: dict[str, Tensor] = {}
    watched = {"ppm": network.context, "logits_low": network.head}
    for i, stride in enumerate(("4", "8", "16")):
        watched[f"lateral{i}"] = network.neck.laterals[stride]
        watched[f"fpn_out{i}"] = network.neck.smooths[stride]
        watched[f"flow{i}"] = network.neck.fusions[stride].flow
        watched[f"fam{i}"] = network.neck.fusions[stride].warp
        watched[f"dsn{i}"] = network.auxiliary[i]
    for name, module in watched.items():
        module.register_forward_hook(lambda m, args, out, name=name: seen.__setitem__(name, out))
    with torch.no_grad():
        seen["out"] = network.supervise(image)[0]
    return seen


@pytest.mark.parametrize(("pool", "size"), [("floor", (64, 96)), ("ceil", (75, 101))])
def test_sfnet_r18_gives_the_released_outputs(pool: str, size: tuple[int, int]) -> None:
    choices = named_points()["sfnet_r18_released"].choices | {"encoder.resnet.stem_pool": pool}
    network = build(lower(choices), 19, "neck").double().eval()
    missing, unexpected = network.load_state_dict(released_state(), strict=False)
    assert not unexpected
    assert all(name.endswith("num_batches_tracked") for name in missing)
    image = torch.from_numpy(np.random.RandomState(7).uniform(-2, 2, (2, 3, *size)))
    golden = json.loads((REFERENCE / "golden.json").read_text())
    case = golden[f"sfnet_r18|ceil={pool == 'ceil'}|{size[0]}x{size[1]}"]
    ours = captured(network, image)
    for name, tensor in case.items():
        assert list(ours[name].shape) == tensor["shape"], name
        flat = ours[name].flatten()
        error = (flat[tensor["idx"]] - torch.tensor(tensor["val"], dtype=torch.float64)).abs().max()
        assert error / tensor["mean_abs"] < 1e-6, f"{name}: {error / tensor['mean_abs']:.2e}"
        assert abs(flat.abs().mean() / tensor["mean_abs"] - 1) < 1e-6, name
