"""A study's networks inside Ray Tune, for those who run everything there.

Other searches do without it. ::

    from segsearch.ray_tune import resumed, tuner

    results = tuner(load_study("my_study.yaml"), Path("runs/tune")).fit()

A Tune trial is a trial of the study: its first step measures the network and trains it up to the first rung if the gate
lets it, each further one up to the next rung, the last one to the end. The parts can be used apart: `StudyTrainable`,
`StudySearcher`, `ParetoStopper`.

Latency is measured where a trial runs, while no other trial of ours trains on that machine: the nodes must be of one
kind, unless the study names a worker (``remote``).
"""

import os
import shutil
import sys
import tempfile
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from ray import tune
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from segsearch.engine.executors.parcel import packed, unpack
from segsearch.engine.executors.ray_study import DATA_ROOT, StudyWork
from segsearch.engine.prepare import Study, prepare
from segsearch.files import write_atomic
from segsearch.provenance import commit, versions
from segsearch.result import TrialResult
from segsearch.samplers.proposals import Proposer
from segsearch.space.lower import lower
from segsearch.study.config import StudyConfig
from segsearch.study.gate import MEASUREMENTS
from segsearch.study.promotion import Scored, goes_on
from segsearch.study.record import Proposal, TrialRecord
from segsearch.trial import measure_trial, train_trial

OUTCOME = "outcome"
"""Key of a step's result that holds the whole `TrialResult` as JSON; ``miou`` and ``latency_ms`` stand beside it."""


class StudyTrainable(tune.Trainable):  # type: ignore[misc]
    """One trial of a study; its config is what `StudySearcher` suggests."""

    def setup(self, config: dict[str, Any]) -> None:
        """Open the data of the study. Raises InputError where it is not the study's."""
        self._folder = Path(tempfile.mkdtemp(prefix="segsearch-tune-"))
        self._proposal = Proposal.model_validate_json(config["proposal"])
        self._config = StudyConfig.model_validate_json(config["study"])
        sys.modules["torch"].set_num_threads(self._config.resources.threads)
        work = StudyWork(config["study"], config["content"], home="")
        self._setup = work.open(os.environ.get(DATA_ROOT))

    @cached_property
    def _measured(self) -> TrialResult:
        """What the gate says; in a process that goes on with the trial, from the latencies that came with it."""
        spec, seed = lower(self._proposal.point), self._proposal.seed or 0
        for _ in range(MEASUREMENTS):
            result = measure_trial(spec, self._setup, self._folder, seed=seed)
            if result.state != "waiting":
                break
        return result

    def step(self) -> dict[str, Any]:
        """Train up to the next rung."""
        if self._measured.state != "passed":
            return self._told(self._measured, None)
        rungs = self._config.rungs
        until = rungs[self.iteration] if self.iteration < len(rungs) else None
        spec, seed = self._measured.spec, self._proposal.seed or 0
        result = train_trial(spec, self._setup, self._folder, seed=seed, until=until)
        return self._told(result.after(self._measured), until)

    def _told(self, result: TrialResult, rung: int | None) -> dict[str, Any]:
        score = {"miou": result.rungs[-1].miou} if result.state == "paused" else {}
        if result.state == "complete" and result.counted is not None:
            score = {"miou": result.counted.miou}
        latency = {"latency_ms": result.latency.median_ms} if result.latency is not None else {}
        facts = {"state": result.state, "params": result.params, "macs": result.macs, "rung": rung}
        return facts | score | latency | {OUTCOME: result.model_dump_json(), "done": result.state != "paused"}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Leave the trial's files there: latencies, checkpoint, weights."""
        unpack(packed(self._folder), Path(checkpoint_dir))

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Go on from the files of `save_checkpoint`."""
        unpack(packed(Path(checkpoint)), self._folder)

    def cleanup(self) -> None:
        """Remove the temporary folder."""
        shutil.rmtree(self._folder, ignore_errors=True)


class StudySearcher(Searcher):  # type: ignore[misc]
    """Suggests a study's networks, no network twice, by its sampler; suggests no more once enough are trained.

    The sampler is told what became of each: trained in full, stopped at a rung with its score there, rejected by the
    gate, or failed. Tune may tell of a trial again after it was restored; the first word counts.
    """

    def __init__(self, config: StudyConfig) -> None:
        super().__init__()
        self._config = config.model_dump_json()
        self._proposals: dict[str, Proposal] = {}
        self.records: dict[str, TrialRecord] = {}
        """Of finished trials, by Tune's ids."""

    @cached_property
    def _study(self) -> Study:
        return prepare(StudyConfig.model_validate_json(self._config))

    @cached_property
    def _proposer(self) -> Proposer:
        proposer = self._study.proposer()
        for trial_id, proposal in self._proposals.items():
            proposer.began(proposal)
            if trial_id in self.records:
                proposer.ended(self.records[trial_id])
        return proposer

    def suggest(self, trial_id: str) -> Any:
        """Return the config of a trial; None to be asked again later, FINISHED where there is no more."""
        wanted = self._study.config.trials or self._study.config.most_proposals
        trained = sum(record.trained for record in self.records.values())
        if trained >= wanted:
            return Searcher.FINISHED
        if trained + len(self._proposals) - len(self.records) >= wanted:
            return None
        proposal = self._proposer.next(1 + len(self._proposals))
        if proposal is None:
            return Searcher.FINISHED
        self._proposals[trial_id] = proposal
        self._proposer.began(proposal)
        file = self._study.file
        return {"study": self._config, "content": file.content, "proposal": proposal.model_dump_json()} | {
            f"point.{name}": value for name, value in proposal.point.items()
        }

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Tell the sampler what became of a trial."""
        proposal = self._proposals.get(trial_id)
        if proposal is None or trial_id in self.records:
            return
        record = self._record(proposal, None if error or not result else result.get(OUTCOME))
        self.records[trial_id] = record
        self._proposer.ended(record)

    def _record(self, proposal: Proposal, outcome: str | None) -> TrialRecord:
        spec = lower(proposal.point)
        if outcome is None:
            reason = "ended in Ray Tune without a result"
            found = TrialResult(state="failed", reason=reason, spec=spec, spec_id=spec.id, seconds={})
        else:
            found = TrialResult.model_validate_json(outcome)
        if found.state in ("paused", "waiting"):
            found = found.model_copy(update={"state": "stopped", "reason": "stopped by Ray Tune's scheduler"})
        now, config = datetime.now(UTC).isoformat(timespec="seconds"), self._study.config
        return TrialRecord.of(
            proposal,
            found,
            recipe_id=config.recipe.id,
            recipe=config.recipe,
            seed=proposal.seed or 0,
            device=self._study.file.device,
            commit=commit(),
            versions=versions(),
            started_at=now,
            finished_at=now,
        )

    def save(self, checkpoint_path: str) -> None:
        """Write what was suggested and what became of it, as JSON."""
        write_atomic(Path(checkpoint_path), _STATE.dump_json((self._proposals, self.records)))

    def restore(self, checkpoint_path: str) -> None:
        """Read what `save` wrote."""
        self._proposals, self.records = _STATE.validate_json(Path(checkpoint_path).read_bytes())
        self.__dict__.pop("_proposer", None)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is made again from the rest: Tune pickles its parts."""
        return {name: value for name, value in self.__dict__.items() if name not in ("_study", "_proposer")}


