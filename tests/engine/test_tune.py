"""The bridge to Ray Tune: what its parts say, and a real run that is killed and goes on."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from segsearch.engine.executors.base import Task
from segsearch.ray_tune import OUTCOME, ParetoStopper, StudySearcher
from segsearch.result import Rung
from segsearch.space.lower import lower
from segsearch.study.config import StudyConfig
from segsearch.study.record import Proposal
from tests.engine.builders import some_point
from tests.engine.studies import TIMER, made_up, quick


def config(**changes: Any) -> StudyConfig:
    return quick(sampler="random", timer={**TIMER, "blocks": 1, "retakes": 0}, **changes)


def outcome(suggested: dict[str, Any], state: str = "complete") -> dict[str, Any]:
    proposal = Proposal.model_validate_json(suggested["proposal"])
    spec = lower(proposal.point)
    task = Task(proposal=proposal, spec=spec, folder=Path(), seed=0, started_at="now")
    changes: dict[str, Any] = {"state": state} | ({} if state == "complete" else {"reason": "so", "scores": None})
    if state == "paused":
        changes["rungs"] = (Rung(steps=2, epochs=1, miou=0.25),)
    return {OUTCOME: made_up(task).model_copy(update=changes).model_dump_json()}


def test_every_trial_is_told_as_what_it_was_and_once() -> None:
    searcher = StudySearcher(config(trials=2))
    suggested = {}
    for trial_id, state in (("a", "complete"), ("b", "paused"), ("c", "rejected"), ("d", "failed"), ("e", None)):
        suggested[trial_id] = searcher.suggest(trial_id)
        said = outcome(suggested[trial_id], state) if state else None
        searcher.on_trial_complete(trial_id, said, error=state is None)
    found = {trial_id: record.state for trial_id, record in searcher.records.items()}
    assert found == {"a": "complete", "b": "stopped", "c": "rejected", "d": "failed", "e": "failed"}
    assert searcher.records["b"].scores is None and searcher.records["b"].rungs[0].miou == 0.25
    before = dict(searcher.records)
    searcher.on_trial_complete("a", error=True)
    searcher.on_trial_complete("of an earlier run", error=True)
    assert searcher.records == before
    assert len({s["proposal"] for s in suggested.values()}) == 5


def test_no_more_is_suggested_than_is_wanted() -> None:
    searcher = StudySearcher(config(trials=2))
    first, second = searcher.suggest("a"), searcher.suggest("b")
    assert isinstance(first, dict) and isinstance(second, dict) and searcher.suggest("c") is None
    searcher.on_trial_complete("a", outcome(first))
    searcher.on_trial_complete("b", outcome(second))
    assert searcher.suggest("c") == StudySearcher.FINISHED


def test_a_restored_searcher_goes_on_as_the_saved_one_would(tmp_path: Path) -> None:
    one, other = StudySearcher(config(trials=5)), StudySearcher(config(trials=5))
    first = one.suggest("a")
    one.suggest("b")
    one.on_trial_complete("a", outcome(first))
    one.save(str(tmp_path / "state"))
    other.restore(str(tmp_path / "state"))
    assert other.records == one.records and other.suggest("c") == one.suggest("c")


def stopper_says(stopper: ParetoStopper, number: int, miou: float, latency_ms: float, origin: str = "random") -> str:
    point = some_point(number)
    proposal = Proposal(number=number, origin=origin, name="x", point=point, spec_id=lower(point).id)
    trial = SimpleNamespace(config={"proposal": proposal.model_dump_json()})
    return stopper.on_trial_result(None, trial, {"state": "paused", "rung": 1, "miou": miou, "latency_ms": latency_ms})


def test_what_others_beat_in_both_is_stopped_at_its_rung() -> None:
    stopper = ParetoStopper(share=0.5)
    assert stopper_says(stopper, 1, 0.50, 5.0) == "CONTINUE"
    assert stopper_says(stopper, 2, 0.40, 6.0) == "STOP"
    assert stopper_says(stopper, 3, 0.30, 1.0) == "CONTINUE"
    assert stopper_says(stopper, 4, 0.10, 9.0, origin="named:fpenet") == "CONTINUE"
    assert stopper.on_trial_result(None, SimpleNamespace(), {"state": "complete"}) == "CONTINUE"


RUN = """
import sys
from pathlib import Path
from segsearch.study.config import StudyConfig
from segsearch.ray_tune import resumed, tuner
config, storage = StudyConfig.model_validate_json(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
again = (storage / config.name).exists()
results = (resumed(config, storage / config.name) if again else tuner(config, storage, share=1.0)).fit()
assert not results.errors, results.errors
for result in results:
    print("ended", result.metrics["state"], result.metrics.get("miou"), result.metrics["training_iteration"])
"""


@pytest.mark.nightly
def test_a_run_that_was_killed_goes_on_to_its_end(tmp_path: Path) -> None:
    file, storage = tmp_path / "config.json", tmp_path / "tune"
    one = config(trials=3, recipe={"epochs": 30, "batch_size": 2}, rungs=[5, 10])
    file.write_text(one.model_dump_json())
    command = [sys.executable, "-c", RUN, str(file), str(storage)]
    environment = os.environ | {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "PYTHONPATH": os.getcwd()}
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    for _ in range(1200):
        if list(storage.glob("*/*/checkpoint_*")) or process.poll() is not None:
            break
        time.sleep(0.1)
    time.sleep(1)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    time.sleep(8)  # Ray's own processes notice
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr[-3000:]
    ended = [line.split() for line in done.stdout.splitlines() if line.startswith("ended")]
    assert len(ended) == 3 and all(words[1] == "complete" for words in ended), done.stdout
    assert all(float(words[2]) >= 0 and words[3] == "3" for words in ended)
