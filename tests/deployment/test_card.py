import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from segsearch.deployment.artefact import Artefact, File, Timing
from segsearch.deployment.card import Card, Rival, read_card
from segsearch.deployment.card_page import markdown, write_card
from segsearch.deployment.onnx import Exported, OnnxModel
from segsearch.deployment.parity import Agreement
from segsearch.deployment.predict import predict_files
from segsearch.errors import InputError
from tests.deployment.networks import SIZE, pictures

SEARCH = Timing(latency_ms=40.0, covers="logits", backend="eager", device="a CPU", threads=2)
ARTEFACT = Timing(latency_ms=20.0, covers="mask", backend="onnxruntime", device="a CPU", threads=1)
AGREEMENT = Agreement(images=3, pixels=3000, equal=2999, fraction=2999 / 3000, worst=0.999, classes_seen=2)


def card(**changes: Any) -> Card:
    fields: dict[str, Any] = {
        "name": "resnet18x0.75/fam",
        "spec": "0123456789ab",
        "point": {"encoder": "resnet", "encoder.depth": 18, "width": 0.75, "lite": False},
        "study": "quickstart",
        "data": "streets",
        "classes": ("road", "car"),
        "size_hw": (97, 203),
        "params": 12_345_678,
        "macs": 2_500_000_000,
        "images": 40,
        "miou": 0.5125,
        "iou": {"road": 0.9, "car": None},
        "artefact_miou": 0.5124,
        "search": SEARCH,
        "artefact": ARTEFACT,
        "budget_fps": 30.0,
        "agreement": AGREEMENT,
        "recipe": "ba9876543210",
        "settings": {"optimizer": "sgd", "learning_rate": 0.01, "scale": [0.5, 2.0], "crop": None},
        "seed": 0,
        "versions": {"segsearch": "0.1.0", "torch": "2.13.0"},
        "sha256": "0f" * 32,
        "opset": 18,
        "nodes": 57,
        "created_at": "2026-01-02T03:04:05+00:00",
    }
    return Card(**(fields | changes))


def test_a_card_reads_back_as_it_was_written(tmp_path: Path) -> None:
    data, page = write_card(card(), tmp_path / "model")
    assert read_card(data) == read_card(tmp_path / "model") == card()
    assert [p.name for p in (data, page)] == ["model.json", "MODEL_CARD.md"]
    assert page.read_text() == markdown(card())


@given(st.dictionaries(st.text(), st.text() | st.integers() | st.booleans() | st.floats(-1e9, 1e9)))
def test_every_point_survives_json(point: dict[str, str | int | float | bool]) -> None:
    back = Card.parse(json.loads(json.dumps(card(point=point).model_dump(mode="json"))), "card")
    assert back.point == point
    assert [type(v) for v in back.point.values()] == [type(v) for v in point.values()]


def test_speed_and_budget() -> None:
    assert SEARCH.fps == 25.0 and ARTEFACT.fps == 50.0
    assert [t.meets(30.0) for t in (SEARCH, ARTEFACT)] == [False, True]
    assert SEARCH.meets(None) is None and SEARCH.meets(25.0) is True


def row(page: str, name: str) -> list[str]:
    return next(
        [c.strip() for c in line.split("|")[2:-1]] for line in page.splitlines() if line.startswith(f"| {name} |")
    )


def test_the_page_sets_the_search_beside_the_file() -> None:
    page = markdown(card(artefact_miou=0.5078))
    assert row(page, "mIoU") == ["51.2 %", "50.8 %"]
    assert row(page, "latency") == ["40.00 ms", "20.00 ms"]
    assert row(page, "images per second") == ["25.0", "50.0"]
    assert row(page, "budget of 30 FPS") == ["missed", "met"]
    assert row(page, "measured with") == ["eager on a CPU, 2 threads", "onnxruntime on a CPU, 1 thread"]
    assert row(page, "1") == ["car", "absent"]
    assert "40 validation images of `streets`" in page and "99.9667 %" in page
    assert "not evaluated on images that the search never saw" in page


def test_the_page_admits_what_was_not_measured() -> None:
    page = markdown(card(artefact=None, artefact_miou=None, budget_fps=None))
    assert row(page, "latency") == ["40.00 ms", "not measured"]
    assert "budget" not in page and "own mIoU was not measured" in page


def test_the_page_says_how_it_was_picked_and_what_was_passed_over() -> None:
    better = Rival(name="dfanet", spec="0" * 12, trial=4, miou=0.53, latency_ms=44.0, reason="slower")
    missed = Rival(name="sfnet|r18", spec="1" * 12, trial=7, miou=0.6, latency_ms=50.0, reason="missed")
    page = markdown(card(pick="miou", rivals=(missed, better), standard_error=0.02))
    assert "- Picked for its mIoU." in page and "with a standard error of 2.0 points" in page
    assert (
        "- Within one standard error and slower: dfanet (trial 4, mIoU 53.0 %), 1.8 points better, at 44.00 ms" in page
    )
    assert "- Passed over: sfnet\\|r18 (trial 7, mIoU 60.0 %), whose file takes 50.00 ms, 20.0 FPS." in page
    assert "nearest" not in page and "nearest" in markdown(card(pick="knee", budget_fps=99.0))
    assert "## Choice" not in markdown(card())


def test_unseen_images_are_reported_apart() -> None:
    assert "never saw, the trained network reaches mIoU 44.0 %" in markdown(card(report_miou=0.44))


