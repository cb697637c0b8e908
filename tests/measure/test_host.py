import io
import itertools
from typing import Any

import torch
from PIL import Image

from segsearch.deployment import deploy
from segsearch.measure.conditions import Conditions
from segsearch.measure.host import decode, example_jpeg, measure_host
from segsearch.measure.latency import measure
from segsearch.measure.timer import TimerSettings

from .networks import SIZE, Mini

TIMER = TimerSettings(min_samples=4, min_seconds=0, warmup_block_seconds=0, max_warmup_seconds=0.2)


def test_the_image_is_a_jpeg_of_its_size_and_always_the_same():
    encoded = example_jpeg((40, 72))
    assert Image.open(io.BytesIO(encoded)).format == "JPEG"
    assert encoded == example_jpeg((40, 72))
    pixels = decode(encoded)
    assert (pixels.shape, pixels.dtype, pixels.is_contiguous()) == ((1, 3, 40, 72), torch.uint8, True)
    assert pixels.unique().numel() > 50


def test_decoding_keeps_channels_apart():
    file = io.BytesIO()
    Image.new("RGB", (5, 4), (10, 20, 30)).save(file, "PNG")
    assert decode(file.getvalue()).amax((0, 2, 3)).tolist() == [10, 20, 30]


def test_a_mask_is_asked_for_images_from_the_host():
    seen = []

    def mask(image):
        seen.append((tuple(image.shape), image.dtype, image.device.type))
        return torch.zeros(1, *image.shape[2:], dtype=torch.uint8)

    latency = measure_host(mask, (32, 48), TIMER)
    assert set(seen) == {((1, 3, 32, 48), torch.uint8, "cpu")}
    assert latency.samples == 4 and 0 < latency.decode_ms
    assert latency.p10_ms <= latency.median_ms <= latency.p90_ms


def test_host_to_host_is_a_second_number_beside_the_first():
    network: Any = Mini()
    network.classes = 4
    deployed = deploy.deploy(network, SIZE, (0.5,) * 3, (0.2,) * 3)
    example = torch.zeros(1, 3, *SIZE, dtype=torch.uint8)
    record = measure(deployed, example, Conditions(timer=TIMER, host=True))
    assert record.host is not None and record.host.median_ms != record.median_ms
    assert measure(deployed, example, Conditions(timer=TIMER)).host is None


def test_progress_passes_through_every_stage():
    told = []
    settings = TIMER.model_copy(update={"retakes": 0})
    measure(
        Mini().eval(),
        torch.rand(1, 3, *SIZE),
        Conditions(timer=settings),
        report=lambda what, done, total: told.append(what),
    )
    assert [what for what, _ in itertools.groupby(told)] == ["prepare", "wait", "first run", "warm up", "sample"]
