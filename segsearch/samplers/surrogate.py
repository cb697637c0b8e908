"""The model behind ``sampler: pareto``: mIoU by Gaussian processes, costs as measured, or predicted until they are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from segsearch.result import TrialResult, costs_of
from segsearch.samplers.pareto_sampler.candidates import Candidate, Costs, Key, Prices, key_of
from segsearch.samplers.pareto_sampler.chooser import Chooser
from segsearch.samplers.pareto_sampler.encoding import Array, Encoding
from segsearch.samplers.pareto_sampler.gaussian import Process
from segsearch.samplers.pareto_sampler.model import Trial
from segsearch.samplers.pareto_sampler.tree import Condition, Parameter, Params, Tree
from segsearch.samplers.sampler import distribution, ordered, parameters, proposable
from segsearch.space.nodes import Group, Node, OneOf, Point, Scalar, Space
from segsearch.space.walk import contains, suggest
from segsearch.study.budget import COST_NAMES, Budget
from segsearch.study.record import TrialRecord

LEAST_MEASURED, MOST_FITTED = 6, 200
"""Networks that a prediction is fitted to: so many at least, and the last so many."""
BLOCK = 100
"""Points drawn anew for each trial; a point of a large space takes some microseconds per choice."""
NEVER = 10**9
"""Trials of a start that does not end."""


Known = dict[str, float | None]
"""Costs by the names of `segsearch.study.budget.COSTS`; None of what is not known."""


@dataclass
class _Seen:
    """A trial by now."""

    params: Params
    running: bool = True
    miou: float | None = None
    rungs: tuple[float | None, ...] = ()
    """Scores at the study's rungs up to the last one that it was scored at; None at one before it without."""
    costs: Known = field(default_factory=dict)


class Surrogate:
    """Proposes points of a space by what its trials say; knows those that searches vary.

    Equal trials and seeds give equal answers, in whatever order the results came.
    """

    def __init__(self, space: Space, budget: Budget, *, seed: int, startup: int, rungs: Sequence[int] = ()) -> None:
        self._space, self._budget, self._seed, self._startup, self._rungs = space, budget, seed, startup, rungs
        self.tree = tree_of(space)
        self._trials: dict[int, _Seen] = {}
        self._measured: list[tuple[Params, Known]] = []
        self._fitted: tuple[object, _Guess] | None = None

    def began(self, number: int, point: Point) -> None:
        """Add a trial that has no result yet; one whose point this space never proposes is left out."""
        if contains(self._space, point) and proposable(self._space, point):
            self._trials[number] = _Seen(_coded(self._space, point))

    def scored(self, number: int, result: TrialResult) -> None:
        """Add what is known of a trial under way, or paused at a rung."""
        if (seen := self._trials.get(number)) is not None:
            # as the search measured it: what is timed again at the end is not known while a study runs
            seen.costs = costs_of(result.params, result.macs, result.latency)
            # by epoch: the study's rungs may have changed, and a program of its own may report at others
            at = {rung.epochs: rung.miou for rung in result.rungs}
            last = max((place for place, epochs in enumerate(self._rungs, 1) if epochs in at), default=0)
            seen.rungs = tuple(at.get(epochs) for epochs in self._rungs[:last])

    def ended(self, record: TrialRecord) -> None:
        """Add the result of a trial that has begun."""
        self.scored(record.number, record)
        if (seen := self._trials.get(record.number)) is not None:
            seen.running, seen.miou = False, record.miou if record.trained else None

    def measured(self, point: Point, costs: Known) -> None:
        """Add what a point costs that became no trial."""
        if contains(self._space, point) and proposable(self._space, point):
            self._measured.append((_coded(self._space, point), costs))

    def ask(self, number: int, count: int) -> list[Point]:
        """Propose up to ``count`` points for a trial, the best first, with the costs that are predicted of them."""
        guess = self._guess()
        found = self._chooser(guess).best(number, self._told(guess), count)
        return [_decoded(self._space, candidate.params) for candidate in found]

    def best(self, number: int, points: Sequence[Point], costs: Sequence[Known]) -> int:
        """Return the place of the best of points whose costs are known."""
        guess = self._guess()
        trials = self._told(guess)
        if guess is None or not any(t.informs for t in trials):
            return 0
        coded = [_coded(self._space, point) for point in points]
        exact = [Candidate(key_of(p), p, self._costs(p, known, guess)) for p, known in zip(coded, costs, strict=True)]
        chooser = self._chooser(guess)
        model = chooser.model(trials, [*chooser.pool(number, trials, {}), *exact])
        return int(np.argmax(model.improvement(exact)))

    def merits(self, numbers: Sequence[int]) -> dict[int, float]:
        """Return how much each of trials that are paused at a rung is expected to improve the front if it goes on.

        None are told where no new point is known that may be proposed: then nothing says how far the costs reach.
        """
        guess = self._guess()
        trials = self._told(guess)
        paused = {n: self._trial(self._trials[n], guess) for n in numbers if n in self._trials}
        paused = {n: trial for n, trial in paused.items() if trial.rungs and trial.costs}
        if guess is None or not paused:
            return {}
        chooser = self._chooser(guess)
        pool = chooser.pool(max(paused), trials, {})
        if not pool:
            return {}
        model = chooser.model(trials, pool)
        return dict(zip(paused, model.improvement_of(list(paused.values())).tolist(), strict=True))

    @property
    def learnt(self) -> int:
        """Trials that were scored."""
        return sum(seen.miou is not None or bool(seen.rungs) for seen in self._trials.values())

    @property
    def error(self) -> float | None:
        """Typical error of a predicted latency as a share of it; None before enough are measured to tell."""
        guess = self._guess()
        return None if guess is None else float(np.expm1(guess.errors["latency_ms"]))

    def _guess(self) -> "_Guess | None":
        """Fit what the networks cost, anew where more is known; None before enough are measured."""
        trials = [seen for _, seen in sorted(self._trials.items())]
        told = [(seen.params, seen.costs) for seen in trials] + self._measured
        wanted = {"latency_ms", *self._budget.compared}
        known: dict[str, list[tuple[Params, float]]] = {
            name: [(params, cost) for params, costs in told if (cost := costs.get(name))]
            for name in COST_NAMES
            if name in wanted | self._budget.limits.keys()
        }
        fitted = {name: pairs[-MOST_FITTED:] for name, pairs in known.items() if len(pairs) >= LEAST_MEASURED}
        if not wanted <= fitted.keys():
            return None
        if self._fitted is None or self._fitted[0] != fitted:
            self._fitted = fitted, _Guess(self.tree, self._budget, fitted)
        return self._fitted[1]

    def _chooser(self, guess: "_Guess | None") -> Chooser:
        """Return who chooses by what is predicted; points far from each other where nothing can be."""
        prices = Prices(guess.costs if guess else lambda points: [()] * len(points))
        return Chooser(
            self.tree,
            prices,
            seed=self._seed,
            startup=self._startup if guess else NEVER,
            objectives=len(self._budget.objectives),
            rungs=len(self._rungs),
            block=BLOCK,
        )

    def _told(self, guess: "_Guess | None") -> list[Trial]:
        return [self._trial(seen, guess) for _, seen in sorted(self._trials.items())]

    def _trial(self, seen: _Seen, guess: "_Guess | None") -> Trial:
        paused = bool(seen.rungs) and seen.running
        if guess is None:
            return Trial(seen.params, (), None, running=seen.running, rungs=seen.rungs)
        measured = all(seen.costs.get(name) for name in self._budget.compared)
        costs = self._costs(seen.params, seen.costs, guess) if measured else guess.costs([seen.params])[0]
        values = None if seen.miou is None or costs is None or not measured else (seen.miou, *(-cost for cost in costs))
        return Trial(seen.params, costs, values, running=seen.running and not paused, rungs=seen.rungs)

    def _costs(self, params: Params, known: Known, guess: "_Guess") -> Costs:
        """Return what counts of a network that was measured; what is not known of it is predicted."""
        budget = self._budget
        return tuple(budget.worth(name, known.get(name) or guess.predicted(name, params)) for name in budget.compared)


