"""Trials of a study as Optuna's: parameters that a sampler learns from, objectives, scores at rungs, attributes."""

import copy
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from optuna.trial import FrozenTrial, TrialState, create_trial

from segsearch.measure.record import LatencyRecord
from segsearch.result import Rung, TrialResult
from segsearch.samplers.sampler import parameters, proposable
from segsearch.space.nodes import Space
from segsearch.space.walk import contains
from segsearch.study.budget import Budget
from segsearch.study.pareto import figures
from segsearch.study.record import Proposal, TrialRecord
from segsearch.study.trials import Begun

COMPARED = ("state", "values", "params", "distributions", "user_attrs", "intermediate_values", "constraints")


def frozen(record: TrialRecord, space: Space, budget: Budget) -> FrozenTrial:
    """Write a record as an Optuna trial.

    Its parameters are those that the sampler learns from (`segsearch.samplers.sampler`): numbers by their place in the
    list of values. The values themselves are user attributes, ``point.*``. A point outside the space has no parameters.
    A rejected network is pruned, as is one that was stopped at a rung; scores at rungs are intermediate values.
    """
    states = {"complete": TrialState.COMPLETE, "failed": TrialState.FAIL}
    own = {
        "state": record.state,
        "reason": record.reason,
        "timing": record.doubt,
        "report_miou": record.report_scores and record.report_scores.miou,
    }
    trial = create_trial(
        state=states.get(record.state, TrialState.PRUNED),
        values=list(figures(record, budget)) if record.trained else None,
        constraints=budget.excess(**record.quoted_costs),
        **_known(record, record.quoted, record, own, space),
    )
    trial.datetime_start = datetime.fromisoformat(record.started_at)
    trial.datetime_complete = datetime.fromisoformat(record.finished_at)
    return trial


def unfinished(trial: Begun, space: Space, budget: Budget) -> FrozenTrial:
    """Write a trial that is measured and in training, or paused, as one that runs."""
    assert trial.result is not None, "it was measured"
    shown = create_trial(
        state=TrialState.RUNNING,
        constraints=budget.excess(**trial.result.costs),
        **_known(trial.proposal, trial.result.latency, trial.result, {}, space),
    )
    if trial.started_at is not None:
        shown.datetime_start = datetime.fromisoformat(trial.started_at)
    return shown


def scored(trial: FrozenTrial, rungs: Sequence[Rung]) -> FrozenTrial:
    """Return a trial that runs with its scores at rungs by now; all else of it stays."""
    now = copy.copy(trial)
    now.intermediate_values = _at_rungs(rungs)
    return now


def _at_rungs(rungs: Sequence[Rung]) -> dict[int, float]:
    return {rung.epochs or rung.steps: rung.miou for rung in rungs}


def _known(
    trial: Proposal | TrialRecord,
    latency: LatencyRecord | None,
    result: TrialResult,
    own: dict[str, Any],
    space: Space,
) -> dict[str, Any]:
    """Give parameters, scores at rungs, and as user attributes what Optuna has no field for; nothing unknown."""
    searched = contains(space, trial.point) and proposable(space, trial.point)
    params, distributions = parameters(space, trial.point) if searched else ({}, {})
    facts = {
        "trial": trial.number,
        "name": trial.name,
        "spec_id": trial.spec_id,
        "origin": trial.origin,
        "latency_ms": latency and latency.median_ms,
        "latency_p10_ms": latency and latency.p10_ms,
        "latency_p90_ms": latency and latency.p90_ms,
        "params": result.params,
        "macs": result.macs,
        **own,
        **{f"point.{name}": value for name, value in trial.point.items()},
    }
    return {
        "params": params,
        "distributions": distributions,
        "user_attrs": {name: value for name, value in facts.items() if value is not None},
        "intermediate_values": _at_rungs(result.rungs),
    }


def leads_to(shown: FrozenTrial, wanted: FrozenTrial) -> bool:
    """Whether what is shown is what is wanted, or may become it as a trial that runs does: by additions."""
    if shown.state.is_finished():
        return compared(shown) == compared(wanted)
    return (
        all(getattr(shown, name) == getattr(wanted, name) for name in ("params", "distributions", "constraints"))
        and shown.user_attrs.items() <= wanted.user_attrs.items()
        and shown.intermediate_values.items() <= wanted.intermediate_values.items()
    )


def compared(trial: FrozenTrial) -> tuple[object, ...]:
    """Return all of a trial but its times, by which the same trial is told from another."""
    return tuple(getattr(trial, name) for name in COMPARED)
