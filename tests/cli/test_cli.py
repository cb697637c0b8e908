"""The command line as people use it: a process, its two streams, its exit code."""

import importlib.util
import json
import re
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
import typer

from segsearch import published
from segsearch.cli.app import EXIT_CODES, app
from segsearch.cli.study import changed
from segsearch.engine.driver import run_study
from segsearch.measure.timer import TimerSettings
from segsearch.models.network import build
from segsearch.named import trial_of
from segsearch.space.load import load_space
from segsearch.space.points import named_point, named_points
from segsearch.study.budget import Budget
from segsearch.study.pick import candidates
from segsearch.study.store import StudyFolder
from segsearch.training.weights import differing_classes, load_weights
from tests.command import parse, refusal, run
from tests.engine.studies import made_up, quick
from tests.leaderboard.test_rerank import twins


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["shw"], "No such command 'shw'. Did you mean 'show'?"),
        (["show", "nope"], "point: 'nope' is not a named point"),
        (["show", "nope.yaml"], "nope.yaml: no such file"),
        (["show", "fpenet", "--size", "10x"], "--size: '10x' is not a size (allowed: HEIGHTxWIDTH in pixels"),
        (["show", "fpenet", "--size", "0x10"], "--size: '0x10' is not a size"),
        (["show", "fpenet", "--size", "16x64"], "size: 16x64 is too small (allowed: both sides at least 32)"),
        (["show", "fpenet", "--classes", "1"], "Invalid value for '--classes'"),
        (["show", "fpenet", "--clases", "3"], "No such option: --clases"),
        (["measure", "fpenet", "--device", "cuda", "--size", "64x64"], "device: cuda is not here"),
        (["measure", "fpenet", "--backend", "tvm", "--size", "64x64"], "backend: 'tvm' is not known"),
        (["lint", "x" * 300 + ".onnx"], "xxx.onnx: File name too long"),
        (["measure", "fpenet", "--precision", "int3", "--size", "64x64"], "precision: eager does not run in 'int3'"),
        (["search", "nope"], "nope: no such file (allowed: a YAML file, or one of camvid_cpu, "),
        (["search", "quickstart", "--root", "x"], "--root: the study's data is streets, which lies nowhere"),
        (["search", "camvid_cpu", "--root", "/nowhere"], "/nowhere"),
        (["pareto", "/nowhere"], "/nowhere: is not the folder of a study"),
        (["export", "/nowhere", "--out", "x"], "/nowhere: is neither a study's folder nor a point"),
        (["predict", "nope.onnx", "x.png"], "nope.onnx"),
        (["space", "check", "fpenet", "--space", "nope"], "nope: no such file"),
        (["points", "--paper", "nope"], "paper: 'nope' has no named points (allowed: dfanet, eseg, "),
        (["diff", "fpenet", "nope"], "point: 'nope' is not a named point"),
        (["leaderboard", "--points", "nope", "--size", "64x64"], "--points: 'nope' is not a named point"),
        (["leaderboard", "--paper", "nope", "--size", "64x64"], "--paper: 'nope' has no named points"),
        (["leaderboard", "--size", "16x16"], "--size: 16x16 is too small"),
        (["leaderboard", "--backend", "tvm", "--size", "64x64"], "backend: 'tvm' is not known"),
        (["leaderboard", "--precision", "float3", "--size", "64x64"], "precision"),
        (["leaderboard", "--device", "cuda:99", "--size", "64x64"], "device: cuda:99 is not here"),
        (["rerank", "/nowhere"], "/nowhere: is not the folder of a study"),
        (["rerank", "/nowhere", "--size", "x"], "--size: 'x' is not a size"),
        (["import-weights", "nope.pth", "--as", "sgcpnet1", "--out", "x.safetensors"], "nope.pth: cannot be read"),
    ],
)
def test_what_a_user_causes_is_one_line_and_code_2(arguments: list[str], message: str, tmp_path: Path) -> None:
    assert message in refusal(*arguments, cwd=tmp_path)
    assert not list(tmp_path.iterdir()), "nothing is left behind"


