import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from segsearch.errors import InputError
from segsearch.study.record import Proposal
from segsearch.study.store import StudyFolder
from segsearch.study.trials import Begun
from tests.engine.builders import record, some_point


def proposal(number: int) -> Proposal:
    made = record(number)
    return Proposal(number=number, origin="random", name="x", point=made.point, spec_id=made.spec_id)


def test_a_trial_exists_if_its_result_does(tmp_path: Path) -> None:
    store = StudyFolder(tmp_path)
    assert store.records() == [] and store.unfinished() == ([], [])
    store.propose(proposal(1))
    assert store.records() == [] and store.unfinished() == ([Begun(proposal=proposal(1))], [])
    store.finish(record(1, miou=0.5))
    assert store.records() == [record(1, miou=0.5)] and store.unfinished() == ([], [])


def test_records_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    store = StudyFolder(tmp_path)
    for number in (10000, 2, 9999, 1):
        store.finish(record(number, some_point(number), miou=0.5))
    assert [r.number for r in store.records()] == [1, 2, 9999, 10000]


def test_files_have_one_line_per_field(tmp_path: Path) -> None:
    StudyFolder(tmp_path).finish(record(1, miou=0.5))
    lines = (tmp_path / "trials/0001/result.json").read_text().splitlines()
    data = json.loads("\n".join(lines))
    assert len(lines) == len(data) + 2 and data["scores"]["miou"] == 0.5


def test_what_is_not_a_trial_is_left_alone(tmp_path: Path) -> None:
    store = StudyFolder(tmp_path)
    store.finish(record(1, miou=0.5))
    (tmp_path / "trials/notes").mkdir()
    (tmp_path / "trials/0007").write_text("a file")
    assert [r.number for r in store.records()] == [1] and store.unfinished() == ([], [])
    assert (tmp_path / "trials/notes").is_dir()


def test_a_file_in_the_place_of_the_trials_is_no_study_without_trials(tmp_path: Path) -> None:
    (tmp_path / "trials").touch()
    for read in (StudyFolder(tmp_path).records, StudyFolder(tmp_path).unfinished):
        with pytest.raises(InputError, match="trials: is a file, no folder"):
            read()


def test_a_folder_without_a_study_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is not the folder of a study: it has no study\.json"):
        StudyFolder(tmp_path).read_study()


def test_an_unknown_field_in_a_result_is_named(tmp_path: Path) -> None:
    store = StudyFolder(tmp_path)
    store.finish(record(1, miou=0.5))
    file = tmp_path / "trials/0001/result.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"mood": "good"}))
    with pytest.raises(InputError, match=r"result\.json\.mood: unknown key"):
        store.records()


def test_only_what_a_crash_leaves_is_cleared_away(tmp_path: Path) -> None:
    store = StudyFolder(tmp_path)
    for number in range(1, 5):
        store.propose(proposal(number))
    files = [tmp_path / f"trials/000{number}/proposal.json" for number in range(1, 5)]
    files[0].write_text('{"number": 1,')
    files[1].unlink()
    assert [trial.proposal.number for trial in store.unfinished()[0]] == [3, 4]
    assert not files[0].parent.exists() and not files[1].parent.exists()
    younger = json.loads(files[2].read_text()) | {"mood": "fine"}
    files[2].write_text(json.dumps(younger))
    with pytest.raises(InputError, match=r"proposal\.json\.mood: unknown key"):
        store.unfinished()
    files[2].unlink()
    files[2].mkdir()
    with pytest.raises(InputError, match=r"proposal\.json: cannot be read: Is a directory"):
        store.unfinished()
    assert all(path.exists() for path in files[2:])


def test_brackets_without_end_are_a_damaged_file(tmp_path: Path) -> None:
    store = StudyFolder(tmp_path)
    store.finish(record(1, miou=0.5))
    (tmp_path / "trials/0001/result.json").write_text("[" * 100_000)
    with pytest.raises(InputError, match=r"result\.json: is not whole JSON; delete this file"):
        store.records()


