"""Scores are counted at the labels' own size, whatever size the network saw."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from segsearch.data.config import CamVidData, FolderData
from segsearch.data.dataset import IGNORE, Dataset
from segsearch.data.normalise import to_tensor
from segsearch.data.open import open_data
from segsearch.data.own import own_data
from segsearch.deployment.images import Fit
from segsearch.errors import InputError
from segsearch.training.evaluate import Evaluation, evaluate, evaluate_masks
from tests.data.camvid_files import camvid_or_skip

SIZES = [(37, 53), (64, 31), (90, 120)]
CLASSES = 4


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """Three images of odd sizes with labels that have one pixel wide lines and void."""
    rng = np.random.default_rng(0)
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    for number, (height, width) in enumerate(SIZES):
        label = rng.integers(0, CLASSES, (height // 4 + 1, width // 4 + 1)).repeat(4, 0).repeat(4, 1)[:height, :width]
        label[:, ::7] = number % CLASSES
        label[0] = IGNORE
        image = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
        Image.fromarray(image).save(tmp_path / f"images/{number}.png")
        Image.fromarray(label.astype(np.uint8)).save(tmp_path / f"labels/{number}.png")
    part = "{images: images, labels: labels}"
    described = f"classes: [a, b, c, d]\ntrain: {part}\nval: {part}\n"
    (tmp_path / "odd.yaml").write_text(described)
    return tmp_path / "odd.yaml"


def opened(path: Path, fit: Fit = "stretch") -> Dataset:
    data = FolderData.parse({"name": "folder", "root": str(path), "size": [32, 48], "fit": fit}, "data")
    return open_data(data, check=False).val


def given(path: Path, fit: Fit) -> Dataset:
    """Give the same pairs by a script."""
    files = [path.parent / f"{folder}/{k}.png" for k in range(3) for folder in ("images", "labels")]
    arrays = [np.array(Image.open(file)) for file in files]
    pairs = list(zip(arrays[::2], arrays[1::2], strict=True))
    return open_data(own_data("given", pairs, pairs, classes=["a", "b", "c", "d"], size=(32, 48), fit=fit)).val


class Net(nn.Module):
    """Fixed random logits at half the size."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(1)
            self.conv = nn.Conv2d(3, CLASSES, 5, stride=2, padding=2)

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.conv(image)
        return logits


def counted(masks: list[np.ndarray], labels: list[np.ndarray]) -> list[list[int]]:
    """The confusion matrix, pixel by pixel."""
    matrix = [[0] * CLASSES for _ in range(CLASSES)]
    for mask, label in zip(masks, labels, strict=True):
        for row in range(label.shape[0]):
            for column in range(label.shape[1]):
                if label[row, column] != IGNORE:
                    matrix[label[row, column]][mask[row, column]] += 1
    return matrix


def test_labels_to_score_on_are_native_and_those_to_learn_from_are_not(odd: Path) -> None:
    data = FolderData(root=str(odd), size=(32, 48))
    splits = open_data(data, check=False)
    assert [splits.val[k][1].shape for k in range(3)] == SIZES
    assert {splits.val[k][0].shape for k in range(3)} == {(32, 48, 3)}
    assert {splits.train[k][1].shape for k in range(3)} == {(32, 48)}


@pytest.mark.parametrize("fit", ["stretch", "pad"])
def test_the_counts_are_those_of_a_loop_over_all_native_pixels(odd: Path, fit: Fit) -> None:
    network, data = Net(), opened(odd, fit)
    labels = [np.array(Image.open(odd.parent / f"labels/{k}.png")) for k in range(3)]
    masks = []
    for number, (height, width) in enumerate(SIZES):
        logits = network(to_tensor(torch.from_numpy(data[number][0].copy())[None]))
        if fit == "pad":
            scale = min(32 / height, 48 / width)
            inside = (round(height * scale), round(width * scale))
            logits = F.interpolate(logits, size=(32, 48), mode="bilinear")[..., : inside[0], : inside[1]]
        masks.append(F.interpolate(logits, size=(height, width), mode="bilinear").argmax(1)[0].numpy())
    scores = evaluate(network, data)
    assert [list(row) for row in scores.confusion] == counted(masks, labels)
    assert evaluate(network, data, batch_size=2) == evaluate(network, given(odd, fit)) == scores


