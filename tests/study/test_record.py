import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segsearch.study.record import Proposal, TrialRecord
from tests.engine.builders import record, result, some_point


@given(st.integers(0, 10**6), st.none() | st.floats(0, 1), st.none() | st.floats(0.01, 1e4))
def test_a_record_comes_back_as_it_was(seed: int, miou: float | None, latency_ms: float | None) -> None:
    latency_ms = 1.0 if latency_ms is None and miou is not None else latency_ms  # what is trained was measured
    written = record(seed, some_point(seed), miou=miou, latency_ms=latency_ms)
    text = json.dumps(written.model_dump(mode="json"))
    read = TrialRecord.parse(json.loads(text), "result.json")
    assert read == written
    assert {k: type(v) for k, v in read.point.items()} == {k: type(v) for k, v in written.point.items()}


def test_what_was_not_measured_cannot_be_read() -> None:
    with pytest.raises(AssertionError, match="trial 4 is rejected"):
        _ = record(4).miou
    with pytest.raises(AssertionError, match="trial 4 was not measured"):
        _ = record(4, latency_ms=None).latency_ms


def test_origin_tells_named_points() -> None:
    assert record(0, origin="named:fpenet").named == "fpenet"
    assert record(0).named is None


def test_first_weights_of_the_encoder_are_told() -> None:
    assert record(0, miou=0.1).weights == "trained by the study"
    began = record(0, miou=0.1).model_copy(update={"pretrained": "resnet18.pth#0123456789ab"})
    assert began.weights == "trained by the study, the encoder from `resnet18.pth#0123456789ab`"


def test_of_keeps_the_proposal_and_the_result() -> None:
    point = some_point(5)
    outcome = result(point, miou=0.25, latency_ms=4.0)
    proposal = Proposal(number=7, origin="random", name="x", point=point, spec_id=outcome.spec_id, attempt=2)
    made = record(7, point, miou=0.25, latency_ms=4.0)
    assert (made.number, made.point, made.spec_id) == (7, proposal.point, proposal.spec_id)
    assert (made.miou, made.latency_ms, made.fps, made.trained) == (0.25, 4.0, 250.0, True)