class _Guess:
    """Predicts logarithms of what networks cost from their choices."""

    def __init__(self, tree: Tree, budget: Budget, known: Mapping[str, Sequence[tuple[Params, float]]]) -> None:
        self._encoding, self._processes = Encoding(tree), dict[str, Process]()
        self._exact: dict[str, dict[Key, float]] = {
            name: {key_of(params): cost for params, cost in pairs} for name, pairs in known.items()
        }
        self._budget = budget
        for name, pairs in known.items():
            points = self._encoding.embed([params for params, _ in pairs])
            self._processes[name] = Process(points, self._encoding.widths, np.log([value for _, value in pairs]))
        self.errors = {name: process.left_out_error() for name, process in self._processes.items()}

    def costs(self, points: Sequence[Params]) -> list[Costs | None]:
        """Return the costs of each point, known or predicted; None where even a low guess is over a limit."""
        if not points:
            return []
        at = self._encoding.embed(points)
        keys, logs = [key_of(point) for point in points], dict[str, Array]()
        for name, process in self._processes.items():
            exact = self._exact[name]
            guesses = zip(keys, process.predict(at)[0], strict=True)
            logs[name] = np.array([np.log(exact[key]) if key in exact else log for key, log in guesses])
        within = np.ones(len(points), dtype=bool)
        for name, limit in self._budget.limits.items():
            if name in logs:
                within &= logs[name] - self.errors[name] <= np.log(limit)
        names = self._budget.compared
        costs = np.exp(np.stack([logs[name] for name in names], axis=1)).tolist()
        return [
            tuple(map(self._budget.worth, names, each)) if fits else None
            for each, fits in zip(costs, within, strict=True)
        ]

    def predicted(self, name: str, params: Params) -> float:
        """Return what one cost of a point is expected to be."""
        return float(np.exp(self._processes[name].predict(self._encoding.embed([params]))[0][0]))


def tree_of(space: Space) -> Tree:
    """Write the choices that a search varies as the sampler's tree; an arm's name is no part of the stem."""
    found, explored = list[Parameter](), dict[str, frozenset[str]]()

    def walk(group: Group, name: str, stem: str, condition: Condition | None) -> None:
        for each, node in group.items():
            dotted, part, values = f"{name}{each}", f"{stem}{each}", node.proposals()
            varied = len(values) > 1
            if varied:
                found.append(Parameter(dotted, distribution(values), condition, part))
            if isinstance(node, OneOf):
                if varied:
                    explored[dotted] = frozenset(node.proposals())
                for arm in node.proposals():
                    inside = Condition(dotted, frozenset([arm])) if varied else condition
                    walk(node.arms[arm], f"{dotted}.{arm}.", f"{part}.", inside)

    walk(space.axes, "", "", None)
    return Tree(tuple(found), explored)


def _coded(space: Space, point: Point) -> Params:
    """Return the choices that a search varies; numbers by their place in the list, as neighbours are similar."""
    return parameters(space, point)[0]


def _decoded(space: Space, params: Params) -> Point:
    def answer(name: str, node: Node) -> Scalar:
        values = node.proposals()
        if len(values) == 1:
            return values[0]
        found: Scalar = values[params[name]] if ordered(values) else params[name]
        return found

    return suggest(space, answer)