def form(**changes: Any) -> Artefact:
    file = File(name="model.onnx", sha256="0f" * 32, size_bytes=1234)
    fields: dict[str, Any] = {"format": "onnx", "files": (file,), "runtime": "onnxruntime 1", "agreement": AGREEMENT}
    return Artefact(**(fields | changes))


def test_figures_of_another_file_are_called_by_its_name() -> None:
    page = markdown(card(shipped="model_float16.onnx", artefact_miou=0.5))
    assert "this file, `model_float16.onnx`" in page and "this file, `model.onnx`" not in page
    assert "The mIoU of `model_float16.onnx` was computed by running the file itself" in page


def test_a_training_without_a_search_speaks_of_none() -> None:
    page = markdown(card(study=None, search=None, report_miou=None))
    assert "search chose" not in page and "search never saw" not in page
    reported = markdown(card(study=None, search=None, report_miou=0.5))
    assert "On images that are only reported on, the trained network reaches mIoU 50.0 %" in reported


def test_each_form_is_listed_with_its_files_and_its_own_precision() -> None:
    other = AGREEMENT.model_copy(update={"equal": 2700, "fraction": 0.9})
    page = markdown(
        card(artefacts=(form(), form(format="openvino", default_precision="bf16", default_agreement=other)))
    )
    assert "| openvino | float32 | onnxruntime 1 | 99.9667 % |" in page
    assert "| openvino | bf16, its own choice here | onnxruntime 1 | 90.0000 % |" in page
    assert f"| `model.onnx` | 1,234 | `{'0f' * 32}` |" in page and "can run code" not in page
    assert "can run code that is inside the file" in markdown(card(artefacts=(form(), form(format="pt2"))))


@pytest.mark.parametrize(
    ("miou", "said"),
    [(0.4124, "mIoU 41.2 %, 10.0 points less than before (51.2 %)"), (0.52, "mIoU 52.0 %, 0.8 points more than")],
)
def test_what_int8_costs_is_said_whichever_way(miou: float, said: str) -> None:
    slow = ARTEFACT.model_copy(update={"latency_ms": 30.0})
    rounded = form(precision="int8", miou=miou, timing=slow, calibration_images=8)
    page = markdown(card(artefacts=(form(), rounded)))
    assert said in page and "ranges from 8 images" in page and "it takes 150 % of the time of float32" in page


def test_a_budget_of_another_device_is_neither_met_nor_missed() -> None:
    there = SEARCH.model_copy(update={"device": "a GPU"})
    assert row(markdown(card(search=there)), "budget of 30 FPS") == ["missed", "another device than the search's"]


def test_a_point_without_a_study_claims_nothing() -> None:
    nothing: dict[str, Any] = {
        "study": None,
        "data": None,
        "miou": None,
        "iou": {},
        "artefact_miou": None,
        "search": None,
    }
    page = markdown(card(**nothing, recipe=None, settings={}, seed=None, images=0, weights="fresh"))
    assert "There is no mIoU" in page and "Weights: fresh." in page and "None" not in page
    assert row(page, "latency") == ["20.00 ms"] and row(page, "parameters") == ["12.346 M"]


def test_one_class_everywhere_is_said() -> None:
    page = markdown(card(agreement=AGREEMENT.model_copy(update={"classes_seen": 1})))
    assert "one class everywhere, so this agreement says little" in page


def test_a_name_with_bars_and_newlines_cannot_break_a_table() -> None:
    page = markdown(card(classes=("a|b\nc", "car"), iou={"a|b\nc": 0.1, "car": 0.2}))
    assert "| 0 | a\\|b c | 10.0 % |" in page.splitlines()


def test_damage_is_one_line_with_the_path(tmp_path: Path) -> None:
    path, _ = write_card(card(), tmp_path)
    good = json.loads(path.read_text())
    for content, message in (
        ("{", "is not JSON"),
        (json.dumps(good | {"sha256": "zz"}), "sha256"),
        (json.dumps(good | {"extra": 1}), "unknown key"),
        (json.dumps({k: v for k, v in good.items() if k != "params"}), "params: is missing"),
        (json.dumps(good | {"iou": {"road": 0.9}}), "one entry for each of the 2 classes"),
    ):
        path.write_text(content)
        with pytest.raises(InputError, match=message) as error:
            read_card(path)
        assert str(error.value).startswith(str(path)) and "\n" not in str(error.value)
    with pytest.raises(InputError, match="cannot be read"):
        read_card(tmp_path / "absent.json")


def test_a_card_is_read_without_torch() -> None:
    code = "import sys, segsearch.deployment.card, segsearch.deployment.predict; sys.exit(bool({'torch', 'PIL'} & {*sys.modules}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_page_tells_how_to_run_the_file_without_us(exported: Exported, tmp_path: Path) -> None:
    shutil.copy(exported.path, tmp_path / "model.onnx")
    Image.fromarray(pictures(1, (120, 160))[0]).save(tmp_path / "image.png")
    plain = re.findall(r"```python\n(.*?)```", markdown(card(file="model.onnx", size_hw=SIZE)), re.S)[0]
    blocked = "import sys\nsys.modules['segsearch'] = sys.modules['torch'] = None\n"
    done = subprocess.run([sys.executable, "-c", blocked + plain], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    written = predict_files(OnnxModel(exported.path), {tmp_path / "image.png": Path("ours")}, tmp_path, forms=["ids"])
    assert np.array_equal(np.asarray(Image.open(tmp_path / "mask.png")), np.asarray(Image.open(written[0])))
