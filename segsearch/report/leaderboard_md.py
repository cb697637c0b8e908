"""A leaderboard in Markdown: which printed speeds hold up in order, and every network fastest first."""

from segsearch.deployment.markdown import table
from segsearch.leaderboard.board import Agreement, Board, Entry, device_and_runtime
from segsearch.leaderboard.order import Order, Swap, geometric_mean
from segsearch.leaderboard.run import Leaderboard
from segsearch.report.latency import least_most, marked
from segsearch.space.points import Published
from segsearch.study.budget import short

NAME = "leaderboard.md"
MOST_SWAPS = 20

OPENING = """# Published networks under one protocol

Written by `{command}`.

Every network is built here with fresh weights, deployed (BatchNorm folded, bytes in, class mask out, batch 1) and timed
in one way. Printed figures are the papers': each stands beside its size and device. Nothing here was trained.
Milliseconds are the median of the medians of several new processes, with the least and the greatest of these beside it;
`!`: not steady, as the reference network beside it moved by more than 3 %, or other programs were busy.

Kendall's tau compares two orders pair by pair: 1 is the same order, 0 no relation, -1 the opposite (tau-b, for ties).
"all" and the papers take one printed speed per point, that of the nearest size, whatever its device; one that has
none is in no order. Groups share device, runtime and size of what is printed. What is measured has one size throughout.
"""


def markdown(leaderboard: Leaderboard, *, command: str) -> str:
    """Write the whole document."""
    pieces = [OPENING.format(command=command)]
    pieces += [_agreement(found) for found in leaderboard.agreements]
    for board in leaderboard.boards:
        pieces += [f"## {board.protocol}\n", *order_lines(board), "", _orders(board), _swaps(board), _ranking(board)]
    if leaderboard.failed:
        pieces.append("## Not measured\n")
        pieces += [f"- {name}: {reason}" for name, reason in leaderboard.failed.items()]
    return "\n".join(pieces) + "\n"


def order_lines(board: Board) -> list[str]:
    """Say in few lines which printed speeds hold up, and name the worst swap."""
    lines = []
    if board.overall.tau is not None:
        lines.append(f"Order of all printed speeds: Kendall's tau {_order(board.overall)}.")
    if board.at_this_size.tau is not None:
        lines.append(f"Of those printed for this size: tau {_order(board.at_this_size)}.")
    if worst := _worst(board):
        lines.append(f"Worst swap: {sentence(worst)}.")
    if board.gains:
        mean, least = geometric_mean(list(board.gains.values())), min(board.gains, key=board.gains.__getitem__)
        lines.append(
            f"{mean:.2f} times as fast as plain exports in the geometric mean of {len(board.gains)} networks,"
            f" at least {board.gains[least]:.2f} ({least})."
        )
    busy = sum(not entry.latency.steady for entry in board.entries)
    if busy:
        lines.append(f"{busy} of {len(board.entries)} measurements were not steady; leaderboard.csv says why.")
    return lines or ["No two points have a printed speed: there is no order to compare."]


def agreement_line(found: Agreement) -> str:
    """Say how two backends agree."""
    tau, ratio = _tau(found.tau), "unknown" if found.ratio is None else f"{found.ratio:.3f}"
    return (
        f"{found.right.backend} ({found.right.precision}) against {found.left.backend} ({found.left.precision}):"
        f" Kendall's tau {tau} over {found.networks} networks, latency x {ratio} in geometric mean."
    )


def sentence(swap: Swap) -> str:
    """Say one swap: ``a is printed 1.6x as fast as b (100 and 60 FPS) and measured 0.7x``."""
    faster, slower = swap.faster, swap.slower
    return (
        f"{faster.name} is printed {swap.published_ratio:.3g}x as fast as {slower.name}"
        f" ({faster.row.printed} on {_on(faster.row)}; {slower.row.printed} on {_on(slower.row)})"
        f" and measured {swap.measured_ratio:.3g}x ({faster.measured_fps:.3g} and {slower.measured_fps:.3g} FPS)"
    )


def _agreement(found: Agreement) -> str:
    return agreement_line(found) + "\n"


def _order(order: Order) -> str:
    return f"{_tau(order.tau)} over {len(order.speeds)} points, {_share(order)} of pairs hold"