_STATE = TypeAdapter(tuple[dict[str, Proposal], dict[str, TrialRecord]])


class ParetoStopper(FIFOScheduler):  # type: ignore[misc]
    """Stops a trial at a rung unless it is among a share of the best there in mIoU and latency together.

    The best are those of a low rank in the non-dominated order, as in `segsearch.study.promotion` (MO-ASHA, Schmucker
    et al. 2021). A network that a person named is never stopped.
    """

    def __init__(self, share: float = 1 / 3) -> None:
        """Let ``share`` of the trials at each rung go on, and always one."""
        super().__init__()
        assert 0 < share <= 1, share
        self._share = share
        self._at: dict[int, dict[int, Scored]] = {}

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Say whether a trial goes on."""
        if result.get("state") != "paused":
            return str(TrialScheduler.CONTINUE)
        proposal = Proposal.model_validate_json(trial.config["proposal"])
        chosen = proposal.origin not in ("sampler", "random")
        scored = self._at.setdefault(result["rung"], {})
        scored[proposal.number] = Scored(
            number=proposal.number,
            miou=result["miou"],
            losses=(result["latency_ms"], -result["miou"]),
            chosen=chosen,
        )
        go_on = chosen or goes_on(list(scored.values()), proposal.number, self._share)
        return str(TrialScheduler.CONTINUE if go_on else TrialScheduler.STOP)


def tuner(config: StudyConfig, storage: Path, *, name: str | None = None, share: float = 1 / 3) -> tune.Tuner:
    """Return a Tuner that runs a study: ``fit`` it. Its results have ``miou`` and ``latency_ms``.

    Args:
        config: the study.
        storage: folder of Tune's experiments; the nodes must share it where there are several.
        name: of the experiment's folder; default: the study's.
        share: see `ParetoStopper`; without effect in a study without rungs.
    """
    return tune.Tuner(
        _trainable(config),
        tune_config=tune.TuneConfig(
            search_alg=StudySearcher(config), scheduler=ParetoStopper(share), num_samples=config.most_proposals
        ),
        run_config=tune.RunConfig(
            name=name or config.name,
            storage_path=str(storage.absolute()),
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=1, num_to_keep=1),
            verbose=0,
        ),
    )


def resumed(config: StudyConfig, experiment: Path) -> tune.Tuner:
    """Return a Tuner that goes on with an experiment whose driver was stopped or killed.

    Tune writes its own state now and then: a trial that it knows less of than there is repeats a step, or all.
    """
    return tune.Tuner.restore(
        str(experiment.absolute()), trainable=_trainable(config), resume_unfinished=True, restart_errored=True
    )


def _trainable(config: StudyConfig) -> Any:
    needs = config.resources.on(config.device)
    return tune.with_resources(StudyTrainable, {"cpu": needs.cpus, "gpu": needs.gpus or 0})
