import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segsearch.deployment.images import (
    PADDING,
    find_images,
    place_within,
    read_image,
    resize_image,
    resize_label,
    resize_mask,
    said_of,
    write_png,
)
from segsearch.errors import InputError


def save(path: Path, mode: str = "RGB", size: tuple[int, int] = (6, 4), **options: Any) -> Path:
    Image.new(mode, size, 1).save(path, **options)
    return path


SHOWN = ("b.png", "a.JPG", "c.jpeg", "d.jfif", "e.bmp", "f.webp", "g.tif", "h.TIFF", "i.jpe")


def test_a_folder_is_its_images_at_any_depth_and_what_is_left_out_is_told(tmp_path: Path) -> None:
    for name in SHOWN:
        save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "v.mp4").write_bytes(b"x")
    (tmp_path / "._a.png").write_bytes(b"x")
    for folder in ("deeper.png", ".hidden"):
        (tmp_path / folder).mkdir()
        save(tmp_path / folder / "d.png")
    found = find_images(tmp_path)
    names = [*sorted(SHOWN), "deeper.png/d.png"]
    assert sorted(p.relative_to(tmp_path).as_posix() for p in found.names) == sorted(names)
    assert found.names[tmp_path / "a.JPG"] == Path("a")
    assert found.names[tmp_path / "deeper.png" / "d.png"] == Path("deeper.png/d")
    assert [p.name for p in found.skipped] == ["notes.txt", "v.mp4"]
    assert said_of(found.skipped) == "; skipped 2 other files: notes.txt, v.mp4"
    assert next(iter(find_images([tmp_path / "b.png", tmp_path]).names)) == tmp_path / "b.png"
    assert len(find_images([tmp_path / "b.png", tmp_path]).names) == len(names)
    for name in SHOWN:
        assert read_image(tmp_path / name).shape == (4, 6, 3)


@pytest.mark.parametrize("name", ["[x]", "{a}", "*", "a?b", "two words", "übergröße", "-dash", "a.b", "#1", "100%"])
def test_folders_may_be_called_anything(tmp_path: Path, name: str) -> None:
    (tmp_path / name / name).mkdir(parents=True)
    path = save(tmp_path / name / name / f"{name}.png")
    assert find_images(tmp_path / name).names == {path: Path(name, name)}


def test_names_keep_the_folders_that_tell_images_apart(tmp_path: Path) -> None:
    for folder in ("cam1", "cam2", "other/cam1"):
        (tmp_path / folder).mkdir(parents=True)
        save(tmp_path / folder / "000.jpg")
    cams = [tmp_path / folder / "000.jpg" for folder in ("cam1", "cam2", "other/cam1")]
    assert list(find_images(tmp_path).names.values()) == [Path("cam1/000"), Path("cam2/000"), Path("other/cam1/000")]
    assert list(find_images(cams[0].parent).names.values()) == [Path("000")]
    assert list(find_images([path.parent for path in cams]).names.values()) == [
        Path("cam1/000"),
        Path("cam2/000"),
        Path("other/cam1/000"),
    ]
    assert list(find_images(cams[:2]).names.values()) == [Path("cam1/000"), Path("cam2/000")]
    assert list(find_images([cams[1].parent, cams[2].parent]).names.values()) == [Path("cam2/000"), Path("cam1/000")]
    assert list(find_images([tmp_path, cams[0]]).names.values()) == [
        Path(tmp_path.name, name) for name in ("cam1/000", "cam2/000", "other/cam1/000")
    ]
    assert list(find_images([cams[0], tmp_path / "cam2"]).names.values()) == [Path("cam1/000"), Path("cam2/000")]


