import copy
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from segsearch.deployment.deploy import deploy, network_masks
from segsearch.deployment.onnx import OnnxModel, to_onnx
from segsearch.deployment.parity import agreement, prove
from segsearch.errors import ProofError
from tests.deployment.networks import CLASSES, COLOURS, MEAN, SIZE, STD, pictures


def test_the_artefact_is_proven_on_images(network: nn.Module, model: OnnxModel) -> None:
    told: list[tuple[str, int, int]] = []
    found = agreement(network_masks(network, MEAN, STD), model.predict, pictures(4), lambda *a: told.append(a))
    prove(found)
    assert found.images == 4 and found.pixels == 4 * SIZE[0] * SIZE[1]
    assert found.fraction == found.equal / found.pixels and found.worst <= found.fraction
    assert found.classes_seen > 1
    assert told == [("compare", i, 4) for i in (1, 2, 3, 4)]


def test_an_artefact_with_flipped_corners_is_refused(network: nn.Module, tmp_path: Path) -> None:
    flipped = copy.deepcopy(network)
    for module in (flipped, flipped.context, flipped.neck):
        module.align_corners = True
    path = tmp_path / "flipped.onnx"
    to_onnx(deploy(flipped, SIZE, MEAN, STD), path, classes=CLASSES, colours=COLOURS)
    found = agreement(network_masks(network, MEAN, STD), OnnxModel(path, threads=1).predict, pictures(2))
    with pytest.raises(ProofError, match=rf"on 0\.\d+ of {2 * 97 * 203} pixels .*at least 0\.999"):
        prove(found)


def constant(value: int, changed: int = 0) -> np.ndarray:
    mask = np.full((10, 100), value, np.uint8)
    mask.flat[:changed] = 9
    return mask


@pytest.mark.parametrize(("changed", "passes"), [(0, True), (1, True), (2, False), (1000, False)])
def test_the_limit_is_exact(changed: int, passes: bool) -> None:
    found = agreement(lambda _: constant(1), lambda _: constant(1, changed), [np.zeros((10, 100, 3), np.uint8)])
    assert (found.equal, found.pixels, found.classes_seen) == (1000 - changed, 1000, 1)
    if passes:
        prove(found)
    else:
        with pytest.raises(ProofError, match="at least"):
            prove(found)


def test_the_limit_is_on_all_pixels_together() -> None:
    changes = iter([0, 0, 2])
    found = agreement(lambda _: constant(1), lambda _: constant(1, next(changes)), iter(pictures(3)))
    assert found.worst == 0.998
    prove(found)


def test_no_images_prove_nothing() -> None:
    found = agreement(lambda _: constant(1), lambda _: constant(1), [])
    with pytest.raises(ProofError, match="0 images"):
        prove(found, minimum=0)


def test_masks_of_other_sizes_never_agree() -> None:
    with pytest.raises(ProofError, match="image 0: the network's mask"):
        agreement(lambda _: constant(1), lambda _: constant(1).T, pictures(1))


def test_one_bad_image_shows_in_worst() -> None:
    changes = iter([0, 500])
    found = agreement(lambda _: constant(1), lambda _: constant(1, next(changes)), iter(pictures(2)))
    assert (found.fraction, found.worst) == (0.75, 0.5)
