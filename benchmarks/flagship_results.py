"""What `benchmarks/flagship.py` keeps: records of all trainings, latencies, and what the studies say of themselves."""

import json
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd
from flagship_jobs import FLAGSHIP, STUDIES, Place, Trained
from trainings import keep_run

from segsearch.artefacts.formats import ONNX
from segsearch.deployment.card import JSON_NAME, Card, read_card
from segsearch.files import replacing, write_atomic
from segsearch.measure.conditions import Conditions
from segsearch.measure.machine import cpu_name
from segsearch.run.folder import read_run
from segsearch.samplers.shortlist import SHORTLIST
from segsearch.study.analysis import analyse
from segsearch.study.budget import Budget
from segsearch.study.record import TrialRecord
from segsearch.study.store import StudyFolder
from segsearch.timing import FileSubject, NetworkSubject, Subject, latency_of
from segsearch.timing.store import read_lines

IMAGES, KIND, LATENCY, COST, IMPORTANCE = "images.csv", "kind.txt", "latency.csv", "studies.json", "importance.json"
RUNS = "runs"
DONE = "done"
"""Folder of marks, a file per job that ended well."""
STATE = (".json", ".jsonl", ".journal", ".csv")
"""Endings of what a study has to know when it goes on elsewhere: all but weights and pictures."""


def exported(place: Place, run: Trained) -> Path:
    """Folder of a training's file."""
    return place.out / "exported" / run.name


def comparable(place: Place, runs: Sequence[Trained]) -> list[Trained]:
    """Give the trainings whose file is proven and whose images are scored."""
    return [
        run
        for run in runs
        if (exported(place, run) / JSON_NAME).exists() and (place.out / "scored" / f"{run.name}.csv").exists()
    ]


def stored(place: Place) -> set[str]:
    """Names of the jobs whose results are stored, so that another machine need not do them again."""
    found = place.protocol.results.glob(f"{RUNS}/*/{KIND}")
    names = {path.parent.name for path in found if path.read_text("utf-8").strip() == "yardstick"}
    for _, pack in _packs(place):
        names |= {Path(entry).name for entry in pack.namelist() if entry.startswith(f"{DONE}/")}
    return names


def pack_studies(place: Place) -> None:
    """Store what the studies know, a file each, without weights and without paths of this machine."""
    for name in STUDIES:
        files = sorted(path for path in (place.out / name).rglob("*") if path.suffix in STATE)
        if files:
            marks = [path for job in (name, f"final_{name}") if (path := place.out / DONE / job).exists()]
            place.protocol.results.mkdir(parents=True, exist_ok=True)
            with replacing(place.protocol.results / f"{name}.zip") as target, zipfile.ZipFile(target, "w") as pack:
                for path in (*marks, *files):
                    text = path.read_text("utf-8")
                    for here, elsewhere in _paths(place):
                        text = text.replace(here, elsewhere)
                    entry = zipfile.ZipInfo(path.relative_to(place.out).as_posix())
                    pack.writestr(entry, text, zipfile.ZIP_DEFLATED)


def unpack_studies(place: Place) -> None:
    """Put stored studies where they go on, unless they are there already."""
    for name, pack in _packs(place):
        if not (place.out / name).exists():
            for entry in pack.namelist():
                text = pack.read(entry).decode()
                for here, elsewhere in _paths(place):
                    text = text.replace(elsewhere, here)
                target = place.out / entry
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text, "utf-8")


def _packs(place: Place) -> Iterator[tuple[str, zipfile.ZipFile]]:
    for name in STUDIES:
        path = place.protocol.results / f"{name}.zip"
        if path.exists():
            with zipfile.ZipFile(path) as pack:
                yield name, pack


def _paths(place: Place) -> Iterator[tuple[str, str]]:
    """Give paths of this machine, each with what stands for it in stored records."""
    if place.root is not None and place.protocol.root is not None:
        yield place.root, place.protocol.root
    yield str(place.out), "PATH/TO/RUNS"
    yield str(FLAGSHIP), "PATH/TO/flagship"


def timed(runs: Sequence[Trained], results: Path) -> bool:
    """Say whether each network has a latency of this processor; seeds of one are the same graph."""
    if not (results / LATENCY).exists():
        return False
    rows = pd.read_csv(results / LATENCY)
    return {run.network for run in runs} <= set(rows.network) and set(rows.device) == {cpu_name()}


