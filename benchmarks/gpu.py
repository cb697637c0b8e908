"""Fill in what ``studies/results`` still lacks from a GPU: ``python benchmarks/gpu.py --camvid DIR``.

Four parts, the most wanted first, each with a time limit of its own and each taken up where it stopped:

1. latency of every named point, batch 1, as shipped; masks against those of the CPU in float32, peak memory
2. FPENet trained on CamVid, three seeds side by side: scores per epoch, the test split once at the end, weights
3. a search on CamVid
4. training throughput of the papers' leads

Each finding is one line of JSON, on disk as soon as it is made. ``--dry-run`` says what is missing. A rehearsal without
a GPU: ``--device cpu --size 64x128 --limit 20 --parts 1,4 --out DIR``. Parts 1 and 4 need torch, numpy, pydantic and
PyYAML only.
"""

import argparse
import copy
import functools
import importlib.util
import itertools
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # runs from a checkout, installed or not

from segsearch.deployment.deploy import Deployed, deploy  # noqa: E402
from segsearch.deployment.images import Fit  # noqa: E402
from segsearch.errors import SegsearchError  # noqa: E402
from segsearch.measure.backends.table import BACKENDS, find_backend  # noqa: E402
from segsearch.measure.timer import TimerSettings, quantile, sample_alone, stopwatch_of  # noqa: E402
from segsearch.models.network import build  # noqa: E402
from segsearch.space.points import named_point, named_points  # noqa: E402

LIMIT_SECONDS = {1: 900, 2: 1500, 3: 900, 4: 300}
ITEM_SECONDS = 240
"""One finding of part 1 or 4 that takes longer is given up, and said so."""
CITYSCAPES_CLASSES = 19
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
WANTED_AGREEMENT = {"float32": 0.999, "float16": 0.995}
LEARNING_RATE = 2e-3
BROKEN_DEVICE = 75
"""Exit code of a part whose GPU context is gone: it is started again, past what broke it."""
Item = tuple[str, ...]


def main() -> int:
    args = arguments()
    if args.child is not None:
        return child(args)
    for part in args.parts:
        missing, reason = PARTS[part].missing(args), PARTS[part].obstacle(args)
        print(f"part {part}, {PARTS[part].title}: {len(missing)} missing" + (f"; skipped: {reason}" if reason else ""))
        if args.dry_run:
            print("".join(f"  {' '.join(item)}\n" for item in missing), end="")
        elif missing and not reason:
            run_part(part, args, missing)
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", choices=("cpu", "cuda"))
    parser.add_argument("--size", default=(1024, 2048), type=size_hw, help="height and width of parts 1 and 4")
    parser.add_argument("--parts", default=(1, 2, 3, 4), type=lambda text: tuple(int(part) for part in text.split(",")))
    parser.add_argument("--points", type=lambda text: tuple(text.split(",")), help="only these, in parts 1 and 4")
    parser.add_argument("--limit", type=float, help="seconds of each part, in place of its own")
    parser.add_argument("--backends", type=lambda text: tuple(text.split(",")), help="only these, in part 1")
    parser.add_argument("--learning-steps", type=int, help="before masks are compared in part 1; 80, on a CPU 5")
    parser.add_argument("--camvid", type=Path, help="folder with train, trainannot, val, valannot, test, testannot")
    parser.add_argument("--epochs", type=int, default=300, help="of part 2")
    parser.add_argument("--seeds", type=int, default=3, help="of part 2")
    parser.add_argument("--trials", type=int, default=16, help="of part 3")
    parser.add_argument("--out", type=Path, default=ROOT / "studies" / "results")
    parser.add_argument("--work", type=Path, default=Path("runs") / "gpu", help="checkpoints and the study's folder")
    parser.add_argument("--commit", help="of this code; git's without")
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--until", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


def size_hw(text: str) -> tuple[int, int]:
    height, width = text.lower().split("x")
    return int(height), int(width)


# Parts run as processes of their own: a hanging kernel or a broken context ends one part, not the rest.


def run_part(part: int, args: argparse.Namespace, missing: list[Item]) -> None:
    until = time.time() + (args.limit or LIMIT_SECONDS[part])
    lanes = [["--seed", item[1]] for item in missing] if part == 2 else [[]]
    processes = {tuple(lane): start(part, until, lane) for lane in lanes}
    while processes:
        time.sleep(0.2)
        for lane, process in list(processes.items()):
            code = process.poll()
            if code is None and time.time() > until + 30:  # the part looks at the clock too, between two findings
                stop(process)
            elif code == BROKEN_DEVICE and time.time() < until:
                processes[lane] = start(part, until, list(lane))
            elif code is not None:
                del processes[lane]
                print(f"part {part} {' '.join(lane)} ended with {code}")


