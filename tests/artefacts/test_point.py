import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from segsearch.artefacts import make
from segsearch.artefacts.formats import write_form
from segsearch.artefacts.fresh import fresh
from segsearch.artefacts.point import export_point
from segsearch.artefacts.scenes import scenes
from segsearch.deployment.card import Card, read_card
from segsearch.deployment.onnx import OnnxModel
from segsearch.errors import InputError, ProofError
from segsearch.named import kind_of, read_point
from segsearch.space.lower import lower
from segsearch.training.weights import WeightFacts, save_weights
from tests.command import refusal, run

from .proofs import named

SIZE = (64, 128)


def test_a_point_is_written_whole(exported: tuple[Card, Path]) -> None:
    card, out = exported
    assert {p.name for p in out.iterdir()} == {
        "model.onnx", "model.pt2", "model.xml", "model.bin", "model_int8.onnx",
        "model.json", "MODEL_CARD.md", "example.png",
    }  # fmt: skip
    assert read_card(out) == card and (card.name, card.size_hw, len(card.classes)) == ("sgcpnet1", SIZE, 5)
    assert OnnxModel(out / "model.onnx").notes == {"name": "sgcpnet1", "spec": card.spec}


def test_what_was_exported_is_a_point_again(exported: tuple[Card, Path], tmp_path: Path) -> None:
    assert kind_of(str(exported[1]), sized=True) == kind_of(str(exported[1])) == "point"
    card, out = exported
    assert read_point(str(out)) == ("sgcpnet1", named("sgcpnet1"))
    (tmp_path / "model.json").write_text(card.model_copy(update={"spec": "0" * 12}).model_dump_json())
    with pytest.raises(InputError, match=rf"model.json: its point is of network {card.spec}, its record of 0{{12}}"):
        read_point(str(tmp_path))


def test_fresh_weights_are_said_plainly_and_have_no_miou(exported: tuple[Card, Path]) -> None:
    card, out = exported
    page = (out / "MODEL_CARD.md").read_text()
    assert "never trained, so the masks mean nothing" in page and "There is no mIoU" in page
    assert (card.miou, card.artefact_miou, card.study, card.search) == (None, None, None, None)
    assert "| mIoU |" not in page.split("## Forms")[0]


def test_each_form_is_proven_and_the_proof_is_not_empty(exported: tuple[Card, Path]) -> None:
    forms = exported[0].artefacts
    assert [(form.format, form.precision) for form in forms] == [
        ("onnx", "float32"), ("pt2", "float32"), ("openvino", "float32"), ("onnx", "int8"),
    ]  # fmt: skip
    assert all(form.agreement.fraction >= 0.999 for form in forms[:3]) and forms[0].agreement.classes_seen > 1
    assert forms[2].default_precision in {"f32", "bf16", "f16"} and forms[2].default_agreement is not None


def test_a_missed_budget_is_said(exported: tuple[Card, Path]) -> None:
    card, out = exported
    assert card.artefact is not None and card.artefact.fresh_process and card.artefact.meets(card.budget_fps) is False
    assert "| budget of 1e+06 FPS | missed |" in (out / "MODEL_CARD.md").read_text()


def test_weights_and_images_of_ones_own(tmp_path: Path) -> None:
    network = fresh(lower(named("sgcpnet1")), 3, list(scenes(SIZE, None).proof())[:2])
    save_weights(network, tmp_path / "mine.safetensors", WeightFacts(classes=("road", "car", "sky")))
    (tmp_path / "photos").mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (50, 70, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "photos" / "a.png")
    told: list[str] = []
    card = export_point(
        "sgcpnet2",
        out=tmp_path / "model",
        size_hw=SIZE,
        weights=tmp_path / "mine.safetensors",
        images=tmp_path / "photos",
        formats=["onnx"],
        threads=1,
        note=told.append,
    )
    assert len(told) == 1 and "the weights were trained in another network (spec b61e63ba0914, not " in told[0]
    assert card.classes == ("road", "car", "sky"), "those of the weights"
    assert (card.agreement.images, card.proven_on) == (1, "images of photos")
    assert card.weights.startswith("`mine.safetensors`, sha256 `")
    assert [form.format for form in card.artefacts] == ["onnx"]
    with pytest.raises(InputError, match=r"mine\.safetensors: does not fit the network"):
        export_point("sgcpnet1", out=tmp_path / "m", size_hw=SIZE, classes=4, weights=tmp_path / "mine.safetensors")


