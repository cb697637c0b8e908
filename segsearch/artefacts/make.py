"""A network written in every form that is wanted, each proven against the network as it was trained."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from segsearch.artefacts.formats import ONNX, Form, Format, write_form, write_int8
from segsearch.data.normalise import MEAN, STD
from segsearch.deployment.artefact import Artefact, Timing
from segsearch.deployment.deploy import Deployed, deploy, network_masks
from segsearch.deployment.onnx import Colour, Exported, to_onnx
from segsearch.deployment.parity import Agreement, Masks, agreements, prove
from segsearch.measure.conditions import Conditions
from segsearch.measure.timer import TimerSettings
from segsearch.models.network import Network
from segsearch.progress import Report, silent
from segsearch.timing import FileSubject, latency_of

Images = Iterable[npt.NDArray[np.uint8]]
_DEFAULT, _INT8, _SHIPPED = " as it is by default", "int8", "shipped"


@dataclass(frozen=True, kw_only=True)
class Label:
    """What stands in the file itself: class names and colours by index, and notes such as the spec's id."""

    classes: Sequence[str]
    colours: Sequence[Colour]
    notes: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Written:
    """The deployed network and what is known of the ONNX file written from it, from which all other forms are made."""

    deployed: Deployed
    exported: Exported


def write_onnx(network: Network, size_hw: tuple[int, int], folder: Path, label: Label) -> Written:
    """Write ``model.onnx`` of a network into ``folder``, unproven. Raises InputError if it cannot be written."""
    deployed = deploy(network, size_hw, MEAN, STD)
    return Written(deployed=deployed, exported=write_file(deployed, folder / ONNX, label))


def write_file(deployed: Deployed, path: Path, label: Label) -> Exported:
    """Write a deployed network as an ONNX file, unproven. Raises as `segsearch.deployment.onnx.to_onnx`."""
    return to_onnx(deployed, path, classes=label.classes, colours=label.colours, metadata=label.notes)


def make_artefacts(
    network: Network,
    size_hw: tuple[int, int],
    folder: Path,
    *,
    label: Label,
    images: Images,
    formats: Sequence[Format],
    threads: int,
    calibration: Images | None = None,
    written: Written | None = None,
    shipped: Form | None = None,
    report: Report = silent,
) -> tuple[Exported, tuple[Artefact, ...]]:
    """Write a network into ``folder`` in each of ``formats`` and prove each on images, uint8 [H, W, 3].

    The reference is the network itself, neither folded nor frozen, in torch. In float32 99.9 % of the pixels must
    agree. How far a runtime agrees in the precision of its own choice is only told, and so is the int8 form, which is
    made where there are images to calibrate it on: rounding costs what it costs. ``written``: what `write_onnx` gave,
    if the ONNX file lies in ``folder`` already. ``shipped``: one more form, the last of those returned, of a file that
    lies there too.

    Raises:
        ProofError: a form does something else than the network. MissingExtraError: a library is not installed.
        InputError: a file cannot be written.
    """
    written = written or write_onnx(network, size_hw, folder, label)
    forms = {str(name): write_form(name, written.deployed, folder, threads) for name in formats}
    if calibration is not None:
        forms[_INT8] = write_int8(calibration, folder, threads)
    if shipped is not None:
        forms[_SHIPPED] = shipped
    found = agreements(network_masks(network, MEAN, STD), _runs(forms), images, report)
    for name, form in forms.items():
        if form.precision == "float32":
            prove(found[name], name=f"the {name} artefact")
    return written.exported, tuple(
        _artefact(form, found[name], found.get(name + _DEFAULT)) for name, form in forms.items()
    )


def time_file(path: Path, threads: int, timer: TimerSettings) -> Timing:
    """Time an ONNX artefact under onnxruntime in a new process. Raises as `segsearch.timing.latency_of`."""
    return time_under(path, Conditions(backend="onnxruntime", threads=threads, timer=timer))


def time_under(path: Path, under: Conditions) -> Timing:
    """Time an ONNX file in a new process. Raises as `segsearch.timing.latency_of`."""
    found = latency_of(FileSubject(path=path, label=path.name), under, processes=1)
    return Timing(
        latency_ms=found.median_ms,
        covers="mask",
        backend=found.backend,
        device=found.device,
        precision=found.precision,
        threads=found.threads if found.device_kind == "cpu" else None,
        fresh_process=True,
        steady=found.steady,
    )


def _runs(forms: Mapping[str, Form]) -> dict[str, Masks]:
    runs = {name: form.masks for name, form in forms.items()}
    return runs | {name + _DEFAULT: form.by_default for name, form in forms.items() if form.by_default is not None}


def _artefact(form: Form, agreed: Agreement, by_default: Agreement | None) -> Artefact:
    return Artefact(
        format=form.format,
        precision=form.precision,
        files=form.files,
        runtime=form.runtime,
        agreement=agreed,
        default_precision=form.default_precision,
        default_agreement=by_default or (agreed if form.default_precision else None),
        calibration_images=form.calibration_images,
    )
