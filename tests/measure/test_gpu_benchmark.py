"""The GPU's benchmark, rehearsed on the processor."""

import io
import json
import runpy
import sys
from contextlib import redirect_stdout
from pathlib import Path
from unittest.mock import patch

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu.py"


def rehearse(out: Path, *options: str) -> str:
    """Run it as a script, in this process."""
    asked = ["--device", "cpu", "--size", "64x128", "--points", "sgcpnet1", "--out", str(out), *options]
    said = io.StringIO()
    code: object = 0
    with patch.object(sys, "argv", [str(SCRIPT), *asked]), patch.object(sys, "path", list(sys.path)):
        try:
            with redirect_stdout(said):
                runpy.run_path(str(SCRIPT), run_name="__main__")
        except SystemExit as ended:
            code = ended.code
    assert not code, said.getvalue()
    return said.getvalue()


@pytest.mark.nightly
def test_latency_is_measured_once_written_at_once_and_taken_up_again(tmp_path):
    """One finding within the limit, whatever the machine: the limit is looked at between two."""
    rehearse(tmp_path, "--parts", "1", "--limit", "0.1", "--commit", "abc", "--learning-steps", "1")
    assert not (tmp_path / "gpu_latency.jsonl").exists(), "out of time before the first"
    rehearse(tmp_path, "--parts", "1", "--commit", "abc", "--learning-steps", "1", "--backends", "eager")
    path = tmp_path / "gpu_latency.jsonl"
    found = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["item"] for line in found] == [["sgcpnet1", "eager", "float32"], ["sgcpnet1", "eager", "float16"]]
    for line in found:
        assert "error" not in line
        assert line["median_ms"] > 0 and len(line["samples_ms"]) >= 5
        assert (line["commit"], line["device_kind"], line["size_hw"]) == ("abc", "cpu", [64, 128])
        assert line["finite_logits"] and len(line["mask_agreement"]) == 2
    assert min(found[0]["mask_agreement"]) > 0.999
    with path.open("a") as file:
        file.write('{"item": ["sgcp')  # the machine went away here
    plan = rehearse(tmp_path, "--dry-run", "--backends", "eager")
    assert "part 1, latency of the named points: 0 missing" in plan
    assert "part 2, FPENet on CamVid: 3 missing; skipped: --camvid names no folder" in plan


def test_throughput_is_measured(tmp_path):
    rehearse(tmp_path, "--parts", "4")
    (found,) = map(json.loads, (tmp_path / "gpu_throughput.jsonl").read_text().splitlines())
    assert found["item"] == ["sgcpnet1", "bf16"] and found["crop"] == [32, 64]
    assert found["images_per_second"] > 0, found
