"""Tables and picture of `benchmarks/deploy.py`, from the lines that it kept."""

import io
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from segsearch.deployment.markdown import table
from segsearch.files import write_atomic
from segsearch.leaderboard.order import geometric_mean
from segsearch.study.budget import short
from segsearch.study.promotion import kendall

Line = dict[str, Any]
BUSY_PERCENT = 10.0
LOSS = 0.99
"""A ratio below this one is told as a loss: above it, two equal files may differ by chance."""
PLAIN = "plain_"
"""Before a runtime's name: plain ``torch.onnx.export`` in it."""
PREPARING = "preparing"
"""From bytes to the normalised image, which a plain export leaves outside."""

OPENING = """# Deployed against plain, {size}

Written by `{command}`.

{device}, {threads} processor threads; {versions}.

{plain}Plain eager is the trained network in eval mode as a script would run it: not folded, float32, contiguous, bytes
to normalisation to forward to argmax. Deployed is what `segsearch export` writes, in each runtime{how}.
All of one network take turns in {rounds} rounds of blocks of at least {block_samples} samples and {block_seconds} s;
every ratio is the median over the rounds, above 1 where deployed is faster. The roof is
max(MACs / peak, bytes / bandwidth); bytes are parameters, image and mask.

The peak is {peak}, the bandwidth {bandwidth}.
Each is the best of what was measured apart, before the networks, and of what a network of this table reached in a
round: on a busy machine the former alone comes out too low. So no network is below its roof, and "x roof" says how far
it is from the best that was seen here, which is no more than the processor can do.
"""

PLAIN_WORDS = """Plain export is `torch.onnx.export` of the trained network and its argmax, in the same runtime: float32
from the normalised image to class indices. Making that image of bytes, which the deployed file does inside, is not
counted: it takes {preparing:.2f} ms in numpy.

"""


class Rate(NamedTuple):
    """A rate, and what reached it; None where it was measured apart from networks."""

    per_second: float
    reached_by: str | None = None


Roof = dict[str, Rate]
"""Of what is counted in a network (``macs``, ``bytes``): the best rate."""


def roof_of(lines: list[Line]) -> Roof:
    """Best rates of one table: measured apart, or reached by a network in a round.

    The machine is shared: what a matrix product reaches in one moment may be far below what networks reach in others.
    """
    return {what: max(_rates(lines, what), key=lambda rate: rate.per_second) for what in ("macs", "bytes")}


def _rates(lines: list[Line], what: str) -> Iterator[Rate]:
    for line in lines:
        yield Rate(line["roof"][f"{what}_per_second"])
        for name, rounds in _networks(line).items():
            where = f"{'plain export in ' if name.startswith(PLAIN) else ''}{name.removeprefix(PLAIN)}"
            yield Rate(1000 * line[what] / min(rounds), f"`{line['names'][0]}`, {where}")


def _networks(line: Line) -> dict[str, list[float]]:
    """Medians of the rounds of what runs the whole network."""
    return {name: rounds for name, rounds in line["medians_ms"].items() if name != PREPARING}


def frame_of(lines: list[Line], roof: Roof) -> pd.DataFrame:
    """One row per network: medians, ratios to eager, and how far each runtime is from the roof."""
    return pd.DataFrame([_row(line, roof) for line in lines])


def _row(line: Line, roof: Roof) -> dict[str, object]:
    roof_ms = max(1000 * line[what] / rate.per_second for what, rate in roof.items())
    medians = {name: statistics.median(rounds) for name, rounds in line["medians_ms"].items()}
    row: dict[str, object] = {"name": line["names"][0], "also": " ".join(line["names"][1:])}
    row |= {"spec_id": line["spec_id"], "macs": line["macs"], "roof_ms": round(roof_ms, 4)}
    row |= {f"{name}_ms": round(median, 4) for name, median in medians.items()}
    deployed = [name for name in medians if name not in ("eager", PREPARING) and not name.startswith(PLAIN)]
    row |= {f"{name}_gain": _ratio(line, PLAIN + name, name) for name in deployed if PLAIN + name in medians}
    row |= {f"{name}_ratio": _ratio(line, "eager", name) for name in deployed}
    row |= {f"{name}_ratio_spread": round(_spread(line, name), 4) for name in deployed}
    row |= {f"{name}_roofs": round(medians[name] / roof_ms, 3) for name in _networks(line)}
    row |= {f"{name}_agreement": round(share, 6) for name, share in line["agreement"].items()}
    return row | {"others_percent": round(line["others_percent"], 1), "started_at": line["started_at"]}