def _share(order: Order) -> str:
    ordered = order.agreeing + len(order.swaps)
    return f"{order.agreeing} of {ordered}" if ordered else "none"


def _worst(board: Board) -> Swap | None:
    """Worst swap inside a group that shares device, runtime and size; else at this size; else of all."""
    groups = [order.swaps[0] for order in board.by_group if order.swaps]
    for swaps in (groups, board.at_this_size.swaps, board.overall.swaps):
        if swaps:
            return max(swaps, key=lambda swap: swap.factor)
    return None


def _orders(board: Board) -> str:
    head = ("printed speeds", "points", "tau", "pairs that hold", "swap", "tied", "worst swap")
    rows = [
        (
            order.title,
            str(len(order.speeds)),
            _tau(order.tau),
            _share(order),
            str(len(order.swaps)),
            str(order.tied),
            f"{order.swaps[0].faster.name} / {order.swaps[0].slower.name}" if order.swaps else "",
        )
        for order in board.orders
    ]
    return f"### Order\n\n{table(head, rows)}\n"


def _swaps(board: Board) -> str:
    """Pairs that swap: inside one group first, then those of all sizes and devices, each time the worst first."""
    inside = [swap for order in board.by_group for swap in order.swaps]
    known = {(swap.faster.name, swap.slower.name) for swap in inside}
    others = [swap for swap in board.overall.swaps if (swap.faster.name, swap.slower.name) not in known]
    swaps = sorted(inside, key=lambda swap: -swap.factor) + others
    if not swaps:
        return "No pair swaps.\n"
    head = ("printed as faster", "than", "printed", "measured", "factor between", "spreads apart", "printed on")
    rows = [_swap_row(swap) for swap in swaps[:MOST_SWAPS]]
    more = f"\n\n{len(swaps) - MOST_SWAPS} more swap." if len(swaps) > MOST_SWAPS else ""
    return f"### Pairs that swap\n\n{table(head, rows)}{more}\n"


def _swap_row(swap: Swap) -> tuple[str, ...]:
    places = dict.fromkeys((_on(swap.faster.row), _on(swap.slower.row)))
    return (
        f"`{swap.faster.name}`",
        f"`{swap.slower.name}`",
        f"{swap.published_ratio:.2f}x",
        f"{swap.measured_ratio:.2f}x",
        f"{swap.factor:.2f}",
        "yes" if swap.clear else "no",
        " / ".join(places),
    )


def _ranking(board: Board) -> str:
    measured = ("", "point", "FPS", "ms", "of processes", "p10-p90", "params", "MACs")
    plain = ("plain export, ms", "times faster") if board.gains else ()
    head = (*measured, *plain, "FPS printed", "on", "mIoU printed", "of")
    rows = [_ranking_row(rank, entry, bool(plain)) for rank, entry in enumerate(board.entries, start=1)]
    return f"### Fastest first\n\n{table(head, rows)}\n"


def _ranking_row(rank: int, entry: Entry, with_plain: bool) -> tuple[str, ...]:
    latency, speed, miou = entry.latency, entry.published, entry.miou
    return (
        str(rank),
        f"`{entry.point.name}`",
        f"{latency.fps:.2f}",
        marked(latency),
        least_most(latency),
        f"{latency.p10_ms:.2f}-{latency.p90_ms:.2f}",
        short(entry.latency.params or 0),
        short(entry.latency.macs or 0),
        *(plain_cells(entry) if with_plain else ()),
        speed.printed if speed else "",
        _on(speed) if speed else "",
        f"{miou.printed} %" if miou else "",
        f"{miou.split}, {_size(miou)}" if miou else "",
    )


def plain_cells(entry: Entry) -> tuple[str, str]:
    """Write latency of the plain export, and how many times faster the deployed network is; empty where unknown."""
    return ("", "") if entry.plain is None else (marked(entry.plain), f"{entry.gain:.2f}")


def _on(row: Published) -> str:
    device, runtime = device_and_runtime(row)
    return f"{device}{'' if runtime == 'not said' else f', {runtime}'}, {_size(row)}"


def _size(row: Published) -> str:
    return "size not said" if row.size is None else f"{row.size[0]}x{row.size[1]}"


def _tau(tau: float | None) -> str:
    return "none" if tau is None else f"{tau:.2f}"