def start(part: int, until: float, lane: list[str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, __file__, *sys.argv[1:], "--child", str(part), "--until", str(until), *lane]
    return subprocess.Popen(command)


def stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def child(args: argparse.Namespace) -> int:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        PARTS[args.child].run(args)
    except KeyboardInterrupt:
        print(f"part {args.child}: out of time")
    except SegsearchError as error:
        print(f"part {args.child}: {error}")
        return 2
    return 0


def each_missing(
    args: argparse.Namespace, file: str, items: list[Item], find: Callable[[Item], dict[str, Any]]
) -> None:
    """Find and write one item after another until time is up; what fails is written too, and not tried again."""
    common = facts(args)
    for item in items:
        if time.time() > args.until:
            print(f"out of time before {' '.join(item)}")
            return
        started = time.time()
        try:
            with time_limit(ITEM_SECONDS):
                found = find(item)
        except (Exception, TimeoutError) as error:  # the next point has a chance still
            found = {"error": " ".join(f"{type(error).__name__}: {error}".split())[:300]}
        took = {"seconds": round(time.time() - started, 1), "at": datetime.now(UTC).isoformat(timespec="seconds")}
        write(args.out / file, {"item": list(item), **found, **common, **took})
        print(
            " ".join(item), found.get("error") or found.get("median_ms") or found.get("images_per_second"), flush=True
        )
        free(args.device)


@contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    def late(*_: object) -> None:
        raise TimeoutError(f"longer than {seconds} s")

    signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)


def free(device: str) -> None:
    """Give memory back; a context that a kernel has broken shows here, and only a new process mends it."""
    if device != "cuda":
        return
    try:
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
    except RuntimeError as error:
        print(f"the GPU's context is gone: {str(error).splitlines()[0]}", flush=True)
        os._exit(BROKEN_DEVICE)


