import pytest
import torch

from segsearch.errors import ProofError
from segsearch.measure import roofline
from segsearch.measure.roofline import MARGIN, Peak, Workload, measured_peak, refuse_impossible
from segsearch.measure.timer import Stopwatch

CPU = torch.device("cpu")
PEAK = Peak(macs_per_second=1e11, bytes_per_second=1e10)


@pytest.mark.parametrize(
    ("work", "precision", "floor_ms"),
    [
        (Workload(macs=10**9, bytes=0), "float32", 10 / MARGIN),
        (Workload(macs=10**9, bytes=0), "int8", 2.5 / MARGIN),
        (Workload(macs=0, bytes=10**7), "float32", 1 / MARGIN),
        (Workload(macs=10**9, bytes=10**9), "float32", 100 / MARGIN),
    ],
)
def test_the_floor_is_the_larger_of_two_times(work, precision, floor_ms):
    assert PEAK.floor_ms(work, precision) == pytest.approx(floor_ms)


def test_a_latency_that_cannot_be_names_both_figures():
    work = Workload(macs=10**9, bytes=1000)
    assert refuse_impossible(5.1, work, PEAK, "float32") == 5.0
    with pytest.raises(ProofError) as error:
        refuse_impossible(4.9, work, PEAK, "float32")
    assert str(error.value).startswith(
        "measured 4.9 ms for 1,000,000,000 MACs and 1,000 bytes, which this device cannot"
    )
    assert "in less than 5 ms" in str(error.value)


def test_the_peak_of_this_machine_is_measured_once(monkeypatch):
    monkeypatch.setattr(roofline, "_peaks", {})
    first = measured_peak(CPU, 1, Stopwatch())
    assert measured_peak(CPU, 1, Stopwatch()) == first
    assert measured_peak(CPU, 2, Stopwatch()).macs_per_second == 2 * first.macs_per_second
    assert 1e8 < first.macs_per_second < 1e14 and 1e8 < first.bytes_per_second < 1e14


def test_a_format_that_the_device_does_not_know_counts_for_nothing():
    def unknown():
        raise RuntimeError("no bfloat16 here")

    slow = roofline.SLOW_MS * 2

    class Watch(Stopwatch):
        def lap_ms(self, work):
            work()
            return slow

    assert roofline._best(iter([(10, unknown), (40, lambda: None)]), Watch()) == pytest.approx(40 / (slow / 1000))


def test_real_work_stays_above_its_floor():
    """Convolutions of several shapes, the best of many calls: what the peak says cannot be beaten is not."""
    torch.manual_seed(0)
    for channels, side in ((16, 96), (64, 48), (256, 16)):
        conv, image = torch.nn.Conv2d(channels, channels, 3, padding=1), torch.rand(1, channels, side, side)
        with torch.inference_mode():
            best_ms = min(Stopwatch().lap_ms(lambda conv=conv, image=image: conv(image)) for _ in range(30))
        work = Workload(macs=channels**2 * 9 * side**2, bytes=4 * channels * side**2)
        refuse_impossible(best_ms, work, measured_peak(CPU, 1, Stopwatch()), "float32")
