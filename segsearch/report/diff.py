"""What `segsearch diff` prints."""

import json

from rich.console import Group
from rich.table import Table
from rich.text import Text

from segsearch.count.cost import PartCost
from segsearch.describe import Difference
from segsearch.space.nodes import Scalar


def difference(found: Difference) -> Group:
    """Render the choices that differ and the cost of every part, side by side."""
    height, width = found.left.size_hw
    title = Text.assemble(
        (f"{found.left.name} {found.left.spec.id}", "bold"), " and ",
        (f"{found.right.name} {found.right.spec.id}", "bold"), f" at {height}x{width}, {found.left.classes} classes",
    )  # fmt: skip
    pieces: list[Text | Table] = [title]
    if found.same_network:
        pieces.append(Text("one network: both lower to the same spec"))
    return Group(*pieces, _choices(found), _costs(found))


def _choices(found: Difference) -> Table:
    table = Table(title="choices that differ", title_justify="left", title_style="bold")
    for heading in ("choice", found.left.name, found.right.name):
        table.add_column(heading)
    for name, (left, right) in found.choices.items():
        table.add_row(name, _value(left), _value(right))
    return table


def _value(value: Scalar | None) -> str:
    return "" if value is None else json.dumps(value)


def _costs(found: Difference) -> Table:
    table = Table(title="cost", title_justify="left", title_style="bold")
    table.add_column("part")
    for unit in ("params", "MACs"):
        for side in (found.left.name, found.right.name, "difference"):
            table.add_column(f"{unit}\n{side}", justify="right")
    for name, (left, right) in found.parts.items():
        table.add_row(name, *_six(_params(left), _params(right), _macs(left), _macs(right)))
    table.add_section()
    left_cost, right_cost = found.left.cost, found.right.cost
    table.add_row("total", *_six(left_cost.params, right_cost.params, left_cost.macs, right_cost.macs))
    return table


def _params(part: PartCost | None) -> int:
    return 0 if part is None else part.params


def _macs(part: PartCost | None) -> int:
    return 0 if part is None else part.macs


def _six(params: int, other_params: int, macs: int, other_macs: int) -> tuple[str, ...]:
    return (
        *(f"{params:,}", f"{other_params:,}", f"{other_params - params:+,}"),
        *(f"{macs:,}", f"{other_macs:,}", f"{other_macs - macs:+,}"),
    )
