import io
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from segsearch.artefacts.load import load_model
from segsearch.deployment.artefact import Artefact, File
from segsearch.deployment.card import Card
from segsearch.deployment.card_page import write_card
from segsearch.deployment.deploy import deploy
from segsearch.deployment.onnx import to_onnx
from segsearch.deployment.openvino import to_openvino
from segsearch.deployment.parity import Agreement
from segsearch.deployment.program import check_plain, to_program
from segsearch.errors import InputError
from tests.deployment.networks import CLASSES, COLOURS, MEAN, SIZE, STD, Small, pictures, randomized

AGREEMENT = Agreement(images=3, pixels=3000, equal=2999, fraction=2999 / 3000, worst=0.999, classes_seen=2)


def describe(folder: Path) -> None:
    """Write the card of the three forms as they lie there."""
    forms = (("onnx", ("model.onnx",)), ("pt2", ("model.pt2",)), ("openvino", ("model.xml", "model.bin")))
    made = tuple(
        Artefact(
            format=name,  # type: ignore[arg-type]  # one of the three words
            files=tuple(File.of(folder / file) for file in files),
            runtime="x",
            agreement=AGREEMENT,
        )
        for name, files in forms
    )
    card = Card(
        name="small",
        spec="0123456789ab",
        point={},
        classes=CLASSES,
        size_hw=SIZE,
        params=1,
        macs=1,
        agreement=AGREEMENT,
        artefacts=made,
        versions={},
        sha256="0f" * 32,
        opset=18,
        nodes=1,
        created_at="2026-01-02T03:04:05+00:00",
    )
    write_card(card, folder)


@pytest.fixture(scope="module")
def winner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("winner")
    deployed = deploy(randomized(Small()), SIZE, MEAN, STD)
    notes = {"spec": "0123456789ab", "fit": "pad"}
    to_onnx(deployed, folder / "model.onnx", classes=CLASSES, colours=COLOURS, metadata=notes)
    to_openvino(folder / "model.onnx", folder / "model.xml")
    to_program(deployed, folder / "model.pt2")
    describe(folder)
    return folder


@pytest.fixture
def mine(winner: Path, tmp_path: Path) -> Path:
    return shutil.copytree(winner, tmp_path / "mine")


@pytest.mark.parametrize("name", ["", "model.onnx", "model.xml", "model.pt2"])
def test_every_form_is_loaded_and_gives_the_same_masks(winner: Path, name: str) -> None:
    model, image = load_model(winner / name), pictures(1)[0]
    assert (model.size_hw, model.colours, model.notes["fit"]) == (SIZE, COLOURS, "pad")
    assert model.path == winner / (name or "model.onnx")
    mask, expected = model.predict(image), load_model(winner).predict(image)
    assert mask.shape == SIZE and mask.dtype == np.uint8 and (mask == expected).mean() > 0.999


@pytest.mark.parametrize(
    ("damage", "name", "line"),
    [
        (lambda f: (f / "model.onnx").unlink(), "", "holds no model.onnx (allowed: model.onnx, model.xml or model.pt2"),
        (lambda f: (f / "model.bin").unlink(), "model.xml", "model.xml: cannot be loaded by OpenVINO: "),
        (lambda f: (f / "model.xml").write_text("junk"), "model.xml", "model.xml: is no model of OpenVINO"),
        (lambda f: (f / "model.xml").write_bytes(b""), "model.xml", "model.xml: is no model of OpenVINO"),
        (lambda f: (f / "model.json").unlink(), "model.pt2", "model.json: cannot be read: No such file"),
        (lambda f: (f / "model.pt2").write_bytes(b"x"), "model.pt2", "model.pt2: is no torch program of ours"),
        (lambda f: (f / "model.pt2").rename(f / "b.pt2"), "b.pt2", "b.pt2: is not in the model.json beside it"),
        (lambda f: (f / "model.pth").write_bytes(b""), "model.pth", "model.pth: is no exported model (allowed: a fold"),
        (lambda f: None, "gone.onnx", "gone.onnx: there is no such file or folder"),
        (lambda f: (f / "study.json").touch() or (f / "model.onnx").unlink(), "", "export its best network first"),
    ],
)
def test_what_is_not_ours_is_one_line(mine: Path, damage: Callable[[Path], Any], name: str, line: str) -> None:
    damage(mine)
    with pytest.raises(InputError) as error:
        load_model(mine / name)
    assert line in str(error.value) and "\n" not in str(error.value)


