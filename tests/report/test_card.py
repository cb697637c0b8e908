from pathlib import Path
from typing import Any

import pytest

from segsearch.deployment.artefact import Artefact, File, Timing
from segsearch.deployment.card import Card
from segsearch.deployment.parity import Agreement
from segsearch.report.card import lines

AGREEMENT = Agreement(images=3, pixels=3000, equal=2999, fraction=2999 / 3000, worst=0.999, classes_seen=2)
FILE = File(name="model.onnx", sha256="0f" * 32, size_bytes=10)
TIMING = Timing(latency_ms=20.0, covers="mask", backend="onnxruntime", device="a CPU", threads=1, fresh_process=True)


def said(**changes: object) -> str:
    form = Artefact(format="onnx", files=(FILE,), runtime="onnxruntime 1", agreement=AGREEMENT, timing=TIMING)
    fields: dict[str, Any] = {
        "name": "fpenet",
        "spec": "0123456789ab",
        "point": {},
        "study": "quickstart",
        "data": "streets",
        "classes": ("road",),
        "size_hw": (8, 8),
        "params": 1,
        "macs": 1,
        "miou": 0.5,
        "iou": {"road": 0.5},
        "artefact_miou": 0.5,
        "search": TIMING.model_copy(update={"latency_ms": 10.0, "backend": "eager"}),
        "artefact": TIMING,
        "agreement": AGREEMENT,
        "artefacts": (form,),
        "versions": {},
        "sha256": FILE.sha256,
        "opset": 18,
        "nodes": 1,
        "created_at": "now",
    }
    return "\n".join(lines(Card(**(fields | changes)), Path("out")))


@pytest.mark.parametrize(
    ("fps", "word"), [(49.0, "the budget of 49 FPS is met"), (51.0, "the budget of 51 FPS is NOT met by the file")]
)
def test_the_budget_is_that_of_the_file(fps: float, word: str) -> None:
    assert f"file:   20.00 ms (50.0 FPS) with onnxruntime, timed again in a fresh process; {word}" in said(
        budget_fps=fps
    )


@pytest.mark.parametrize(("steady", "told"), [(None, False), (True, False), (False, True)])
def test_a_restless_machine_is_told_of(steady: bool | None, told: bool) -> None:
    assert ("did not stand still" in said(artefact=TIMING.model_copy(update={"steady": steady}))) == told


def test_a_budget_for_another_device_is_not_compared() -> None:
    there = TIMING.model_copy(update={"device": "a GPU"})
    assert "the budget of 51 FPS is for another device" in said(budget_fps=51.0, search=there)


def test_every_form_has_its_line() -> None:
    half = AGREEMENT.model_copy(update={"fraction": 0.5})
    openvino = Artefact(
        format="openvino",
        files=(FILE.model_copy(update={"name": "model.xml"}), FILE.model_copy(update={"name": "model.bin"})),
        runtime="openvino 1",
        agreement=AGREEMENT,
        default_precision="bf16",
        default_agreement=half,
    )
    rounded = Artefact(
        format="onnx",
        precision="int8",
        files=(FILE,),
        runtime="onnxruntime 1",
        agreement=half,
        miou=0.25,
        timing=TIMING,
    )
    text = said(artefacts=(openvino, rounded))
    assert "model.xml + model.bin (50.000 % in bf16, which it takes by default here)" in text
    assert "int8: 50.000 % of the pixels" in text and "mIoU in int8 25.0 %" in text


def test_a_point_says_whose_weights_it_has() -> None:
    text = said(study=None, search=None, miou=None, iou={}, artefact_miou=None, weights="fresh")
    assert "weights: fresh" in text and "mIoU" not in text and "search:" not in text