def test_masks_are_brought_to_the_labels_to_the_nearest(odd: Path) -> None:
    data = opened(odd)

    def third(images: Tensor) -> Tensor:  # left third a, the rest b
        return (torch.arange(images.shape[-1]) >= images.shape[-1] // 3).to(torch.uint8).expand(len(images), 32, -1)

    labels = [np.array(Image.open(odd.parent / f"labels/{k}.png")) for k in range(3)]
    expected = [np.broadcast_to((np.arange(w) + 0.5 >= w / 3).astype(int), (h, w)) for h, w in SIZES]
    assert [list(row) for row in evaluate_masks(third, data).confusion] == counted(expected, labels)


def test_a_window_over_the_whole_image_changes_nothing_and_a_smaller_one_does(odd: Path) -> None:
    network, data = Net(), opened(odd)
    whole = evaluate(network, data)
    assert evaluate(network, data, Evaluation(mode="slide", window=(32, 48))) == whole
    assert evaluate(network, data, Evaluation(mode="slide", window=(64, 64))) == whole
    slid = evaluate(network, data, Evaluation(mode="slide", window=(16, 16), stride=(16, 16)))
    assert slid != whole and abs(slid.pixel_accuracy - whole.pixel_accuracy) < 0.1


def test_windows_add_up_to_the_mean_where_they_overlap() -> None:
    class Position(nn.Module):
        """Logits tell the place in the window."""

        def forward(self, image: Tensor) -> Tensor:
            return torch.arange(image.shape[-1], dtype=torch.float32).expand(1, 1, image.shape[-2], -1)

    found = Evaluation(mode="slide", window=(1, 4), stride=(1, 3)).logits(Position(), torch.zeros(1, 3, 1, 9))
    # windows at 0, 3 and, shifted inside, 5: places 3, 5, 6 and 7 .. are seen once or twice
    assert found.flatten().tolist() == [0, 1, 2, 1.5, 1, (2 + 0) / 2, (3 + 1) / 2, 2, 3]


def test_a_mirrored_view_makes_a_network_symmetric() -> None:
    image = torch.rand(1, 3, 8, 12, generator=torch.Generator().manual_seed(0))
    settings = Evaluation(flip=True, scales=(0.5, 1.0))
    one, other = settings.logits(Net(), image), settings.logits(Net(), image.flip(-1))
    assert torch.allclose(one, other.flip(-1), atol=1e-6) and torch.allclose(one.sum(1), torch.ones(1, 8, 12))


@pytest.mark.parametrize(
    "wrong",
    [{"mode": "slide"}, {"window": [4, 4]}, {"mode": "slide", "window": [4, 4], "stride": [5, 4]}, {"scales": []}],
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError, match="evaluate"):
        Evaluation.parse(wrong, "evaluate")


def test_a_constant_on_camvid_gets_what_one_confusion_matrix_gives() -> None:
    camvid = camvid_or_skip()
    report = open_data(CamVidData(root=str(camvid), size=(90, 120)), check=False).report
    assert report is not None
    labels = [np.array(Image.open(path)) for path in sorted((camvid / "valannot").iterdir())]
    pixels = np.bincount(np.concatenate([label.ravel() for label in labels]), minlength=12)[:11]
    road = 3
    scores = evaluate_masks(lambda images: torch.full((len(images), 90, 120), road, dtype=torch.uint8), report)
    assert scores.miou == pytest.approx(pixels[road] / pixels.sum() / 11)
