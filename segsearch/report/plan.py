"""A dry run as a table."""

from rich.console import Group
from rich.table import Table

from segsearch.report.words import duration
from segsearch.search.budget import short
from segsearch.search.plan import Plan


def plan_table(plan: Plan) -> Group:
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
        f"study {config.name}: {config.trials} trained networks out of {plan.space_size:,} points of {config.space}",
        f"data {config.data.name}: {images} images, {len(plan.classes)} classes; budget: {config.budget}",
        *(f"data: {note}" for note in plan.notes),
        *([f"left out, too large for these images: {', '.join(plan.left_out)}"] if plan.left_out else []),
        table,
        f"about {plan.steps} steps and {duration(plan.seconds_per_training)} per training,"
        f" {duration(plan.seconds)} in all without measuring; nothing was written",
    )
