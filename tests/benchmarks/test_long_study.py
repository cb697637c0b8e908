import runpy
from pathlib import Path

from segsearch.study.store import StudyFolder


def test_a_made_up_study_is_read_and_learnt_from(tmp_path: Path) -> None:
    script = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks/long_study.py"))
    config = script["make"](tmp_path / "study", 30)
    records = StudyFolder(tmp_path / "study").records()
    assert len({record.spec_id for record in records}) == 30 and {r.state for r in records} == {"complete", "rejected"}
    assert all(seconds > 0 for seconds in script["propose"](config, tmp_path / "study"))
    looked_at, mean, last = script["driven"](tmp_path / "driven", 3, script["RUNGS"])
    assert looked_at > 3 and mean > 0 and last > 0
