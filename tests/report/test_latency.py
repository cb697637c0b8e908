import pytest

from segsearch.measure.host import HostLatency
from segsearch.measure.load import Contention, GpuLog, GpuState
from segsearch.measure.record import unsteady_words
from segsearch.measure.throughput import Throughput
from segsearch.report.latency import latency_json, sentence, side_by_side, throughput_line, warnings
from tests.engine.builders import latency

QUIET = latency(10.0, "net").model_copy(update={"spec_id": "abc", "reference_ms": 2.0, "steady": True})
BUSY = Contention(
    load_average=9.0,
    others_percent_before=0.0,
    others_percent_during=61.0,
    names=("python (pid 3) 40 %", "cc (pid 9) 21 %"),
)
RESTLESS = {"contention": BUSY, "steady": False, "unsteady": BUSY.words}


def test_a_quiet_record_has_no_warning():
    text = sentence(QUIET, "abc")
    assert "10.00 ms median (100.0 FPS), p10 9.00, p90 12.00, p99 10.00, 1 samples" in text
    assert "on abacus, 1 thread" in text and "5 times the reference network (2.000 ms)" in text
    assert "warning" not in text


def test_how_far_processes_lie_apart_is_told():
    several = QUIET.model_copy(update={"process_medians_ms": (10.0, 9.5, 10.25)})
    assert "10.00 ms median (100.0 FPS) of 3 processes, 9.50 to 10.25, p10 9.00" in sentence(several, "abc")
    assert "of 3 processes, 9.50 to 10.25" in side_by_side([QUIET, several])
    assert "process" not in sentence(QUIET.model_copy(update={"process_medians_ms": (10.0,)}), "abc")


def test_all_doubts_are_told():
    gpu = GpuLog(before=GpuState(), after=GpuState(slowed_by=("power cap", "idle")))
    changes = {"steady": False, "unsteady": unsteady_words(0.123, 0.03, BUSY), "warmup_settled": False, "gpu": gpu}
    assert warnings(QUIET.model_copy(update=changes)) == [
        "warning: not steady: the reference network moved 12 %; other programs used 61 % of the processor:"
        " python (pid 3) 40 %, cc (pid 9) 21 %; measure again on a quiet machine",
        "warning: the latency had not settled when warm-up ended",
        "warning: the GPU was slowed down: power cap",
    ]


def test_the_second_number_stands_apart():
    host = HostLatency(median_ms=14.0, p10_ms=13.0, p90_ms=15.0, decode_ms=3.0, samples=50)
    record = QUIET.model_copy(update={"host": host, "memory_mib": 12.4})
    assert "host to host 14.00 ms (JPEG, quality 90, decoded in 3.00 ms; two copies)" in sentence(record, "abc")
    assert "peak memory 12 MiB beside the weights" in sentence(record, "abc")


def test_backends_stand_side_by_side_with_their_ratio():
    other = QUIET.model_copy(update={"backend": "onnxruntime", "median_ms": 4.0, **RESTLESS})
    head, first, second, warning = side_by_side([QUIET, other]).splitlines()
    assert head == "net (id abc) at 32x48, batch 1, on abacus, 1 thread"
    assert first.split()[:3] == ["eager", "10.00", "ms"] and "1.00 x" in first
    assert second.split()[:3] == ["onnxruntime", "4.00", "ms"] and "0.40 x" in second
    assert warning.startswith("onnxruntime: warning: not steady: other programs used 61 %")


@pytest.mark.parametrize(("graph_ms", "said"), [(5.0, True), (9.0, False)])
def test_a_network_that_waits_for_its_launches_is_said_to(graph_ms, said):
    graph = QUIET.model_copy(update={"backend": "cudagraph", "median_ms": graph_ms})
    lines = side_by_side([QUIET, graph]).splitlines()
    assert any("launch-bound: eager takes 2.00 times as long as one CUDA graph" in line for line in lines) == said
    for other in ({"backend": "compile"}, {"precision": "float16"}):
        assert "launch-bound" not in side_by_side([QUIET, graph.model_copy(update=other)])


def test_throughput_is_no_fps():
    found = Throughput(images_per_second=250.0, batch=8, by_batch={"1": 100.0, "8": 250.0})
    assert throughput_line(QUIET, found) == "eager: 250.0 images/s at the best batch, 8"
    written = latency_json(QUIET, found)
    assert (written["fps"], written["throughput"]["images_per_second"]) == (100.0, 250.0)
    assert "throughput" not in latency_json(QUIET, None)
