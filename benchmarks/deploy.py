"""Deployed networks against plain ones, as ratios of one run: ``python benchmarks/deploy.py --threads 1``.

On a processor, the file that segsearch exports meets, in onnxruntime and, where installed, in OpenVINO, what plain
``torch.onnx.export`` makes of the same trained network: float32, the normalised image in, class indices out. Turning
bytes into that image, which the plain file leaves outside, is timed apart. Beside them stands plain eager torch, from
bytes over normalisation and forward to argmax; on a GPU it meets the deployed network in float16, recorded as a CUDA
graph. All of a network take turns, block by block, so that a machine that drifts does so for all of them.

One line per network is kept as soon as it is measured; the same command goes on with a run that was stopped. On a
machine that others share, ``--again 20`` adds as many rounds for those 20 networks whose rounds differ most.
"""

import argparse
import contextlib
import itertools
import json
import platform
import re
import shlex
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from deploy_report import PLAIN, PREPARING, write_report
from torch import Tensor, nn

from segsearch.cli.arguments import size_hw
from segsearch.count.cost import count
from segsearch.data.normalise import MEAN, STD, to_tensor
from segsearch.deployment.deploy import deploy
from segsearch.deployment.plain import PlainNetwork, write_plain
from segsearch.errors import InputError, MissingExtraError, SegsearchError
from segsearch.leaderboard.run import Candidate, candidates_of, choose_points
from segsearch.measure.backends.base import Prepared
from segsearch.measure.backends.onnx_file import written
from segsearch.measure.backends.table import find_backend
from segsearch.measure.conditions import torch_threads
from segsearch.measure.device_lock import timing, working
from segsearch.measure.latency import example_image
from segsearch.measure.load import LoadWatch
from segsearch.measure.machine import device_name, find_device
from segsearch.measure.timer import Stopwatch, no_garbage_collection, stopwatch_of
from segsearch.report.console import bar
from segsearch.space.points import NamedPoint
from segsearch.timing import fresh_network
from segsearch.timing.store import append_line, read_lines

CLASSES = 19
FILE_BACKENDS = ("onnxruntime", "openvino")
STORE = Path("studies/results/deploy")
SLOW_MS = 200.0
"""From here on a block begins without an uncounted call: caches and threads no longer matter, but time does."""


def normalised(image: Tensor) -> Tensor:
    """Bytes [1, 3, H, W] to what networks are trained on."""
    return to_tensor(image.permute(0, 2, 3, 1))


def plain_eager(network: nn.Module, example: Tensor) -> Prepared:
    plain = PlainNetwork(network).eval().to(example.device)

    @torch.inference_mode()
    def run() -> Tensor:
        mask: Tensor = plain(normalised(example))
        return mask

    @torch.inference_mode()
    def mask(image: Tensor) -> Tensor:
        found: Tensor = plain(normalised(image.to(example.device)))
        return found.to("cpu", torch.uint8)

    return Prepared(run=run, mask=mask)


def plain_export(name: str, path: Path, example: Tensor) -> Prepared:
    backend: Any = find_backend(name, "cpu", "float32")
    opened: Prepared = backend.open(path, normalised(example), precision="float32")
    return Prepared(run=opened.run, mask=lambda image: opened.mask(normalised(image)).to(torch.uint8))


def preparing(example: Tensor) -> Prepared:
    """From bytes to the image that a plain export takes, in numpy, as a script would do it."""
    pixels, middle, width = example.numpy(), *(np.array(v, np.float32).reshape(1, 3, 1, 1) for v in (MEAN, STD))
    return Prepared(run=lambda: (pixels.astype(np.float32) / 255 - middle) / width, mask=lambda image: image)