def test_a_folder_that_happens_to_have_the_name_of_a_study_is_none(tmp_path: Path) -> None:
    (tmp_path / "quickstart").mkdir()
    (tmp_path / "mine").mkdir()
    assert "--root: the study's data is streets" in refusal("search", "quickstart", "--root", "x", cwd=tmp_path)
    assert "mine: is a folder (allowed: a YAML file, or one of" in refusal("search", "mine", cwd=tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_is_one_line_and_code_130(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "segsearch", "space", "sample", "--count", "1000000000"]
    default = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # whoever runs the tests may ignore it
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=default
    ) as process:
        assert process.stdout is not None and process.stdout.readline()
        process.send_signal(number)
        _, told = process.communicate()
    assert (process.returncode, told) == (130, "segsearch: interrupted\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_export_leaves_nothing(number: signal.Signals, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "segsearch", "export", "sfnet_r18", "--size", "64x128", "--out", "model"]
    default = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=default
    ) as process:
        while not list(tmp_path.glob(".model.*/new")) and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(number)
    assert process.returncode == 130
    assert not list(tmp_path.iterdir())


def test_show_as_json_has_everything() -> None:
    shown = json.loads(run("show", "sfnet_r18", "--size", "1024x1024", "--classes", "19", "--json").stdout)
    assert {"name", "point", "id", "params", "macs", "size", "classes", "parts", "published"} <= set(shown)
    assert (shown["params"], shown["macs"], shown["size"]) == (12_869_715, 123_003_925_632, [1024, 1024])
    assert sum(part["macs"] for part in shown["parts"]) == shown["macs"]
    counted = {row["printed"]: row for row in shown["published"] if row["ours"]}
    assert counted["13.47M"]["ours"] == 13_465_190
    assert counted["246.5G"]["same_digits"] is True


def test_fpenets_published_rows() -> None:
    shown = json.loads(run("show", "fpenet", "--size", "512x1024", "--json").stdout)
    counted = [row for row in shown["published"] if row["metric"] in ("flops", "params")]
    assert [row["printed"] for row in counted] == ["378K", "4.98G", "0.4M", "3.2G", "5.7G", "12.8G"]
    assert all(row["same_digits"] for row in counted)


def test_show_prints_all_forms() -> None:
    text = run("show", "fpenet", "--size", "64x512").stdout
    for piece in ("b1787458fdda", "encoder.fpe.q", "378,391", "same digits", "deviates:"):
        assert piece in text


def test_a_point_of_ones_own(tmp_path: Path) -> None:
    sampled = json.loads(run("space", "sample", "--seed", "3").stdout)
    (tmp_path / "mine.yaml").write_text(json.dumps({"choices": sampled}))
    shown = json.loads(run("show", "mine.yaml", "--size", "96x96", "--classes", "5", "--json", cwd=tmp_path).stdout)
    assert (shown["name"], shown["point"], shown["published"]) == ("mine", sampled, [])
    (tmp_path / "bad.yaml").write_text(json.dumps(sampled | {"fusion_width": 7}))
    assert "bad.yaml.fusion_width: 7 is not a choice" in run("show", "bad.yaml", cwd=tmp_path).stderr


def test_an_encoder_of_timms_needs_timm_only_to_be_built(tmp_path: Path) -> None:
    base = {k: v for k, v in named_point("sfnet_r18").choices.items() if not k.startswith("encoder.")}
    word = {"encoder": "timm", "encoder.timm.model": "resnet18@P1:64,64,128,256,512"}
    (tmp_path / "long.yaml").write_text(json.dumps(base | word))
    (tmp_path / "short.yaml").write_text(json.dumps(base | {"encoder": "timm:resnet18"}))
    assert run("space", "check", "long.yaml", cwd=tmp_path).stdout.strip() == "78eed4f8da54"
    if importlib.util.find_spec("timm") is None:
        for arguments in (("show", "long.yaml"), ("space", "check", "short.yaml")):
            done = run(*arguments, cwd=tmp_path)
            assert done.returncode == 2 and done.stdout == ""
            assert done.stderr.startswith("segsearch: timm is not installed: pip install 'segsearch[timm]' (")
            assert done.stderr.count("\n") == 1


def test_measure_says_what_it_measured_on() -> None:
    record = json.loads(run("measure", "fpenet_plain", "--size", "64x64", "--threads", "1", "--quick", "--json").stdout)
    assert record["threads"] == 1
    timer = record["timer"]
    assert len(record["samples_ms"]) >= timer["min_samples"] >= 12
    assert sum(record["samples_ms"]) >= 1000 * timer["min_seconds"] >= 500
    assert record["p10_ms"] <= record["median_ms"] <= record["p90_ms"]
    assert record["fps"] == pytest.approx(1000 / record["median_ms"])
    assert record["p99_ms"] >= record["p90_ms"] and record["iqr_ms"] >= 0
    assert record["id"] == record["spec_id"] and record["host"] is None


