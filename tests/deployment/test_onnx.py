import hashlib
import logging
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

import segsearch
from segsearch.deployment.deploy import Deployed
from segsearch.deployment.onnx import Exported, OnnxModel, load_session, to_onnx, trace
from segsearch.errors import InputError, MissingExtraError
from tests.deployment.networks import CLASSES, COLOURS, MEAN, SIZE, STD, pictures


def test_the_file_is_alone_and_is_what_was_reported(exported: Exported) -> None:
    content = exported.path.read_bytes()
    assert [p.name for p in exported.path.parent.iterdir()] == ["model.onnx"]
    assert hashlib.sha256(content).hexdigest() == exported.sha256 and len(content) == exported.size_bytes
    assert exported.opset == 18 and exported.nodes == len(onnx.load(exported.path).graph.node)


def test_masks_equal_the_deployed_networks(model: OnnxModel, deployed: Deployed) -> None:
    for image in pictures(3):
        expected = deployed(torch.from_numpy(image).permute(2, 0, 1)[None])[0].numpy()
        given = model.predict(image)
        assert given.dtype == np.uint8 and given.shape == SIZE
        assert (given == expected).mean() > 0.9999


def test_the_file_alone_says_what_it_is(model: OnnxModel, exported: Exported) -> None:
    assert model.classes == CLASSES and model.colours == COLOURS and model.size_hw == SIZE
    assert model.notes == {"spec": "0123456789ab", "name": "small"}
    properties = {p.key: p.value for p in onnx.load(exported.path).metadata_props}
    assert properties["segsearch"] == segsearch.__version__
    assert properties["mean"] == str(list(MEAN)) and properties["std"] == str(list(STD))
    assert "uint8 [1, 3, 97, 203]" in onnx.load(exported.path).doc_string


def test_nothing_of_the_exporting_machine_is_in_the_file(exported: Exported) -> None:
    content = exported.path.read_bytes()
    for trail in (str(Path(segsearch.__file__).parent), "networks.py", "site-packages", "stack_trace"):
        assert trail.encode() not in content


def test_exporting_twice_gives_the_same_bytes(exported: Exported, deployed: Deployed, tmp_path: Path) -> None:
    notes = {"name": "small", "spec": "0123456789ab"}
    again = to_onnx(deployed, tmp_path / "again.onnx", classes=CLASSES, colours=COLOURS, metadata=notes)
    assert again.sha256 == exported.sha256


def test_the_exporter_is_silent_and_logging_is_as_before(
    deployed: Deployed, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        trace(deployed)
    heard = [record.getMessage() for record in caplog.records if record.levelno > logging.DEBUG]
    assert (*capfd.readouterr(), caught, heard) == ("", "", [], [])
    assert logging.root.manager.disable == 0


def test_what_the_exporter_raises_is_not_hidden(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no such operator")

    monkeypatch.setattr(torch.onnx, "export", fail)
    with pytest.raises(RuntimeError, match="no such operator"):
        trace(deployed)
    assert logging.root.manager.disable == 0


@pytest.mark.parametrize("library", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_library_names_the_extra(
    library: str, deployed: Deployed, exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtraError, match=rf"{library} is not installed: pip install 'segsearch\[export\]'"):
        if library == "onnxruntime":
            load_session(exported.path)
        else:
            to_onnx(deployed, tmp_path / "m.onnx", classes=CLASSES, colours=COLOURS)
    assert not list(tmp_path.iterdir())


def test_a_refused_graph_leaves_no_file(deployed: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segsearch.deployment.onnx.trace", lambda deployed: trace(deployed, opset=20))
    with pytest.raises(segsearch.errors.ProofError, match="opset 18"):
        to_onnx(deployed, tmp_path / "m.onnx", classes=CLASSES, colours=COLOURS)
    assert not list(tmp_path.iterdir())


def test_names_for_other_classes_are_our_mistake(deployed: Deployed, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="4 names for 5 classes"):
        to_onnx(deployed, tmp_path / "m.onnx", classes=CLASSES[:4], colours=COLOURS[:4])


@pytest.mark.parametrize("keep", [0.0, 0.001, 0.3, 0.7, 0.99, 0.9999])
def test_a_truncated_file_is_refused_in_one_line(exported: Exported, tmp_path: Path, keep: float) -> None:
    content = exported.path.read_bytes()
    path = tmp_path / "cut.onnx"
    path.write_bytes(content[: int(keep * len(content))])
    with pytest.raises(InputError) as error:
        OnnxModel(path, threads=1)
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)


@pytest.mark.parametrize("part", ["op_type", "domain"])
def test_text_that_is_not_utf8_is_one_line(
    part: str, exported: Exported, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model, path = onnx.load(exported.path), tmp_path / "text.onnx"
    setattr(model.graph.node[0], part, "WRITTENHERE")
    path.write_bytes(model.SerializeToString().replace(b"WRITTENHERE", b"WRITTEN\xff\xfe\xffE"))
    with pytest.raises(InputError, match="cannot be loaded as an ONNX model: ") as error:
        OnnxModel(path, threads=1)
    assert "\n" not in str(error.value) and capfd.readouterr() == ("", "")


def test_what_is_not_our_artefact_is_refused(exported: Exported, tmp_path: Path) -> None:
    text, foreign = tmp_path / "notes.onnx", tmp_path / "foreign.onnx"
    text.write_text("not a model\n" * 100)
    graph = onnx.load(exported.path)
    del graph.metadata_props[:]
    onnx.save(graph, foreign)
    for path, message in (
        (tmp_path / "absent.onnx", "no such file"),
        (tmp_path, "is a folder"),
        (text, "cannot be loaded as an ONNX model"),
        (foreign, "carries no segsearch metadata"),
    ):
        with pytest.raises(InputError, match=message):
            load_session(path)


def test_metadata_that_lie_about_the_graph_are_refused(exported: Exported, tmp_path: Path) -> None:
    graph = onnx.load(exported.path)
    next(p for p in graph.metadata_props if p.key == "size_hw").value = "[96, 203]"
    onnx.save(graph, tmp_path / "lie.onnx")
    with pytest.raises(InputError, match="not what its metadata say"):
        load_session(tmp_path / "lie.onnx")


def test_an_image_of_another_kind_is_refused(model: OnnxModel) -> None:
    images: list[Any] = [np.zeros((96, 203, 3), np.uint8), np.zeros((*SIZE, 3), np.float32), np.zeros(SIZE, np.uint8)]
    for image in images:
        with pytest.raises(InputError, match=r"image: must be uint8 \(97, 203, 3\), got"):
            model.predict(image)