@contextlib.contextmanager
def runtimes(network: nn.Module, size: tuple[int, int], device: torch.device) -> Iterator[dict[str, Prepared]]:
    """Plain eager first, then every runtime that is here, of the plain export and of the deployed network."""
    example = example_image(size).to(device)
    deployed, found = deploy(network, size, MEAN, STD), {"eager": plain_eager(network, example)}
    if device.type == "cuda":
        graph = find_backend("cudagraph", "cuda", "float16")
        yield found | {"cudagraph": graph.prepare(deployed.to(device), example, precision="float16")}
        return
    with written(deployed, example, "float32") as path, tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "plain.onnx"
        write_plain(network, size, plain)
        for name in installed():
            backend: Any = find_backend(name, "cpu", "float32")
            found[f"{PLAIN}{name}"] = plain_export(name, plain, example)
            found[name] = backend.open(path, example, precision="float32")
        yield found | {PREPARING: preparing(example)}


def installed() -> dict[str, str]:
    """Versions of the runtimes for files that are here."""
    versions: dict[str, str] = {}
    for name in FILE_BACKENDS:
        with contextlib.suppress(MissingExtraError):
            versions[name] = find_backend(name).version()
    return versions


def block(run: Callable[[], object], stopwatch: Stopwatch, seconds: float, samples: int, slow: bool) -> list[float]:
    """Latencies in milliseconds of single calls, so many of them and for so long at least."""
    if not slow:
        run()
    end, laps = time.perf_counter() + seconds, list[float]()
    while len(laps) < samples or time.perf_counter() < end:
        laps.append(stopwatch.lap_ms(run))
    return laps


def take_turns(
    found: dict[str, Prepared], slow: set[str], stopwatch: Stopwatch, *, rounds: int, seconds: float, samples: int
) -> dict[str, list[list[float]]]:
    """Blocks of every runtime, by turns: eager, onnxruntime, OpenVINO, eager ..."""
    blocks: dict[str, list[list[float]]] = {name: [] for name in found}
    with no_garbage_collection():
        for _ in range(rounds):
            for name, prepared in found.items():
                blocks[name].append(block(prepared.run, stopwatch, seconds, samples, name in slow))
    return blocks


def first_calls(found: dict[str, Prepared], size: tuple[int, int]) -> tuple[dict[str, float], set[str]]:
    """Share of pixels on which each runtime says what plain eager says; and those whose first call was slow."""
    image, masks, slow = example_image(size), dict[str, Tensor](), set[str]()
    for name, prepared in found.items():
        if name == PREPARING:
            continue
        start = time.perf_counter()
        masks[name] = prepared.mask(image)
        if 1000 * (time.perf_counter() - start) > SLOW_MS:
            slow.add(name)
    shares = {name: float((mask == masks["eager"]).float().mean()) for name, mask in masks.items() if name != "eager"}
    return shares, slow


def least_bytes(network: nn.Module, size: tuple[int, int], width: int) -> int:
    """Bytes that no runtime can avoid to move: parameters of so many bytes each, the image in, the mask out."""
    return width * sum(p.numel() for p in network.parameters()) + 4 * size[0] * size[1]


