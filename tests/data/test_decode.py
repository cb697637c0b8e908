import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segsearch.data.dataset import IGNORE
from segsearch.data.decode import read_colours, read_ids, read_palette, read_size
from segsearch.deployment.images import read_image as read_any_image
from segsearch.deployment.images import resize_image, resize_label
from segsearch.errors import InputError

from .samples import SIZE, save_image, save_label


def read_image(path: Path) -> np.ndarray:
    """As a data set reads one: 8 bits only."""
    return read_any_image(path, deep=False)


def refusal(path: Path, read: object = read_image) -> str:
    with pytest.raises(InputError) as error:
        read(path)
    line = str(error.value)
    assert line.startswith(str(path)) and "\n" not in line
    return line


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_every_8_bit_kind_of_png_becomes_rgb(tmp_path: Path, mode: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 5, 3), dtype=np.uint8)
    picture = Image.fromarray(pixels).convert(mode)
    picture.save(tmp_path / "a.png")
    found = read_image(tmp_path / "a.png")
    assert found.shape == (6, 5, 3)
    assert np.array_equal(found, np.array(picture.convert("RGB")))


def test_cmyk_jpeg_becomes_rgb(tmp_path: Path) -> None:
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "a.jpg")
    assert read_image(tmp_path / "a.jpg").shape == (8, 8, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_followed_in_size_and_pixels(tmp_path: Path, orientation: int) -> None:
    upright = np.zeros((24, 40, 3), np.uint8)
    upright[:12, :20] = 255  # bright corner, top left
    turn = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]
    stored = Image.fromarray(upright) if turn is None else Image.fromarray(upright).transpose(Image.Transpose(turn))
    exif = Image.Exif()
    exif[274] = orientation
    stored.save(tmp_path / "a.jpg", exif=exif, quality=95)
    found = read_image(tmp_path / "a.jpg")
    assert read_size(tmp_path / "a.jpg") == found.shape[:2]
    if orientation in (1, 3, 6, 8):  # rotations undo themselves; mirrored ones are told by shape alone
        assert found.shape[:2] == (24, 40)
        assert found[:10, :18].mean() > 200 and found[14:, 22:].mean() < 50


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_tiff_is_turned_once(tmp_path: Path, orientation: int) -> None:
    """Pillow itself turns some of them, and their size, by their orientation."""
    upright = np.random.default_rng(0).integers(0, 5, (24, 40), np.uint8)
    back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    stored = Image.fromarray(upright)
    if orientation in back:
        stored = stored.transpose(Image.Transpose(back[orientation]))
    stored.save(tmp_path / "a.tif", tiffinfo={274: orientation})
    assert np.array_equal(read_ids(tmp_path / "a.tif"), upright)
    assert np.array_equal(read_image(tmp_path / "a.tif")[..., 0], upright)
    assert read_size(tmp_path / "a.tif") == (24, 40)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("read", [read_ids, read_colours])
def test_a_label_is_turned_as_its_image(tmp_path: Path, read: Callable[[Path], Any], orientation: int) -> None:
    """Tools that keep a photo's metadata leave its orientation on the label too."""
    upright = np.random.default_rng(0).integers(0, 5, (24, 40), np.uint8)
    picture = Image.fromarray(upright) if read is read_ids else Image.fromarray(np.stack([upright] * 3, 2))
    back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    stored = picture.transpose(Image.Transpose(back[orientation])) if orientation in back else picture
    exif = Image.Exif()
    exif[274] = orientation
    stored.save(tmp_path / "a.png", exif=exif)
    found = read(tmp_path / "a.png")
    assert np.array_equal(found if found.ndim == 2 else found[..., 0], upright)
    assert read_size(tmp_path / "a.png") == (24, 40)


def test_the_size_is_read_without_the_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.png", "a.jpg"):
        Image.new("RGB", (40, 24)).save(tmp_path / name)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda image: pytest.fail("reads the pixels"))
    assert read_size(tmp_path / "a.png") == read_size(tmp_path / "a.jpg") == (24, 40)


