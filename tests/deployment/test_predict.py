from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from PIL import Image

from segsearch.deployment.deploy import Deployed
from segsearch.deployment.images import find_images, resize_image, resize_mask
from segsearch.deployment.legend import legend
from segsearch.deployment.metadata import Metadata
from segsearch.deployment.onnx import OnnxModel, to_onnx
from segsearch.deployment.predict import Model
from segsearch.deployment.predict import predict_files as predict_found
from segsearch.deployment.results import overlay
from segsearch.errors import InputError
from tests.deployment.networks import CLASSES, COLOURS, MEAN, SIZE, STD, pictures


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    for name, image in zip("abc", pictures(3, (120, 160)), strict=True):
        Image.fromarray(image).save(tmp_path / "in" / f"{name}.png")
    return tmp_path / "in"


def predict_files(model: Model, paths: Path | list[Path], out: Path, **options: Any) -> list[Path]:
    return predict_found(model, find_images(paths, but=out).names, out, **options)


def read(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def test_a_folder_becomes_overlays_and_masks_of_its_own_size(model: OnnxModel, folder: Path) -> None:
    out, told = folder.parent / "out", []
    written = predict_files(model, folder, out, masks=True, report=lambda *a: told.append(a))
    assert [p.name for p in written] == [f"{n}_{kind}.png" for n in "abc" for kind in ("overlay", "mask")]
    assert sorted(out.iterdir()) == sorted(written)
    assert told == [("predict", i, 3) for i in (1, 2, 3)]
    image, mask, mixed = read(folder / "a.png"), read(out / "a_mask.png"), read(out / "a_overlay.png")
    assert mask.shape == (120, 160) and mixed.shape == (120, 160, 3)
    assert np.array_equal(mixed, overlay(image, mask, COLOURS, 0.5))


def test_an_image_of_the_models_size_is_not_changed_on_the_way(model: OnnxModel, tmp_path: Path) -> None:
    image = pictures(1)[0]
    Image.fromarray(image).save(tmp_path / "a.png")
    predict_files(model, tmp_path / "a.png", tmp_path, masks=True, blend=1)
    mask = read(tmp_path / "a_mask.png")
    assert np.array_equal(mask, model.predict(image)) and mask.shape == SIZE
    assert np.array_equal(read(tmp_path / "a_overlay.png"), np.array(COLOURS, np.uint8)[mask])


def test_overlay_mixes_by_blend() -> None:
    image, mask = np.full((1, 2, 3), 100, np.uint8), np.array([[0, 1]], np.uint8)
    colours = ((200, 0, 100), (0, 255, 3))
    assert np.array_equal(overlay(image, mask, colours, 0), image)
    assert overlay(image, mask, colours, 0.25).tolist() == [[[125, 75, 100], [75, 139, 76]]]


def test_a_model_with_names_that_cannot_be_printed_gets_a_legend() -> None:
    words = {"b\nx": (1, 2, 3), "c\u202ed": (4, 5, 6), " ": (7, 8, 9), "\udcff": (9, 8, 7)}
    assert np.asarray(legend(60, words)).shape[1:] == (60, 3)


def test_bad_images_are_reported_after_the_others_are_done(model: OnnxModel, folder: Path) -> None:
    (folder / "aa.png").write_bytes((folder / "a.png").read_bytes()[:500])
    (folder / "d.jpg").write_bytes(b"")
    out = folder.parent / "out"
    with pytest.raises(
        InputError, match=r"aa\.png: cannot be decoded.*; 2 of 5 images unreadable, the others are done"
    ):
        predict_files(model, folder, out)
    assert sorted(p.name for p in out.iterdir()) == ["a_overlay.png", "b_overlay.png", "c_overlay.png"]


def test_one_bad_image_alone_is_named(model: OnnxModel, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(InputError) as error:
        predict_files(model, tmp_path / "a.png", tmp_path / "out")
    assert str(error.value) == f"{tmp_path / 'a.png'}: is empty (0 bytes) (allowed: PNG, JPEG, BMP, WEBP, TIFF)"
    assert not (tmp_path / "out").exists()


def test_results_are_replaced(model: OnnxModel, folder: Path) -> None:
    out = folder.parent / "out"
    predict_files(model, folder / "a.png", out)
    (out / "a_overlay.png").write_bytes(b"old")
    predict_files(model, [folder / "a.png"], out)
    assert read(out / "a_overlay.png").shape == (120, 160, 3)


def test_a_sideways_photo_gives_an_upright_overlay(model: OnnxModel, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pictures(1, (40, 60))[0]).save(tmp_path / "a.jpg", exif=exif)
    predict_files(model, tmp_path / "a.jpg", tmp_path / "out")
    assert read(tmp_path / "out" / "a_overlay.png").shape == (60, 40, 3)


def test_what_cannot_work_is_refused_before_anything_is_written(model: OnnxModel, folder: Path) -> None:
    out, empty = folder.parent / "out", folder.parent / "empty"
    empty.mkdir()
    for call, message in (
        (lambda: predict_files(model, folder, out, blend=1.5), "blend: 1.5 is outside"),
        (lambda: predict_files(model, folder, folder), "is the folder that is read"),
        (lambda: predict_files(model, empty, out), "holds no images"),
        (lambda: predict_files(model, [folder, folder.parent / "gone.png"], out), "no such file or folder"),
    ):
        with pytest.raises(InputError, match=message):
            call()
    assert not out.exists()


@pytest.mark.parametrize("given", [("a.png", "a_mask.png"), ("a_mask.png", "a.png")])
def test_a_label_that_is_called_like_our_mask_is_not_replaced(
    model: OnnxModel, folder: Path, given: tuple[str, str]
) -> None:
    label = folder / "a_mask.png"
    Image.fromarray(pictures(1, (40, 60))[0]).save(label)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(InputError, match=r"a_mask\.png: is read, and a result would replace it"):
        predict_files(model, [folder / name for name in given], folder, masks=True)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    assert len(predict_files(model, [folder / name for name in given], folder)) == 2  # overlays replace neither


def test_a_place_that_cannot_be_written_stops_the_run(model: OnnxModel, folder: Path) -> None:
    (folder.parent / "out").write_text("a file")
    with pytest.raises(InputError, match="out: is a file, no folder"):
        predict_files(model, folder, folder.parent / "out")


def own(path: Path, *nodes: onnx.NodeProto, constants: tuple[onnx.TensorProto, ...] = ()) -> OnnxModel:
    """A graph that says it is ours and takes the channel of the brightest colour as ``top``, to go on from."""
    h, w = 8, 12
    top = onnx.helper.make_node("ArgMax", ["floats"], ["top"], axis=1, keepdims=0)
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Cast", ["image"], ["floats"], to=onnx.TensorProto.FLOAT), top, *nodes],
        "own",
        [onnx.helper.make_tensor_value_info("image", onnx.TensorProto.UINT8, [1, 3, h, w])],
        [onnx.helper.make_tensor_value_info("mask", onnx.TensorProto.UINT8, [1, h, w])],
        list(constants),
    )
    proto = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=8)
    facts = Metadata(
        segsearch="0", classes=("a", "b"), colours=((0, 0, 0), (9, 9, 9)), size_hw=(h, w), mean=MEAN, std=STD
    )
    onnx.helper.set_model_props(proto, facts.to_properties())
    onnx.save(proto, path)
    return OnnxModel(path, threads=1)


