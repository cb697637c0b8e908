"""A dry run as a table."""

import math

from rich.console import Group, RenderableType
from rich.table import Table

from segsearch.engine.plan import StudyPlan
from segsearch.report.words import duration
from segsearch.study.budget import short


def _amount(plan: StudyPlan) -> str:
    """Say how many networks are trained, as far as that is known."""
    end = "" if math.isinf(plan.seconds_left) else f" in {plan.seconds_left / 60:.3g} minutes"
    more, left = "more " if plan.begun else "", plan.trainings
    trainings = f"{left:.3g} {more}" if left < 100 else f"{left:.0f} {more}"
    if plan.config.rungs:
        return f"about {plan.networks:.0f} {more}networks, with the epochs of {trainings}whole trainings,{end}"
    return f"{'about ' if end else ''}{trainings}trained networks{end}"


def plan_table(plan: StudyPlan) -> Group:
    """Say what would be searched, what would be tried next, and about how long it takes."""
    config = plan.config
    table = Table(title=f"would be tried {'next' if plan.begun else 'first'}", title_justify="left")
    for heading, side in (("network", "left"), ("from", "left"), ("params", "right"), ("MACs", "right"), ("", "left")):
        table.add_column(heading, justify=side)  # type: ignore[arg-type]  # left or right
    for planned in plan.first:
        name, origin = planned.proposal.name, planned.proposal.origin
        table.add_row(name, origin, short(planned.params), short(planned.macs), planned.refusal or "")
    images = ", ".join(f"{count} {part}" for part, count in plan.images.items())
    per_training = f"about {plan.steps} steps and {duration(plan.seconds_per_training)} per training"
    outlook: tuple[RenderableType, ...] = (
        table,
        f"{per_training}, {duration(plan.seconds)} in all without measuring{_shorter(plan)}; nothing was written",
    )
    if plan.ended is not None:
        outlook = (f"nothing is left to do: {plan.ended}; nothing was written",)
    return Group(
        f"study {config.name}: {_amount(plan)} out of {plan.space_size:,} points of {config.space}",
        f"data {config.data.name}: {images} images, {len(plan.classes)} classes; budget: {config.budget}",
        *plan.notes,
        *([f"left out, too large for these images: {', '.join(plan.left_out)}"] if plan.left_out else []),
        *outlook,
    )


def _shorter(plan: StudyPlan) -> str:
    """Say how to shorten a search of more than six hours that has no time limit."""
    long = plan.seconds > 6 * 3600 and plan.config.minutes is None
    return " (for less: `minutes: 60`, or a smaller `data.size`)" if long else ""
