"""Published figures beside ours: the table in docs/published_vs_ours.md."""

from segsearch.deployment.markdown import table
from segsearch.published import Compared, Comparison
from segsearch.space.points import NamedPoint, Published

COMMAND = "segsearch points --table docs/published_vs_ours.md"

HEAD = ("point", "figure", "where", "published", "counted", "ours", "residual", "where it differs")

OPENING = f"""# Published and ours

Written by `{COMMAND}`; a test keeps it as that command writes it.

Every Params and FLOPs figure that the papers print for a network which is a named point here, beside our count of that
network by the paper's own rule. "Same" means that ours prints as the paper does. Rules are those of
`segsearch/count/conventions.py`: `macs`, multiply-adds of convolutions; `ptflops`, those and elementwise work as the
ptflops tool has it; `sfnet`, twice the multiply-adds and elementwise work; `tfprof`, half of what TensorFlow's profiler
counts, emulated. Parameters are those learnt, without statistics of BatchNorm. Sizes are height x width in pixels.
"""


def markdown(compared: Compared) -> str:
    """Write the whole document, one section per paper that prints what can be counted."""
    counted = [point for point, found in compared if any(c.ours is not None for c in found)]
    papers = dict.fromkeys((point.paper, point.title) for point in counted)
    sections = [_section(title, tuple((p, c) for p, c in compared if p.paper == paper)) for paper, title in papers]
    return "\n".join([OPENING, *sections])


def _section(title: str, compared: Compared) -> str:
    rows = [_row(point, c) for point, found in compared for c in found if c.ours is not None]
    same = sum(row[6] == "same" for row in rows)
    return f"## {title}\n\n{len(rows)} figures, {same} the same.\n\n{table(HEAD, rows)}\n"


def _row(point: NamedPoint, c: Comparison) -> tuple[str, ...]:
    row = c.row
    assert c.ours is not None, "figures that are not counted have no row"
    size = "" if row.size is None else f" {row.size[0]}x{row.size[1]}"
    residual = "same" if c.same_digits else f"{c.residual:+.2%}"
    figure = f"{'FLOPs' if row.metric == 'flops' else 'params'}{size}"
    return (f"`{point.name}`", figure, row.where, row.printed, _counted(row), f"{c.ours:,}", residual, row.note or "")


def _counted(row: Published) -> str:
    words = (
        row.convention or "",
        f"{row.classes} classes" if row.classes not in (None, 19) else "",
        "with the training-only head" if row.auxiliary != "none" else "",
        f"of `{row.network}`" if row.network else "",
        "rounded down" if row.rounding == "down" else "",
    )
    return ", ".join(word for word in words if word)
