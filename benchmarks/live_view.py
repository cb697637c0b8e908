"""What a trial costs in an Optuna storage, kept in three ways: ``python benchmarks/live_view.py --trials 200``.

``view`` is `segsearch.engine.live`, which also shows a trial in training and at two rungs; the others tell Optuna's
own storages of the same trials by `Study.add_trial`, the least that can be asked of them. Printed are milliseconds per
trial, bytes per trial, and the time to open and check a view that is complete already, as at the start of a study that
goes on.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import optuna
from optuna.storages import JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend

from segsearch.engine.live import JOURNAL, LiveView
from segsearch.engine.optuna_trials import frozen
from segsearch.result import Rung
from segsearch.space.load import load_space
from segsearch.study.budget import Budget
from segsearch.study.record import TrialRecord
from segsearch.study.trials import Begun
from tests.engine.builders import record

BUDGET, SPACE = Budget(fps=60), load_space("unified")


def seconds(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def view(folder: Path, records: list[TrialRecord]) -> Path:
    shown = LiveView(folder, "view", SPACE, BUDGET)
    shown.show([])
    for each in records:
        if each.trained:
            train(shown, each)
        shown.add(each)
    return folder / JOURNAL


def train(shown: LiveView, record: TrialRecord) -> None:
    """Show a trial as its study does: in training, at two rungs, and then at its end."""
    trial = Begun(proposal=record.proposal, started_at=record.started_at)
    for passed in range(3):
        trial.result = record.result.model_copy(update={"rungs": record.rungs[:passed]})
        shown.running(trial)


def stored(storage: optuna.storages.BaseStorage, records: list[TrialRecord]) -> None:
    study = optuna.create_study(storage=storage, directions=["maximize", "minimize"])
    for each in records:
        study.add_trial(frozen(each, SPACE, BUDGET))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=200)
    count = parser.parse_args().trials
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    rungs = (Rung(steps=10, epochs=2, miou=0.1), Rung(steps=30, epochs=6, miou=0.3))
    records = [record(n, miou=0.5, rungs=rungs) if n % 3 else record(n) for n in range(1, count + 1)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ways: dict[str, tuple[Callable[[], object], Path]] = {
            "view": (lambda: view(folder, records), folder / JOURNAL),
            "JournalFileBackend": (
                lambda: stored(JournalStorage(JournalFileBackend(str(folder / "journal"))), records),
                folder / "journal",
            ),
            "SQLite": (lambda: stored(RDBStorage(f"sqlite:///{folder / 'sqlite'}"), records), folder / "sqlite"),
        }
        for way, (work, path) in ways.items():
            taken = seconds(lambda work=work: work())  # type: ignore[misc]  # the default binds it
            print(f"{way:20} {1000 * taken / count:8.2f} ms  {path.stat().st_size / count:8.0f} bytes a trial")
        again = seconds(lambda: LiveView(folder, "view", SPACE, BUDGET).show(records))
        print(f"opened and checked in {again:.2f} s")


if __name__ == "__main__":
    main()