def _ratio(line: Line, slow: str, quick: str) -> float:
    """Median over the rounds of how many times faster ``quick`` is.

    The medians over all rounds may come from rounds in which the machine's own speed differed.
    """
    return round(statistics.median(_ratios(line, slow, quick)), 4)


def _ratios(line: Line, slow: str, quick: str) -> list[float]:
    return [a / b for a, b in zip(line["medians_ms"][slow], line["medians_ms"][quick], strict=True)]


def _spread(line: Line, name: str) -> float:
    """Largest over smallest ratio of the rounds, minus one."""
    ratios = _ratios(line, "eager", name)
    return float(max(ratios) / min(ratios) - 1)


def write_report(header: Line, lines: list[Line], stem: Path, command: str) -> tuple[Path, ...]:
    """Write ``stem`` with .csv, .md and .png; return the paths."""
    roof = roof_of(lines)
    frame = frame_of(lines, roof)
    paths = tuple(stem.with_suffix(suffix) for suffix in (".csv", ".md", ".png"))
    write_atomic(paths[0], frame.to_csv(index=False, lineterminator="\n"))
    write_atomic(paths[1], markdown(header, frame, roof, command))
    _plot(frame, runtimes(frame), paths[2], f"{header['device']}, {_size(header)}, {header['threads']} threads")
    return paths


def runtimes(frame: pd.DataFrame) -> list[str]:
    """Names of the deployed runtimes in the table."""
    return [name.removesuffix("_ratio") for name in frame.columns if name.endswith("_ratio")]


def markdown(header: Line, frame: pd.DataFrame, roof: Roof, command: str) -> str:
    """Write the note: what was run, geometric means, agreement of the rankings, one row per network."""
    names = runtimes(frame)
    how = ", recorded in float16 as a CUDA graph" if "cudagraph" in names else ", float32, from one file"
    opening = OPENING.format(
        command=command,
        size=_size(header),
        how=how,
        plain=PLAIN_WORDS.format(preparing=frame[f"{PREPARING}_ms"].median())
        if f"{PREPARING}_ms" in frame.columns
        else "",
        versions=", ".join(f"{name} {version}" for name, version in header["versions"].items()),
        peak=_told(f"{short(round(roof['macs'].per_second))} MAC/s", roof["macs"]),
        bandwidth=_told(f"{roof['bytes'].per_second / 1e9:.1f} GB/s", roof["bytes"]),
        **{key: header[key] for key in ("device", "threads", "rounds", "block_samples", "block_seconds")},
    )
    said = [f"{len(frame)} networks. {_busy(frame)}", "", _summary(frame, names), "", *_rankings(frame, names)]
    return "\n".join([opening, *said, "", _table(frame, names), ""])


def _told(figure: str, rate: Rate) -> str:
    return f"{figure} ({rate.reached_by or 'measured apart'})"


