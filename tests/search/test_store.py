import json
from pathlib import Path

import pytest

from segsearch.errors import InputError
from segsearch.search.record import Proposal
from segsearch.search.store import StudyFolder

from .builders import record, some_point


def proposal(number: int) -> Proposal:
    made = record(number)
    return Proposal(number=number, origin="random", name="x", point=made.point, spec_id=made.spec_id)


def test_a_trial_exists_if_its_result_does(tmp_path: Path) -> None:
    store = StudyFolder(tmp_path)
    assert store.records() == [] and store.unfinished() == ([], [])
    store.propose(proposal(1))
    assert store.records() == [] and store.unfinished() == ([proposal(1)], [])
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
    assert [p.number for p in store.unfinished()[0]] == [3, 4]
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
