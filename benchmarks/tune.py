"""The fastest file of trained networks: ``python benchmarks/tune.py --root CAMVID``.

Runs `segsearch tune` on runs of ``studies/reproduce`` (or others), each in a folder of its own where it goes on when it
was stopped, and writes ``studies/results/tune.md`` from what they found. ``--tables`` only writes.
"""

import argparse
import shlex
import subprocess
import sys
from pathlib import Path

from segsearch.deployment.markdown import table
from segsearch.leaderboard.order import geometric_mean
from segsearch.report.tuning import DATA, DOUBT, HEADINGS, by_cost, cells, failures
from segsearch.tuning.record import Book, fastest
from segsearch.tuning.tune import Tuned
from segsearch.tuning.wish import Wish

REPO = Path(__file__).parents[1]
STORED = REPO / "studies" / "reproduce"
RUNS = (STORED / "sgcpnet1_camvid_strong", STORED / "fpenet_camvid_strong")
WITHIN_POINTS = Wish().within_points


def tune(run: Path, root: str, out: Path, more: list[str]) -> int:
    """Run the verb on one run."""
    command = ["tune", str(run), "--root", root, "--out", str(out / run.name), *more]
    return subprocess.run([sys.executable, "-m", "segsearch", *command], check=False).returncode


def read(folder: Path) -> Tuned | None:
    """Read what was tried of one network; None where nothing was finished."""
    if not (folder / DATA).exists():
        return None
    book = Book(folder)
    assert book.header is not None, "what was finished has a header"
    chosen = fastest(book.all(), book.header.miou, WITHIN_POINTS)
    return Tuned(header=book.header, tried=book.all(), chosen=chosen, finished=True)


def rows(tuned: Tuned) -> list[list[str]]:
    """Give a row per file, the fastest first; the chosen one in bold."""
    lines = []
    for tried in by_cost(tuned):
        if tried.failed is None:
            file, *rest = cells(tuned, tried)
            bold = tuned.chosen is not None and tried.candidate == tuned.chosen.candidate
            lines.append([f"`{tuned.header.name}`", f"**{file}**" if bold else file, *rest])
    return lines


def page(found: list[Tuned], command: str) -> str:
    """Write the document."""
    head, gains = found[0].header, [tuned.gain for tuned in found if tuned.gain is not None]
    device = f"{head.device_name}, {head.threads} thread, {head.size_hw[0]}x{head.size_hw[1]}"
    versions = ", ".join(f"{name} {version}" for name, version in head.versions.items())
    return "\n".join(
        [
            "# The fastest file of trained networks",
            "",
            f"Written by `{command}`.",
            "",
            f"{device}; {versions}.",
            f"mIoU on {head.data}, all {head.images} images, of the very file; latency from the file in new"
            " processes, by turns. A plain export is `torch.onnx.export` of the trained network under onnxruntime."
            " *Times faster* compares latencies over that of a reference network in the same process; *ms* is what the"
            " clock said.",
            DOUBT,
            "",
            f"The fastest file within {WITHIN_POINTS:g} points of mIoU is **{geometric_mean(gains):.2f} times** as fast"
            f" as the plain export in the geometric mean of {len(gains)} networks"
            f" ({', '.join(f'{gain:.2f}' for gain in gains)}).",
            "",
            table(("network", *HEADINGS), [row for each in found for row in rows(each)]),
            "",
            *(f"- {line}" for line in sorted({line for each in found for line in failures(each)})),
            "",
        ]
    )


def main() -> None:
    """Tune what is missing, then write the document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", help="where CamVid lies")
    parser.add_argument("--runs", nargs="+", type=Path, default=RUNS, help="folders of trainings that are finished")
    parser.add_argument("--out", type=Path, default=Path("runs/tune"), help="where what was tried lies")
    parser.add_argument("--minutes", type=float, help="of each network")
    parser.add_argument("--no-variants", action="store_true", help="one graph of each network alone")
    parser.add_argument("--qat", type=int, default=4, help="epochs of training for int8, where it loses too much")
    parser.add_argument("--tables", action="store_true", help="tune nothing")
    asked = parser.parse_args()
    if not asked.tables:
        if asked.root is None:
            parser.error("--root PATH is needed to score")
        more = ["--qat", str(asked.qat)]
        more += [] if asked.minutes is None else ["--minutes", str(asked.minutes)]
        more += ["--no-variants"] if asked.no_variants else []
        for run in asked.runs:
            tune(run, asked.root, asked.out, more)
    found = [tuned for run in asked.runs if (tuned := read(asked.out / run.name)) is not None]
    if found:
        command = shlex.join(["python", "benchmarks/tune.py", *sys.argv[1:]])
        (REPO / "studies" / "results" / "tune.md").write_text(page(found, command), "utf-8")


if __name__ == "__main__":
    main()