def write(path: Path, line: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
        file.flush()
        os.fsync(file.fileno())


def lines(path: Path) -> list[dict[str, Any]]:
    """Read what is there already; a last line that was cut short is left out."""
    found = []
    for text in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        try:
            found.append(json.loads(text))
        except ValueError:
            continue
    return found


def absent(args: argparse.Namespace, file: str, items: list[Item]) -> list[Item]:
    here = lines(args.out / file)
    done = {
        tuple(line["item"]) for line in here if line["device_kind"] == args.device and line["size_hw"] == [*args.size]
    }
    return [item for item in items if item not in done]


@functools.cache
def driver() -> str | None:
    try:
        asked = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.splitlines()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return None


def facts(args: argparse.Namespace) -> dict[str, Any]:
    gpu = args.device == "cuda"
    return {
        "device": torch.cuda.get_device_name() if gpu else platform.processor() or platform.machine(),
        "device_kind": args.device,
        "size_hw": list(args.size),
        "driver": driver() if gpu else None,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
        "torch": str(torch.__version__),
        "python": platform.python_version(),
        "threads": torch.get_num_threads(),
        "commit": args.commit or commit(),
    }


def commit() -> str:
    try:
        asked = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def chosen(args: argparse.Namespace) -> tuple[list[str], list[str]]:
    """Names of the leads and of all other points, as far as ``--points`` lets them."""
    points = [point for point in named_points().values() if args.points is None or point.name in args.points]
    return [p.name for p in points if p.lead], [p.name for p in points if not p.lead]


# Part 1


LATENCY, EPOCHS, THROUGHPUT = "gpu_latency.jsonl", "gpu_camvid_fpenet.jsonl", "gpu_throughput.jsonl"


def latency_missing(args: argparse.Namespace) -> list[Item]:
    leads, others = chosen(args)
    precisions = ("float32", "float16")
    quick = list(itertools.product(("eager", "cudagraph"), precisions))
    wanted = [
        *((point, *how) for point in (*leads, *others) for how in quick),
        *itertools.product(leads, ("compile",), precisions),
    ]
    backends = [name for name in args.backends or BACKENDS if args.device in BACKENDS[name]().devices]
    return absent(args, LATENCY, [item for item in wanted if item[1] in backends])


def latency_run(args: argparse.Namespace) -> None:
    steps = args.learning_steps or (80 if args.device == "cuda" else 5)
    each_missing(args, LATENCY, latency_missing(args), lambda item: latency(item, args.size, args.device, steps))


def no_device(args: argparse.Namespace) -> str | None:
    return "there is no GPU" if args.device == "cuda" and not torch.cuda.is_available() else None


def latency(item: Item, size: tuple[int, int], device: str, steps: int) -> dict[str, Any]:
    """Time one point under one backend in one precision, and compare its masks."""
    point, backend, precision = item
    reference, images, masks = deployed_point(point, size, device, steps)
    network, gpu = as_run(reference, device, precision), device == "cuda"
    if gpu:
        torch.cuda.reset_peak_memory_stats()
    prepared = find_backend(backend, device, precision).prepare(network, images[0].to(device), precision=precision)
    agreement = [
        float((prepared.mask(image) == mask).float().mean()) for image, mask in zip(images, masks, strict=True)
    ]
    settings = TimerSettings() if gpu else TimerSettings(min_samples=5, min_seconds=0, max_warmup_seconds=1)
    samples = sample_alone(prepared.run, settings=settings, stopwatch=stopwatch_of(torch.device(device)))
    peak_bytes = torch.cuda.max_memory_allocated() if gpu else None
    return {
        "median_ms": samples.median_ms,
        "p10_ms": quantile(samples.samples_ms, 0.1),
        "p90_ms": quantile(samples.samples_ms, 0.9),
        "samples_ms": [round(sample, 5) for sample in samples.samples_ms],
        "warmup_calls": samples.warmup_calls,
        "warmup_settled": samples.warmup_settled,
        "mask_agreement": agreement,
        "mask_agrees": min(agreement) >= WANTED_AGREEMENT[precision],
        "classes_seen": int(torch.cat(masks).unique().numel()),  # type: ignore[no-untyped-call]
        "learning_steps": steps,
        "finite_logits": finite_logits(network, images[0]),
        "peak_memory_mib": None if peak_bytes is None else round(peak_bytes / 2**20, 1),
        "batch": 1,
        "facts": dict(prepared.facts),
    }


@functools.lru_cache(maxsize=1)
def deployed_point(
    name: str, size: tuple[int, int], device: str, steps: int
) -> tuple[Deployed, list[Tensor], list[Tensor]]:
    """Build a point that knows its colours, and two images with their masks by the CPU in float32."""
    torch.manual_seed(0)
    network = build(named_point(name).spec, CITYSCAPES_CLASSES)
    learn_colours(network, device, steps)
    images = [scene(size, seed)[0] for seed in (1, 2)]
    deployed = deploy(network.cpu(), size, MEAN, STD)
    with torch.inference_mode():
        return deployed, images, [deployed(image) for image in images]


def learn_colours(network: nn.Module, device: str, steps: int) -> None:
    """Train for a moment: the classes of fresh weights lie so close that any rounding changes the mask."""
    network.train().to(device)
    optimizer = torch.optim.Adam(network.parameters(), LEARNING_RATE)
    mean, std = (torch.tensor(values, device=device).view(1, 3, 1, 1) for values in (MEAN, STD))
    for step in range(steps):
        images, labels = zip(*(scene((256, 512), 100 + 2 * step + i) for i in range(2)), strict=True)
        logits = network((torch.cat(images).to(device).float() / 255 - mean) / std)
        logits = F.interpolate(logits, size=(256, 512), mode="bilinear", align_corners=False)
        optimizer.zero_grad()
        F.cross_entropy(logits, torch.cat(labels).to(device)).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    network.eval()


def scene(size: tuple[int, int], seed: int) -> tuple[Tensor, Tensor]:
    """Draw blocks of one colour per class with some noise: uint8 (1, 3, H, W) and int64 (1, H, W)."""
    chance = torch.Generator().manual_seed(seed)
    colours = 255 * torch.rand(CITYSCAPES_CLASSES, 3, generator=torch.Generator().manual_seed(0))
    blocks = torch.randint(0, CITYSCAPES_CLASSES, (1, 1, 4, 8), generator=chance)
    label = F.interpolate(blocks.float(), size=size, mode="nearest")[:, 0].long()
    image = colours[label].permute(0, 3, 1, 2) + 8 * torch.randn(1, 3, *size, generator=chance)
    return image.clamp(0, 255).to(torch.uint8), label


def as_run(network: Deployed, device: str, precision: str) -> Deployed:
    """Copy a network as the backend would, which then needs no copy of its own: peak memory counts weights once."""
    layout = torch.channels_last if precision == "float16" else torch.contiguous_format
    copied: Deployed = copy.deepcopy(network).to(device, getattr(torch, precision)).to(memory_format=layout)  # type: ignore[call-overload]
    return copied


@torch.inference_mode()
def finite_logits(network: Deployed, image: Tensor) -> bool:
    """Whether no logit overflows, where a mask would hide it; of plain torch, whatever the backend."""
    pixels = image.to(network.scale.device, network.scale.dtype) * network.scale + network.shift
    return bool(network.network(pixels).isfinite().all())


# Part 2


def training_missing(args: argparse.Namespace) -> list[Item]:
    done = {line["seed"] for line in lines(args.out / EPOCHS) if "train_seconds" in line}
    return [("seed", str(seed)) for seed in range(args.seeds) if seed not in done]


def training_obstacle(args: argparse.Namespace) -> str | None:
    return no_device(args) or without("PIL", "safetensors") or no_camvid(args)


def without(*libraries: str) -> str | None:
    absent_ones = [name for name in libraries if importlib.util.find_spec(name) is None]
    return f"{', '.join(absent_ones)} is not installed" if absent_ones else None


def no_camvid(args: argparse.Namespace) -> str | None:
    return None if args.camvid is not None and args.camvid.is_dir() else "--camvid names no folder"


def training_run(args: argparse.Namespace) -> None:
    """Train with the recipe of the paper, on CamVid's train split; test is looked at once."""
    from segsearch.training.evaluate import evaluate
    from segsearch.training.loop import train
    from segsearch.training.recipes import load_recipe
    from segsearch.training.session import Step
    from segsearch.training.weights import WeightFacts, save_weights

    seed, path = args.seed, args.out / EPOCHS
    recipe = load_recipe("fpenet", "camvid", {"epochs": args.epochs})
    images, val = camvid(args.camvid, "train"), camvid(args.camvid, "val")
    common = {"seed": seed, "recipe": recipe.model_dump(mode="json"), **facts(args), "size_hw": [360, 480]}
    torch.manual_seed(seed)
    network = build(named_point("fpenet").spec, len(images.classes))

    def on_step(step: Step) -> None:
        epoch, before = (8 * done // len(images) for done in (step.done, step.done - 1))
        if epoch > before or step.done == step.total:
            scores = evaluate(network, val, batch_size=8, device=args.device)
            write(path, {**common, "epoch": epoch, "step": step.done, "loss": step.loss, "val_miou": scores.miou})
        if time.time() > args.until:
            raise KeyboardInterrupt  # the loop leaves a checkpoint

    checkpoint = args.work / f"fpenet-seed{seed}.pt"
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    result = train(
        network,
        recipe,
        images,
        seed=seed,
        device=args.device,
        checkpoint=checkpoint,
        channels_last=True,
        on_step=on_step,
    )
    told = WeightFacts(point="fpenet", classes=images.classes)
    save_weights(network, args.out / f"gpu_camvid_fpenet_seed{seed}.safetensors", told)
    scores = {
        part: evaluate(network, camvid(args.camvid, part), batch_size=8, device=args.device).model_dump(mode="json")
        for part in ("val", "test")
        if (args.camvid / part).is_dir()
    }
    write(path, {**common, "steps": result.iterations, "train_seconds": result.seconds, **scores})


def camvid(root: Path, part: str) -> Any:
    """Open one official split at 360x480."""
    from segsearch.data.classes import CAMVID
    from segsearch.data.filedataset import FileDataset
    from segsearch.data.pairs import find_pairs

    return FileDataset(
        name=f"camvid/{part}",
        place=root / part,
        classes=CAMVID.names,
        colours=CAMVID.colours,
        pairing=find_pairs(root, part, f"{part}annot"),
        size_hw=(360, 480),
        read_label=CAMVID.read_label,
    )


# Part 3


def search_missing(args: argparse.Namespace) -> list[Item]:
    return [] if (args.out / "camvid_gpu.csv").is_file() else [("camvid_gpu",)]


def search_obstacle(args: argparse.Namespace) -> str | None:
    needed = ("optuna", "pandas", "matplotlib", "typer", "rich", "PIL", "safetensors", "psutil")
    return no_device(args) or without(*needed) or no_camvid(args)


def search_run(args: argparse.Namespace) -> None:
    """Search as a person would, by the command line; what it has found by then is copied out, finished or not."""
    study, folder = args.work / "camvid_gpu.yaml", args.work / "camvid_gpu"
    study.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "name": "camvid_gpu",
        "space": "unified",
        "data": {"name": "camvid", "root": str(args.camvid.resolve()), "size": [360, 480]},
        "recipe": {"epochs": 60, "batch_size": 8, "learning_rate": 2e-3, "class_weights": "enet", "amp": "bf16"},
        "budget": {"fps": 200},
        "device": args.device,
        "backend": "cudagraph" if args.device == "cuda" else "eager",
        "trials": args.trials,
        "seed": 0,
    }
    study.write_text(json.dumps(content), encoding="utf-8")  # JSON is YAML
    command = [sys.executable, "-m", "segsearch", "search", str(study), "--out", str(folder)]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)})
    try:
        process.wait(max(1.0, args.until - time.time()))
    except subprocess.TimeoutExpired:
        stop(process)
    if process.returncode == 0:
        for name, suffix in (("trials.csv", "csv"), ("pareto.png", "png")):
            shutil.copyfile(folder / name, args.out / f"camvid_gpu.{suffix}")
    print(f"the search ended with {process.returncode}; its folder is {folder}")


