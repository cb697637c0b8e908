"""Any mixture of parts is a valid network: 300 random points of the unified space, not only the named ones."""

import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from segsearch.export.deploy import fold
from segsearch.models.build import build
from segsearch.models.network import Network
from segsearch.models.ops import Features
from segsearch.space.load import load_space
from segsearch.space.lower import lower
from segsearch.space.walk import sample
from segsearch.spec.channels import encoder_levels, pyramid_levels
from segsearch.spec.network import scaled_size

UNIFIED = load_space("unified")
SIZES = ((96, 192), (97, 203))
CLASSES = 5


def lively(network: Network) -> Network:
    """Statistics and gains as after some training: fresh BatchNorm is nearly an identity, which hides mistakes in folding."""
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor, low, high in (
                (module.weight, 0.7, 1.3), (module.bias, -0.2, 0.2), (module.running_mean, -0.2, 0.2), (module.running_var, 0.6, 1.6)
            ):  # fmt: skip
                tensor.data.uniform_(low, high, generator=generator)
    return network.eval()


def watch(network: Network) -> dict[str, Features]:
    seen: dict[str, Features] = {}
    for name in ("encoder", "levels"):
        getattr(network, name).register_forward_hook(lambda m, args, out, name=name: seen.__setitem__(name, out))
    network.head.register_forward_pre_hook(lambda m, args: seen.__setitem__("neck", args[0]))
    return seen


def declared(features: Features) -> dict[int, int]:
    return {stride: f.shape[1] for stride, f in features.items()}


def assert_kept(network: Network, seen: dict[str, Features], size: tuple[int, int]) -> None:
    """Channels are as declared, and a map of stride s has ceil(side / s) pixels (one more where the stem's pool rounds up)."""
    spec = network.spec
    assert declared(seen["encoder"]) == network.encoder.channels == encoder_levels(spec.encoder)
    assert declared(seen["levels"]) == network.levels.channels == pyramid_levels(spec.encoder, spec.pyramid)
    assert declared(seen["neck"]) == {s: network.neck.channels[s] for s in network.neck.read}
    for features in seen.values():
        for stride, f in features.items():
            for side, pixels in zip(f.shape[-2:], scaled_size(spec, size), strict=True):
                assert 0 <= side - -(-pixels // stride) <= (spec.encoder.stem.pool == "ceil")


def close(a: Tensor, b: Tensor) -> None:
    torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4 * float(b.abs().max()))


@pytest.mark.parametrize("shard", range(6))
@torch.no_grad()
def test_random_points(shard: int) -> None:
    @settings(max_examples=50, database=None)
    @given(st.integers(0, 2**20))
    def holds(seed: int) -> None:
        spec = lower(sample(UNIFIED, random.Random(seed * 6 + shard)))
        network = lively(build(spec, CLASSES))
        seen = watch(network)
        for size in SIZES:
            image = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(seed))
            logits = network(image)
            assert logits.shape == (1, CLASSES, *size)
            assert logits.isfinite().all()
            assert_kept(network, seen, size)
        folded = fold(network)
        assert not [m for m in folded.modules() if isinstance(m, nn.BatchNorm2d)]
        close(folded(image), logits)
        exported = torch.export.export(folded, (image,), strict=False)
        close(exported.module()(image), logits)

    holds()


@pytest.mark.parametrize("seed", range(12))
def test_every_weight_of_a_random_point_learns(seed: int) -> None:
    """A parameter without a gradient would be dead weight in every count."""
    network = build(lower(sample(UNIFIED, random.Random(seed))), CLASSES, "both")
    outputs = network.supervise(torch.randn(2, 3, 64, 96))
    sum((o.square().mean() for o in outputs), torch.zeros(())).backward()
    dead = [name for name, p in network.named_parameters() if p.grad is None]
    assert not dead