@pytest.mark.nightly
def test_measure_sets_backends_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    """With few samples: how many there usually are is looked at above."""
    few = TimerSettings(min_samples=3, min_seconds=0.0, max_warmup_seconds=0.5, blocks=2, retakes=0)
    monkeypatch.setattr("segsearch.cli.timing.how_careful", lambda processes, quick: (None, few))
    arguments = ("measure", "fpenet_plain", "--size", "64x64", "--threads", "1", "--quick", "--host")
    text = run(*arguments, "--backend", "eager", "--backend", "onnxruntime").stdout
    assert [line.split()[0] for line in text.splitlines()[1:3]] == ["eager", "onnxruntime"]
    assert text.count("host to host") == 2 and "1.00 x" in text


@pytest.mark.parametrize("what", ["spec", "study", "recipe"])
def test_schemas(what: str, tmp_path: Path) -> None:
    assert run("schema", what, "--out", "s.json", cwd=tmp_path).returncode == 0
    assert json.loads((tmp_path / "s.json").read_text())["type"] == "object"


def test_help_teaches() -> None:
    text = run("--help").stdout
    for verb in (
        *("search", "pareto", "export", "predict", "tune", "measure", "import-weights", "leaderboard", "rerank"),
        *("show", "diff", "points", "space", "schema", "data"),
    ):
        assert verb in text
    assert "First steps" in text


def verbs(command: Any = None, words: tuple[str, ...] = ()) -> dict[str, Any]:
    """All verbs, those of groups too, by the words that they are typed with."""
    command = command or typer.main.get_command(app)
    inside = getattr(command, "commands", None)
    if inside is None:
        return {" ".join(words): command}
    return {name: verb for word, one in inside.items() for name, verb in verbs(one, (*words, word)).items()}


@pytest.mark.parametrize("name", verbs())
def test_every_verb_shows_an_example_that_can_be_typed(name: str) -> None:
    help_text = " ".join(verbs()[name].help.split())
    examples = re.findall(r"Example: (segsearch .*?)(?= Example:|$)", help_text)
    assert examples and all(example.startswith(f"segsearch {name} ") for example in examples)
    for example in examples:
        parse(example)
    told = [help_text, *(option.help or "" for option in verbs()[name].params if hasattr(option, "help"))]
    assert not [text for text in told if re.search(r"\bwithout\W*$", text)], "a default is written `default: X`"
    shown = run(*name.split(), "--help")
    assert shown.returncode == 0 and "Example: segsearch" in shown.stdout


def test_points_are_listed_as_their_files_state_them() -> None:
    listed = run("points")
    assert listed.returncode == 0
    rows = {cells[1]: cells for cells in map(str.split, listed.stdout.splitlines()) if len(cells) > 5}
    assert named_points().keys() <= rows.keys()
    assert (
        "263397434253 │  1,838,667 │ 3.421 G │ 1024x1024 │ 71.9 % Cityscapes val, 100 FPS on Titan X" in listed.stdout
    )
    chosen = json.loads(run("points", "--paper", "sgcpnet", "--json").stdout)
    assert {"sgcpnet1", "sgcpnet2"} <= chosen.keys() and "fpenet" not in chosen
    assert chosen["sgcpnet1"]["expected"]["params"] == 607_826 and chosen["sgcpnet1"]["deviations"]


def test_the_list_of_points_loads_no_torch() -> None:
    code = (
        "import sys; from tests.command import run; assert run('points').returncode == 0; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr


def test_points_are_counted_again_where_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    some = {name: named_points()[name] for name in ("fpenet", "sgcpnet1")}
    monkeypatch.setattr(published, "points_of", lambda paper: some)
    done = run("points", "--check")
    assert (done.returncode, done.stdout) == (0, "all as their files state\n")
    expected = some["fpenet"].expected
    some["fpenet"] = some["fpenet"].model_copy(update={"expected": expected.model_copy(update={"params": 1})})
    some["sgcpnet1"] = some["sgcpnet1"].model_copy(update={"expected": None})
    done = run("points", "--check")
    assert done.returncode == 1
    first, second = done.stdout.splitlines()
    assert first.startswith("fpenet: its file states {") and '"params":378391' in first.partition("counted is")[2]
    assert second.startswith("sgcpnet1: its file states nothing, counted is {")
    stated = json.loads(run("points", "--check", "--json").stdout)
    assert [(p["stated"] or {}).get("params") for p in stated] == [1, None]


def test_lint_in_lines_and_in_json(tmp_path: Path) -> None:
    faces = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["h"]) for name in ("image", "mask")]
    node = onnx.helper.make_node("Dropout", ["image", "", "on"], ["mask"], name="drop")
    on = onnx.numpy_helper.from_array(np.array(True), "on")
    onnx.save(
        onnx.helper.make_model(onnx.helper.make_graph([node], "g", faces[:1], faces[1:], [on])), tmp_path / "m.onnx"
    )
    done = run("lint", "m.onnx", cwd=tmp_path)
    assert done.returncode == 2
    assert "m.onnx:drop: is Dropout that may be in training mode (training-mode)" in done.stdout.splitlines()
    told = run("lint", "m.onnx", "--json", cwd=tmp_path)
    assert told.returncode == 2 and len(json.loads(told.stdout)) == len(done.stdout.splitlines())
    found = {finding["rule"]: finding["place"] for finding in json.loads(told.stdout)}
    assert found["training-mode"] == "drop"


