"""Where the time of exported networks goes: ``python benchmarks/deploy_profile.py --threads 1``.

onnxruntime's own profiler tells how long each operator of a file takes, of a plain ``torch.onnx.export`` and then of
the deployed network. What convolutions take is the bound: no rewriting of the rest makes a file faster. Totals are no
timings, as the two files take no turns: ``benchmarks/deploy.py`` times them.
"""

import argparse
import json
import shlex
import statistics
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import onnxruntime

from segsearch.cli.arguments import size_hw
from segsearch.data.normalise import MEAN, STD
from segsearch.deployment.deploy import deploy
from segsearch.deployment.markdown import table
from segsearch.deployment.plain import write_plain
from segsearch.measure.backends.onnx_file import written
from segsearch.measure.latency import example_image
from segsearch.measure.machine import device_name, find_device
from segsearch.space.points import named_point
from segsearch.timing import fresh_network

POINTS = ("sgcpnet1", "dfanet_a", "dfanet_b_x4", "fpenet", "eseg_lite_s", "eseg_s", "sfnet_df1", "sfnet_r18")
CLASSES = 19
OUT = Path(__file__).parents[1] / "studies" / "results" / "deploy_profile.md"
GROUPS = {
    "convolution": ("Conv", "Reorder", "Gemm"),
    "resize": ("Resize", "Upsample"),
    "mask": ("MatMul", "ArgMax"),
}
"""Groups of operators, by the beginnings or ends of their names; what belongs to none is the rest."""
HEADINGS = ("network", "file", "ms", *GROUPS, "rest")


def group_of(operator: str) -> str:
    """Return the group of an operator: ``FusedConv`` is a convolution, as is bringing maps to its layout and back."""
    for group, names in GROUPS.items():
        if any(operator.startswith(name) or operator.endswith(name) for name in names):
            return group
    return "rest"


def profile(path: Path, calls: int, threads: int) -> Counter[str]:
    """Milliseconds of one call, by group: medians over calls."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = threads, 1, 3
    options.enable_profiling, options.profile_file_prefix = True, str(path.with_suffix(""))
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    kind = np.uint8 if "uint8" in given.type else np.float32
    image = np.random.default_rng(0).integers(0, 255, given.shape).astype(kind)
    for _ in range(calls):
        session.run(None, {given.name: image})
    events = json.loads(Path(session.end_profiling()).read_text("utf-8"))
    taken: dict[str, list[float]] = {}
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            taken.setdefault(f"{event['args']['op_name']} {event['name']}", []).append(event["dur"] / 1000)
    found: Counter[str] = Counter()
    for name, times in taken.items():
        found[group_of(name.partition(" ")[0])] += statistics.median(times)  # type: ignore[assignment]
    return found


def rows(name: str, size: tuple[int, int], calls: int, threads: int) -> list[list[str]]:
    """Profile both files of one network; a row each."""
    network = fresh_network(named_point(name).spec, CLASSES).eval()
    deployed, example, found = deploy(network, size, MEAN, STD), example_image(size), []
    with written(deployed, example, "float32") as ours, tempfile.TemporaryDirectory() as folder:
        write_plain(network, size, plain := Path(folder) / "plain.onnx")
        for word, path in (("plain export", plain), ("deployed", ours)):
            times = profile(path, calls, threads)
            total = sum(times.values())
            shares = (f"{times[group]:.1f} ({100 * times[group] / total:.0f} %)" for group in (*GROUPS, "rest"))
            found.append([f"`{name}`", word, f"{total:.1f}", *shares])
    return found


def main() -> None:
    """Profile the points that are asked for, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", nargs="+", default=POINTS, help="named points")
    parser.add_argument("--size", type=size_hw, default=(256, 512), metavar="HxW")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--calls", type=int, default=20, help="of each file; medians are taken")
    parser.add_argument("--out", type=Path, default=OUT)
    asked = parser.parse_args()
    lines = [row for name in asked.points for row in rows(name, asked.size, asked.calls, asked.threads)]
    where = f"{device_name(find_device('cpu'))}, {asked.threads} thread, {asked.size[0]}x{asked.size[1]}"
    text = [
        "# Where the time of exported networks goes",
        "",
        f"Written by `{shlex.join(['python', 'benchmarks/deploy_profile.py', *sys.argv[1:]])}`.",
        "",
        f"{where}; onnxruntime {onnxruntime.__version__}, its own profiler, float32. Milliseconds of one image, and"
        " shares; the profiler adds a little to each operator. A plain export takes an image that was normalised"
        " before. The mask is the argmax, in deployed files with the matrix product that"
        " resizes the logits; matrix products of attentions count there, too. Files were profiled one after another and"
        " what else the machine did was not watched: shares are rough, totals are no timings. What was timed by turns"
        " stands in `deploy_*.md`.",
        "",
        table(HEADINGS, lines),
        "",
    ]
    asked.out.write_text("\n".join(text), "utf-8")
    print(asked.out)


if __name__ == "__main__":
    main()