def roof(device: torch.device, stopwatch: Stopwatch) -> dict[str, float]:
    """Best multiply-adds and bytes per second seen here: a large matrix or convolution, a copy beyond all caches.

    On a busy machine both are too low; `deploy_report.roof_of` sets them beside what the networks reached.
    """
    half = device.type == "cuda"
    kind, side, bytes_moved = (torch.float16, 8192, 2**30) if half else (torch.float32, 1536, 2**28)
    matrix = torch.ones(side, side, device=device, dtype=kind)
    image = torch.ones(1, 128, side // 12, side // 12, device=device, dtype=kind)
    weight = torch.ones(128, 128, 3, 3, device=device, dtype=kind)
    source = torch.ones(bytes_moved // 2, device=device, dtype=torch.uint8)
    target = torch.empty_like(source)

    def best_seconds(call: Callable[[], object]) -> float:
        call()
        return min(stopwatch.lap_ms(call) for _ in range(5)) / 1000

    with torch.inference_mode():
        conv = 9 * 128 * 128 * (side // 12) ** 2 / best_seconds(lambda: nn.functional.conv2d(image, weight, padding=1))
        return {
            "macs_per_second": max(side**3 / best_seconds(lambda: matrix @ matrix), conv),
            "bytes_per_second": bytes_moved / best_seconds(lambda: target.copy_(source)),
        }


def one(candidate: Candidate, names: list[str], options: argparse.Namespace, peak: dict[str, float]) -> dict[str, Any]:
    """Measure one network in all runtimes; return the line that is kept of it."""
    device, stopwatch = find_device(options.device), stopwatch_of(find_device(options.device))
    network, start = fresh_network(candidate.spec, CLASSES).eval(), time.perf_counter()
    with contextlib.ExitStack() as stack:
        with working(device):
            found = stack.enter_context(runtimes(network, options.size, device))
            agreed, slow = first_calls(found, options.size)
        with timing(device):
            watch = LoadWatch(device)
            blocks = take_turns(
                found,
                slow,
                stopwatch,
                rounds=options.rounds,
                seconds=options.block_seconds,
                samples=options.block_samples,
            )
            contention = watch.contention()
    macs, moved = (
        count(network, options.size).macs,
        least_bytes(network, options.size, 4 if device.type == "cpu" else 2),
    )
    return {
        "spec_id": candidate.spec.id,
        "names": names,
        "macs": macs,
        "bytes": moved,
        "roof": peak,
        "medians_ms": {name: [round(statistics.median(laps), 4) for laps in taken] for name, taken in blocks.items()},
        "agreement": agreed,
        "others_percent": contention.others_percent,
        "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(time.perf_counter() - start, 1),
    }


def header(options: argparse.Namespace) -> dict[str, Any]:
    """All that has to be the same for two lines to stand in one table."""
    return {
        "benchmark": "deploy 3",
        "size": list(options.size),
        "device": device_name(find_device(options.device)),
        "threads": torch.get_num_threads(),
        "rounds": options.rounds,
        "block_seconds": options.block_seconds,
        "block_samples": options.block_samples,
        "versions": {
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            **(installed() if options.device == "cpu" else {"cuda": torch.version.cuda}),
        },
    }


def by_turns(points: Sequence[NamedPoint]) -> list[NamedPoint]:
    """Put one point of each paper after another, so that a run cut short is of all papers alike."""
    papers: dict[str, list[NamedPoint]] = {}
    for point in points:
        papers.setdefault(point.paper, []).append(point)
    turns = itertools.zip_longest(*papers.values())
    return [point for turn in turns for point in turn if point is not None]


def pooled(lines: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Join the lines of one network: rounds of all of them, the higher peaks, of everything else the last."""
    joined: dict[str, dict[str, Any]] = {}
    for line in lines:
        before = joined.get(line["spec_id"])
        rounds, peak = line["medians_ms"], line["roof"]
        if before is not None:
            rounds = {name: before["medians_ms"][name] + taken for name, taken in rounds.items()}
            peak = {name: max(before["roof"][name], rate) for name, rate in peak.items()}
        joined[line["spec_id"]] = line | {"medians_ms": rounds, "roof": peak}
    return list(joined.values())


def spread(line: dict[str, Any]) -> float:
    """How far the rounds of a network lie apart in what they say of plain export and deployed network, at worst."""
    medians, found = line["medians_ms"], [0.0]
    for name in medians:
        if PLAIN + name in medians:
            ratios = sorted(plain / ours for plain, ours in zip(medians[PLAIN + name], medians[name], strict=True))
            found.append((ratios[-1] - ratios[0]) / ratios[len(ratios) // 2] / len(ratios) ** 0.5)
    return max(found)


def measure_all(store: Path, head: dict[str, Any], lines: list[dict[str, Any]], options: argparse.Namespace) -> None:
    """Measure what the lines of the store lack until all is there or time is up, then again what is least settled."""
    chosen, left_out = choose_points(options.points, None, options.size)
    if left_out:
        print(f"left out, too large for these images: {', '.join(left_out)}", file=sys.stderr)
    candidates, start = candidates_of(by_turns(chosen)), time.monotonic()
    known = {line["spec_id"] for line in lines}
    missing = [c for c in candidates if c.spec.id not in known]
    by_id = {c.spec.id: c for c in candidates}
    known_here = [line for line in pooled(lines) if line["spec_id"] in by_id]
    missing += [by_id[line["spec_id"]] for line in sorted(known_here, key=spread, reverse=True)[: options.again]]
    peak = roof(find_device(options.device), stopwatch_of(find_device(options.device))) if missing else {}
    with bar("deploy") as report:
        for done, candidate in enumerate(missing):
            report("measure", done, len(missing))
            if options.limit_minutes is not None and time.monotonic() - start > 60 * options.limit_minutes:
                print(f"time is up; {len(missing) - done} networks are left", file=sys.stderr)
                break
            names = [point.name for point in chosen if point.spec.id == candidate.spec.id]
            try:
                line = one(candidate, names, options, peak)
                if not lines:
                    store.unlink(missing_ok=True)
                    append_line(store, head)
                append_line(store, line)
                lines.append(line)
            except SegsearchError as error:
                print(f"{candidate.name}: {error}", file=sys.stderr)
            else:
                print(f"{candidate.name}: {lines[-1]['seconds']} s", file=sys.stderr)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=size_hw, default=(256, 512), metavar="HxW")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")
    parser.add_argument("--threads", type=int, help="of the processor; torch's number without")
    parser.add_argument("--points", action="append", default=[], metavar="NAME", help="only this one; may be repeated")
    parser.add_argument("--limit-minutes", type=float, help="begin no network after so long")
    parser.add_argument("--again", type=int, default=0, metavar="N", help="more rounds for the N least settled")
    parser.add_argument("--rounds", type=int, default=2, help="blocks of every runtime")
    parser.add_argument("--block-seconds", type=float, default=0.5)
    parser.add_argument("--block-samples", type=int, default=3)
    parser.add_argument("--tables", action="store_true", help="only write the tables of all devices measured so far")
    parser.add_argument("--store", type=Path, default=STORE, metavar="DIR", help="where lines are kept")
    parser.add_argument("--out", type=Path, default=Path("studies/results"), metavar="DIR", help="where tables go")
    return parser.parse_args()


def short_name(device: str) -> str:
    """Name files after a device: ``intel_xeon`` of Intel(R) Xeon(R) Processor."""
    words = re.findall(r"\w+", re.sub(r"\(\w+\)|\b(Processor|CPU)\b", "", device).lower())
    return "_".join(words) or "device"


def tables(head: dict[str, Any], lines: list[dict[str, Any]], out: Path) -> None:
    """Write the tables and the picture of one device."""
    command = shlex.join(["python", "benchmarks/deploy.py", *sys.argv[1:]])
    for path in write_report(head, pooled(lines), out / f"deploy_{short_name(head['device'])}", command):
        print(path)


def main() -> int:
    options, code = parsed(), 0
    if options.tables:
        for store in sorted(options.store.glob("*.jsonl")):
            head, *lines = read_lines(store)
            tables(head, lines, options.out)
        return 0
    with torch_threads(options.threads):
        height, width = options.size
        head = header(options)
        store = options.store / f"{short_name(head['device'])}-{height}x{width}-{torch.get_num_threads()}threads.jsonl"
        kept, *lines = read_lines(store) or [head]
        if lines and kept != json.loads(json.dumps(head)):
            raise InputError(store, "was written under other conditions; move it away")
        try:
            measure_all(store, head, lines, options)
        except KeyboardInterrupt:
            print(f"stopped; what is measured is kept in {store}; the same command goes on", file=sys.stderr)
            code = 130
    if lines:
        tables(head, lines, options.out)
    return code


if __name__ == "__main__":
    try:
        sys.exit(main())
    except SegsearchError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
