import datetime
import itertools
import json
import os
import platform
import subprocess
import sys
import threading
import time

import pytest
import torch
from torch import nn

from segsearch.count.cost import count
from segsearch.errors import DeviceError, InputError, ProofError
from segsearch.measure import latency
from segsearch.measure.backends.table import BACKENDS
from segsearch.measure.conditions import Conditions
from segsearch.measure.device_lock import working
from segsearch.measure.latency import example_image, measure
from segsearch.measure.load import MOST_NAMED
from segsearch.measure.record import LatencyRecord
from segsearch.measure.reference import CALLS
from segsearch.measure.roofline import Peak
from segsearch.measure.timer import TimerSettings, sample_beside

from .networks import SIZE, Mini, state

QUICK = TimerSettings(
    min_samples=5, min_seconds=0.0, warmup_block_seconds=0.0, max_warmup_seconds=0.2, blocks=2, retakes=1
)
TAKEN = 6
"""Samples of `QUICK`: three in each of two blocks."""
IMAGE = torch.rand(1, 3, *SIZE)


@pytest.fixture(scope="module")
def mini() -> LatencyRecord:
    return measure(Mini().eval(), IMAGE, Conditions(timer=QUICK))


class Work(nn.Module):
    """Multiplies a matrix by itself so many times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times
        self.register_buffer("matrix", torch.eye(96))

    def forward(self, image):
        for _ in range(self.times):
            image = image @ self.matrix
        return image


@pytest.mark.parametrize("backend", ["eager", "onnxruntime"])
def test_twenty_times_the_work_is_measured_as_much_more(backend):
    """Twenty times the work must show as five times the latency or more, on whatever machine."""
    image = torch.rand(1, 3, 96, 96)
    small, large = (
        measure(
            Work(times).eval(), image, Conditions(backend=backend, timer=QUICK.model_copy(update={"min_samples": 15}))
        )
        for times in (5, 100)
    )
    assert large.p10_ms > 5 * small.p10_ms


@pytest.mark.parametrize("backend", ["eager", "onnxruntime"])
def test_a_record_says_all_that_was_measured(backend):
    before = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    record = measure(
        Mini().eval(), torch.rand(2, 3, *SIZE), Conditions(backend=backend, threads=1, timer=QUICK), label="mini"
    )
    assert (record.label, record.size_hw, record.batch) == ("mini", SIZE, 2)
    assert (record.precision, record.layout) == ("float32", "contiguous")
    assert (record.backend, record.backend_version) == (backend, BACKENDS[backend]().version())
    assert (record.device_kind, record.threads, record.timer) == ("cpu", 1, QUICK)
    assert record.software.python == platform.python_version()
    assert record.p10_ms <= record.median_ms <= record.p90_ms <= record.p99_ms <= max(record.samples_ms)
    assert len(record.samples_ms) == TAKEN
    assert record.warmup_calls >= 1
    assert record.iqr_ms >= 0
    assert datetime.datetime.fromisoformat(record.started_at) >= before


def test_a_record_says_how_it_was_measured():
    record = measure(Mini().eval(), torch.rand(2, 3, *SIZE), Conditions(timer=QUICK), label="mini", spec_id="abc")
    assert (record.spec_id, record.macs) == ("abc", count(Mini(), SIZE, batch=2).macs)
    assert record.floor_ms is not None and 0 < record.floor_ms < record.median_ms
    assert record.reference_ms is not None and record.reference_ratio == record.median_ms / record.reference_ms
    assert len(record.reference_samples_ms) == CALLS * (1 + QUICK.blocks + record.retakes) or record.retakes
    quiet = record.reference_drift <= QUICK.reference_tolerance and not record.contention.busy
    assert (record.steady, record.unsteady is None) == (quiet, quiet)
    assert record.gpu is None and record.contention.gpu_others is None and record.host is None


def test_a_record_of_before_the_reference_is_read(mini):
    record = mini
    young = {"spec_id", "facts", "reference_ms", "reference_drift", "steady", "retakes", "macs", "floor_ms"}
    young |= {"memory_mib", "host", "gpu", "processors", "params", "reference_samples_ms", "process_medians_ms"}
    young.add("unsteady")
    old = {name: value for name, value in record.model_dump(mode="json").items() if name not in young}
    for name in ("blocks", "reference_tolerance", "retakes"):
        del old["timer"][name]
    for name in ("gpu_others", "names"):
        del old["contention"][name]
    for others, steady in ((0.0, True), (60.0, False)):
        old["contention"] |= {"others_percent_before": 0.0, "others_percent_during": others}
        read = LatencyRecord.parse(old, "record")
        assert (read.median_ms, read.reference_ratio, read.steady) == (record.median_ms, None, steady)


@pytest.mark.parametrize(
    ("told", "others", "why"),
    [
        (True, 2.0, None),
        (None, 2.0, None),
        (False, 2.0, "the reference network moved 5 %"),
        (True, 40.0, "other programs used 40 % of the processor"),
        (False, 40.0, "the reference network moved 5 %; other programs used 40 % of the processor"),
    ],
)
def test_a_record_of_the_version_before_is_read_as_what_it_tells(told, others, why, mini):
    """It told of the reference alone whether it was steady, and had figures on scaling."""
    old = mini.model_dump(mode="json")
    for name in ("unsteady", "reference_samples_ms", "process_medians_ms", "params"):
        del old[name]
    del old["contention"]["names"]
    old["contention"] |= {"others_percent_before": 0.0, "others_percent_during": others}
    old |= {"steady": told, "reference_drift": 0.05, "slower": 0.02, "quiet_share": 0.5}
    old["timer"] |= {"spare_seconds": 8.0, "most_seconds": 40.0, "least_quiet": 0.2, "most_slower": 0.1}
    read = LatencyRecord.parse(old, "record")
    assert (read.steady, read.unsteady) == (why is None, why)
    assert LatencyRecord.parse(read.model_dump(mode="json"), "record") == read
    with pytest.raises(InputError, match=r"record\.contention\.others_percent_during"):
        LatencyRecord.parse(old | {"contention": old["contention"] | {"others_percent_during": "x"}}, "record")


def test_a_machine_that_moved_is_measured_and_marked(monkeypatch):
    """The reference is said to be slower every time; nothing else is played."""
    moving = itertools.count(1)
    monkeypatch.setattr(latency, "reference_block", lambda device, stopwatch: lambda: [float(next(moving))] * 5)
    record = measure(Mini().eval(), IMAGE, Conditions(timer=QUICK))
    assert not record.steady and len(record.samples_ms) == TAKEN and record.retakes == QUICK.retakes
    assert record.reference_drift > 0.03 and "the reference network moved" in record.unsteady


def test_an_asked_precision_is_recorded_and_an_unknown_one_refused():
    assert measure(Mini().eval(), IMAGE, Conditions(precision="float32", timer=QUICK)).precision == "float32"
    with pytest.raises(InputError, match=r"precision: eager does not run in 'float12' \(allowed: float32"):
        measure(Mini().eval(), IMAGE, Conditions(precision="float12", timer=QUICK))


def test_nothing_of_ours_trains_meanwhile(monkeypatch):
    """A thread that works in short steps makes none between the first and the last sample."""
    stop, steps, seen = threading.Event(), list[int](), list[int]()

    def counted(*arguments, **keywords):
        before = len(steps)
        samples = sample_beside(*arguments, **keywords)
        seen.append(len(steps) - before)
        return samples

    monkeypatch.setattr(latency, "sample_beside", counted)

    def train():
        while not stop.is_set():
            with working(torch.device("cpu")):
                steps.append(1)
                time.sleep(0.002)

    thread = threading.Thread(target=train)
    thread.start()
    try:
        measure(Mini().eval(), IMAGE, Conditions(timer=QUICK))
        before = len(steps)
        while len(steps) == before:
            time.sleep(0.01)
    finally:
        stop.set()
        thread.join()
    assert seen == [0]


def test_a_latency_that_cannot_be_is_an_error(monkeypatch):
    monkeypatch.setattr(latency, "measured_peak", lambda *rest: Peak(macs_per_second=1.0, bytes_per_second=1.0))
    with pytest.raises(ProofError, match="which this device cannot do in less than"):
        measure(Mini().eval(), IMAGE, Conditions(timer=QUICK))


def test_injected_load_is_noticed():
    busy = [sys.executable, "-S", "-c", "while True: pass"]
    others = [subprocess.Popen(busy) for _ in range(os.cpu_count() or 1)]
    try:
        record = measure(Mini().eval(), IMAGE, Conditions(timer=QUICK.model_copy(update={"min_seconds": 0.5})))
    finally:
        for other in others:
            other.kill()
            other.wait()
    assert record.contention.busy and not record.steady
    assert record.contention.words in record.unsteady
    pids = [f"(pid {other.pid})" in record.unsteady for other in others]
    assert any(pids) or len(record.contention.names) == MOST_NAMED  # of a test machine where others are busier still


def test_a_record_survives_json():
    record = measure(Mini().eval(), IMAGE, Conditions(timer=QUICK))
    assert LatencyRecord.parse(json.loads(record.model_dump_json()), "record") == record
    assert LatencyRecord.parse(json.loads(record.canonical()), "record") == record


def test_fps_counts_images_at_the_median():
    record = measure(Mini().eval(), torch.rand(4, 3, *SIZE), Conditions(timer=QUICK)).model_copy(
        update={"median_ms": 8.0}
    )
    assert record.fps == 500.0


def test_precision_and_layout_are_those_of_the_network():
    network = Mini().eval().to(torch.bfloat16).to(memory_format=torch.channels_last)
    record = measure(network, IMAGE.to(torch.bfloat16), Conditions(timer=QUICK))
    assert (record.precision, record.layout) == ("bfloat16", "channels_last")
    weightless = measure(nn.Identity().eval(), torch.zeros(1, 3, 4, 4, dtype=torch.uint8), Conditions(timer=QUICK))
    assert (weightless.precision, weightless.layout) == ("uint8", "contiguous")


def test_the_network_is_left_as_it_was():
    network = Mini().eval()
    before = state(network)
    measure(network, IMAGE, Conditions(timer=QUICK))
    assert state(network) == before


def test_inference_mode_is_on_inside_and_off_after():
    seen = []

    class Look(nn.Module):
        def forward(self, image):
            seen.append((torch.is_inference_mode_enabled(), torch.get_num_threads()))
            return image

    threads = torch.get_num_threads()
    measure(Look().eval(), IMAGE, Conditions(threads=threads + 1, timer=QUICK))
    assert set(seen) == {(True, threads + 1)}
    assert not torch.is_inference_mode_enabled()
    assert torch.get_num_threads() == threads


def test_threads_are_put_back_after_a_failure():
    class Broken(nn.Module):
        def forward(self, image):
            raise RuntimeError("broken")

    threads = torch.get_num_threads()
    with pytest.raises(RuntimeError, match="broken"):
        measure(Broken().eval(), IMAGE, Conditions(threads=threads + 1, timer=QUICK))
    assert torch.get_num_threads() == threads


def test_train_mode_anywhere_is_refused_by_name():
    network = Mini().eval()
    network.encoder[2].norm.train()
    with pytest.raises(InputError) as error:
        measure(network, IMAGE, Conditions(timer=QUICK))
    assert str(error.value) == "network: is in train mode at encoder.2.norm (allowed: eval mode everywhere)"
    with pytest.raises(InputError, match="train mode at Mini"):
        measure(Mini(), IMAGE, Conditions(timer=QUICK))


@pytest.mark.parametrize(
    ("asked", "example", "line"),
    [
        ({"device": "tpu"}, IMAGE, "device: 'tpu' is not known (allowed: cpu, cuda, cuda:N)"),
        ({"backend": "tvm"}, IMAGE, f"backend: 'tvm' is not known (allowed: {', '.join(BACKENDS)})"),
        ({"threads": 0}, IMAGE, "threads: 0 is too few (allowed: 1 to 512)"),
        ({"threads": 100_000}, IMAGE, "threads: 100000 is too many (allowed: 1 to 512)"),
        (
            {},
            torch.zeros(3, 4, 4),
            "example: shape (3, 4, 4) is not a batch of images (allowed: (B, C, H, W))",
        ),
        (
            {},
            torch.zeros(0, 3, 4, 4),
            "example: shape (0, 3, 4, 4) is not a batch of images (allowed: (B, C, H, W))",
        ),
    ],
)
def test_what_cannot_be_measured_is_one_line(asked, example, line):
    with pytest.raises(InputError) as error:
        measure(Mini().eval(), example, Conditions(timer=QUICK, **asked))
    assert str(error.value) == line


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what a machine without CUDA says")
def test_cuda_is_refused_where_there_is_none():
    with pytest.raises(DeviceError) as error:
        measure(Mini().eval(), IMAGE, Conditions(device="cuda", timer=QUICK))
    assert str(error.value) == "device: cuda is not here (available: cpu)"


def test_a_full_device_is_one_line():
    class Full(nn.Module):
        def forward(self, image):
            raise torch.OutOfMemoryError("tried to allocate\nmore than there is")

    with pytest.raises(DeviceError, match=r"too little memory for this network and size$"):
        measure(Full().eval(), IMAGE, Conditions(timer=QUICK))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
class TestCuda:
    def test_a_network_on_the_cpu_is_measured_on_a_copy(self):
        network = Mini().eval()
        record = measure(network, IMAGE, Conditions(device="cuda", timer=QUICK))
        assert record.device_kind == "cuda"
        assert record.software.cuda
        assert record.device == torch.cuda.get_device_name()
        assert {p.device.type for p in network.parameters()} == {"cpu"}

    def test_twenty_times_the_work_is_measured_as_much_more(self):
        image = torch.rand(128, 128, 96, 96)
        small, large = (measure(Work(n).eval(), image, Conditions(device="cuda", timer=QUICK)) for n in (5, 100))
        assert large.p10_ms > 5 * small.p10_ms

    def test_openvino_is_refused(self):
        with pytest.raises(DeviceError, match=r"openvino does not run on cuda \(available: cpu\)"):
            measure(Mini().eval(), IMAGE, Conditions(device="cuda", backend="openvino", timer=QUICK))


@pytest.mark.nightly
@pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2,
    reason="one processor, or no affinity here",
)
def test_no_thread_strays_from_the_processors_of_the_reference():
    """OpenVINO lets a thread go where the process could go when it was started: here in a process of its own."""
    code = """if True:
        import contextlib, os
        import torch
        from segsearch.measure import latency
        from segsearch.measure.conditions import Conditions
        from segsearch.measure.latency import measure
        from segsearch.measure.timer import TimerSettings

        masks, real, free = [], latency.reference_block, os.sched_getaffinity(0)

        def watched(device, stopwatch):
            block = real(device, stopwatch)

            def look():
                for thread in os.listdir("/proc/self/task"):
                    with contextlib.suppress(ProcessLookupError):  # it has ended
                        masks.append(frozenset(os.sched_getaffinity(int(thread))))
                return block()

            return look

        latency.reference_block = watched
        quick = TimerSettings(min_samples=2, min_seconds=0.0, max_warmup_seconds=0.1, blocks=1, retakes=0)
        network, image = torch.nn.Conv2d(3, 2, 3).eval(), torch.rand(1, 3, 32, 64)
        for backend in ("eager", "onnxruntime", "openvino"):
            masks.clear()
            record = measure(network, image, Conditions(backend=backend, threads=1, timer=quick))
            assert len(record.processors) == 1 and set(masks) == {frozenset(record.processors)}, (backend, set(masks))
            assert os.sched_getaffinity(0) == free
        assert measure(network, image, Conditions(threads=len(free), timer=quick)).processors is None
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_image_is_always_the_same_noise() -> None:
    image = example_image((7, 9))
    assert image.shape == (1, 3, 7, 9) and image.dtype == torch.uint8
    assert torch.equal(image, example_image((7, 9))) and image.unique().numel() > 100
    before = torch.random.get_rng_state()
    example_image((7, 9))
    assert torch.equal(torch.random.get_rng_state(), before)
