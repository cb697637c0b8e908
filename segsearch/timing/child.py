"""A new process that measures once: ``python -m segsearch.timing.child BACKEND``, see `segsearch.timing.process`.

It loads its libraries, says that it is ready, reads one request as a line of JSON from standard input, and answers with
one line of JSON: a record, or an error.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from segsearch.errors import SegsearchError, machine_fault
from segsearch.measure.backends.table import find_backend
from segsearch.measure.conditions import Conditions
from segsearch.measure.record import LatencyRecord
from segsearch.measure.timer import TimerSettings
from segsearch.processes import die_with_parent
from segsearch.progress import silent
from segsearch.spec.network import NetworkSpec
from segsearch.timing.process import told_of
from segsearch.timing.subjects import FileSubject, NetworkSubject, fresh_network
from segsearch.training.weights import load_weights


def main(backend: str) -> None:
    """Measure once."""
    die_with_parent()
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)  # what libraries print is no answer
        find_backend(backend).version()
        print(json.dumps({"ready": True}), file=answers, flush=True)
        if line := sys.stdin.readline():  # else the one who would ask has gone
            print(json.dumps(_answer(json.loads(line))), file=answers, flush=True)
    os._exit(0)  # nothing is left to be done, and tidying up takes long


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"record": _measured(request).model_dump(mode="json")}
    except Exception as error:
        fault = machine_fault(error)
        if fault is None and not isinstance(error, SegsearchError):
            raise  # its last words are read by the one who asked
        return told_of(fault or error)


def _measured(request: dict[str, Any]) -> LatencyRecord:
    timer = TimerSettings.parse(request["under"]["timer"], "timer")
    under = Conditions(**request["under"] | {"timer": timer})
    if "file" in request:
        return FileSubject(**request["file"] | {"path": Path(request["file"]["path"])}).here(under, silent)
    asked = request["network"]
    spec = NetworkSpec.parse(asked["spec"], "spec")
    network = fresh_network(spec, asked["classes"])
    if "weights" in asked:
        load_weights(network, Path(asked["weights"]))
    subject = NetworkSubject(
        spec=spec,
        classes=asked["classes"],
        size_hw=(asked["size_hw"][0], asked["size_hw"][1]),
        label=asked["label"],
        network=network,
    )
    return subject.here(under, silent)


if __name__ == "__main__":
    main(*sys.argv[1:])