def test_diff() -> None:
    found = json.loads(run("diff", "eseg_s", "eseg_s_p5", "--size", "128x256", "--json").stdout)
    assert found["choices"] == {"coarsest": ["P9", "P5"]}
    assert found["params"] == [6_860_547, 6_408_111]
    assert "choices that differ" in run("diff", "eseg_s", "eseg_s_p5", "--size", "64x64").stdout


@pytest.mark.parametrize("name", ["unified", "sfnet", "dfanet", "eseg", "fpenet", "sgcpnet", "realtime"])
def test_every_space_can_be_looked_at(name: str, tmp_path: Path) -> None:
    assert "points, id " in run("space", "show", name).stdout
    shown = json.loads(run("space", "show", name, "--json").stdout)
    assert shown["id"] == load_space(name).id and shown["choices"].keys() == dict(load_space(name).nodes()).keys()
    assert int(run("space", "size", name).stdout) > 100
    (tmp_path / "drawn.yaml").write_text(run("space", "sample", name, "--seed", "1").stdout)
    assert len(run("space", "check", "drawn.yaml", "--space", name, cwd=tmp_path).stdout.strip()) == 12


def test_import_weights_tells_what_is_left(tmp_path: Path) -> None:
    torch.save(
        {"segmenter": {"module.classifier.bias": torch.ones(19), "module.more": torch.ones(1)}}, tmp_path / "a.pth"
    )
    arguments = ("import-weights", "a.pth", "--as", "sgcpnet1", "--out", "b.safetensors")
    refused = run(*arguments, cwd=tmp_path)
    assert refused.returncode == 2
    assert "missing  head.classify.weight" in refused.stdout
    assert "tensors are missing (allowed: --partial leaves them fresh)" in refused.stderr
    assert not (tmp_path / "b.safetensors").exists()
    done = run(*arguments, "--partial", cwd=tmp_path)
    assert "unused  more" in done.stdout
    assert "1 tensors filled, 1 unused, " in done.stdout
    network = build(named_point("sgcpnet1").spec)
    facts = load_weights(network, tmp_path / "b.safetensors")
    assert (facts.point, facts.spec) == ("sgcpnet1", network.spec.id)
    classes = [f"class {number}" for number in range(19)]
    assert differing_classes(network.state_dict(), facts, classes) is None, "it can be trained further"
    assert network.head.classify.bias.sum() == 19


def test_help_lists_the_exit_codes() -> None:
    told = " ".join(run("--help").stdout.split())
    assert all(f"{code}: {meaning.split(',')[0]}" in told for code, meaning in EXIT_CODES.items())


def test_an_fps_budget_takes_the_place_of_the_file_s_latency() -> None:
    slow = quick(budget={"latency_ms": 10, "params": 10**6})
    assert changed(slow, fps=30).budget.limits == {"latency_ms": pytest.approx(1000 / 30), "params": 10**6}
    assert changed(slow, fps=200).budget.limits == {"latency_ms": 5.0, "params": 10**6}
    assert changed(slow, trials=3).budget == slow.budget


def test_a_trial_is_taken_by_its_number_although_another_has_its_name(tmp_path: Path) -> None:
    run_study(quick(trials=2, points=twins(tmp_path)), tmp_path / "study", work=made_up)
    folder, key = trial_of(f"{tmp_path / 'study'}#2")
    records = StudyFolder(folder).records()
    assert [r.name for r in records] == ["net", "net"]
    assert key is not None and [r.number for r in candidates(records, Budget(), key)] == [2]
    assert refusal("export", f"{tmp_path / 'study'}#net", "--out", "x").startswith(
        "net: is the name of several networks"
    )