def test_an_error_of_the_runtime_is_one_line(tmp_path: Path) -> None:
    few = onnx.numpy_helper.from_array(np.zeros(2, np.uint8), "few")
    model = own(tmp_path / "m.onnx", onnx.helper.make_node("Gather", ["few", "top"], ["mask"]), constants=(few,))
    save_blue(tmp_path / "a.png")
    with pytest.raises(InputError) as error:
        predict_files(model, tmp_path / "a.png", tmp_path / "out")
    assert str(error.value).startswith(f"{tmp_path / 'm.onnx'}: fails on an image: ")
    assert "indices element out of data bounds" in str(error.value) and "\n" not in str(error.value)


def brightest(path: Path) -> OnnxModel:
    return own(path, onnx.helper.make_node("Cast", ["top"], ["mask"], to=onnx.TensorProto.UINT8))


def test_a_class_that_the_file_does_not_name_is_one_line(tmp_path: Path) -> None:
    model = brightest(tmp_path / "m.onnx")
    save_blue(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"m\.onnx: gives class 2, but has 2 classes"):
        predict_files(model, tmp_path / "a.png", tmp_path / "out")


def save_blue(path: Path) -> None:
    Image.new("RGB", (12, 8), (0, 0, 255)).save(path)


def test_subfolders_keep_apart_images_of_one_name(model: OnnxModel, tmp_path: Path) -> None:
    for k, cam in enumerate(("cam1", "cam2", "cam2/deeper")):
        (tmp_path / "in" / cam).mkdir(parents=True)
        Image.fromarray(pictures(1, (40, 60), seed=k)[0]).save(tmp_path / "in" / cam / "000.tif")
    out = tmp_path / "in" / "out"
    expected = [out / cam / "000_overlay.png" for cam in ("cam1", "cam2", "cam2/deeper")]
    for _ in range(2):  # results inside the folder are not read the next time
        assert sorted(predict_files(model, tmp_path / "in", out)) == expected
    assert sorted(path for path in out.rglob("*") if path.is_file()) == expected
    assert len({path.read_bytes() for path in expected}) == 3


def test_a_model_that_was_trained_on_padded_images_sees_them_padded(deployed: Deployed, tmp_path: Path) -> None:
    notes = {"fit": "pad"}
    to_onnx(deployed, tmp_path / "m.onnx", classes=CLASSES, colours=COLOURS, metadata=notes)
    model, image = OnnxModel(tmp_path / "m.onnx", threads=1), pictures(1, (100, 50))[0]
    Image.fromarray(image).save(tmp_path / "a.png")
    predict_files(model, tmp_path / "a.png", tmp_path / "out", masks=True)
    expected = resize_mask(model.predict(resize_image(image, SIZE, "pad")), (100, 50), "pad")
    assert np.array_equal(read(tmp_path / "out" / "a_mask.png"), expected)
