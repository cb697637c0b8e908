"""Label values that nobody has named, and the classes they are taken for."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segsearch.data.doubts import doubts, label_doubts
from segsearch.data.pairs import FilePair, find_pairs
from segsearch.data.unnamed import Classes, classes_of, look
from segsearch.errors import InputError
from tests.data.samples import save_image, save_label


def pairs(folder: Path, *labels: np.ndarray, mode: str = "L") -> list[FilePair]:
    for k, pixels in enumerate(labels):
        save_image(folder / f"images/{k}.png", k, (pixels.shape[0], pixels.shape[1]))
        (folder / "labels").mkdir(exist_ok=True)
        image = Image.fromarray(pixels.astype(np.uint8))
        if mode == "P":
            image.putpalette([value for k in range(256) for value in (k, 255 - k, 7)])
        image.save(folder / f"labels/{k}.png")
    return list(find_pairs(folder, "images", "labels").pairs)


def ids(*values: int) -> np.ndarray:
    return np.array([values, values])


@pytest.mark.parametrize("mode", ["L", "P"])
@pytest.mark.parametrize(
    ("values", "wanted", "ignore"),
    [
        ((0, 1, 2, 2), (0, 1, 2), ()),
        ((0, 1, 2, 255), (0, 1, 2), (255,)),
        ((1, 7, 255, 7), (1, 7), (255,)),
        ((0, 255, 0, 0), (0, 255), ()),
        ((0, 128, 255, 0), (0, 128, 255), ()),
    ],
)
def test_ids(tmp_path: Path, mode: str, values: tuple, wanted: tuple, ignore: tuple) -> None:
    found = classes_of(look(pairs(tmp_path, ids(*values), mode=mode)), [tmp_path], tmp_path)
    assert (found.values, found.ignore) == (wanted, ignore)
    assert found.names == tuple(f"class_{k}" for k in range(len(wanted)))


def test_colours_are_listed_by_how_much_there_is_of_them(tmp_path: Path) -> None:
    red, blue = (255, 0, 0), (0, 0, 255)
    every = pairs(tmp_path, np.array([[red, red, blue]]), np.array([[(9, 9, 9), (9, 9, 9), (9, 9, 9)]]))
    seen = look(every)
    assert seen.encoding == "colours" and seen.images == {red: 1, blue: 1, (9, 9, 9): 1}
    assert classes_of(seen, [tmp_path], tmp_path).values == ((9, 9, 9), red, blue)
    (tmp_path / "class_dict.csv").write_text("name,r,g,b\nfire,255,0,0\nother,1,2,3\n")
    assert classes_of(seen, [tmp_path], tmp_path).names == ("class_0", "fire", "class_2")


def test_names_come_from_a_list_of_as_many(tmp_path: Path) -> None:
    seen = look(pairs(tmp_path, ids(0, 1)))
    (tmp_path / "classes.txt").write_text("road\ncar\nsky\n")
    assert classes_of(seen, [tmp_path], tmp_path).names == ("class_0", "class_1")
    (tmp_path / "classes.txt").write_text("road\ncar\n")
    assert classes_of(seen, [tmp_path], tmp_path).names == ("road", "car")
    (tmp_path / "classes.txt").write_text("road\nc\tar\n")
    with pytest.raises(InputError, match=r"classes.txt\[1\]: 'c.tar' holds what cannot be printed"):
        classes_of(seen, [tmp_path], tmp_path)


def test_labels_that_tell_nothing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"its 1 labels show 1 classes \(3\)"):
        classes_of(look(pairs(tmp_path / "one", ids(3, 3))), [], tmp_path)
    noise = np.random.default_rng(0).integers(0, 256, (24, 24, 3))
    with pytest.raises(InputError, match="more than 255 colours"):
        look(pairs(tmp_path / "noise", noise))
    every = pairs(tmp_path / "broken", ids(0, 1))
    every[0].label.write_bytes(b"")
    with pytest.raises(InputError, match="is empty"):
        look(every)


def test_what_a_person_should_know(tmp_path: Path) -> None:
    big = np.zeros((60, 80), np.uint8)
    big[:30], big[0, 0] = 1, 2
    every = pairs(tmp_path, big, big.T, np.where(big == 2, 0, big))
    save_label(tmp_path / "labels/0.png", size_hw=(5, 6))
    for name in ("images/x.png", "images/y.png", "labels/z.png"):
        save_image(tmp_path / name)
    seen = look(every)
    sentences = "\n".join(
        (
            *doubts([find_pairs(tmp_path, "images", "labels")], seen.sizes),
            *label_doubts(seen, Classes(values=(0, 1, 2), names=("a", "b", "c"), ignore=())),
        )
    )
    assert "3 files have no partner and are left out" in sentences and "only 3 images" in sentences
    assert "width / height from 0.75 to 1.33" in sentences
    assert "1 of 3 pairs cannot be used" in sentences and "is 5x6 but its image is 60x80" in sentences
    assert "rare classes, which are hard to learn: c (" in sentences
    assert not list(doubts([], Counter({(10, 20): 3})))[1:]
