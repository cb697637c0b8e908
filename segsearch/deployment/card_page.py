"""The model card, written: as JSON for programs and as a page to read."""

import json
from pathlib import Path

from segsearch.deployment.artefact import Artefact, Timing
from segsearch.deployment.card import JSON_NAME, Card
from segsearch.deployment.markdown import cell, pairs, percent, table
from segsearch.deployment.parity import Agreement
from segsearch.files import write_atomic

_COVERS = {"logits": "normalised image to logits", "mask": "bytes in to class indices out"}
_NONE = "not measured"
_COUNTED = ("parameters", "multiply-adds")
PAGE_NAME = "MODEL_CARD.md"
_PLAIN = """\
import numpy as np
import onnxruntime
from PIL import Image

session = onnxruntime.InferenceSession("{file}")
picture = Image.open("image.png").convert("RGB")
pixels = np.asarray(picture.resize(({width}, {height}), Image.Resampling.BILINEAR))
planes = np.ascontiguousarray(pixels.transpose(2, 0, 1)).reshape(1, 3, {height}, {width})
mask = session.run(["mask"], {{"image": planes}})[0][0]  # class indices, uint8 [{height}, {width}]
Image.fromarray(mask).resize(picture.size, Image.Resampling.NEAREST).save("mask.png")
"""
"""Lines of Python that need nothing of ours."""
RESTLESS = "The machine did not stand still while the file was timed: it may be faster than that."


