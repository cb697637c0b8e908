from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segsearch.errors import InputError
from segsearch.export.images import find_images, output_names, read_image, resize_mask, write_png


def save(path: Path, mode: str = "RGB", size: tuple[int, int] = (6, 4), **options: Any) -> Path:
    Image.new(mode, size, 1).save(path, **options)
    return path


def test_a_folder_is_its_jpg_and_png_files_sorted_and_not_deeper(tmp_path: Path) -> None:
    for name in ("b.png", "a.JPG", "c.jpeg"):
        save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "._a.png").write_bytes(b"x")
    (tmp_path / "deeper.png").mkdir()
    save(tmp_path / "deeper.png" / "d.png")
    assert [p.name for p in find_images(tmp_path)] == ["a.JPG", "b.png", "c.jpeg"]
    assert find_images([tmp_path / "b.png", tmp_path]) == [tmp_path / n for n in ("b.png", "a.JPG", "c.jpeg")]


def test_nothing_to_read_is_refused(tmp_path: Path) -> None:
    for paths, message in ((tmp_path, "holds no images"), (tmp_path / "x", "no such file"), ([], "none given")):
        with pytest.raises(InputError, match=message):
            find_images(paths)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1", "I;16", "CMYK"])
def test_every_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    path = save(tmp_path / ("a.jpg" if mode == "CMYK" else "a.png"), mode)
    image = read_image(path)
    assert image.shape == (4, 6, 3) and image.dtype == np.uint8


def test_sixteen_bit_grey_keeps_its_brightness(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 6), 32768, np.uint16)).save(tmp_path / "deep.png")
    assert read_image(tmp_path / "deep.png").mean() == pytest.approx(128, abs=1)


def test_a_palette_with_transparency_is_read_without_a_warning(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", "P", transparency=b"\x00\x80")
    assert read_image(path).shape == (4, 6, 3)


def test_a_photo_held_sideways_is_read_upright(tmp_path: Path) -> None:
    pixels = np.zeros((4, 6, 3), np.uint8)
    pixels[:, :3] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # turn right by 90 degrees to view
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    image = read_image(tmp_path / "a.png")
    assert image.shape == (6, 4, 3) and image[:3].min() == 255 and image[3:].max() == 0


def test_damaged_files_are_one_line_with_the_name(tmp_path: Path) -> None:
    whole = save(tmp_path / "whole.png", size=(64, 64)).read_bytes()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "photo.jpg")
    damage = {
        "empty.png": b"",
        "text.jpg": b"not an image",
        "cut.png": whole[: len(whole) // 2],
        "cut.jpg": (tmp_path / "photo.jpg").read_bytes()[:2000],
        "bits.png": whole[:60] + b"\xff" * 20 + whole[80:],
    }
    for name, content in damage.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError) as error:
            read_image(tmp_path / name)
        line = str(error.value)
        assert line.startswith(f"{tmp_path / name}: ") and "\n" not in line and line.count(name) == 1
    with pytest.raises(InputError, match="No such file"):
        read_image(tmp_path / "gone.png")


def test_a_format_that_starts_another_program_is_not_opened(tmp_path: Path) -> None:
    """Pillow goes by what is inside, and gives PostScript to Ghostscript."""
    Image.new("RGB", (8, 8)).save(tmp_path / "a.eps")
    (tmp_path / "a.eps").rename(tmp_path / "a.jpg")
    with pytest.raises(InputError, match=r"a\.jpg: cannot be read as an image"):
        read_image(tmp_path / "a.jpg")


def test_a_picture_too_large_to_be_true_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5)
    with pytest.raises(InputError, match="cannot be read as an image"):
        read_image(save(tmp_path / "a.png"))


def test_masks_are_resized_without_new_classes() -> None:
    mask = np.array([[0, 9], [200, 3]], np.uint8)
    large = resize_mask(mask, (6, 4))
    assert large.shape == (6, 4) and set(np.unique(large)) == {0, 3, 9, 200}
    assert (large[:3, :2] == 0).all() and (large[3:, 2:] == 3).all()


def test_names_of_outputs_do_not_clash() -> None:
    paths = [Path("in/a.png"), Path("in/a.jpg"), Path("in/b.jpg")]
    assert list(output_names(paths).values()) == ["a.png", "a.jpg", "b"]
    with pytest.raises(InputError, match=r"a\.png: two images have this name"):
        output_names([Path("x/a.png"), Path("y/a.png")])


def test_png_is_whole_or_not_there(tmp_path: Path) -> None:
    write_png(tmp_path / "new" / "a.png", np.zeros((3, 4), np.uint8))
    assert np.asarray(Image.open(tmp_path / "new" / "a.png")).shape == (3, 4)
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot be written"):
        write_png(tmp_path / "file" / "a.png", np.zeros((3, 4), np.uint8))