def _summary(frame: pd.DataFrame, names: list[str]) -> str:
    """Compare with the plain export first, which is what would be shipped instead, then with eager torch."""
    compared = [
        (name, kind, word) for kind, word in (("gain", "plain export"), ("ratio", "plain eager")) for name in names
    ]
    rows = []
    for name, kind, word in compared:
        if (column := f"{name}_{kind}") not in frame.columns:
            continue
        there = frame.dropna(subset=[column])
        ratios = there[column]
        least, most = (there.iloc[int(place)] for place in (ratios.argmin(), ratios.argmax()))
        ends = [f"{row[column]:.2f} (`{row['name']}`)" for row in (least, most)]
        roofs = geometric_mean(list(there[f"{name}_roofs"]))
        below = str(int((ratios < LOSS).sum()))
        rows.append((name, word, str(len(there)), f"{geometric_mean(list(ratios)):.2f}", *ends, below, f"{roofs:.1f}"))
    head = (
        "deployed in",
        "against",
        "networks",
        "times faster, geometric mean",
        "least",
        "most",
        f"below {LOSS}",
        "x roof",
    )
    return table(head, rows)


def _rankings(frame: pd.DataFrame, names: list[str]) -> list[str]:
    """Kendall's tau between the rankings of every two runtimes."""
    found = []
    every = ["eager", *names]
    for i, left in enumerate(every):
        for right in every[i + 1 :]:
            both = frame.dropna(subset=[f"{left}_ms", f"{right}_ms"])
            tau = kendall(list(zip(both[f"{left}_ms"], both[f"{right}_ms"], strict=True)))
            said = "none" if tau is None else f"{tau:.3f}"
            found.append(f"Kendall's tau between the rankings of {left} and {right}: {said}, {len(both)} networks.")
    return found


def _busy(frame: pd.DataFrame) -> str:
    busy = int((frame["others_percent"] > BUSY_PERCENT).sum())
    return f"Others used more than {BUSY_PERCENT:.0f} % of the processor during {busy} of them."


def _table(frame: pd.DataFrame, names: list[str]) -> str:
    head = ["point", "MACs", "roof, ms", "eager, ms"]
    gains = [name for name in names if f"{name}_gain" in frame.columns]
    head += [f"{name}, ms" for name in names] + [f"plain export / {name}" for name in gains]
    head += [f"eager / {name}" for name in names] + [f"{name}, x roof" for name in names]
    rows = []
    for _, row in frame.sort_values("name").iterrows():
        also = f" (also {row['also']})" if row["also"] else ""
        cells = [f"`{row['name']}`{also}", short(int(row["macs"])), f"{row['roof_ms']:.2f}", f"{row['eager_ms']:.2f}"]
        cells += [f"{row[f'{name}_ms']:.2f}" for name in names]
        cells += [f"{row[f'{name}_gain']:.2f}" for name in gains]
        cells += [f"{row[f'{name}_ratio']:.2f}" for name in names]
        cells += [f"{row[f'{name}_roofs']:.1f}" for name in names]
        rows.append(cells)
    return table(head, rows)


def _plot(frame: pd.DataFrame, names: list[str], path: Path, title: str) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    figure = Figure(figsize=(8, 4.6), dpi=150, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.09, 0.13, 0.88, 0.76))
    kind, against = ("gain", "plain export") if f"{names[0]}_gain" in frame.columns else ("ratio", "plain eager")
    for name, color in zip(names, ("#0b7285", "#d9480f", "#5f3dc4"), strict=False):
        mean = geometric_mean(list(frame[f"{name}_{kind}"].dropna()))
        axes.scatter(
            frame[f"{name}_ms"], frame[f"{name}_{kind}"], s=18, color=color, label=f"{name}: {mean:.2f} in mean"
        )
        axes.axhline(mean, color=color, linewidth=0.9, linestyle="--")
    axes.axhline(1.0, color="#1f2933", linewidth=0.9)
    axes.set(xscale="log", yscale="log", xlabel="deployed, milliseconds", ylabel=f"times faster than {against}")
    axes.set_title(f"Deployed against {against}: {title}", fontsize=10, loc="left")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
    axes.grid(color="#e9ecef", linewidth=0.8)
    axes.legend(frameon=False, fontsize=9)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    write_atomic(path, buffer.getvalue())


def _size(header: Line) -> str:
    return f"{header['size'][0]}x{header['size'][1]}"