# Part 4


def throughput_missing(args: argparse.Namespace) -> list[Item]:
    leads, others = chosen(args)
    points = leads if args.points is None else [*leads, *others]
    return absent(args, THROUGHPUT, list(itertools.product(points, ("bf16",))))


def throughput_run(args: argparse.Namespace) -> None:
    each_missing(args, THROUGHPUT, throughput_missing(args), lambda item: throughput(item, args.size, args.device))


class Scenes:
    """A few images that lie in memory: what is measured is the training, not the disk."""

    name, classes = "scenes", tuple(str(i) for i in range(CITYSCAPES_CLASSES))
    colours = tuple((i, i, i) for i in range(CITYSCAPES_CLASSES))
    fit: Fit = "stretch"

    def __init__(self, count: int, size: tuple[int, int]) -> None:
        self.pairs = [
            (image[0].permute(1, 2, 0).contiguous().numpy(), label[0].to(torch.uint8).numpy())
            for image, label in (scene(size, seed) for seed in range(count))
        ]

    def __len__(self) -> int:
        return len(self.pairs)

    def content(self) -> dict[str, str]:
        """Describe the images for a fingerprint, which no study takes of these."""
        return {"drawn": f"{len(self)} scenes"}

    def __getitem__(self, index: int) -> Any:
        return self.pairs[index]


