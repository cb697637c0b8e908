r"""What goes over the wire: plain HTTP, one request per connection.

``GET /v2/worker`` answers with `WorkerFacts`. ``POST /v2/measure`` has the `Job` as JSON in the header
``Segsearch-Job`` and the ONNX file as its body; the answer is one `Event` per line, at least one every `BEAT_SECONDS`,
the last with an answer or a failure. A refusal before that is one `Event` with a failure, and says so by its status.
Both ask for ``Authorization: Bearer TOKEN``. The number in the paths rises when any of these values changes.
"""

import dataclasses
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from segsearch.errors import one_line
from segsearch.frozen import Frozen
from segsearch.measure.conditions import Conditions
from segsearch.measure.record import LatencyRecord
from segsearch.measure.timer import MOST_THREADS, TimerSettings

FACTS_PATH, MEASURE_PATH, JOB_HEADER = "/v2/worker", "/v2/measure", "Segsearch-Job"
MOST_BYTES = 512 * 2**20
"""Of an ONNX file: the space's largest network has a quarter of it."""
MOST_LINE_BYTES = 32 * 2**20
"""Of one event: a record with a million samples."""
BEAT_SECONDS = 2.0
"""A worker sends an event so often."""
SILENCE_SECONDS = 10.0
"""Whoever sends nothing for so long is taken for dead."""
HEAD_SECONDS, BODY_SECONDS, BODY_BYTES_PER_SECOND = 10.0, 30.0, 2**18
"""The head of a request must have arrived after the first, its body after the second and what this rate takes."""
BUSY = 429
"""HTTP status of a worker that measures for somebody else."""


def plain(text: str) -> str:
    """Make what another machine wrote fit for a terminal: printable, one line, not too long; "" stays ""."""
    return one_line(text) if text else ""


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must be printable, on one line")
    return text


Name = Annotated[str, Field(max_length=255), AfterValidator(_printable)]
SpecId = Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Job(Frozen):
    """One measurement asked for: what the graph in the body is, and how it is to be timed."""

    spec_id: SpecId
    sha256: Sha256
    size_hw: tuple[Annotated[int, Field(ge=1, le=16384)], Annotated[int, Field(ge=1, le=16384)]]
    device: Name = "cpu"
    backend: Name
    precision: Name | None = None
    threads: int | None = Field(default=None, ge=1, le=MOST_THREADS)
    timer: TimerSettings = TimerSettings()
    host: bool = False
    """Whether to measure from an encoded image to a mask in memory too."""
    macs: int | None = Field(default=None, ge=0)
    """Multiply-adds of the network, for the least time it can take."""
    label: Name = ""

    @property
    def conditions(self) -> Conditions:
        """What to measure under."""
        return Conditions(**{field.name: getattr(self, field.name) for field in dataclasses.fields(Conditions)})


class Answer(Frozen):
    """What was measured: ``spec_id`` as it stands inside the graph that was timed, ``sha256`` of its bytes."""

    spec_id: SpecId
    sha256: Sha256
    record: LatencyRecord


class Failure(Frozen):
    """Why there is no answer: the ``request`` cannot be met by this worker, or this ``network`` cannot be run on it."""

    kind: Literal["request", "network"]
    line: str


class Event(Frozen):
    """One line of a worker: what it is doing, or, as the last one, its answer or failure."""

    stage: Name | None = None
    answer: Answer | None = None
    failure: Failure | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(part is not None for part in (self.stage, self.answer, self.failure)) != 1:
            raise ValueError("must be one of stage, answer, failure")
        return self

    @property
    def last(self) -> bool:
        """Whether nothing follows."""
        return self.stage is None

    def line(self) -> bytes:
        """One line of JSON."""
        return self.model_dump_json(exclude_none=True).encode() + b"\n"


class WorkerFacts(Frozen):
    """What a worker can do."""

    segsearch: Name
    host: Name
    devices: dict[Name, Name]
    """The maker's name of each device."""
    backends: dict[Name, Name]
    """The version of each backend."""
    threads: int
    """Of the processor, where a job does not say."""
    most_bytes: int
    """Of an ONNX file."""
    most_seconds: float
    """Of one measurement, waiting for the device included."""
    most_mib: int
    """Of the memory of the process that measures."""

    def maker(self, device: str) -> str | None:
        """Return the maker's name of ``cpu``, ``cuda`` or ``cuda:N``; None where there is no such device."""
        return self.devices.get("cuda:0" if device == "cuda" else device)
