import math
import statistics

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from segsearch.data.dataset import IGNORE
from segsearch.training.metrics import Confusion, hits_and_unions, iou_per_class, jackknife_error, miou, pixel_accuracy

Pixels = list[tuple[int, int]]


def _reference(pixels: Pixels, classes: int) -> tuple[list[float | None], float, float]:
    """IoU per class, their mean and the pixel accuracy from sets of pixel numbers; no matrix."""
    kept = [(label, guess) for label, guess in pixels if label != IGNORE]
    ious: list[float | None] = []
    for k in range(classes):
        labelled = {i for i, (label, _) in enumerate(kept) if label == k}
        guessed = {i for i, (_, guess) in enumerate(kept) if guess == k}
        ious.append(len(labelled & guessed) / len(labelled | guessed) if labelled | guessed else None)
    present = [iou for iou in ious if iou is not None]
    right = sum(label == guess for label, guess in kept)
    return (
        ious,
        sum(present) / len(present) if present else math.nan,
        right / len(kept) if kept else math.nan,
    )


def _confusion(pixels: Pixels, classes: int, parts: int = 1) -> Confusion:
    confusion = Confusion(classes)
    for part in range(parts):
        labels, guesses = zip(*pixels[part::parts], strict=True) if pixels[part::parts] else ((), ())
        confusion.update(torch.tensor(labels, dtype=torch.uint8), torch.tensor(guesses, dtype=torch.int64))
    return confusion


CASES = st.integers(1, 6).flatmap(
    lambda classes: st.tuples(
        st.just(classes),
        st.lists(st.tuples(st.sampled_from([*range(classes), IGNORE]), st.integers(0, classes - 1)), max_size=40),
    )
)


@given(case=CASES, parts=st.integers(1, 3))
def test_equals_brute_force_however_split(case: tuple[int, Pixels], parts: int) -> None:
    classes, pixels = case
    matrix = _confusion(pixels, classes, parts).matrix
    ious, mean, accuracy = _reference(pixels, classes)
    assert iou_per_class(matrix) == ious
    assert miou(matrix) == pytest.approx(mean, nan_ok=True)
    assert pixel_accuracy(matrix) == pytest.approx(accuracy, nan_ok=True)


def test_a_constant_predictor_scores_its_one_iou_over_all_classes() -> None:
    """Classes without a single hit count as 0: dropping them would give 0.4 instead of 0.4 / 11 (practice, trap 2)."""
    pixels = [(0, 0)] * 400 + [(k, 0) for k in range(1, 11) for _ in range(60)]
    matrix = _confusion(pixels, 11).matrix
    assert miou(matrix) == pytest.approx(0.4 / 11)
    assert iou_per_class(matrix) == [0.4] + [0.0] * 10


def test_a_class_only_predicted_counts_as_zero_and_an_absent_one_not_at_all() -> None:
    matrix = _confusion([(0, 0), (0, 0), (0, 1)], 3).matrix
    assert iou_per_class(matrix) == [2 / 3, 0.0, None]
    assert miou(matrix) == pytest.approx(1 / 3)


def test_dataset_miou_is_not_the_mean_over_images() -> None:
    """One large image that is wrong and one small that is right: 1 image of 2, but few pixels (practice, trap 8)."""
    large, small = [(0, 1)] * 90 + [(1, 1)] * 10, [(0, 0), (1, 1)]
    whole = miou(_confusion(large + small, 2).matrix)
    mean_of_images = (miou(_confusion(large, 2).matrix) + miou(_confusion(small, 2).matrix)) / 2
    assert whole == pytest.approx((1 / 91 + 11 / 101) / 2)
    assert mean_of_images == pytest.approx((0.05 + 1) / 2)


def test_orientation_row_is_label() -> None:
    assert _confusion([(0, 1), (0, 1), (1, 0), (IGNORE, 0)], 2).matrix.tolist() == [[0, 2], [1, 0]]


def test_counts_do_not_overflow() -> None:
    confusion = Confusion(2)
    confusion.matrix += 2**40
    confusion.update(torch.zeros(5, dtype=torch.uint8), torch.zeros(5, dtype=torch.uint8))
    assert confusion.matrix[0, 0] == 2**40 + 5


@pytest.mark.parametrize(
    ("label", "prediction"),
    [([0, 1], [0, 2]), ([0, 1], [0, -1]), ([IGNORE, 1], [2, 1]), ([2, 1], [0, 1]), ([254, 1], [0, 1]), ([0], [0, 1])],
)
def test_ids_out_of_range_and_other_shapes_are_our_mistake(label: list[int], prediction: list[int]) -> None:
    confusion = Confusion(2)
    with pytest.raises(AssertionError):
        confusion.update(torch.tensor(label), torch.tensor(prediction))
    assert not confusion.matrix.any()


def test_sixteen_classes_or_more_in_uint8() -> None:
    """19 * 19 does not fit uint8: ids are widened before they are combined."""
    confusion = Confusion(19)
    confusion.update(torch.full((3,), 18, dtype=torch.uint8), torch.full((3,), 18, dtype=torch.uint8))
    assert confusion.matrix[18, 18] == 3 and confusion.matrix.sum() == 3


@given(
    st.integers(2, 4).flatmap(
        lambda classes: st.lists(
            st.lists(st.integers(0, 9), min_size=classes**2, max_size=classes**2).filter(any), min_size=2, max_size=6
        )
    )
)
def test_the_jackknife_leaves_out_one_image_after_another(cells: list[list[int]]) -> None:
    """Against its definition: score all images but one, for each; the variance of these mIoUs times (n - 1)."""
    size = math.isqrt(len(cells[0]))
    images = [torch.tensor(image).reshape(size, size) for image in cells]
    left = [miou(sum(images, start=torch.zeros(size, size, dtype=torch.int64)) - image) for image in images]
    wanted = math.sqrt((len(left) - 1) * statistics.pvariance(left))
    hits, unions = map(torch.stack, zip(*map(hits_and_unions, images), strict=True))
    assert jackknife_error(hits, unions) == pytest.approx(wanted, abs=1e-12)


def test_the_standard_error_shrinks_with_the_root_of_the_number_of_images() -> None:
    generator = torch.Generator().manual_seed(0)

    def error(count: int) -> float:
        hits = torch.randint(50, 80, (count, 3), generator=generator)
        found = jackknife_error(hits, torch.full_like(hits, 100))
        assert found is not None
        return found

    assert error(100) / error(10_000) == pytest.approx(10, rel=0.3)
    assert jackknife_error(torch.ones(1, 3), torch.ones(1, 3)) is None
