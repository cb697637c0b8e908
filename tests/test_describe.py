"""One point in all forms in which it may be written, and two points side by side."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from segsearch.describe import describe, differ
from segsearch.engine.prepare import prepare
from segsearch.errors import InputError
from segsearch.named import read_point
from segsearch.report.diff import difference
from segsearch.space.points import named_point
from segsearch.study.store import StudyFolder
from tests.command import refusal, run
from tests.engine.builders import record, some_point
from tests.engine.studies import quick


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study of three trials, of which one is a paper's network and one was rejected."""
    folder = tmp_path / "runs" / "my#study"
    store = StudyFolder(folder)
    store.begin(prepare(quick()).file)
    store.finish(record(1, named_point("fpenet").choices, miou=0.5, origin="named:fpenet"))
    store.finish(record(2, some_point(2), miou=0.4))
    store.finish(record(12, some_point(3), latency_ms=90.0))
    return folder


def test_a_trial_is_a_point_by_number_name_and_id(study: Path) -> None:
    for trial in StudyFolder(study).records():
        for key in (str(trial.number), f"{trial.number:04d}", trial.name, trial.spec_id, trial.spec_id[:8]):
            assert read_point(f"{study}#{key}") == (trial.name, trial.point), key
    assert describe(f"{study}#1", (64, 64), 19).comparisons, "the paper's own network keeps the paper's figures"


@pytest.mark.parametrize("form", ["bare.yaml", "choices.yml", "bare.json", "tabs.json", "shown.json", "result.json"])
def test_a_file_of_choices(form: str, study: Path, tmp_path: Path) -> None:
    trial, path = StudyFolder(study).records()[1], tmp_path / form
    written: dict[str, Any] = {"choices": trial.point} if form.startswith("choices") else trial.point
    if form == "shown.json":
        path.write_text(run("show", f"{study}#2", "--size", "256x256", "--json").stdout)
    elif form == "result.json":
        path = study / "trials" / "0002" / form
    elif path.suffix == ".json":
        path.write_text(json.dumps(written, indent="\t" if form == "tabs.json" else None))
    else:
        path.write_text(yaml.safe_dump(written))
    assert read_point(str(path)) == (path.stem, trial.point)


def test_every_verb_takes_the_trial_of_a_study(study: Path, tmp_path: Path) -> None:
    trial = StudyFolder(study).records()[1]
    point, size = f"{study}#2", ("--size", "256x256", "--json")
    assert json.loads(run("show", point, *size).stdout)["id"] == trial.spec_id
    assert json.loads(run("diff", point, f"{study}#1", *size).stdout)["names"] == [trial.name, "fpenet"]
    assert run("space", "check", point).stdout.strip() == trial.spec_id
    partial = ("--names", "torchvision", "--out", "x.safetensors", "--as", point)
    assert refusal("import-weights", tmp_path / "absent.pth", *partial).startswith(f"{tmp_path}/absent.pth")
    wanted = prepare(quick(points=["sgcpnet1", point], data={"name": "streets", "size": [256, 256]}))
    first, second = (wanted.proposer().next(1), wanted.named[1])
    assert first is not None and (first.origin, first.name) == ("named:sgcpnet1", "sgcpnet1")
    assert (second.name, second.spec.id) == (trial.name, trial.spec_id)


