"""Studies and runs on disk that have all that a page can show, with made-up figures, and names that would like to be code."""

import math
import random
from pathlib import Path
from typing import Any

from segsearch.files import write_atomic
from segsearch.result import Rung
from segsearch.space.walk import sample
from segsearch.study.final import FINAL, FinalFile, Finalist, Trained, concluded, seed_folder
from segsearch.study.identity import StudyFile
from segsearch.study.record import TrialRecord
from segsearch.study.store import StudyFolder
from segsearch.training.recipe import Recipe
from segsearch.training.scores import Scores
from tests.engine.builders import latency, record, unified
from tests.engine.studies import study

HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>\u2028\u2029\"'&lt;`${1}"
"""A name that is markup, script, JSON's end and JavaScript's line breaks at once."""
CLASSES = ("road", "sky", "tree", HOSTILE)
PAPERS = ("fpenet", "sfnet_r18", "eseg_lite_s", "dfanet_a")
RECIPE = Recipe(epochs=9)


def scores(miou: float) -> Scores:
    there = {name: miou + shift for name, shift in zip(CLASSES, (0.1, 0.05, -0.05, -0.1), strict=True)}
    matrix = tuple(tuple(900 if row == column else 100 for column in range(4)) for row in range(4))
    return Scores(miou=miou, iou=dict(there), pixel_accuracy=0.8, images=20, confusion=matrix, standard_error=0.004)


def trial(number: int, rng: random.Random, limit_ms: float, **facts: Any) -> TrialRecord:
    """One of a study with a budget: each ninth failed, each seventh stopped at a rung, each fifth measured under load."""
    latency_ms = 2 * 10 ** (1.2 * rng.random())
    miou = 0.3 + 0.2 * math.log10(latency_ms) + 0.08 * rng.random()
    rungs = tuple(Rung(steps=e, epochs=e, miou=miou * (0.4 + 0.05 * e)) for e in (2, 6))
    state: dict[str, Any] = {"miou": miou, "scores": scores(miou), "rungs": rungs}
    if latency_ms > limit_ms:
        state = {"reason": f"{latency_ms:.2f} ms, allowed {limit_ms:.2f} ms"}
    elif number % 9 == 8:
        state = {"state": "failed", "reason": HOSTILE}
    elif number % 7 == 6:
        state = {"state": "stopped", "reason": "beaten at epoch 2", "rungs": rungs[:1]}
    origin = f"named:{PAPERS[number - 1]}" if number <= len(PAPERS) else "sampler"
    known = {"params": int(2e5 * latency_ms), "macs": int(3e8 * latency_ms)}
    made = record(number, sample(unified(), rng), latency_ms=latency_ms, origin=origin, **(known | state | facts))
    return unsteady(made) if number % 5 == 0 else made.model_copy(update={"recipe": RECIPE, "recipe_id": RECIPE.id})


def unsteady(made: TrialRecord) -> TrialRecord:
    assert made.latency is not None
    busy = made.latency.contention.model_copy(update={"others_percent_during": 80.0})
    timed = made.latency.model_copy(update={"contention": busy, "steady": False, "unsteady": "others were busy"})
    return made.model_copy(update={"latency": timed, "recipe": RECIPE, "recipe_id": RECIPE.id})


def make_study(
    folder: Path, trials: int = 40, seed: int = 1, name: str = "streets_cpu", fps: float | None = 60
) -> Path:
    """Write a study whose front was found, not yet trained in full."""
    budget = {} if fps is None else {"fps": fps}
    config = study(name=name, trials=trials or 1, recipe={"epochs": 9, "batch_size": 2}, rungs=[2, 6], budget=budget)
    store, rng = StudyFolder(folder), random.Random(seed)
    folder.mkdir(parents=True)
    store.begin(StudyFile(segsearch="0", config=config, space_id=unified().id, device="abacus", threads=1))
    for number in range(1, trials + 1):
        store.finish(trial(number, rng, config.budget.limit_ms or math.inf))
    return folder


def rename(folder: Path, number: int, name: str) -> None:
    """Give a trial's network another name, as an edited file has it."""
    store = StudyFolder(folder)
    found = {r.number: r for r in store.records()}[number]
    store.finish(found.model_copy(update={"name": name}))


def finish(folder: Path, top: int = 4) -> FinalFile:
    """Train the front in full: two seeds each, with their curves."""
    from segsearch.study.final import spread

    store = StudyFolder(folder)
    budget, rng = store.read_study().config.budget, random.Random(7)
    finalists = []
    for chosen in spread(store.records(), budget, top):
        mious = [chosen.miou + 0.12 + 0.06 * rng.random() for _ in range(2)]
        trained = [Trained(seed=k, miou=miou, standard_error=0.004) for k, miou in enumerate(mious)]
        finalists.append(Finalist.of(chosen, latency(0.98 * chosen.latency_ms, chosen.spec_id), trained))
        for k, miou in enumerate(mious):
            lines = [
                f'{{"step": {e}, "epoch": {e}, "miou": {miou * (1 - 0.5**e)}, "seconds": {e}}}' for e in range(1, 9)
            ]
            write_atomic(
                seed_folder(folder, chosen.number, k) / "metrics.jsonl",
                "\n".join([*lines, '{"step": 9, "epoch": 9, "loss": NaN, "seconds": 9}']),
            )
    file = concluded(
        FinalFile(recipe_name="strong", recipe=RECIPE, study_seed=0, seeds=2, top=top, finalists=tuple(finalists)),
        budget,
    )
    write_atomic(folder / FINAL, file.lines())
    return file
