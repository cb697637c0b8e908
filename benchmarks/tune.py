"""The fastest file of trained networks: ``python benchmarks/tune.py --root CAMVID``.

Runs `segsearch tune` on runs of ``studies/reproduce`` (or those named), each in a folder of its own where it goes on
when it was stopped, and writes ``studies/results/tune.md`` from what they found. ``--tables`` only writes.
"""

import argparse
import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from segsearch.deployment.markdown import percent, table
from segsearch.leaderboard.order import geometric_mean
from segsearch.report.tuning import DATA

REPO = Path(__file__).parents[1]
RUNS = ("sgcpnet1_camvid_strong", "eseg_lite_s_camvid_strong", "sfnet_df1_camvid_strong")
HEAD = ("network", "file", "mIoU", "points lost", "ms", "times faster than plain", "equal pixels")


def tune(run: str, root: str, out: Path, more: list[str]) -> int:
    """Run the verb on one run."""
    command = ["tune", str(REPO / "studies" / "reproduce" / run), "--root", root, "--out", str(out / run), *more]
    return subprocess.run([sys.executable, "-m", "segsearch", *command], check=False).returncode


def rows(found: dict[str, Any]) -> list[list[str]]:
    """Give a row per file, the fastest first; the chosen one in bold."""
    miou, name = found["header"]["miou"], found["header"]["name"]
    tried = [one for one in found["tried"] if one["latency_ms"] is not None and one["failed"] is None]
    lines = []
    for one in sorted(tried, key=lambda one: float(one["latency_ms"])):
        words, proven = called(one["candidate"]), one["proven"]
        lines.append(
            [
                f"`{name}`",
                f"**{words}**" if one["candidate"] == found["chosen"] else words,
                percent(proven["miou"], digits=2),
                f"{100 * (miou - proven['miou']):.2f}",
                f"{one['latency_ms']:.2f}",
                "" if one["times_faster"] is None else f"{one['times_faster']:.2f}",
                percent(proven["agreement"]["fraction"], digits=3),
            ]
        )
    return lines


def called(candidate: dict[str, Any]) -> str:
    """Name a file as `segsearch tune` does."""
    graph = "" if candidate["graph"] == "deployed" else f", {candidate['graph']}"
    exact = f", {candidate['exact_layers']} layers float32" if candidate["exact_layers"] else ""
    return f"{candidate['backend']} {candidate['precision']}{graph}{exact}"


def page(found: list[dict[str, Any]], command: str) -> str:
    """Write the document."""
    first, gains = found[0]["header"], [each["times_faster"] for each in found if each["times_faster"]]
    within = found[0]["within_points"]
    device = f"{first['device_name']}, {first['threads']} thread, {first['size_hw'][0]}x{first['size_hw'][1]}"
    versions = ", ".join(f"{name} {version}" for name, version in first["versions"].items())
    failed = {
        f"{called(one['candidate'])}: {one['failed']}"
        for each in found
        for one in each["tried"]
        if one["failed"] is not None
    }
    return "\n".join(
        [
            "# The fastest file of trained networks",
            "",
            f"Written by `{command}`.",
            "",
            f"{device}; {versions}.",
            f"mIoU on {first['data']}, all {first['images']} images, of the very file; latency from the file in new"
            " processes, by turns. A plain export is `torch.onnx.export` of the trained network under onnxruntime.",
            "",
            f"The fastest file within {within:g} points of mIoU is **{geometric_mean(gains):.2f} times** as fast as the"
            f" plain export in the geometric mean of {len(gains)} networks"
            f" ({', '.join(f'{gain:.2f}' for gain in gains)}).",
            "",
            table(HEAD, [row for each in found for row in rows(each)]),
            "",
            *(f"- failed: {line}" for line in sorted(failed)),
            "",
        ]
    )


def main() -> None:
    """Tune what is missing, then write the document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", help="where CamVid lies")
    parser.add_argument("--runs", nargs="+", default=RUNS, help="folders in studies/reproduce")
    parser.add_argument("--out", type=Path, default=Path("runs/tune"), help="where what was tried lies")
    parser.add_argument("--minutes", type=float, help="of each network")
    parser.add_argument("--tables", action="store_true", help="tune nothing")
    asked = parser.parse_args()
    if not asked.tables:
        if asked.root is None:
            parser.error("--root PATH is needed to score")
        for run in asked.runs:
            tune(run, asked.root, asked.out, [] if asked.minutes is None else ["--minutes", str(asked.minutes)])
    found = [json.loads(path.read_text("utf-8")) for run in asked.runs if (path := asked.out / run / DATA).exists()]
    if found:
        command = shlex.join(["python", "benchmarks/tune.py", *sys.argv[1:]])
        (REPO / "studies" / "results" / "tune.md").write_text(page(found, command), "utf-8")


if __name__ == "__main__":
    main()
