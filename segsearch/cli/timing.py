"""Verbs that time networks: measure, leaderboard, rerank."""

import json
import shlex
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segsearch.cli.arguments import ClassesOption, JsonOption, PointArgument, SizeOption, size_hw
from segsearch.cli.remote import RemoteOption, TokenFileOption, worker_at
from segsearch.cli.study import StudyFolderArgument
from segsearch.errors import DeviceError, InputError
from segsearch.progress import say

if TYPE_CHECKING:
    from segsearch.measure.record import LatencyRecord
    from segsearch.measure.timer import TimerSettings
    from segsearch.space.points import NamedPoint
    from segsearch.timing import LatencyProtocol

PROCESSES = 3

PrecisionOption = Annotated[
    str | None,
    typer.Option("--precision", metavar="NAME", help="Number format, such as float16; default: float32."),
]
ThreadsOption = Annotated[int | None, typer.Option(min=1, help="Processor threads; default: torch's number.")]
ProcessesOption = Annotated[
    int | None,
    typer.Option("--processes", min=1, max=100, help=f"New processes per network; default: {PROCESSES}."),
]
QuickOption = Annotated[bool, typer.Option("--quick", help="Measure in one process, this one.")]
StrictOption = Annotated[
    bool, typer.Option("--strict", help="Exit code 2 where a measurement was not steady; it is printed still.")
]