def write_card(card: Card, folder: Path) -> tuple[Path, Path]:
    """Write ``model.json`` and ``MODEL_CARD.md`` into ``folder`` and return their paths.

    Raises:
        InputError: the folder cannot be written.
    """
    data, page = folder / JSON_NAME, folder / PAGE_NAME
    write_atomic(data, json.dumps(card.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n")
    write_atomic(page, markdown(card))
    return data, page


def markdown(card: Card) -> str:
    """Write the card as Markdown."""
    parts = [
        _head(card),
        _figures(card),
        _choice(card),
        _what_they_mean(card),
        _forms(card),
        _classes(card),
        _use(card),
        _origin(card),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def _head(card: Card) -> str:
    height, width = card.size_hw
    found = (
        f"Found by the segsearch study `{card.study}` on the dataset `{card.data}`" if card.study else "Not searched"
    )
    return (
        f"# {cell(card.name)}\n\n"
        f"Segments RGB images, {height} pixels high and {width} wide, into {len(card.classes)} classes. "
        f"{found}; network `{card.spec}`.\n\n"
        f"Weights: {card.weights}."
    )


def _figures(card: Card) -> str:
    search, artefact = card.search, card.artefact
    rows = [
        ("mIoU", percent(card.miou), percent(card.artefact_miou)),
        ("latency", _milliseconds(search), _milliseconds(artefact)),
        ("images per second", _fps(search), _fps(artefact)),
        ("time covers", _covers(search), _covers(artefact)),
        ("measured with", _where(search), _where(artefact)),
    ]
    if card.miou is None:
        del rows[0]
    if card.budget_fps is not None:
        again = _met(artefact, card) if card.same_device else "another device than the search's"
        rows.append((f"budget of {card.budget_fps:g} FPS", _met(search, card), again))
    rows.append((_COUNTED[0], f"{card.params / 1e6:.3f} M", "the same network, BatchNorm folded in"))
    rows.append((_COUNTED[1], f"{card.macs / 1e9:.3f} G", "the same network"))
    named = f"this file, `{card.shipped or card.file}`"
    if search is None:
        return table(("", named), [(row[0], row[1] if row[0] in _COUNTED else row[2]) for row in rows])
    return table(("", "in the search", named), rows)


def choice_lines(card: Card) -> list[str]:
    """Say in one sentence each how the network was picked, and which ones were passed over for it."""
    picked = {
        "miou": "Picked for its mIoU.",
        "knee": "Picked at the knee of the Pareto front, where more latency begins to buy less mIoU.",
        "fastest": "Picked as the fastest.",
    }
    lines = [picked[card.pick]] if card.pick else []
    for rival in card.rivals:
        name, speed = f"{rival.name} (trial {rival.trial}, mIoU {percent(rival.miou)})", f"{rival.latency_ms:.2f} ms"
        if rival.reason == "missed":
            lines.append(f"Passed over: {name}, whose file takes {speed}, {1000 / rival.latency_ms:.1f} FPS.")
        elif rival.reason == "gone":
            lines.append(f"Would have been picked, but its weights are gone: {name}, at {speed} in the search.")
        else:
            lead = f"{100 * (rival.miou - (_mean(card) or 0)):.1f} points better"
            lines.append(f"Within one standard error and slower: {name}, {lead}, at {speed} in the search.")
    if card.pick and card.meets_budget is False:
        lines.append(f"No network's file meets the budget of {card.budget_fps:g} FPS; this one is the nearest.")
    return lines


def _mean(card: Card) -> float | None:
    return card.retrained.miou if card.retrained else card.miou


def _choice(card: Card) -> str:
    lines = choice_lines(card)
    return "## Choice\n\n" + "\n".join(f"- {cell(line)}" for line in lines) if lines else ""


def _what_they_mean(card: Card) -> str:
    agreed = card.agreement
    lines = [
        *_on_miou(card),
        "- Latency is for one image at a time and holds for the named device only."
        + (" The file was timed in a process of its own." if card.artefact and card.artefact.fresh_process else "")
        + (f" {RESTLESS}" if card.artefact and card.artefact.steady is False else ""),
        "- The file gives the same class as the network in torch, not folded, on"
        f" {percent(agreed.fraction, digits=4)} of {agreed.pixels} pixels ({agreed.images} {card.proven_on},"
        f" the worst {percent(agreed.worst, digits=4)}; {agreed.classes_seen} classes occur).",
    ]
    if agreed.classes_seen < 2:
        lines.append("- The network gives one class everywhere, so this agreement says little.")
    return "## What the figures mean\n\n" + "\n".join(lines)


def _on_miou(card: Card) -> list[str]:
    if card.miou is None:
        return ["- There is no mIoU: nothing with labels was evaluated."]
    chosen = " The search chose this model by them, so expect a lower value on others." if card.study else ""
    return [
        f"- mIoU is over {card.images} validation images of `{card.data}`{_error(card)}.{chosen}",
        f"- The mIoU of `{card.shipped or card.file}` was computed by running the file itself on the same images."
        if card.artefact_miou is not None
        else "- The file's own mIoU was not measured.",
        *_unseen(card),
    ]


def _error(card: Card) -> str:
    return "" if card.standard_error is None else f", with a standard error of {100 * card.standard_error:.1f} points"


def _unseen(card: Card) -> list[str]:
    which = "the search never saw" if card.study else "are only reported on"
    if card.report_miou is not None:
        return [f"- On images that {which}, the trained network reaches mIoU {percent(card.report_miou)}."]
    return ["- It was not evaluated on images that the search never saw."] if card.study else []


def _forms(card: Card) -> str:
    if not card.artefacts:
        return ""
    head = ("form", "precision", "run by", "agreement", "worst image", "mIoU", "latency")
    rows = [row for artefact in card.artefacts for row in _form_rows(artefact)]
    written = dict.fromkeys(file for form in card.artefacts for file in form.files)
    files = [(f"`{file.name}`", f"{file.size_bytes:,}", f"`{file.sha256}`") for file in written]
    notes = [_on_int8(card, form) for form in card.artefacts if form.precision == "int8"]
    if any(form.format == "pt2" for form in card.artefacts):
        notes.append(
            "Loading a `.pt2` with torch can run code that is inside the file: load it only if its sha256 is this one."
        )
    said = [table(head, rows), table(("file", "bytes", "sha256"), files), *notes]
    return "## Forms\n\n" + "\n\n".join(said)


def _form_rows(form: Artefact) -> list[tuple[str, ...]]:
    said = (percent(form.miou, _NONE), _milliseconds(form.timing))
    rows: list[tuple[str, ...]] = [(form.format, form.precision, form.runtime, *_agreed(form.agreement), *said)]
    if form.default_agreement is not None and form.default_agreement != form.agreement:
        own = f"{form.default_precision}, its own choice here"
        rows.append((form.format, own, form.runtime, *_agreed(form.default_agreement), _NONE, _NONE))
    return rows


def _agreed(agreement: Agreement) -> tuple[str, str]:
    return percent(agreement.fraction, digits=4), percent(agreement.worst, digits=4)


def _on_int8(card: Card, form: Artefact) -> str:
    """Say what rounding to int8 costs, whichever way it goes."""
    said = f"`{form.files[0].name}` rounds to int8, with ranges from {form.calibration_images} images"
    exact = next((each for each in card.artefacts if (each.format, each.precision) == ("onnx", "float32")), None)
    before = card.artefact_miou if exact is None or exact.miou is None else exact.miou
    timing = card.artefact if exact is None or exact.timing is None else exact.timing
    if form.miou is not None and before is not None:
        points = 100 * (form.miou - before)
        word = "more" if points > 0 else "less"
        said += f": mIoU {percent(form.miou)}, {abs(points):.1f} points {word} than before ({percent(before)})"
    if form.timing is not None and timing is not None:
        ratio = form.timing.latency_ms / timing.latency_ms
        said += f"; it takes {100 * ratio:.0f} % of the time of float32"
    return said + "."


def _classes(card: Card) -> str:
    if card.miou is None:
        return "## Classes\n\n" + table(("index", "class"), [(str(i), name) for i, name in enumerate(card.classes)])
    rows = [(str(i), name, percent(card.iou[name], "absent")) for i, name in enumerate(card.classes)]
    said = f"## Classes\n\nIoU on the same {card.images} validation images.\n\n"
    return said + table(("index", "class", "IoU"), rows)


def _use(card: Card) -> str:
    height, width = card.size_hw
    return (
        f"## Use\n\nInput `image`: uint8 [1, 3, {height}, {width}], RGB, 0 to 255, not normalised. "
        f"Output `mask`: uint8 [1, {height}, {width}], class index per pixel. ONNX opset {card.opset}, "
        f"{card.nodes} nodes, one size only; the file carries its class names and colours.\n\n"
        "With onnxruntime, numpy and Pillow alone:\n\n"
        f"```python\n{_PLAIN.format(file=card.file, height=height, width=width)}```\n\n"
        "This stretches images of another shape. Where the file's metadata say `fit: pad`, it was trained on images "
        "that were made to fit whole, at the upper left, beside the colour (124, 116, 104).\n\n"
        "With segsearch, `segsearch predict` for files and videos, or:\n\n"
        "```python\n"
        "from pathlib import Path\n\n"
        "from segsearch.deployment.onnx import OnnxModel\n\n"
        f"# image: numpy uint8 [{height}, {width}, 3]; mask: numpy uint8 [{height}, {width}]\n"
        f'mask = OnnxModel(Path("{card.file}")).predict(image)\n'
        "```"
    )


def _origin(card: Card) -> str:
    rows = [("point", pairs(card.point.items()))]
    if card.recipe is not None:
        rows += [("recipe", f"`{card.recipe}`: {pairs(card.settings.items())}"), ("seed", str(card.seed))]
    rows += [
        ("versions", pairs(card.versions.items())),
        ("sha256", f"`{card.sha256}`"),
        ("made", card.created_at),
    ]
    return "## Origin\n\n" + table(("", ""), rows)


def _milliseconds(timing: Timing | None) -> str:
    return f"{timing.latency_ms:.2f} ms" if timing else _NONE


def _fps(timing: Timing | None) -> str:
    return f"{timing.fps:.1f}" if timing else _NONE


def _covers(timing: Timing | None) -> str:
    return _COVERS[timing.covers] if timing else _NONE


def _where(timing: Timing | None) -> str:
    if timing is None:
        return _NONE
    threads = f", {timing.threads} thread{'s' if timing.threads != 1 else ''}" if timing.threads else ""
    precision = "" if timing.precision in (None, "float32") else f", {timing.precision},"
    return f"{timing.backend}{precision} on {timing.device}{threads}"


def _met(timing: Timing | None, card: Card) -> str:
    return _NONE if timing is None else "met" if timing.meets(card.budget_fps) else "missed"
