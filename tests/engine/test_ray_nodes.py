"""Studies over real nodes of a Ray, which are killed; and the command line with a Ray of its own."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from segsearch.study.store import StudyFolder
from segsearch.study_files import CHECKPOINT
from tests.engine.nodes import Nodes
from tests.engine.studies import quick, study

pytestmark = pytest.mark.nightly


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Nodes]:
    found = Nodes(tmp_path)
    yield found
    found.close()


def wait_for(process: subprocess.Popen[str], pattern: str) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if re.match(pattern, line):
            return line
    raise AssertionError(f"{pattern!r} was never said: {process.communicate()[1][-2000:]}")


def config(trials: int) -> str:
    return study(sampler="random", trials=trials).model_dump_json()


def test_a_lost_node_costs_what_came_after_its_last_checkpoint(nodes: Nodes, tmp_path: Path) -> None:
    nodes.join("one")
    nodes.join("two")
    driver = nodes.driver(config(3), tmp_path / "s")
    wait_for(driver, "note Ray has 3 nodes, 2 trainings at once")
    wait_for(driver, "stage 2 train (2.|3.|4.)")
    nodes.kill("two")
    out, err = driver.communicate(timeout=120)
    assert driver.returncode == 0, err
    assert re.search(r"note trial [123]: its machine was lost; it goes on from its last state", out), out
    records = StudyFolder(tmp_path / "s").records()
    assert len(records) == 3 and all(record.trained for record in records)
    begun = [int(found[1]) for r in records if (found := re.search(r"from step (\d+)", str(r.notes)))]
    assert len(begun) == 3 and max(begun) > 0, records
    assert {note for record in records for note in record.notes if note.startswith("measured")} == {
        "measured by the driver"
    }


def test_a_lost_head_ends_the_study_with_one_line_and_it_goes_on(nodes: Nodes, tmp_path: Path) -> None:
    nodes.join("one")
    driver = nodes.driver(config(2), tmp_path / "s")
    wait_for(driver, "stage 1 train 2.")
    nodes.kill("head")
    began = time.monotonic()
    _, err = driver.communicate(timeout=180)
    assert driver.returncode == 1 and f"Ray's head at {nodes.address} is lost: start it" in err, err
    assert "Traceback" not in err, err
    assert int((tmp_path / "s/trials/0001" / CHECKPOINT).read_text()) >= 10
    print(f"ended {time.monotonic() - began:.0f} s after the head")


def test_latency_is_measured_by_the_target_alone(nodes: Nodes, tmp_path: Path) -> None:
    nodes.join("worker")
    nodes.join("board", "--num-cpus=0", '--resources={"target": 1}')
    driver = nodes.driver(config(3), tmp_path / "s")
    _, err = driver.communicate(timeout=120)
    assert driver.returncode == 0, err
    notes = [record.notes for record in StudyFolder(tmp_path / "s").records()]
    assert notes == [("measured by board", "trained by worker from step 0")] * 3


def test_a_node_that_joins_late_is_used(nodes: Nodes, tmp_path: Path) -> None:
    nodes.join("one")
    driver = nodes.driver(config(9), tmp_path / "s")
    wait_for(driver, "stage 1 train")
    nodes.join("two")
    out, err = driver.communicate(timeout=120)
    assert driver.returncode == 0, err
    assert {"one", "two"} == set(re.findall(r"trained by (\w+)", out))


def test_ctrl_c_reaches_the_whole_group_and_leaves_a_usable_state(tmp_path: Path) -> None:
    """As a terminal sends it: to the driver and to all of Ray's processes at once."""
    file = tmp_path / "tiny.yaml"
    long = quick(trials=2, sampler="random", recipe={"iterations": 4000, "batch_size": 2})
    file.write_text(json.dumps(long.model_dump(mode="json", exclude_unset=True)))
    command = [
        sys.executable,
        "-m",
        "segsearch",
        "search",
        str(file),
        "--out",
        str(tmp_path / "s"),
        "--executor",
        "ray",
    ]
    driver = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    checkpoint = tmp_path / "s/trials/0001" / CHECKPOINT
    for _ in range(600):
        if (tmp_path / "s/trials/0002/latency.json").exists():
            break
        time.sleep(0.1)
    time.sleep(15)
    below = psutil.Process(driver.pid).children(recursive=True)
    os.killpg(driver.pid, signal.SIGINT)
    _, err = driver.communicate(timeout=120)
    assert driver.returncode == 130, err
    assert "interrupted; the same command goes on from here" in err and "Traceback" not in err, err
    assert checkpoint.exists(), err
    _, alive = psutil.wait_procs(below, timeout=20)
    assert not alive
