"""Every context, one that will be added tomorrow included, keeps this contract."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from segsearch.models.context import CONTEXTS, Context, NonLocal, build_context
from segsearch.space.contexts import CONTEXT_CHOICES
from segsearch.space.load import load_space
from segsearch.space.nodes import OneOf
from segsearch.spec.context import ContextSpec, NonLocalSpec, context_width

ARMS = dict(load_space("unified").nodes())["context"]
assert isinstance(ARMS, OneOf)


def first_choices(kind: str) -> dict:
    """The first option of every choice inside an arm, and of the arms inside it."""
    choices, left = {}, [("", ARMS.arms[kind])]
    for prefix, group in left:
        for name, node in group.items():
            choices[prefix + name] = node.accepted()[0]
            if isinstance(node, OneOf):
                left += [(f"{prefix}{name}.{arm}.", inside) for arm, inside in node.arms.items()]
    return choices


def spec_of(kind: str, **changes: object) -> ContextSpec:
    return CONTEXT_CHOICES[kind](first_choices(kind) | changes, 8)


SPECS = {kind: spec_of(kind) for kind in CONTEXTS} | {"aspp summed": spec_of("aspp", join="sum")}


def made(name: str, channels: int = 12) -> Context:
    return build_context(SPECS[name], channels, False)


@pytest.mark.parametrize("name", SPECS)
@settings(max_examples=10)
@given(channels=st.sampled_from([8, 24]), size=st.tuples(st.integers(1, 9), st.integers(1, 9)))
def test_keeps_the_size_and_declares_its_width(name, channels, size) -> None:
    context = made(name, channels)
    out = context(torch.randn(2, channels, *size))
    assert out.shape == (2, context.out_channels, *size)
    assert context.out_channels == (context_width(SPECS[name]) or channels)
    assert out.isfinite().all()


@pytest.mark.parametrize("name", SPECS)
def test_every_weight_and_the_map_get_a_gradient(name) -> None:
    context = made(name)
    x = torch.randn(2, 12, 5, 7, requires_grad=True)
    context(x).square().sum().backward()
    assert x.grad is not None and x.grad.abs().sum() > 0
    assert not [n for n, p in context.named_parameters() if p.grad is None]


@pytest.mark.parametrize("name", SPECS)
def test_images_of_a_batch_do_not_mix(name) -> None:
    context = made(name).eval()
    x = torch.randn(2, 12, 5, 7)
    torch.testing.assert_close(context(x)[:1], context(x[:1]))


@pytest.mark.parametrize("name", [n for n in SPECS if n != "none"])
def test_looks_beyond_its_neighbours(name) -> None:
    """The very sense of a context: a place hears of places three and more away."""
    context = made(name).eval()
    x = torch.randn(1, 12, 6, 6, requires_grad=True)
    context(x)[0, :, 0, 0].sum().backward()
    assert x.grad[0, :, 3:, 3:].abs().sum() > 0


@torch.no_grad()
def test_non_local_is_its_formula() -> None:
    context = NonLocal(NonLocalSpec(kind="nonlocal", width=8, entry=6, inner=4), 12, False).eval()
    x = torch.randn(1, 12, 3, 4)
    entry = context.entry(x)
    query, key, value = (part(entry).flatten(2)[0] for part in (context.query, context.key, context.value))
    seen = torch.softmax(query.T @ key, dim=1) @ value.T
    attended = entry + context.restore(seen.T.reshape(1, 4, 3, 4))
    torch.testing.assert_close(context(x), context.merge(torch.cat((x, attended), dim=1)))
