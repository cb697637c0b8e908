"""Verbs around files of weights and data: import-weights, data."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segsearch.cli.arguments import JsonOption
from segsearch.cli.outputs import IMPORTED, SHEET, check_output
from segsearch.cli.study import RootOption
from segsearch.errors import InputError

if TYPE_CHECKING:
    from segsearch.data.config import DataSpec

data = typer.Typer(help="Look at data before it is trained on.", no_args_is_help=True)


def import_weights(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A released checkpoint: .pth, .pt or .safetensors.")],
    point: Annotated[
        str,
        typer.Option("--as", metavar="POINT", help="The point whose network it fills; see `segsearch show --help`."),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="OUT.safetensors", help="The file to write.")],
    names: Annotated[
        str | None, typer.Option(help="Whose tensor names it has; default: of the point's release.")
    ] = None,
    partial: Annotated[bool, typer.Option("--partial", help="Write although some tensors stay fresh.")] = False,
) -> None:
    """Bring released weights to our names; every unused and missing tensor is told. No code in the file is run.

    Example: segsearch import-weights sfnet_r18.pth --as sfnet_r18 --out sfnet_r18.safetensors
    """
    from segsearch.importer import import_state, release_of
    from segsearch.models.checkpoint_file import read_checkpoint
    from segsearch.named import read_point
    from segsearch.space.lower import lower
    from segsearch.training.weights import WeightFacts, save_weights

    check_output("--out", out, IMPORTED)
    name, choices = read_point(point)
    spec = lower(choices)
    found = import_state(read_checkpoint(file), spec, release_of(name, names), file)
    for word, tensors in (("unused", found.unused), ("missing", found.missing)):
        for tensor in tensors:
            print(f"{word}  {tensor}")
    if found.missing and not partial:
        raise InputError(file, f"{len(found.missing)} tensors are missing", "--partial leaves them fresh")
    save_weights(found.network, out, WeightFacts(point=name, spec=spec.id, release=found.release))
    print(f"{found.filled} tensors filled, {len(found.unused)} unused, {len(found.missing)} missing: {out}")


@data.command("check")
def data_check(
    what: Annotated[
        str,
        typer.Argument(metavar="STUDY|DATA", help="A study, the YAML file of a data set, or the folder of a data set."),
    ],
    root: RootOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read every image and label of a data set: list all files that cannot be used, and count classes and sizes.

    The exit code is 1 where something would spoil a study.

    Example: segsearch data check my_dataset.yaml
    """
    from segsearch.data.open import open_data
    from segsearch.data.survey import judge, survey
    from segsearch.report.console import bar
    from segsearch.report.data import as_plain, classes_table, reshaped, sound, splits_table, words

    with bar("check") as report:
        config, sized = _described(what, root)
        surveys = survey(open_data(config, check=False), report)
    verdict = judge(surveys)
    if as_json:
        print(json.dumps(as_plain(surveys, verdict), indent=2, ensure_ascii=False))
    else:
        from segsearch.report.console import show

        show(splits_table(surveys), classes_table(surveys), *words(surveys, verdict))
        if sized:
            show(*reshaped(surveys, config))
    if not sound(surveys, verdict):
        raise typer.Exit(1)


def _described(what: str, root: str | None) -> "tuple[DataSpec, bool]":
    """Read which data a study, or a file or folder of data alone, means; and whether the size is meant, too.

    Raises:
        InputError: it is none of these.
    """
    from segsearch.cli.study import changed
    from segsearch.data.open import find_data
    from segsearch.files import expanded
    from segsearch.study.config import load_study
    from segsearch.study.store import StudyFolder

    path = expanded(what)
    of_study = (path / "study.json").is_file()
    found = None if of_study else find_data(path)
    if found is None:
        config = StudyFolder(path).read_study().config if of_study else load_study(what)
        return changed(config, root=root).data, True
    if root is not None:
        raise InputError("--root", "is only for a study", "the path of the data instead")
    return found, False


@data.command("sheet")
def data_sheet(
    out: Annotated[Path, typer.Argument(metavar="OUT.png", help="The picture to write.")],
) -> None:
    """Draw a contact sheet of the embedded streets, labels below images.

    Example: segsearch data sheet streets.png
    """
    from segsearch.data.contact_sheet import save_contact_sheet

    check_output("OUT.png", out, SHEET)
    save_contact_sheet(out)