@pytest.mark.parametrize(("count", "line"), [(11, None), (1, "is of a network with 1 classes"), (300, "with 300 cl")])
def test_classes_are_those_of_the_weights_though_there_be_no_bias(count: int, line: str | None, tmp_path: Path) -> None:
    """`dfanet_huaifeng1993` has none."""
    save_file({"head.classify.weight": torch.zeros(count, 8, 1, 1)}, tmp_path / "mine.safetensors")
    with pytest.raises(InputError, match=line or "does not fit the network") as error:
        export_point("dfanet_huaifeng1993", out=tmp_path / "m", size_hw=SIZE, weights=tmp_path / "mine.safetensors")
    assert line or "19" not in str(error.value)


def test_fresh_weights_are_the_same_each_time() -> None:
    images = list(scenes(SIZE, None).proof())[:2]
    one, other = (fresh(lower(named("sgcpnet1")), 3, images).state_dict() for _ in range(2))
    assert all((one[name] == other[name]).all() for name in one)


def test_a_form_that_does_something_else_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenVINO is given the file of a network whose classes are shifted by one."""

    def shifted(name: str, *rest: object) -> object:
        form = write_form(name, *rest)  # type: ignore[arg-type]
        if name != "openvino":
            return form
        return type(form)(**(vars(form) | {"masks": lambda image: (form.masks(image) + 1) % 5}))

    monkeypatch.setattr(make, "write_form", shifted)
    with pytest.raises(ProofError, match="the openvino artefact agrees with its network on 0"):
        export_point("sgcpnet1", out=tmp_path / "model", size_hw=SIZE, classes=5, formats=["openvino"], threads=1)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing", "--size", "64x128"], "nothing: is neither a study's folder nor a point"),
        (["sgcpnet1"], "--size: is needed to export a point"),
        (["sgcpnet1", "--size", "64x128", "--root", "x"], "--root: is only for a study"),
        (["sgcpnet1", "--size", "64x128", "--format", "tflite"], "--format: 'tflite' is not known (allowed: onnx, pt2"),
        (["sgcpnet1", "--size", "64x128", "--fps", "inf"], "--fps: inf is no frame rate (allowed: a number above 0)"),
        (["sgcpnet1", "--size", "64x128", "--images", "absent"], "absent: there is no such file or folder"),
        (["absent.yaml", "--size", "64x128"], "absent.yaml: no such file"),
        (["{folder}"], "is not the folder of a study"),
        (["{folder}", "--size", "64x128"], "--size: is only for a point"),
    ],
)
def test_what_a_user_causes_is_one_line(arguments: list[str], message: str, tmp_path: Path) -> None:
    assert message in refusal("export", *(a.format(folder=tmp_path) for a in arguments), "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.nightly
def test_the_verb_prints_the_proofs(tmp_path: Path) -> None:
    out = tmp_path / "model"
    done = run("export", "sgcpnet1", "--size", "64x128", "--classes", "4", "--format", "onnx", "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert "on 4 drawn street scenes: model.onnx" in done.stdout and "timed again in a fresh process" in done.stdout
    assert "never trained" in done.stdout and json.loads((out / "model.json").read_text())["name"] == "sgcpnet1"
    assert run("lint", str(out / "model.onnx")).stdout == f"{out / 'model.onnx'}: nothing found\n"


def test_images_to_prove_on_come_from_any_depth_and_in_any_format(tmp_path: Path) -> None:
    for k, name in enumerate(("a.webp", "cam1/000.tif", "cam2/000.bmp")):
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 10), (k, k, k)).save(tmp_path / "photos" / name, lossless=True)
    (tmp_path / "photos" / "v.mp4").write_bytes(b"x")
    seen = scenes(SIZE, tmp_path / "photos")
    assert seen.said == "images of photos; skipped 1 other file: v.mp4"
    assert [int(image.max()) for image in seen.proof()] == [0, 1, 2]
