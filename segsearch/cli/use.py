"""Verbs around one network or one folder of images: predict, import-weights, data."""

from pathlib import Path
from typing import Annotated

import typer

from segsearch.cli.study import RootOption

data = typer.Typer(help="Look at data before it is trained on.", no_args_is_help=True)
OutFolder = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the pictures.")]


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
