"""Found networks against published ones: ``python benchmarks/flagship.py --root CAMVID --runs DIR``.

The protocol is ``studies/flagship/README.md``. What is missing is done by commands of the product, whose logs lie in
``DIR/logs``: one seed of the yardstick, both searches and the control, their final trainings, the other seeds, and then
the comparison, which writes ``studies/flagship/results``. Ctrl-C, or the end of ``--minutes``, stops what runs with its
state saved, and the same command goes on; what the studies know by then is stored with the results, so that another
machine may train what they found. ``--tables`` makes the tables from the stored records alone; ``--smoke`` goes the
whole way on a few drawn streets and leaves everything in DIR.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from flagship_jobs import TRACKS, Place, Protocol, Stage, comparisons, finished, trainings, write_smoke
from flagship_points import write_points
from flagship_results import (
    DONE,
    LATENCY,
    comparable,
    keep,
    keep_studies,
    pack_studies,
    stored,
    time_files,
    timed,
    unpack_studies,
)
from flagship_tables import write_tables
from trainings import Job, run_jobs

STAGES: tuple[Stage, ...] = get_args(Stage)


def missing(place: Place, jobs: Sequence[Job]) -> list[Job]:
    """Give the jobs that are not done yet."""
    done = finished_jobs(place)
    return [job for job in jobs if job.name not in done]


def finished_jobs(place: Place) -> set[str]:
    """Names of the jobs that ended well, here or, of yardstick and studies, where the stored results come from."""
    return {path.name for path in (place.out / DONE).glob("*")} | stored(place)


def work(place: Place, jobs: Sequence[Job], at_once: int, end: float | None) -> bool:
    """Do what is missing, until ``end`` by the clock of `time.monotonic`; returns whether all is done."""
    marks = place.out / DONE
    marks.mkdir(parents=True, exist_ok=True)
    return run_jobs(
        missing(place, jobs),
        place.out / "logs",
        at_once=at_once,
        minutes=None if end is None else max(0.0, end - time.monotonic()) / 60,
        done=finished_jobs(place),
        finished=lambda name: (marks / name).touch(),
    )


def compare(place: Place, results: Path, at_once: int, end: float | None) -> bool:
    """Export and score what is trained, time it while nothing else runs, and write all records and tables.

    All networks are timed anew where one has no latency yet, or another processor measured them: delete ``latency.csv``
    to have that done at another time.
    """
    runs = finished(place)
    done = work(place, list(comparisons(place, runs)), at_once, end)
    ready = comparable(place, runs)
    if not ready or (end is not None and time.monotonic() >= end):
        print("compare: no network is ready, or no time is left; --stages compare does it alone")
        return False
    results.mkdir(parents=True, exist_ok=True)
    if not timed(ready, results):
        time_files(place, ready, results).to_csv(results / LATENCY, index=False, lineterminator="\n")
    keep(place, ready, results)
    keep_studies(place, results)
    write_all(place.protocol, results)
    return done


def write_all(protocol: Protocol, results: Path) -> None:
    """Write from the stored records: tables, picture, and what was found as named points."""
    rows = write_tables(results)
    if protocol.points is not None:
        write_points(results, rows, protocol.points)


def main(arguments: Sequence[str] | None = None) -> None:
    """Do what is missing of the stages that are wanted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, help="where CamVid lies")
    parser.add_argument("--runs", type=Path, default=Path("runs/flagship"), help="where the runs lie")
    parser.add_argument("--jobs", type=int, default=2, help="commands at once, each on one thread")
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=STAGES, help="default: all")
    parser.add_argument("--minutes", type=float, help="begin nothing later than that, and stop what runs then")
    parser.add_argument("--dry-run", action="store_true", help="list what is missing, in its order")
    parser.add_argument("--track", choices=TRACKS, default="scratch", help="which set of trainings; default: scratch")
    parser.add_argument("--smoke", action="store_true", help="a small form of everything, on drawn streets")
    parser.add_argument("--tables", action="store_true", help="write the tables from the stored records")
    asked = parser.parse_args(arguments)
    out = asked.runs.absolute() / ("" if asked.track == "scratch" else asked.track)
    results = out / "results" if asked.smoke else TRACKS[asked.track].results
    protocol = write_smoke(out) if asked.smoke else TRACKS[asked.track]
    if asked.tables:
        write_all(protocol, results)
        return
    root = None if asked.root is None or asked.smoke else str(asked.root.absolute())
    place = Place(protocol=protocol, root=root, out=out)
    jobs = [job for stage, job in trainings(place) if stage in asked.stages]
    if asked.dry_run:
        print("\n".join(job.name for job in missing(place, jobs)) or "nothing is missing")
        return
    if root is None and not asked.smoke:
        parser.error("--root PATH is needed: where CamVid lies")
    end = None if asked.minutes is None else time.monotonic() + 60 * asked.minutes
    unpack_studies(place)
    try:
        done = work(place, jobs, asked.jobs, end)
        if "compare" in asked.stages:
            done = compare(place, results, asked.jobs, end) and done
    except KeyboardInterrupt:
        print("stopped; the same command goes on")
        done = False
    finally:
        pack_studies(place)
    sys.exit(0 if done else 1)


if __name__ == "__main__":
    main()