def measure(
    point: PointArgument,
    size: SizeOption = "512x1024",
    classes: ClassesOption = 19,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")] = "cpu",
    backend: Annotated[
        list[str] | None,
        typer.Option(help="Software that runs it: eager, onnxruntime ...; several are compared. Default: eager."),
    ] = None,
    precision: Annotated[
        str | None, typer.Option(help="Number format, such as float16; default: the weights' own.")
    ] = None,
    threads: ThreadsOption = None,
    processes: ProcessesOption = None,
    quick: QuickOption = False,
    strict: StrictOption = False,
    host: Annotated[
        bool, typer.Option("--host", help="Also from a JPEG in memory to a mask in memory: decode, copy, infer, copy.")
    ] = False,
    throughput: Annotated[
        bool, typer.Option("--throughput", help="Also images per second at the best batch: 1, 2, 4 ... are tried.")
    ] = False,
    remote: RemoteOption = None,
    token_file: TokenFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure the batch-1 latency of a point as it would be deployed: BatchNorm folded, bytes in, class mask out.

    The figure is the median over three new processes, one after another. In each, blocks of calls alternate with blocks
    of a small fixed network on the same processors. Where that one moved by more than 3 %, or others used the processor
    or the GPU, the result is marked as not steady, with the reason. Nothing else of ours works on the device meanwhile.
    Weights are fresh: they do not change how long a network takes.

    Example: segsearch measure fpenet --size 512x1024 --backend onnxruntime --backend openvino
    """
    from segsearch.data.normalise import MEAN, STD
    from segsearch.deployment.deploy import deploy
    from segsearch.describe import describe
    from segsearch.measure.conditions import Conditions
    from segsearch.measure.throughput import measure_throughput
    from segsearch.report.console import bar
    from segsearch.report.latency import latency_json, sentence, side_by_side, throughput_line
    from segsearch.timing import NetworkSubject, latency_of

    worker = None if remote is None else worker_at(remote, token_file)
    if worker is not None and throughput:
        raise InputError("--throughput", "is not measured on another machine", "without --remote")
    count, timer = how_careful(processes, quick)
    shown, records, batches = describe(point, size_hw(size), classes), [], []
    subject = NetworkSubject(spec=shown.spec, classes=classes, size_hw=shown.size_hw, label=shown.name)
    for name in dict.fromkeys(backend or ["eager"]):
        under = Conditions(device=device, backend=name, precision=precision, threads=threads, timer=timer, host=host)
        with bar(f"measure {name}") as report:
            records.append(latency_of(subject, under, processes=count, worker=worker, report=report))
            if throughput:
                deployed = deploy(shown.network, shown.size_hw, MEAN, STD)
                batches.append(measure_throughput(deployed, under, report=report))
    if as_json:
        written = [latency_json(*pair) for pair in zip_longest(records, batches)]
        print(json.dumps(written[0] if len(written) == 1 else written, indent=2))
    else:
        print(sentence(records[0], shown.spec.id) if len(records) == 1 else side_by_side(records))
        for record, found in zip(records, batches, strict=False):
            print(throughput_line(record, found))
    refuse_unsteady(records, strict)


def leaderboard(
    size: Annotated[str, typer.Option("--size", metavar="HxW", help="Input height x width in pixels.")] = "1024x2048",
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")] = "cpu",
    backend: Annotated[
        list[str] | None, typer.Option("--backend", metavar="NAME", help="Software that runs them; may be repeated.")
    ] = None,
    precision: PrecisionOption = None,
    points: Annotated[
        list[str] | None, typer.Option("--points", metavar="NAME", help="Only this point; may be repeated.")
    ] = None,
    paper: Annotated[str | None, typer.Option("--paper", metavar="NAME", help="Only the points of one paper.")] = None,
    plain: Annotated[
        bool, typer.Option("--plain", help="Also time plain torch.onnx.export files, in runtimes of exported files.")
    ] = False,
    threads: ThreadsOption = None,
    samples: Annotated[
        int | None,
        typer.Option("--samples", min=1, help="Least samples per network and process; default: about a second."),
    ] = None,
    processes: ProcessesOption = None,
    quick: QuickOption = False,
    strict: StrictOption = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Folder; default: runs/leaderboard-SIZE-DEVICE.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be timed and how long it takes.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Time all published networks in one way, and say which printed speeds hold up in order.

    The same command goes on with one that was stopped; what was measured in the same way is not measured again.
    Each is timed as by `segsearch measure`. Writes leaderboard.csv, leaderboard.png and leaderboard.md. The exit code
    is 1 where a network could not be timed.

    Example: segsearch leaderboard --size 512x1024 --backend onnxruntime --dry-run
    """
    from segsearch.leaderboard.run import choose_points, with_plain
    from segsearch.measure.conditions import Conditions
    from segsearch.timing import protocol_for

    wanted = size_hw(size)
    chosen, left_out = choose_points(points or [], paper, wanted)
    count, timer = how_careful(processes, quick)
    if samples:
        timer = timer.model_copy(update={"min_samples": samples, "min_seconds": 0.0})
    protocols = [
        protocol_for(
            wanted,
            Conditions(device=device, backend=name, precision=precision, threads=threads, timer=timer),
            processes=count,
        )
        for name in dict.fromkeys(backend or ["eager"])
    ]
    folder = out or Path("runs") / f"leaderboard-{wanted[0]}x{wanted[1]}-{device.replace(':', '')}"
    if dry_run:
        _dry_run(with_plain(protocols) if plain else protocols, chosen, left_out, folder)
        return
    if left_out:
        say(f"left out, too large for these images: {', '.join(left_out)}")
    _leaderboard(protocols, chosen, folder, plain, strict, as_json)


def _dry_run(
    protocols: "list[LatencyProtocol]", chosen: "tuple[NamedPoint, ...]", left_out: tuple[str, ...], folder: Path
) -> None:
    from segsearch.leaderboard.plan import plan
    from segsearch.leaderboard.run import MEASURED, candidates_of
    from segsearch.measure.backends.table import FILE_BACKENDS
    from segsearch.report.console import bar, show
    from segsearch.report.leaderboard import plan_table
    from segsearch.report.words import duration
    from segsearch.timing import LatencyStore

    store, seconds, exporting = LatencyStore(folder / MEASURED), 0.0, True
    for protocol in protocols:
        with bar("dry run") as report:
            planned = plan(store, protocol, candidates_of(chosen), exporting=exporting, report=report)
        show(plan_table(planned, left_out))
        seconds, exporting = seconds + planned.seconds, exporting and protocol.backend not in FILE_BACKENDS
    if len(protocols) > 1:
        print(f"{duration(seconds)} for all of them")


def _leaderboard(
    protocols: "list[LatencyProtocol]",
    chosen: "tuple[NamedPoint, ...]",
    folder: Path,
    plain: bool,
    strict: bool,
    as_json: bool,
) -> None:
    from segsearch.leaderboard.run import run_leaderboard
    from segsearch.report.console import bar, show
    from segsearch.report.leaderboard import shown, write_leaderboard
    from segsearch.report.leaderboard_csv import leaderboard_frame

    with _kept(folder), bar("leaderboard") as report:
        found = run_leaderboard(chosen, protocols, folder, plain=plain, report=report, note=say)
    if as_json:
        print(leaderboard_frame(found.boards).to_json(orient="records", indent=2))
    else:
        show(shown(found))
    if not any(board.entries for board in found.boards):
        raise typer.Exit(1)
    paths = write_leaderboard(found, folder, command=shlex.join(["segsearch", *sys.argv[1:]]))
    if not as_json:
        print("  ".join(map(str, paths)))
    refuse_unsteady([entry.latency for board in found.boards for entry in board.entries], strict)
    if found.failed:
        raise typer.Exit(1)


def rerank(
    study: StudyFolderArgument,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or cuda:N; default: the study's own.")] = None,
    backend: Annotated[str | None, typer.Option(metavar="NAME", help="Default: the study's own.")] = None,
    precision: Annotated[
        str | None,
        typer.Option("--precision", metavar="NAME", help="Default: the study's own; under another backend float32."),
    ] = None,
    size: Annotated[
        str | None, typer.Option("--size", metavar="HxW", help="Input height x width; default: the study's own.")
    ] = None,
    threads: ThreadsOption = None,
    processes: ProcessesOption = None,
    quick: QuickOption = False,
    strict: StrictOption = False,
    all_trials: Annotated[bool, typer.Option("--all", help="Every trained network, not only the front.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Time a study's networks again for another device, backend or precision; show the new Pareto front.

    Nothing is trained: mIoU is as the study has it, in the study's own precision. Writes into the study's folder
    rerank/ and nowhere else; the same command goes on with one that was stopped.

    Example: segsearch rerank runs/my_study --backend openvino --all
    """
    from segsearch.leaderboard.rerank import FOLDER, study_protocol
    from segsearch.leaderboard.rerank import rerank as run
    from segsearch.report.console import bar, show
    from segsearch.report.rerank import rerank_frame, shown, write_rerank

    wanted = size_hw(size) if size else None
    count, timer = how_careful(processes, quick)
    protocol = study_protocol(
        study,
        size_hw=wanted,
        device=device,
        backend=backend,
        precision=precision,
        threads=threads,
        timer=timer,
        processes=count,
    )
    with _kept(study / FOLDER), bar("rerank") as report:
        found = run(study, protocol, all_trials=all_trials, report=report, note=say)
    if as_json:
        print(rerank_frame(found).to_json(orient="records", indent=2))
    else:
        show(shown(found))
    paths = write_rerank(found, study)
    if not as_json:
        print("  ".join(map(str, paths)))
    refuse_unsteady([net.again for net in found.networks], strict)


def how_careful(processes: int | None, quick: bool) -> "tuple[int | None, TimerSettings]":
    """Return the number of new processes, None for this one, and how long to sample in each."""
    from segsearch.measure.timer import QUOTED, TimerSettings

    if quick and processes is not None:
        raise InputError("--quick", "measures in one process, so --processes cannot be given beside it")
    return (None, TimerSettings()) if quick else (processes or PROCESSES, QUOTED)


def refuse_unsteady(records: "Iterable[LatencyRecord]", strict: bool) -> None:
    """Raise DeviceError where a measurement was not steady and that is not allowed; it has been shown before."""
    unsteady = [record for record in records if not record.steady]
    if strict and unsteady:
        first, more = unsteady[0], len(unsteady) - 1
        others = f", and {more} more measurements" if more else ""
        raise DeviceError(f"--strict: {first.label} under {first.backend} was not steady: {first.unsteady}{others}")


@contextmanager
def _kept(folder: Path) -> Iterator[None]:
    """Say on Ctrl-C that nothing is lost."""
    try:
        yield
    except KeyboardInterrupt:
        say(f"what is measured is kept in {folder}; the same command goes on")
        raise