def throughput(item: Item, size: tuple[int, int], device: str) -> dict[str, Any]:
    """Train for some steps on crops of half the size, channels last, and take the median step."""
    from segsearch.training.loop import train
    from segsearch.training.recipe import Recipe
    from segsearch.training.session import Step

    point, amp = item
    batch, steps, skipped = (8, 40, 10) if device == "cuda" else (2, 4, 1)
    crop = (size[0] // 2, size[1] // 2)
    recipe = Recipe.parse({"iterations": steps, "batch_size": batch, "crop": list(crop), "amp": amp}, "recipe")
    torch.manual_seed(0)
    network, ends = build(named_point(point).spec, CITYSCAPES_CLASSES), [time.perf_counter()]

    def on_step(step: Step) -> None:
        ends.append(time.perf_counter())  # the loss was read: the GPU has finished

    train(network, recipe, Scenes(batch, crop), seed=0, device=device, channels_last=True, on_step=on_step)
    laps = [end - begin for begin, end in itertools.pairwise(ends)][skipped:]
    return {
        "images_per_second": batch / statistics.median(laps),
        "step_ms": [round(1000 * lap, 3) for lap in laps],
        "batch": batch,
        "crop": list(crop),
        "peak_memory_mib": round(torch.cuda.max_memory_allocated() / 2**20, 1) if device == "cuda" else None,
    }


@dataclass(frozen=True)
class Part:
    """One kind of evidence: what is missing of it, why it cannot be had here, and how to get it."""

    title: str
    missing: Callable[[argparse.Namespace], list[Item]]
    obstacle: Callable[[argparse.Namespace], str | None]
    run: Callable[[argparse.Namespace], None]


PARTS = {
    1: Part("latency of the named points", latency_missing, no_device, latency_run),
    2: Part("FPENet on CamVid", training_missing, training_obstacle, training_run),
    3: Part("a search on CamVid", search_missing, search_obstacle, search_run),
    4: Part("training throughput of the leads", throughput_missing, no_device, throughput_run),
}

if __name__ == "__main__":
    sys.exit(main())