def test_the_folder_of_results_is_not_read(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    (tmp_path / "out").mkdir()
    save(tmp_path / "out" / "a_overlay.png")
    assert list(find_images(tmp_path, but=tmp_path / "out").names) == [tmp_path / "a.png"]
    with pytest.raises(InputError, match="is the folder that is read; the results need another one"):
        find_images(tmp_path, but=tmp_path)


def test_nothing_to_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    for paths, message in (
        (tmp_path, "holds no images; skipped 1 other file: notes.txt"),
        (tmp_path / "x", "no such file"),
        ([], "none given"),
    ):
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
    with pytest.raises(InputError, match="no such file"):
        read_image(tmp_path / "gone.png")


def test_a_format_that_starts_another_program_is_not_opened(tmp_path: Path) -> None:
    """Pillow goes by what is inside, and gives PostScript to Ghostscript."""
    Image.new("RGB", (8, 8)).save(tmp_path / "a.eps")
    (tmp_path / "a.eps").rename(tmp_path / "a.jpg")
    with pytest.raises(InputError, match=r"a\.jpg: is not an image that can be read"):
        read_image(tmp_path / "a.jpg")


def test_a_picture_too_large_to_be_true_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5)
    with pytest.raises(InputError, match="has too many pixels"):
        read_image(save(tmp_path / "a.png"))


@pytest.mark.parametrize("mode", ["I", "F"])
def test_32_bits_are_refused(tmp_path: Path, mode: str) -> None:
    Image.new(mode, (6, 4), 70000).save(tmp_path / "a.tif")
    with pytest.raises(InputError, match=r"a\.tif: has 32 bits a channel"):
        read_image(tmp_path / "a.tif")


def test_many_threads_read_at_once_and_leave_the_filters_of_warnings_alone(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", "P", transparency=b"\x00\x80")
    before = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        shapes = {image.shape for image in pool.map(read_image, [path] * 200)}
    assert shapes == {(4, 6, 3)} and warnings.filters == before


def test_masks_are_resized_without_new_classes() -> None:
    mask = np.array([[0, 9], [200, 3]], np.uint8)
    large = resize_mask(mask, (6, 4))
    assert large.shape == (6, 4) and set(np.unique(large)) == {0, 3, 9, 200}
    assert (large[:3, :2] == 0).all() and (large[3:, 2:] == 3).all()


def test_names_of_outputs_do_not_clash(tmp_path: Path) -> None:
    for name in ("a.png", "a.jpg", "b.jpg"):
        save(tmp_path / name)
    assert sorted(map(str, find_images(tmp_path).names.values())) == ["a.jpg", "a.png", "b"]
    save(tmp_path / "a.png.bmp")
    with pytest.raises(InputError, match=r"a\.png: two images have this name"):
        find_images(tmp_path)


@pytest.mark.parametrize("size_hw", [(40, 80), (80, 40), (37, 11), (1, 90), (50, 50)])
def test_padding_keeps_the_shape_and_comes_off_the_mask(size_hw: tuple[int, int]) -> None:
    image = np.full((*size_hw, 3), 9, np.uint8)
    framed = resize_image(image, (48, 64), "pad")
    height, width = place_within(size_hw, (48, 64))
    assert framed.shape == (48, 64, 3) and (height == 48 or width == 64)
    assert abs(width / height - size_hw[1] / size_hw[0]) <= 0.5 * size_hw[1] / size_hw[0] or min(height, width) == 1
    assert (framed[:height, :width] == 9).all()
    assert (framed[height:] == PADDING).all() and (framed[:, width:] == PADDING).all()
    label = resize_label(np.full(size_hw, 3, np.uint8), (48, 64), "pad", 255)
    assert np.array_equal(label == 255, (framed != 9).any(2)) and set(np.unique(label)) <= {3, 255}
    back = resize_mask(label, size_hw, "pad")
    assert back.shape == size_hw and (back == 3).all()


def test_stretching_fills_the_frame() -> None:
    image = np.full((10, 80, 3), 9, np.uint8)
    assert (resize_image(image, (48, 64)) == 9).all()
    assert (resize_label(np.full((10, 80), 3, np.uint8), (48, 64), "stretch", 255) == 3).all()


def test_png_is_whole_or_not_there(tmp_path: Path) -> None:
    write_png(tmp_path / "new" / "a.png", np.zeros((3, 4), np.uint8))
    assert np.asarray(Image.open(tmp_path / "new" / "a.png")).shape == (3, 4)
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot be written"):
        write_png(tmp_path / "file" / "a.png", np.zeros((3, 4), np.uint8))