def edited(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a JSON file as a person, a script or a fuzzer would."""
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def other() -> dict[str, Any]:
    return record(9, miou=0.5).model_dump(mode="json")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda d: d["scores"].update(miou=5.0), r"scores\.miou: should be less than or equal to 1, got 5"),
        (lambda d: d["scores"].update(miou=-0.1), r"scores\.miou: should be greater than or equal to 0"),
        (lambda d: d["scores"].update(miou=0.9), r"miou 0\.9 is not the mean of the classes' iou"),
        (lambda d: d["scores"].update(pixel_accuracy=1.5), r"scores\.pixel_accuracy: should be less"),
        (lambda d: d["scores"]["iou"].update(road=7.0), r"scores\.iou\.road: should be less"),
        (lambda d: d.update(number=-3), r"number: is -3, in the folder of trial 1"),
        (lambda d: d.update(number=2), r"number: is 2, in the folder of trial 1"),
        (lambda d: d.update(spec_id="abcdefabcdef"), r"spec_id abcdefabcdef is not that of its spec, which is"),
        (lambda d: d.update(point=other()["point"]), r"point: stands for the network \w+, not for spec_id"),
        (lambda d: d["latency"].update(spec_id="abcdefabcdef"), r"latency is of spec abcdefabcdef, not of"),
        (lambda d: d.update(latency=None), r"latency is missing, but state is complete"),
        (lambda d: d.pop("latency"), r"latency is missing, but state is complete"),
        (lambda d: d.update(scores=None), r"scores is missing, but state is complete"),
        (lambda d: d.update(params=None), r"params is missing, but state is complete"),
        (lambda d: d.update(state="rejected"), r"reason is missing, but state is rejected"),
        (lambda d: d.update(state="failed"), r"reason is missing, but state is failed"),
        (lambda d: d["latency"].update(median_ms=0.0), r"latency\.median_ms: should be greater than 0"),
        (lambda d: d.pop("spec"), r"spec: is missing"),
    ],
)
def test_a_record_that_cannot_be_is_refused_by_name_with_the_cure(
    change: Callable[[dict[str, Any]], object], told: str, tmp_path: Path
) -> None:
    store = StudyFolder(tmp_path)
    store.finish(record(1, miou=0.5))
    assert store.records()
    edited(tmp_path / "trials/0001/result.json", change)
    with pytest.raises(InputError, match=rf"0001/result\.json.*{told}.*; delete this file to run its trial again") as e:
        store.records()
    assert "\n" not in str(e.value)


def test_the_record_of_another_trial_is_refused(tmp_path: Path) -> None:
    store = StudyFolder(tmp_path)
    store.finish(record(1, miou=0.5))
    shutil.copytree(tmp_path / "trials/0001", tmp_path / "trials/0002")
    with pytest.raises(InputError, match=r"0002/result\.json\.number: is 1, in the folder of trial 2; delete"):
        store.records()
    (tmp_path / "trials/0002/result.json").unlink()
    store.propose(proposal(3))
    (tmp_path / "trials/0003").rename(tmp_path / "trials/0004")
    (tmp_path / "trials/0002").rmdir()
    with pytest.raises(InputError, match=r"0004/proposal\.json\.number: is 3, in the folder of trial 4"):
        store.unfinished()


def test_a_point_of_an_older_version_with_fewer_choices_is_still_read(tmp_path: Path) -> None:
    store = StudyFolder(tmp_path)
    store.finish(record(1, miou=0.5))
    edited(tmp_path / "trials/0001/result.json", lambda d: d["point"].pop("head"))
    assert store.records()[0].miou == 0.5


def test_torn_files_are_cleared_away_unless_somebody_may_be_writing_them(tmp_path: Path) -> None:
    store = StudyFolder(tmp_path)
    store.finish(record(1, miou=0.5))
    parts = [tmp_path / ".study.json.x1.part", tmp_path / "trials/0001/.weights.safetensors.x2.part"]
    for path in parts:
        path.write_text("{")
    os.utime(parts[0], (0, 0))
    young = tmp_path / ".trials.csv.x3.part"
    young.write_text("a,b")
    for name in ("checkpoint.pt", "attempt.json"):
        (tmp_path / "trials/0001" / name).write_text("{}")
    store.clear(store.records())
    assert young.exists() and not any(path.exists() for path in parts)
    assert [p.name for p in (tmp_path / "trials/0001").iterdir()] == ["result.json"]
