"""What a newcomer forgot: every word has its class, every class its word, every family its arm in the space."""

from collections.abc import Collection
from typing import Literal, get_args, get_origin

import pytest
from pydantic import BaseModel

from segsearch.artefacts.formats import FORMATS
from segsearch.count.conventions import CONVENTIONS
from segsearch.deployment.artefact import Artefact
from segsearch.measure.backends.table import BACKENDS
from segsearch.models.blocks.table import BLOCKS
from segsearch.models.context import CONTEXTS
from segsearch.models.fusions import FUSIONS
from segsearch.models.head import HEADS
from segsearch.models.necks.table import NECKS
from segsearch.report.topology.necks import DRAWN
from segsearch.space.contexts import CONTEXT_CHOICES
from segsearch.space.families.table import FAMILIES
from segsearch.space.heads import HEAD_CHOICES
from segsearch.space.load import load_space
from segsearch.space.necks import NECK_CHOICES
from segsearch.space.nodes import OneOf
from segsearch.space.points import Published
from segsearch.spec import context, encoder, head, neck
from segsearch.spec.neck_rules import PROJECTING
from segsearch.study.config import StudyConfig
from segsearch.training.losses import CLASS_WEIGHTS, LOSSES
from segsearch.training.recipe import LossName, Recipe
from segsearch.training.schedules import SCHEDULES

ARMS = {name: set(node.arms) for name, node in load_space("unified").nodes() if isinstance(node, OneOf)}


def kinds(union: object) -> set[str]:
    """The `kind` words of a tagged union of specs."""
    members = (getattr(member, "__origin__", member) for member in get_args(get_args(union)[0]))
    return {word for member in members for word in get_args(member.model_fields["kind"].annotation)}


def words(model: type[BaseModel], field: str) -> set[str]:
    """The words that a field takes, where it may also be None."""
    annotation = model.model_fields[field].annotation
    literals = [part for part in (annotation, *get_args(annotation)) if get_origin(part) is Literal]
    return {word for literal in literals for word in get_args(literal)}


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
        ("neck", DRAWN, kinds(neck.NeckSpec), "report/topology/necks.py DRAWN, spec/neck.py NeckSpec"),
        ("loss", LOSSES, set(get_args(LossName)), "training/losses.py LOSSES, training/recipe.py LossName"),
        (
            "rule of class weights",
            {"none", *CLASS_WEIGHTS},
            words(Recipe, "class_weights"),
            "training/losses.py CLASS_WEIGHTS, training/recipe.py Recipe.class_weights",
        ),
        (
            "schedule",
            SCHEDULES,
            words(Recipe, "schedule"),
            "training/schedules.py SCHEDULES, training/recipe.py Recipe.schedule",
        ),
        (
            "backend",
            BACKENDS,
            words(StudyConfig, "backend"),
            "measure/backends/table.py BACKENDS, study/config.py StudyConfig.backend",
        ),
        (
            "counting convention",
            CONVENTIONS,
            words(Published, "convention"),
            "count/conventions.py CONVENTIONS, space/points.py Published.convention",
        ),
        (
            "export format",
            FORMATS,
            words(Artefact, "format"),
            "artefacts/formats.py Format, deployment/artefact.py Artefact.format",
        ),
    ],
)
def test_words_and_classes_are_the_same(word: str, table: Collection[str], literal: set[str], where: str) -> None:
    assert set(table) == literal, f"a {word} stands in one place and not in the other: {where}"


@pytest.mark.parametrize(
    ("axis", "known", "where"),
    [
        ("fusion", set(NECK_CHOICES), "space/necks.py NECK_CHOICES"),
        ("encoder", set(FAMILIES), "space/families/table.py FAMILIES"),
        ("context", set(CONTEXTS), "models/context.py CONTEXTS"),
        ("head", set(HEADS), "models/head.py HEADS"),
    ],
)
def test_everything_can_be_searched(axis: str, known: set[str], where: str) -> None:
    assert ARMS[axis] == known, f"spaces/unified.yaml needs exactly one arm under `{axis}` for each of {where}"


def test_rules_know_who_projects() -> None:
    projecting = {name for name, fusion in FUSIONS.items() if fusion.projects}
    assert projecting == PROJECTING, "spec/neck_rules.py PROJECTING names the fusions whose class says projects = True"