@pytest.mark.parametrize("read", [read_image, read_colours])
@pytest.mark.parametrize("kind", [2, 6])
def test_16_bit_colours_are_refused(tmp_path: Path, read: object, kind: int) -> None:
    """Pillow shows them as 8-bit, half of each number lost."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = b"".join(b"\0" + b"\0\x80" * (4 if kind == 6 else 3) * 8 for _ in range(8))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 16, kind, 0, 0, 0))
    body = header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    assert "has more than 8 bits a channel" in refusal(tmp_path / "a.png", read)


@pytest.mark.parametrize("read", [read_image, read_ids])
def test_16_bit_is_refused(tmp_path: Path, read: object) -> None:
    Image.fromarray(np.full((4, 4), 900, np.uint16)).save(tmp_path / "a.png")
    assert "more than 8 bits a channel" in refusal(tmp_path / "a.png", read)


def test_missing_empty_and_foreign_files_are_refused(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes(b"")
    assert "is empty (0 bytes)" in refusal(tmp_path / "a.png", read_size)
    (tmp_path / "a.png").write_text("hello")
    assert "is not an image that can be read (allowed: PNG, JPEG, BMP, WEBP, TIFF)" in refusal(
        tmp_path / "a.png", read_size
    )
    (tmp_path / "folder.png").mkdir()
    assert "cannot be decoded" in refusal(tmp_path / "folder.png")


@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_cut_short_is_refused(tmp_path: Path, suffix: str, share: float) -> None:
    path = save_image(tmp_path / f"a.{suffix}", size_hw=(64, 64))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    assert refusal(path)


def test_damaged_pixels_of_a_png_are_refused(tmp_path: Path) -> None:
    path = save_image(tmp_path / "a.png", size_hw=(64, 64))
    content = bytearray(path.read_bytes())
    content[60:200] = bytes(140)
    path.write_bytes(bytes(content))
    assert "cannot be decoded" in refusal(path)


@pytest.mark.parametrize("side", [10_000, 60_000])
def test_a_decompression_bomb_is_refused_by_its_header(tmp_path: Path, side: int) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    (tmp_path / "a.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    )
    assert "too many pixels" in refusal(tmp_path / "a.png", read_size)
    assert "too many pixels" in refusal(tmp_path / "a.png")


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_ids_survive_every_bit_depth_of_greyscale(tmp_path: Path, bits: int) -> None:
    """Pillow spreads low bit depths over 0 .. 255; ids must come back as stored."""
    ids = np.random.default_rng(0).integers(0, 2**bits, (8, 16), dtype=np.uint8)
    packed = np.packbits(np.unpackbits(ids[..., None], axis=-1)[..., -bits:].reshape(8, -1), axis=-1)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + row.tobytes() for row in packed)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 16, 8, bits, 0, 0, 0, 0))
    (tmp_path / "a.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )
    assert np.array_equal(read_ids(tmp_path / "a.png"), ids)


def test_palette_labels_give_their_indices_or_their_colours(tmp_path: Path) -> None:
    ids = np.array([[0, 1], [2, 1]], np.uint8)
    picture = Image.fromarray(ids).convert("P")
    picture.putdata(ids.ravel().tolist())
    picture.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    picture.save(tmp_path / "a.png")
    assert np.array_equal(read_ids(tmp_path / "a.png"), ids)
    assert read_colours(tmp_path / "a.png")[1, 0].tolist() == [70, 80, 90]


def test_a_colour_picture_is_no_label_of_ids(tmp_path: Path) -> None:
    assert "holds colours such as (" in refusal(save_image(tmp_path / "a.png"), read_ids)
    one = np.full((4, 4, 3), 7, np.uint8)
    one[3, 2] = 7, 8, 7
    Image.fromarray(one).save(tmp_path / "b.png")
    line = refusal(tmp_path / "b.png", read_ids)
    assert "holds colours such as (7, 8, 7), not class ids" in line and "encoding: colours" in line
    Image.fromarray(one).convert("CMYK").save(tmp_path / "c.tif")
    assert "is a label in mode CMYK" in refusal(tmp_path / "c.tif", read_ids)


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif"])
@pytest.mark.parametrize("mode", ["L", "P", "RGB", "RGBA", "LA"])
def test_labels_of_ids_come_in_every_mode_and_lossless_format(tmp_path: Path, name: str, mode: str) -> None:
    if (name, mode) in {("a.bmp", "LA")}:
        pytest.skip("BMP has no such mode")
    ids = np.random.default_rng(0).integers(0, 256, (9, 7), dtype=np.uint8)
    picture = Image.fromarray(ids)
    if mode == "P":
        picture = Image.fromarray(ids, mode=None).convert("L").convert("P")
        picture.putdata(ids.ravel().tolist())
    elif mode != "L":
        picture = picture.convert(mode)
    picture.save(tmp_path / name)
    assert np.array_equal(read_ids(tmp_path / name), ids)


def test_the_palette_of_a_label_is_read(tmp_path: Path) -> None:
    picture = Image.new("P", (4, 4), 1)
    picture.putpalette([1, 2, 3, 40, 50, 60])
    picture.save(tmp_path / "a.png")
    assert read_palette(tmp_path / "a.png")[1] == (40, 50, 60)
    assert read_palette(save_label(tmp_path / "b.png")) == {}


def test_resizing_a_label_invents_no_class(tmp_path: Path) -> None:
    label = read_ids(save_label(tmp_path / "a.png", classes=9))
    label[label == 4] = 255
    for size in ((7, 9), (50, 61), SIZE):
        small = resize_label(label, size, "stretch", IGNORE)
        assert small.shape == size and set(np.unique(small)) <= set(np.unique(label))


def test_image_and_label_stay_aligned_when_resized(tmp_path: Path) -> None:
    label = np.zeros((60, 80), np.uint8)
    label[20:50, 30:70] = 1
    Image.fromarray(np.repeat(label[..., None] * 255, 3, axis=2)).save(tmp_path / "a.png")
    image = resize_image(read_image(tmp_path / "a.png"), (30, 40))[..., 0]
    assert np.array_equal(image > 127, resize_label(label, (30, 40), "stretch", IGNORE) == 1)


def test_a_palette_with_transparency_is_read_without_a_word(tmp_path: Path) -> None:
    picture = Image.new("P", (4, 4))
    picture.putpalette([9, 8, 7] * 256)
    picture.save(tmp_path / "a.png", transparency=bytes(range(256)))
    assert read_image(tmp_path / "a.png")[0, 0].tolist() == [9, 8, 7]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named_once(tmp_path: Path) -> None:
    path = tmp_path / "secret.png"
    path.touch(mode=0o000)
    with pytest.raises(InputError) as caught:
        read_image(path)
    assert str(caught.value) == f"{path}: cannot be read: Permission denied"
