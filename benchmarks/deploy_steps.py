"""What each step of deployment gains: ``python benchmarks/deploy_steps.py --points fpenet sfnet_r18 --size 512 1024``.

For every point and runtime the deployed network is timed with all steps, and with each step left out that changes its
graph, in turns within one run; plain eager torch stands beside them. Written are lower quartiles and their ratios: a
ratio above 1 is what the step gains. ``--clock cpu`` counts processor time of one thread, which a busy machine does not
spoil as much.
"""

import argparse
import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from rich.progress import track

from segsearch.data.normalise import MEAN, STD
from segsearch.deployment.deploy import deploy, network_masks
from segsearch.deployment.onnx import trace
from segsearch.deployment.steps import FOLDING, STEPS
from segsearch.measure.latency import example_image
from segsearch.models.network import Network, build
from segsearch.space.points import named_point

Call = Callable[[], object]
POINTS = ("fpenet", "sfnet_r18", "sfnet_df1", "sfnet_r50", "dfanet_a", "eseg_lite_s", "eseg_s", "sgcpnet1")
RESULTS = Path(__file__).parents[1] / "studies" / "results"
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def in_onnxruntime(model: bytes, image: torch.Tensor, threads: int) -> Call:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = threads, 1, 3
    # many sessions take turns here: one that spins would slow down the next
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: image.numpy()}
    return lambda: session.run(None, feed)


def in_openvino(model: bytes, image: torch.Tensor, threads: int) -> Call:
    from segsearch.deployment import openvino as door

    openvino = door.openvino()
    read = door.core().read_model(model)
    door.relax_argmax(read)
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
    request = door.core().compile_model(read, "CPU", settings).create_infer_request()
    given = openvino.Tensor(image.numpy())
    return lambda: request.infer([given])


RUNTIMES = {"onnxruntime": in_onnxruntime, "openvino": in_openvino}


def eager(network: Network, image: torch.Tensor) -> Call:
    masks, pixels = network_masks(network, MEAN, STD), image[0].permute(1, 2, 0).numpy()
    return lambda: masks(pixels)


def models(network: Network, size_hw: tuple[int, int]) -> dict[str, Any]:
    """Graphs by the step they lack; those that a step makes no difference to are left out."""
    found: dict[str, Any] = {}
    digests: set[str] = set()
    for lacking in ("", *FOLDING, *STEPS):
        model = trace(deploy(network, size_hw, MEAN, STD, without=(lacking,) if lacking else ())).SerializeToString()
        if (digest := hashlib.sha256(model).hexdigest()) not in digests:
            digests.add(digest)
            found[lacking] = model
    return found


def times(calls: dict[str, Call], rounds: int, clock: Callable[[], float]) -> dict[str, float]:
    """Lower quartile per call in milliseconds; every round calls each once."""
    laps: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(rounds + 1):
        for name, call in calls.items():
            start = clock()
            call()
            if turn:  # the first round warms up
                laps[name].append((clock() - start) * 1e3)
    return {name: float(np.quantile(lap, 0.25)) for name, lap in laps.items()}


def rows_of(name: str, size_hw: tuple[int, int], rounds: int, threads: int, clock: str) -> list[dict[str, object]]:
    torch.manual_seed(0)
    network, image = build(named_point(name).spec).eval(), example_image(size_hw)
    graphs, rows = models(network, size_hw), []
    for runtime, prepare in RUNTIMES.items():
        calls = {"eager": eager(network, image)} | {k: prepare(g, image, threads) for k, g in graphs.items()}
        found = times(calls, rounds, CLOCKS[clock])
        row = {"point": name, "runtime": runtime, "eager_ms": found["eager"], "deployed_ms": found[""]}
        row["speedup"] = found["eager"] / found[""]
        row |= {f"gain_{step}": found[step] / found[""] if step in found else None for step in (*FOLDING, *STEPS)}
        rows.append(row)
    return rows


def write(rows: list[dict[str, object]], stem: Path, note: str) -> None:
    table = pd.DataFrame(rows).dropna(axis=1, how="all").round(3)
    table.to_csv(stem.with_suffix(".csv"), index=False)
    head = "| " + " | ".join(table.columns) + " |\n|" + "---|" * len(table.columns)
    body = "\n".join("| " + " | ".join("" if pd.isna(v) else str(v) for v in row) + " |" for row in table.to_numpy())
    means = table.groupby("runtime")["speedup"].apply(lambda s: float(np.exp(np.log(s).mean())))
    said = "\n".join(
        f"- {runtime}: {mean:.2f} times as fast as eager, geometric mean" for runtime, mean in means.items()
    )
    stem.with_suffix(".md").write_text(
        f"# What each step of deployment gains\n\n{note}\n\n`gain_STEP`: time without the step over time with all "
        f"steps; empty where it changes nothing.\n\n{said}\n\n{head}\n{body}\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--points", nargs="+", default=POINTS)
    parser.add_argument("--size", nargs=2, type=int, default=(512, 1024))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--out", type=Path, default=RESULTS / "deploy_steps")
    given = parser.parse_args()
    threads = 1 if given.clock == "cpu" else given.threads
    torch.set_num_threads(threads)
    rows = []
    for name in track(given.points, description="measuring"):
        rows += rows_of(name, tuple(given.size), given.rounds, threads, given.clock)
        at = f"At {given.size[0]} x {given.size[1]}, {threads} threads, {given.clock} clock"
        write(rows, given.out, f"{at}, {given.rounds} rounds in turns.")


if __name__ == "__main__":
    main()
