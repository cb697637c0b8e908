import pytest
from search.builders import latency

from segsearch.measure.host import HostLatency
from segsearch.measure.load import Contention
from segsearch.measure.nvml import GpuLog, GpuState
from segsearch.measure.throughput import Throughput
from segsearch.report.latency import latency_json, sentence, side_by_side, throughput_line, warnings

QUIET = latency(10.0, "net").model_copy(update={"spec_id": "abc", "reference_ms": 2.0, "steady": True})
BUSY = Contention(load_average=9.0, others_percent_before=0.0, others_percent_during=61.0)


def test_a_quiet_record_has_no_warning():
    text = sentence(QUIET, "abc")
    assert "10.00 ms median (100.0 FPS), p10 9.00, p90 12.00, p99 10.00, 1 samples" in text
    assert "on abacus, 1 thread" in text and "5 times the reference network (2.000 ms)" in text
    assert "warning" not in text


@pytest.mark.parametrize(("slower", "said"), [(0.04, "4 % longer than"), (-0.02, "2 % less than"), (0.001, None)])
def test_what_the_clock_told_is_told_too(slower, said):
    text = sentence(QUIET.model_copy(update={"slower": slower}), "abc")
    assert ("as timed" in text) == (said is not None)
    if said:
        line = (
            f"as timed {10 * (1 + slower):.2f} ms; scaled, as the reference network took {said} on this machine at rest"
        )
        assert line in text


def test_all_doubts_are_told():
    gpu = GpuLog(before=GpuState(), after=GpuState(slowed_by=("power cap", "idle")))
    changes = {"contention": BUSY, "steady": False, "reference_drift": 0.123, "warmup_settled": False, "gpu": gpu}
    assert warnings(QUIET.model_copy(update=changes)) == [
        "warning: other programs used 61 % of the processor; measure again on a quiet machine",
        "warning: the reference network moved 12 %: the machine was unsteady",
        "warning: the latency had not settled when warm-up ended",
        "warning: the GPU was slowed down: power cap",
    ]


def test_the_second_number_stands_apart():
    host = HostLatency(median_ms=14.0, p10_ms=13.0, p90_ms=15.0, decode_ms=3.0, samples=50)
    record = QUIET.model_copy(update={"host": host, "memory_mib": 12.4})
    assert "host to host 14.00 ms (JPEG, quality 90, decoded in 3.00 ms; two copies)" in sentence(record, "abc")
    assert "peak memory 12 MiB beside the weights" in sentence(record, "abc")


def test_backends_stand_side_by_side_with_their_ratio():
    other = QUIET.model_copy(update={"backend": "onnxruntime", "median_ms": 4.0, "contention": BUSY})
    head, first, second, warning = side_by_side([QUIET, other]).splitlines()
    assert head == "net (id abc) at 32x48, batch 1, on abacus, 1 thread"
    assert first.split()[:3] == ["eager", "10.00", "ms"] and "1.00 x" in first
    assert second.split()[:3] == ["onnxruntime", "4.00", "ms"] and "0.40 x" in second
    assert warning.startswith("onnxruntime: warning: other programs used 61 %")


@pytest.mark.parametrize(("graph_ms", "said"), [(5.0, True), (9.0, False)])
def test_a_network_that_waits_for_its_launches_is_said_to(graph_ms, said):
    graph = QUIET.model_copy(update={"backend": "cudagraph", "median_ms": graph_ms})
    lines = side_by_side([QUIET, graph]).splitlines()
    assert any("launch-bound: eager takes 2.00 times as long as one CUDA graph" in line for line in lines) == said
    assert "launch-bound" not in side_by_side([QUIET, graph.model_copy(update={"backend": "compile"})])


def test_throughput_is_no_fps():
    found = Throughput(images_per_second=250.0, batch=8, by_batch={"1": 100.0, "8": 250.0})
    assert throughput_line(QUIET, found) == "eager: 250.0 images/s at the best batch, 8"
    written = latency_json(QUIET, found)
    assert (written["fps"], written["throughput"]["images_per_second"]) == (100.0, 250.0)
    assert "throughput" not in latency_json(QUIET, None)
