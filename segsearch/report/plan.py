"""A dry run as a table."""

from rich.console import Group
from rich.table import Table

from segsearch.engine.plan import StudyPlan
from segsearch.report.words import duration
from segsearch.study.budget import short


def _amount(plan: StudyPlan) -> str:
    """Say how many networks are trained, as far as that is known."""
    config, end = plan.config, f" in {plan.config.minutes:g} minutes" if plan.config.minutes else ""
    if config.rungs:
        return f"about {plan.networks:.0f} networks, with the epochs of {plan.trainings:.3g} whole trainings,{end}"
    return f"about {plan.trainings:.3g} trained networks{end}" if end else f"{config.trials} trained networks"


def plan_table(plan: StudyPlan) -> Group:
    """Say what would be searched, what would be tried first, and about how long it takes."""
    config = plan.config
    table = Table(title="would be tried first", title_justify="left")
    for heading, side in (("network", "left"), ("from", "left"), ("params", "right"), ("MACs", "right"), ("", "left")):
        table.add_column(heading, justify=side)  # type: ignore[arg-type]  # left or right
    for planned in plan.first:
        name, origin = planned.proposal.name, planned.proposal.origin
        table.add_row(name, origin, short(planned.params), short(planned.macs), planned.refusal or "")
    images = ", ".join(f"{count} {part}" for part, count in plan.images.items())
    return Group(
        f"study {config.name}: {_amount(plan)} out of {plan.space_size:,} points of {config.space}",
        f"data {config.data.name}: {images} images, {len(plan.classes)} classes; budget: {config.budget}",
        *(f"data: {note}" for note in plan.notes),
        *([f"left out, too large for these images: {', '.join(plan.left_out)}"] if plan.left_out else []),
        table,
        f"about {plan.steps} steps and {duration(plan.seconds_per_training)} per training,"
        f" {duration(plan.seconds)} in all without measuring{_shorter(plan)}; nothing was written",
    )


def _shorter(plan: StudyPlan) -> str:
    """Say how to shorten a search of more than six hours that has no time limit."""
    long = plan.seconds > 6 * 3600 and plan.config.minutes is None
    return " (for less: `minutes: 60`, or a smaller `data.size`)" if long else ""
