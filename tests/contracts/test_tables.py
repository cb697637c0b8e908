"""What a newcomer forgot: every word of a spec has its class, every class its word, every family its arm in the space."""

from typing import get_args

import pytest

from segsearch.models.blocks.table import BLOCKS
from segsearch.models.context import CONTEXTS
from segsearch.models.fusions import FUSIONS
from segsearch.models.head import HEADS
from segsearch.models.necks.table import NECKS
from segsearch.space.contexts import CONTEXT_CHOICES
from segsearch.space.families.table import FAMILIES
from segsearch.space.heads import HEAD_CHOICES
from segsearch.space.load import load_space
from segsearch.space.necks import NECK_CHOICES
from segsearch.space.nodes import OneOf
from segsearch.spec import context, encoder, head, neck
from segsearch.spec.neck_rules import PROJECTING

ARMS = {name: set(node.arms) for name, node in load_space("unified").nodes() if isinstance(node, OneOf)}


def kinds(union: object) -> set[str]:
    """The `kind` words of a tagged union of specs."""
    members = (getattr(member, "__origin__", member) for member in get_args(get_args(union)[0]))
    return {word for member in members for word in get_args(member.model_fields["kind"].annotation)}


@pytest.mark.parametrize(
    ("word", "table", "literal", "where"),
    [
        ("fusion", FUSIONS, set(get_args(neck.FusionName)), "models/fusions.py FUSIONS, spec/neck.py FusionName"),
        ("block", BLOCKS, set(get_args(encoder.BlockName)), "models/blocks/table.py BLOCKS, spec/encoder.py BlockName"),
        ("context", CONTEXTS, kinds(context.ContextSpec), "models/context.py CONTEXTS, spec/context.py ContextSpec"),
        ("context", CONTEXT_CHOICES, kinds(context.ContextSpec), "space/contexts.py CONTEXT_CHOICES, spec/context.py"),
        ("neck", NECKS, kinds(neck.NeckSpec), "models/necks/table.py NECKS, spec/neck.py NeckSpec"),
        ("head", HEADS, kinds(head.HeadSpec), "models/head.py HEADS, spec/head.py HeadSpec"),
        ("head", HEAD_CHOICES, kinds(head.HeadSpec), "space/heads.py HEAD_CHOICES, spec/head.py"),
    ],
)
def test_words_and_classes_are_the_same(word: str, table: dict, literal: set[str], where: str) -> None:
    assert set(table) == literal, f"a {word} stands in one place and not in the other: {where}"


@pytest.mark.parametrize(
    ("axis", "known", "where"),
    [
        ("fusion", set(NECK_CHOICES), "space/necks.py"),
        ("encoder", set(FAMILIES), "space/families/table.py"),
        ("context", set(CONTEXTS), "models/context.py"),
        ("head", set(HEADS), "models/head.py"),
    ],
)
def test_everything_can_be_searched(axis: str, known: set[str], where: str) -> None:
    assert ARMS[axis] == known, f"spaces/unified.yaml needs exactly one arm under `{axis}` for each of {where}"


def test_rules_know_who_projects() -> None:
    projecting = {name for name, fusion in FUSIONS.items() if fusion.projects}
    assert projecting == PROJECTING, "spec/neck_rules.py PROJECTING names the fusions whose class says projects = True"
