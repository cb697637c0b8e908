import torch
from torch import nn

from segsearch.export import deploy
from segsearch.measure import latency
from segsearch.measure.conditions import Conditions
from segsearch.measure.latency import example_image, measure_deployed
from segsearch.measure.timer import TimerSettings

from .networks import SIZE, Mini

TIMER = TimerSettings(
    min_samples=3, min_seconds=0, warmup_block_seconds=0, warmup_block_calls=1, max_warmup_seconds=0.1
)


def test_the_image_is_always_the_same_noise() -> None:
    image = example_image((7, 9))
    assert image.shape == (1, 3, 7, 9) and image.dtype == torch.uint8
    assert torch.equal(image, example_image((7, 9))) and image.unique().numel() > 100
    before = torch.random.get_rng_state()
    example_image((7, 9))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_deployed_form_is_what_is_timed(monkeypatch) -> None:
    seen: list[nn.Module] = []
    monkeypatch.setattr(latency, "measure", lambda network, *rest, **names: seen.append(network) or (*rest, names))
    network = Mini()
    network.classes = 4
    asked = Conditions(threads=1, timer=TIMER)
    example, under, names = measure_deployed(network, SIZE, asked, mean=(0.5,) * 3, std=(0.2,) * 3, label="a")
    assert isinstance(seen[0], deploy.Deployed) and seen[0].size_hw == SIZE and network.training
    assert not [m for m in seen[0].modules() if isinstance(m, nn.BatchNorm2d)]
    assert torch.equal(example, example_image(SIZE))
    assert under is asked and names["label"] == "a"
