"""Pruning: ends a trial early if its validation records are not among the best after as many epochs.

Decisions are pure functions of the recorded values, so a trial that was interrupted between its record and the
decision gets the same decision again. (Optuna's own successive halving notes the rung before it decides.)
"""

from __future__ import annotations

from optuna import Study
from optuna.pruners import BasePruner, NopPruner
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

NAMES = ("halving", "percentile", "none")
FACTOR = 3  # halving keeps a third at each rung
FIRST = 9  # the first rung is at a ninth of the epochs
KEPT = 50  # per cent that the percentile rule keeps
LEAST = 4  # trials that must have reached an epoch before one is ended there


def pruner(name: str, epochs: int) -> BasePruner:
    """The pruner `name` of `NAMES` for trainings of at most `epochs` epochs."""
    if name == "halving":
        return Pruner(rungs(epochs), 1 / FACTOR)
    return Pruner(range(1, epochs), KEPT / 100) if name == "percentile" else NopPruner()


def rungs(epochs: int) -> list[int]:
    """The epochs after which halving decides: an `FIRST`th of the epochs, `FACTOR` times as many, and so on."""
    found = [max(1, round(epochs / FIRST))]
    while found[-1] * FACTOR < epochs:
        found.append(found[-1] * FACTOR)
    return [each for each in found if each < epochs]


class Pruner(BasePruner):
    """Ends a trial that is not in the best `fraction` of all trials that reached the same epoch, one of `epochs`.

    With the rungs of successive halving this is ASHA (Li et al. 2020): a trial is judged against those before it,
    without waiting for others. A trial's value is its best one so far.
    """

    def __init__(self, epochs: range | list[int], fraction: float) -> None:
        self._epochs, self._fraction = epochs, fraction

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        epoch = trial.last_step
        if epoch is None or epoch not in self._epochs:
            return False
        states = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)
        others = [other for other in study.get_trials(deepcopy=False, states=states)
                  if other.number != trial.number and epoch in other.intermediate_values]
        if len(others) < LEAST:
            return False
        sign = 1 if study.direction is StudyDirection.MAXIMIZE else -1
        own = _best(trial, epoch, sign)
        better = sum(_best(other, epoch, sign) > own for other in others)
        return better >= max(1, round(self._fraction * (len(others) + 1)))


def _best(trial: FrozenTrial, epoch: int, sign: int) -> float:
    return max(sign * value for step, value in trial.intermediate_values.items() if step <= epoch)
