"""Outputs of the released codes, under weights drawn by tensor name, against ours filled by `import-weights`."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from segsearch.importer import import_state
from segsearch.models.checkpoint_file import read_checkpoint
from segsearch.models.network import Network
from segsearch.models.released import RELEASE_OF
from segsearch.space.lower import lower
from segsearch.space.nodes import Point
from segsearch.space.points import named_points
from tests.golden import OUTPUTS, assert_given, drawn, image, shapes

CASES: dict[str, tuple[str, Point]] = {
    "sfnet_df1_paper|ceil=False|64x96": ("sfnet_df1", {}),
    "sfnet_df1|ceil=False|75x101": ("sfnet_df1_released", {}),
    "sfnet_r18|ceil=False|64x96": ("sfnet_r18_released", {}),
    "sfnet_r18|ceil=True|75x101": ("sfnet_r18_released", {"encoder.resnet.stem_pool": "ceil"}),
    "sgcpnet|128x256": ("sgcpnet1", {}),
    "sgcpnet|360x480": ("sgcpnet1", {}),
}
"""Each case of a released code: the point that stands for it, and what is changed in it."""
PAPER_DF1 = {"head.fpn_in.0.0.weight": (64, 64, 1, 1), "head.fpn_in.1.0.weight": (64, 128, 1, 1)}
"""The paper's SFNet-DF1 has the released names; its finest level is the map of 64 channels, not of 256."""


def released_file(case: str, folder: Path) -> Path:
    """A checkpoint as its authors save it: SGCPNet's nested and with `module.` before every name."""
    network = case.split("|")[0]
    known = shapes("sfnet_df1") | PAPER_DF1 if network == "sfnet_df1_paper" else shapes(network)
    state = drawn(known)
    wrapped = {"segmenter": {f"module.{name}": t for name, t in state.items()}, "epoch": 3}
    torch.save(wrapped if network == "sgcpnet" else state, folder / "released.pth")
    return folder / "released.pth"


def captured(network: Network, given: Tensor) -> dict[str, Tensor]:
    seen: dict[str, Tensor] = {}
    watched: dict[str, Any] = {}
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
        logits = network.supervise(given)[0]
    return {"out": logits} | seen


def test_every_case_is_held() -> None:
    assert {case for case in OUTPUTS if case.startswith(("sfnet", "sgcpnet"))} == CASES.keys()


@pytest.mark.parametrize("case", CASES)
def test_imported_weights_give_the_released_outputs(case: str, tmp_path: Path) -> None:
    point, changes = CASES[case]
    state = read_checkpoint(released_file(case, tmp_path))
    found = import_state(state, lower({**named_points()[point].choices, **changes}), RELEASE_OF[point])
    assert (found.unused, found.missing) == ((), ())
    height, width = map(int, case.split("|")[-1].split("x"))
    ours = captured(found.network.eval(), image(2 if case.startswith("sfnet") else 1, height, width))
    for name, wanted in OUTPUTS[case].items():
        assert_given(ours[name], wanted, name)


@pytest.mark.parametrize("network", ["sfnet_r50", "sfnet_r101", "sfnet_df2"])
def test_every_released_name_has_its_place(network: str) -> None:
    known = shapes(network)
    with torch.device("meta"):
        state = {name: torch.empty(shape) for name, shape in known.items()}
        found = import_state(state, named_points()[f"{network}_released"].spec, RELEASE_OF[f"{network}_released"])
    assert (found.unused, found.missing) == ((), ())
    assert found.filled == len(known)
