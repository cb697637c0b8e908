import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from segsearch.data.dataset import IGNORE
from segsearch.data.normalise import to_tensor
from segsearch.errors import DivergedError, InputError
from segsearch.training.evaluate import evaluate, evaluate_masks, summarise
from segsearch.training.per_image import PerImage
from segsearch.training.scores import Scores

from .toys import Patches, tiny

DATA = Patches(images=5)


class _Brightest(nn.Module):
    """The class of a patch is its brightest channel; logits at full or at half size."""

    def __init__(self, stride: int = 1) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(stride)

    def forward(self, image: Tensor) -> Tensor:
        return self.pool(image)


def _brightest(images: Tensor) -> Tensor:
    assert images.dtype == torch.uint8 and images.shape[1] == 3 and images.is_contiguous()
    return images.argmax(dim=1)


def test_a_perfect_predictor() -> None:
    scores = evaluate_masks(_brightest, DATA, batch_size=2)
    assert (scores.miou, scores.pixel_accuracy, scores.images) == (1.0, 1.0, 5)
    assert scores.iou == {"red": 1.0, "green": 1.0, "blue": 1.0}
    assert sum(map(sum, scores.confusion)) == 5 * 24 * 31, "the void column is not counted"


def test_network_and_callable_agree_at_any_batch_size() -> None:
    network = tiny(3)
    masks = evaluate_masks(lambda images: network.eval()(to_tensor(images.movedim(1, -1))).argmax(1), DATA)
    for batch_size in (1, 2, 5, 8):
        assert evaluate(network, DATA, batch_size=batch_size) == masks


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_outputs_that_are_no_numbers_are_no_mask(value: float) -> None:
    network = tiny(3)
    with torch.no_grad():
        next(p for p in network.parameters() if p.ndim == 1)[0] = value
    with pytest.raises(DivergedError, match="the network's outputs are NaN or infinite"):
        evaluate(network, DATA)


def test_smaller_logits_are_resized() -> None:
    full, half = evaluate(_Brightest(), DATA), evaluate(_Brightest(2), DATA)
    assert 0.9 < full.miou and 0.6 < half.miou < full.miou


def test_modes_are_restored_and_no_statistics_move() -> None:
    network = tiny()
    network.train()
    network.body[1].eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    evaluate(network, DATA)
    assert network.training and network.body[4].training and not network.body[1].training
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_modes_are_restored_after_an_error() -> None:
    network = tiny(classes=5).train()
    nn.init.constant_(network.head.bias[4:], 1e3)
    with pytest.raises(AssertionError, match="a predicted id outside"):
        evaluate(network, DATA)
    assert network.training and network.body[1].training


def test_dropout_is_off() -> None:
    network = tiny()
    assert evaluate(network, DATA) == evaluate(network, DATA)


def test_a_constant_predictor_is_not_flattered() -> None:
    scores = evaluate_masks(lambda images: torch.zeros(len(images), *images.shape[2:], dtype=torch.uint8), DATA)
    share = scores.confusion[0][0] / sum(map(sum, scores.confusion))
    assert scores.iou == {"red": pytest.approx(share), "green": 0.0, "blue": 0.0}
    assert scores.miou == pytest.approx(share / 3)


def test_reports_progress() -> None:
    told: list[tuple[str, int, int]] = []
    evaluate_masks(_brightest, DATA, batch_size=2, report=lambda *words: told.append(words))
    assert told == [("evaluate", 2, 5), ("evaluate", 4, 5), ("evaluate", 5, 5)]


def test_nothing_to_score() -> None:
    void = Patches(images=1)
    void.pairs = [(image, np.full_like(label, IGNORE)) for image, label in void.pairs]
    for data in (void, Patches(images=0)):
        with pytest.raises(InputError, match="patches: has no labelled pixel to score"):
            evaluate_masks(_brightest, data)


def test_scores_survive_json_absent_classes_included() -> None:
    scores = summarise(torch.tensor([[3, 1, 0], [0, 2, 0], [0, 0, 0]]), DATA)
    assert scores.iou["blue"] is None and scores.miou == pytest.approx((3 / 4 + 2 / 3) / 2)
    assert Scores.parse(json.loads(scores.model_dump_json()), "scores") == scores


def test_the_standard_error_is_zero_where_all_images_agree_and_grows_with_what_they_differ_in() -> None:
    assert evaluate_masks(_brightest, DATA).standard_error == 0.0
    half = evaluate(_Brightest(2), DATA).standard_error
    assert half is not None and 0.0 < half < 0.2
    assert evaluate_masks(_brightest, Patches(images=1)).standard_error is None


def test_images_and_labels_that_cannot_be_written_to_are_scored() -> None:
    fixed = Patches(images=2)
    for array in (array for pair in fixed.pairs for array in pair):
        array.flags.writeable = False
    assert evaluate_masks(_brightest, fixed).miou == 1.0


def test_pixels_of_each_image_give_the_miou_on_any_of_them(tmp_path: Path) -> None:
    found: list[PerImage] = []
    scores = evaluate(_Brightest(2), DATA, batch_size=2, counted=found.append)
    found[0].write(tmp_path / "images.csv")
    read = PerImage.read(tmp_path / "images.csv")
    assert (read.images, read.classes) == (("0", "1", "2", "3", "4"), DATA.classes)
    assert (read.hits.sum(0) / read.unions.sum(0)).mean() == pytest.approx(scores.miou)
    first = evaluate(_Brightest(2), Patches(images=1))
    assert (read.hits[0] / read.unions[0]).mean() == pytest.approx(first.miou)


def test_another_file_is_no_scores_per_image(tmp_path: Path) -> None:
    (tmp_path / "images.csv").write_text("image,hit red,union red\n0,1\n")
    with pytest.raises(InputError, match="is no file of scores per image"):
        PerImage.read(tmp_path / "images.csv")
