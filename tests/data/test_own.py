from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from segsearch.data.config import OwnData
from segsearch.data.dataset import IGNORE, Splits, fingerprint
from segsearch.data.open import open_data
from segsearch.data.own import Items, own_data
from segsearch.errors import InputError

CLASSES = ("road", "rest")


class Pairs(torch.utils.data.Dataset[object]):
    """As people write them."""

    def __init__(self, pairs: Sequence[object]) -> None:
        self.pairs = pairs

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> object:
        return self.pairs[index]


def image(height: int = 40, width: int = 60) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def label(height: int = 40, width: int = 60) -> np.ndarray:
    return np.arange(height * width).reshape(height, width) % 3 - 1


def given(*pairs: object, name: str = "mine") -> Splits:
    items: Items = Pairs(pairs)
    return open_data(own_data(name, items, items, classes=CLASSES, size=(32, 48), replace=True))


@pytest.mark.parametrize(
    "written",
    [
        image(),
        torch.from_numpy(image()).movedim(-1, 0),
        torch.from_numpy(image()).movedim(-1, 0) / 255,
        Image.fromarray(image()),
    ],
    ids=["array", "tensor", "floats", "picture"],
)
def test_images_of_any_form_are_the_same_image(written: object) -> None:
    splits = given((written, label()))
    expected = given((image(), label()))
    for part in ("train", "val"):
        found, wanted = getattr(splits, part)[0], getattr(expected, part)[0]
        assert all(np.array_equal(a, b) and a.dtype == np.uint8 for a, b in zip(found, wanted, strict=True))


def test_labels_are_scored_at_their_own_size_and_minus_one_is_ignored() -> None:
    splits = given((image(), torch.from_numpy(label())))
    assert splits.train[0][1].shape == (32, 48) and splits.train[0][0].shape == (32, 48, 3)
    scored = splits.val[0][1]
    assert np.array_equal(scored, np.where(label() == -1, IGNORE, label()))


def test_what_the_script_does_with_its_array_later_changes_nothing() -> None:
    buffer = np.zeros((32, 48, 3), np.uint8)
    seen = given((buffer, label(32, 48))).train[0][0]
    buffer += 1
    assert not seen.any(), "an image of the right size is kept as it was read"


@pytest.mark.parametrize(
    ("pair", "line"),
    [
        (image(), r"mine/train\[0\]: is ndarray, not a pair \(allowed: \(image, label\)\)"),
        (
            (image()[..., 0], label()),
            r"mine/train\[0\]: has an image of uint8 \(40, 60\) from 0 to 255 \(allowed: bytes",
        ),
        (
            (image() / 127.5 - 1, label()),
            r"has an image of float64 \(40, 60, 3\) from -1 to 1 \(allowed: bytes, or floats",
        ),
        ((image(), label(20)), r"is an image of 40x60 beside a label of 20x60 \(allowed: one size for both\)"),
        ((image(), label() + 1), r"has the number 2 in its label \(allowed: 0 to 1, or one of ignore: \[-1, 255\]\)"),
        ((image(), label() / 1), r"has a label of float64 \(40, 60\) from -1 to 1 \(allowed: whole numbers \(H, W\)\)"),
    ],
)
def test_what_is_no_pair_is_refused_with_its_place(pair: object, line: str) -> None:
    with pytest.raises(InputError, match=line):
        given(pair)


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ({"train": iter([])}, "mine/train: is a list_iterator, whose pairs cannot be asked for by number"),
        ({"val": torch.utils.data.DataLoader(Pairs([1]))}, "mine/val: is a DataLoader, whose pairs"),
        ({"val": Pairs([{"image": 1}])}, r"mine/val\[0\]: is dict, not a pair"),
        ({"classes": "ab"}, "classes: 'ab' is one text"),
        ({"classes": ["a", "a"]}, r"classes\[1\]: 'a' stands twice"),
        ({"size": "32"}, "size: '32' is not a size"),
    ],
)
def test_what_is_not_data_is_refused_by_the_call(wrong: dict[str, Any], line: str) -> None:
    pairs = Pairs([(image(), label())])
    about: dict[str, Any] = {"train": pairs, "val": pairs, "classes": CLASSES, "size": "32x48"}
    with pytest.raises(InputError, match=line):
        own_data("mine", **about | wrong)


def test_a_tensor_with_a_gradient_is_an_image() -> None:
    pixels = torch.rand(3, 40, 60, requires_grad=True)
    assert np.array_equal(given((pixels, label())).val[0][0], given((pixels.detach().numpy(), label())).val[0][0])


def test_a_name_never_means_other_pairs_than_before() -> None:
    first, other = Pairs([(image(), label())]), Pairs([(image() // 2, label())])
    about: dict[str, Any] = {"classes": CLASSES, "size": (32, 48)}
    data = own_data("kept", first, first, **about)
    assert own_data("kept", first, first, **about) == data
    for pairs, changed in ((other, {}), (first, {"classes": ("rest", "road")}), (first, {"ignore": (-1, 254)})):
        with pytest.raises(InputError, match="own_data 'kept': stands for other pairs, classes or colours"):
            own_data("kept", pairs, pairs, **about | changed)
    kept = open_data(data).train[0][0]
    own_data("kept", other, other, **about, replace=True)
    assert not np.array_equal(open_data(data).train[0][0], kept)


def test_what_a_script_gave_is_known_again_by_its_content() -> None:
    first, same = given((image(), label())), given((image().copy(), label()))
    other = given((image() // 2, label()))
    assert fingerprint(first) == fingerprint(same) != fingerprint(other)


def test_another_process_says_what_to_do() -> None:
    with pytest.raises(InputError, match=r"data theirs: is given by a script, .*segsearch.own_data\('theirs', ...\)"):
        open_data(OwnData(label="theirs", size=(32, 48)))


def test_nothing_to_learn_from_is_refused_at_once() -> None:
    with pytest.raises(InputError, match="mine/train: holds no images"):
        given()
    for second, problem in (("b\nx", "cannot be printed in one line"), ("a", "stands twice"), (7, "7 is no text")):
        with pytest.raises(InputError, match=rf"^classes\[1\]: .*{problem}"):
            own_data("mine", Pairs([1]), Pairs([1]), classes=["a", second], size=(32, 48))  # type: ignore[list-item]
    with pytest.raises(InputError, match=r"own_data.label: 'mi\\nne' holds what cannot be printed"):
        own_data("mi\nne", Pairs([1]), Pairs([1]), classes=CLASSES, size=(32, 48))
    with pytest.raises(InputError, match=r"classes: are 1 \(allowed: 2 to 255\)"):
        own_data("mine", Pairs([1]), Pairs([1]), classes=["all"], size=(32, 48))