def test_a_study_begins_with_the_points_of_files(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(named_point("fpenet").choices | {"encoder.fpe.q": 3}))
    (tmp_path / "fpenet.json").write_text(json.dumps(named_point("fpenet").choices | {"encoder.fpe.q": 5}))
    proposer = prepare(quick(points=[str(tmp_path / "mine.yaml"), str(tmp_path / "fpenet.json"), "fpenet"])).proposer()
    proposals = []
    for number in (1, 2, 3):
        proposal = proposer.next(number)
        assert proposal is not None
        proposals.append(proposal)
        proposer.began(proposal)
    told = [(p.name, p.origin, p.point["encoder.fpe.q"]) for p in proposals]
    assert told == [("mine", "given", 3), ("fpenet.json", "given", 5), ("fpenet", "named:fpenet", 9)]


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("fpnet", "point: 'fpnet' is not a named point, did you mean 'fpenet'? (allowed: a name that `segsearch points`"),
        ("SFNet_R18", "point: 'SFNet_R18' is not a named point, did you mean 'sfnet_r18'?"),
        ("qqqqqq", "point: 'qqqqqq' is not a named point (allowed: "),
        ("{study}#3", "{study}#3: is not a finished trial of this study (allowed: a number, a name or an id; numbers: 1 to 12)"),
        ("{study}#", "{study}#: is not a finished trial of this study"),
        ("{study}#99999999999999999999", "{study}#99999999999999999999: is not a finished trial"),
        ("{study}#fpenett", "{study}#fpenett: is not a finished trial"),
        ("{study}", "{study}: is a folder, not a point (allowed: {study}#NUMBER, one of its trials)"),
        ("{study}/trials", "{study}/trials: is a folder, not a point"),
        ("runs/other#2", "runs/other#2: 'runs/other' is not the folder of a study (allowed: FOLDER#2 with a study in"),
        ("resnet18/fpn#9264420b", "resnet18/fpn#9264420b: 'resnet18/fpn' is not the folder of a study"),
        ("mine.json", "mine.json: no such file (allowed: a YAML or JSON file of choices, or a named point)"),
        ("some/mine", "some/mine: no such file"),
        ("", "point: '' names nothing (allowed: a name that `segsearch points` lists"),
        ("/dev/null", "/dev/null: is no regular file"),
    ],
)  # fmt: skip
def test_what_is_no_point_says_what_it_looks_like(written: str, message: str, study: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_point(written.format(study=study))
    assert str(caught.value).startswith(message.format(study=study))


@pytest.mark.parametrize("key", ["1", "1.5", "true", "''"])
@pytest.mark.parametrize("inside", [False, True])
def test_keys_that_are_no_words_are_refused_by_name(key: str, inside: bool, tmp_path: Path) -> None:
    text = yaml.safe_dump(named_point("fpenet").choices) + f"{key}: 2\n"
    if inside:
        text = "choices:\n" + "".join(f"  {line}\n" for line in text.splitlines())
    (tmp_path / "p.yaml").write_text(text)
    assert ": unknown choice" in refusal("show", "p.yaml", cwd=tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        *("{", "[1]", '{"a": 1, }', '{"encoder": "fpe"}\n{"encoder": "df"}', "", "\x00", "choices: 3", '{"point": []}'),
        *('{"encoder": {"fpe": 1}}', '{"encoder": [[[]]]}', '{"encoder": null}', '{"encoder": NaN}', "[" * 20_000),
    ],
)
@pytest.mark.parametrize("suffix", [".json", ".yaml"])
def test_what_is_no_file_of_choices_is_one_line(content: str, suffix: str, tmp_path: Path) -> None:
    (tmp_path / f"p{suffix}").write_text(content)
    assert refusal("show", f"p{suffix}", cwd=tmp_path).startswith(f"p{suffix}")


def test_a_record_that_is_not_of_its_point_is_refused(study: Path) -> None:
    file = study / "trials" / "0002" / "result.json"
    data = json.loads(file.read_text())
    other = StudyFolder(study).records()[2]
    file.write_text(json.dumps(data | {"point": other.point}))
    with pytest.raises(InputError, match=f"its point is of network {other.spec_id}, its record of {data['spec_id']}"):
        read_point(f"{study}#2")
    for odd in ({}, {"encoder": "vgg"}, {"encoder": 3, "fusion": True}):
        file.write_text(json.dumps(data | {"point": odd}))
        with pytest.raises(InputError, match="#2: its point stands for no network: "):
            read_point(f"{study}#2")
    file.write_text("{")
    with pytest.raises(InputError, match=r"0002/result\.json: is not whole JSON"):
        read_point(f"{study}#2")


def test_what_differs_is_the_flow_alone() -> None:
    found = differ("sfnet_r18", "sfnet_r18_no_fam", (96, 96), 19)
    assert found.choices == {
        "fusion": ("fam", "fpn"),
        "fusion.fam.levels": ("all", None),
        "fusion.fpn.style": (None, "sfnet"),
    }
    parts = found.as_json()["parts"]
    assert parts["neck"]["params"][0] - parts["neck"]["params"][1] == 3 * 18_688
    assert all(p["params"][0] == p["params"][1] for name, p in parts.items() if name != "neck")
    assert not found.same_network


def test_a_point_and_itself() -> None:
    found = differ("fpenet", "fpenet", (64, 64), 19)
    assert (found.choices, found.same_network) == ({}, True)
    difference(found)
