"""Verbs around one network or one folder of images: measure, predict, data."""

import json
from itertools import zip_longest
from pathlib import Path
from typing import Annotated

import typer

from segsearch.cli.arguments import ClassesOption, JsonOption, PointArgument, SizeOption, size_hw
from segsearch.cli.remote import RemoteOption, TokenFileOption, worker_at
from segsearch.cli.study import RootOption

data = typer.Typer(help="Look at data before it is trained on.", no_args_is_help=True)
OutFolder = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the pictures.")]


def measure(
    point: PointArgument,
    size: SizeOption = "512x1024",
    classes: ClassesOption = 19,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    backend: Annotated[
        list[str] | None,
        typer.Option(help="Software that runs it: eager, onnxruntime ...; several are compared. Without: eager."),
    ] = None,
    precision: Annotated[
        str | None, typer.Option(help="Number format, such as float16; the weights' own without.")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Processor threads; torch's number without.")] = None,
    host: Annotated[
        bool, typer.Option("--host", help="Also from a JPEG in memory to a mask in memory: decode, copy, infer, copy.")
    ] = False,
    throughput: Annotated[
        bool, typer.Option("--throughput", help="Also images per second at the best batch: 1, 2, 4 ... are tried.")
    ] = False,
    allow_busy: Annotated[
        bool, typer.Option("--allow-busy", help="Warn instead of refusing where the machine did not stand still.")
    ] = False,
    remote: RemoteOption = None,
    token_file: TokenFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure the batch-1 latency of a point as it would be deployed: BatchNorm folded, bytes in, class mask out.

    For eight seconds short runs of calls are taken, and beside each a small fixed network is timed on the same
    processors. Runs count where that one is within 3 % of its best; where too few are, it goes on for up to 40 seconds
    and then refuses: something else is using the machine. The network is loaded anew every second, and of the runs
    that count the quicker half is kept. Nothing else of ours works on the device meanwhile. Weights are fresh: they do
    not change how long a network takes.
    """
    from segsearch.data.normalise import MEAN, STD
    from segsearch.describe import describe
    from segsearch.errors import InputError
    from segsearch.export.deploy import deploy
    from segsearch.latency import NetworkSubject, latency_of
    from segsearch.measure.conditions import Conditions
    from segsearch.measure.throughput import measure_throughput
    from segsearch.measure.timer import CAREFUL
    from segsearch.report.bars import bar
    from segsearch.report.latency import latency_json, sentence, side_by_side, throughput_line

    worker = None if remote is None else worker_at(remote, token_file)
    if worker is not None and throughput:
        raise InputError("--throughput", "is not measured on another machine", "without --remote")
    shown, records, batches = describe(point, size_hw(size), classes), [], []
    subject = NetworkSubject(
        spec=shown.spec, classes=classes, size_hw=shown.size_hw, label=shown.name, network=shown.network
    )
    for name in dict.fromkeys(backend or ["eager"]):
        under = Conditions(
            device=device,
            backend=name,
            precision=precision,
            threads=threads,
            unsteady="note" if allow_busy else "refuse",
            timer=CAREFUL,
            host=host,
        )
        with bar(f"measure {name}") as report:
            records.append(latency_of(subject, under, worker=worker, report=report))
            if throughput:
                deployed = deploy(shown.network, shown.size_hw, MEAN, STD)
                batches.append(measure_throughput(deployed, under, report=report))
    if as_json:
        written = [latency_json(*pair) for pair in zip_longest(records, batches)]
        print(json.dumps(written[0] if len(written) == 1 else written, indent=2))
        return
    print(sentence(records[0], shown.spec.id) if len(records) == 1 else side_by_side(records))
    for record, found in zip(records, batches, strict=False):
        print(throughput_line(record, found))


def predict(
    model: Annotated[str, typer.Argument(metavar="MODEL.onnx", help="What `segsearch export` wrote.")],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE|FOLDER...", help="Images, or folders of them.")],
    out: OutFolder = Path("predictions"),
    blend: Annotated[float, typer.Option(min=0.0, max=1.0, help="Share of the colours over the image.")] = 0.5,
    masks: Annotated[bool, typer.Option("--masks", help="Also write the masks of class ids.")] = False,
) -> None:
    """Run an exported model over images and write colour overlays."""
    from segsearch.export.onnx import OnnxModel
    from segsearch.export.predict import predict_files
    from segsearch.report.bars import bar

    with bar("predict") as report:
        written = predict_files(OnnxModel(Path(model)), images, out, blend=blend, masks=masks, report=report)
    print(f"{len(written)} files in {out}")


def import_weights(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A released checkpoint: .pth, .pt or .safetensors.")],
    point: Annotated[
        str,
        typer.Option("--as", metavar="POINT", help="The point whose network it fills; see `segsearch show --help`."),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="OUT.safetensors", help="The file to write.")],
    names: Annotated[str | None, typer.Option(help="Whose tensor names, where the point does not say it.")] = None,
    partial: Annotated[bool, typer.Option("--partial", help="Write although some tensors stay fresh.")] = False,
) -> None:
    """Bring released weights to our names; every unused and missing tensor is told. No code in the file is run."""
    from segsearch.describe import read_point
    from segsearch.errors import InputError
    from segsearch.importer import import_state, release_of
    from segsearch.models.checkpoint_file import read_checkpoint
    from segsearch.space.lower import lower
    from segsearch.train.weights import save_weights

    name, choices = read_point(point)
    spec = lower(choices)
    found = import_state(read_checkpoint(file), spec, release_of(name, names), file)
    for word, tensors in (("unused", found.unused), ("missing", found.missing)):
        for tensor in tensors:
            print(f"{word}  {tensor}")
    if found.missing and not partial:
        raise InputError(file, f"{len(found.missing)} tensors are missing", "--partial leaves them fresh")
    metadata = {"point": name, "id": spec.id, "release": found.release, "classes": str(found.network.classes)}
    save_weights(found.network, out, metadata)
    print(f"{found.filled} tensors filled, {len(found.unused)} unused, {len(found.missing)} missing: {out}")


@data.command("check")
def data_check(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="A study whose data is read to the last label.")],
    root: RootOption = None,
) -> None:
    """Read every image and label of a study's data: pairing, sizes, label ids."""
    from segsearch.cli.study import changed
    from segsearch.data.check import check
    from segsearch.data.open import open_data
    from segsearch.report.bars import bar
    from segsearch.search.config import load_study

    config = changed(load_study(study), trials=None, seed=None, fps=None, root=root)
    splits = open_data(config.data)
    for name, dataset in (("train", splits.train), ("val", splits.val), ("report", splits.report)):
        if dataset is not None:
            with bar(f"check {name}") as report:
                pixels = check(dataset, report)
            absent = ", ".join(c for c in dataset.classes if not pixels[c])
            print(f"{name}: {len(dataset)} images, all readable" + (f"; without any {absent}" if absent else ""))


@data.command("sheet")
def data_sheet(
    out: Annotated[Path, typer.Argument(metavar="OUT.png", help="The picture to write.")],
) -> None:
    """Draw a contact sheet of the embedded streets, labels below images."""
    from segsearch.data.contact_sheet import save_contact_sheet

    save_contact_sheet(out)