def test_a_model_of_somebody_elses_is_refused(mine: Path) -> None:
    text = (mine / "model.xml").read_text()
    (mine / "model.xml").write_text(text.replace("<segsearch value", "<other value"))
    with pytest.raises(InputError, match=r"model\.xml: is not a model exported by segsearch"):
        load_model(mine / "model.xml")


class Trap:
    """Unpickling it leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.path,))


def repacked(path: Path, change: Callable[[dict[str, bytes]], object]) -> None:
    """Write a torch program anew with other parts, and a card that vouches for it."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    change(parts)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    describe(path.parent)


def of_graph(change: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, bytes]], None]:
    def changed(parts: dict[str, bytes]) -> None:
        (name,) = (name for name in parts if name.endswith("models/model.json"))
        graph = json.loads(parts[name])
        change(graph)
        parts[name] = json.dumps(graph).encode()

    return changed


def pickled(parts: dict[str, bytes]) -> None:
    (name,) = (name for name in parts if name.endswith("model_weights_config.json"))
    config = json.loads(parts[name])
    next(iter(config["config"].values()))["use_pickle"] = True
    parts[name] = json.dumps(config).encode()


def trapped(parts: dict[str, bytes]) -> None:
    buffer = io.BytesIO()
    torch.save(Trap(Path("ran")), buffer)
    (name,) = (name for name in parts if name.endswith("sample_inputs/model.pt"))
    parts[name] = buffer.getvalue()


def first(graph: dict[str, Any], target: str) -> None:
    graph["graph_module"]["graph"]["nodes"][0]["target"] = target


HOSTILE: dict[str, tuple[Callable[[dict[str, bytes]], object], str]] = {
    "pickled weights": (pickled, "holds pickled objects"),
    "a pickled example": (trapped, "is no torch program of ours"),
    "compiled code": (lambda p: p.update({"archive/data/aotinductor/model/x.so": b"x"}), "which ours do not"),
    "another program": (lambda p: p.update({"archive/models/other.json": b"{}"}), "which ours do not"),
    "an object": (lambda p: p.update({"archive/data/constants/custom_obj_0": b"x"}), "which ours do not"),
    "a second folder": (
        lambda p: p.update({f"b/{name.partition('/')[2]}": p[name] for name in list(p)}),
        "holds two folders",
    ),
    "a way up": (lambda p: p.update({"archive/../../x": b"x"}), "which ours do not"),
    "guards": (of_graph(lambda g: g.update(guards_code=["open('ran', 'w')"])), "holds expressions to evaluate"),
    "symbols": (of_graph(lambda g: g.update(x={"expr_str": "open('ran', 'w')"})), "holds expressions to evaluate"),
    "a function": (of_graph(lambda g: first(g, "torch.hub.load")), "holds torch.hub.load"),
    "a file": (of_graph(lambda g: first(g, "torch.ops.aten.from_file.default")), "holds torch.ops.aten.from_file"),
    "no graph": (lambda p: p.pop("archive/models/model.json"), "is no torch program of ours"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_program_that_could_run_code_is_not_loaded_though_a_card_vouches_for_it(
    mine: Path, kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    change, line = HOSTILE[kind]
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    repacked(mine / "model.pt2", change)
    with pytest.raises(InputError) as error:
        load_model(mine / "model.pt2")
    assert line in str(error.value) and "\n" not in str(error.value)
    assert not list(Path().iterdir())


def test_a_program_that_unpacks_to_much_more_is_not_read(mine: Path) -> None:
    with zipfile.ZipFile(mine / "model.pt2", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/models/model.json", bytes(60_000_000))
    describe(mine)
    with pytest.raises(InputError, match=r"unpacks to 60 MB; it is not read"):
        load_model(mine / "model.pt2")


def test_what_we_write_is_plain(winner: Path, mine: Path) -> None:
    check_plain(winner / "model.pt2")
    repacked(mine / "model.pt2", lambda parts: None)
    load_model(mine / "model.pt2")
