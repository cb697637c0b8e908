"""What an export prints when it has succeeded."""

from pathlib import Path

from segsearch.deployment.artefact import Artefact, Timing
from segsearch.deployment.card import Card
from segsearch.deployment.card_page import RESTLESS, choice_lines
from segsearch.deployment.markdown import percent


def lines(card: Card, folder: Path) -> list[str]:
    """Say what was exported, how it was proven, and whether the file itself meets the budget."""
    said = [f"{card.name} (id {card.spec}) is in {folder / card.file}"]
    if card.study is None or card.retrained is not None:
        said.append(f"weights: {card.weights}")
    said += [_proof(form, card) for form in card.artefacts]
    if card.miou is not None:
        said.append(f"mIoU of the file {percent(card.artefact_miou)}, of the trained network {percent(card.miou)}")
        said += [
            f"mIoU in {form.precision} {percent(form.miou)}" for form in card.artefacts if form.precision != "float32"
        ]
    if card.search is not None:
        timing = card.search
        said.append(f"search: {timing.latency_ms:.2f} ms ({timing.fps:.1f} FPS) with {timing.backend}{_in(timing)}")
    if card.artefact is not None:
        how = f"with {card.artefact.backend}{_in(card.artefact)}, timed again in a fresh process"
        again = f"{card.artefact.latency_ms:.2f} ms ({card.artefact.fps:.1f} FPS) {how}"
        said.append(f"file:   {again}{_met(card)}")
        said += [RESTLESS] if card.artefact.steady is False else []
    return said + choice_lines(card)


def _proof(form: Artefact, card: Card) -> str:
    files = " + ".join(file.name for file in form.files)
    if form.precision != "float32":
        time = f", {form.timing.latency_ms:.2f} ms" if form.timing else ""
        share = percent(form.agreement.fraction, digits=3)
        return f"{form.precision}: {share} of the pixels as the network in torch{time}: {files}"
    agreed = f"{percent(form.agreement.fraction, digits=3)} of {form.agreement.pixels:,} pixels as the network in torch"
    own = ""
    if form.default_agreement is not None and form.default_agreement != form.agreement:
        share = percent(form.default_agreement.fraction, digits=3)
        own = f" ({share} in {form.default_precision}, which it takes by default here)"
    return f"proof: {agreed}, on {form.agreement.images} {card.proven_on}: {files}{own}"


def _in(timing: Timing) -> str:
    return "" if timing.precision in (None, "float32") else f" in {timing.precision}"


def _met(card: Card) -> str:
    if card.budget_fps is None or card.artefact is None:
        return ""
    if not card.same_device:
        return f"; the budget of {card.budget_fps:g} FPS is for another device"
    met = "met" if card.artefact.meets(card.budget_fps) else "NOT met by the file"
    return f"; the budget of {card.budget_fps:g} FPS is {met}"
