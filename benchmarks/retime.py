"""Measure the networks of a study again, in one quiet run: ``python benchmarks/retime.py STUDY OUT.csv``.

A study measures each network when its turn comes, between trainings. This measures all of them one after another, as
the study did (same size, backend and threads), and writes both latencies and their ratio.
"""

import sys
from pathlib import Path

import pandas as pd
from rich.progress import track

from segsearch.measure.conditions import Conditions
from segsearch.study.store import StudyFolder
from segsearch.timing import NetworkSubject, latency_of


def main(study: Path, out: Path) -> None:
    """Write one row per measured trial: its latency in the study and now, in milliseconds."""
    store = StudyFolder(study)
    config = store.read_study().config
    under = Conditions(device=config.device, backend=config.backend, threads=config.threads, timer=config.timer)
    rows = []
    for record in track([r for r in store.records() if r.latency is not None], description="measuring"):
        assert record.latency is not None
        classes = len(record.scores.iou) if record.scores else 19
        subject = NetworkSubject(spec=record.spec, classes=classes, size_hw=config.data.size, label=record.name)
        now = latency_of(subject, under)
        then_ms = record.latency.median_ms
        rows.append(
            {
                "name": record.name,
                "miou": round(record.miou, 4) if record.scores else None,
                "study_ms": round(then_ms, 3),
                "again_ms": round(now.median_ms, 3),
                "again_p10_ms": round(now.p10_ms, 3),
                "again_p90_ms": round(now.p90_ms, 3),
                "ratio": round(now.median_ms / then_ms, 3),
                "others_percent": round(now.contention.others_percent_during, 1),
            }
        )
    pd.DataFrame(rows).to_csv(out, index=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