def time_files(place: Place, runs: Sequence[Trained], results: Path) -> pd.DataFrame:
    """Time one file of each network in new processes, one after another; seeds are the same graph.

    Of a network whose results are stored and whose weights are not here, a file with fresh weights is timed.
    """
    under, rows = Conditions(backend="onnxruntime", threads=1), []
    subjects: dict[str, tuple[Subject, Card]] = {}
    for path in sorted(results.glob(f"{RUNS}/*/{JSON_NAME}")):
        card, ran = read_card(path), read_run(path.parent)
        fresh = NetworkSubject(spec=ran.spec, classes=len(ran.classes), size_hw=card.size_hw, label=ran.name)
        subjects[path.parent.name.rpartition("_seed")[0]] = fresh, card
    for run in reversed(runs):
        card = read_card(exported(place, run))
        path = exported(place, run) / ONNX
        file = FileSubject(path=path, label=run.network, spec_id=card.spec, params=card.params, macs=card.macs)
        subjects[run.network] = file, card
    for network, (subject, card) in subjects.items():
        found = latency_of(subject, under, processes=place.protocol.processes)
        rows.append(
            {
                "network": network,
                "latency_ms": round(found.median_ms, 4),
                "p10_ms": round(found.p10_ms, 4),
                "p90_ms": round(found.p90_ms, 4),
                "processes_ms": " ".join(f"{ms:.3f}" for ms in found.process_medians_ms),
                "steady": found.steady,
                "params": card.params,
                "macs": card.macs,
                "device": found.device,
                "sha256": card.sha256,
            }
        )
        print(f"{network}: {found.median_ms:.2f} ms{'' if found.steady else ', not steady'}", flush=True)
    return pd.DataFrame(rows).sort_values("latency_ms", ignore_index=True)


def keep(place: Place, runs: Sequence[Trained], results: Path) -> None:
    """Copy the records of trainings, their cards and their scores per image; of the control no weights."""
    for run in runs:
        target = results / RUNS / run.name
        keep_run(run.folder, target, root=place.protocol.root, weights=run.kind != "control")
        shutil.copyfile(exported(place, run) / JSON_NAME, target / JSON_NAME)
        shutil.copyfile(place.out / "scored" / f"{run.name}.csv", target / IMAGES)
        (target / KIND).write_text(f"{run.kind}\n", "utf-8")


def keep_studies(place: Place, results: Path) -> None:
    """Write what the studies cost, and which choices matter in those that train alike."""
    costs: list[dict[str, object]] = []
    alike: dict[str, dict[str, tuple[Budget, list[TrialRecord]]]] = {}
    for name in STUDIES:
        store = StudyFolder(place.out / name)
        if not store.path.is_dir():
            continue
        config, records = store.read_study().config, store.records()
        epochs = config.recipe.epochs or 0
        costs.append(
            {
                "study": name,
                "measured": len({r.spec_id for r in records if r.latency is not None} | _listed(store.path)),
                "trained": sum(r.share > 0 for r in records),
                "complete": sum(r.trained for r in records),
                "epochs": round(epochs * sum(r.share for r in records), 1),
                "hours": round(store.spent() / 3600, 2),
            }
        )
        alike.setdefault(config.recipe.id, {})[name] = config.budget, records
    importance = {" and ".join(studies): importance_of(list(studies.values())) for studies in alike.values()}
    write_atomic(results / COST, json.dumps(costs, indent=2) + "\n")
    write_atomic(results / IMPORTANCE, json.dumps(importance, indent=2) + "\n")


def importance_of(studies: Sequence[tuple[Budget, Sequence[TrialRecord]]]) -> dict[str, dict[str, float]]:
    """Analyse studies as one; latencies are scaled as the budgets are, which follow the speed of the host."""
    budget = studies[-1][0]
    records = [_scaled(record, budget, own) for own, records in studies for record in records]
    return analyse(records, budget).importance


def _scaled(record: TrialRecord, budget: Budget, own: Budget) -> TrialRecord:
    """Give a record its latency on a host on which its own budget would have been the other one."""
    if record.quoted is None or budget.limit_ms is None or own.limit_ms is None:
        return record
    latency_ms = record.quoted.median_ms * budget.limit_ms / own.limit_ms
    latency = record.quoted.model_copy(update={"median_ms": latency_ms})
    return record.model_copy(update={"latency": latency, "confirmed": None})


def _listed(study: Path) -> set[str]:
    """Ids of the networks that were measured to choose among them."""
    return {line["spec_id"] for line in read_lines(study / SHORTLIST) if line["latency"] is not None}
