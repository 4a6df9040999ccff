"""The decision rules of a model: from its logits and features to probabilities, sets and decisions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.counted import are
from tenfold.decisions import record
from tenfold.decisions.abstention import Accepting, refusal
from tenfold.decisions.conformal import Sets
from tenfold.decisions.crossconformal import CrossSets, members
from tenfold.decisions.pixels import statistics
from tenfold.decisions.temperature import calibrated
from tenfold.decisions.unknowns import Unknowns
from tenfold.errors import RunError, first_line

VERSION = 1
KEY = "decisions"  # in the facts of a model and of its exports
LEVEL, METHOD = 0.9, "lac"  # of the sets that a prediction shows
LEVELS = (0.9, 0.95)  # that are always fitted
FOLDS = "folds"  # the "split" of rules that were fitted on all images, each predicted by the model without its fold


def guaranteed(fitted: Mapping[str, Any]) -> bool:
    """Whether the rules keep what they say of sets and accepted answers; fitted: what they were fitted on.

    Over folds, only the sets guarantee something, and less than their level; rules with a reason guarantee nothing.
    """
    return fitted["split"] != FOLDS and not fitted["reason"]


class Decision(StrEnum):
    """What to do with an answer."""

    ACCEPTED = "accepted"
    UNSURE = "unsure"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Rules:
    """The rules that `tenfold calibrate` fits.

    fitted: the split and number of images, and the "reason" why nothing is guaranteed; sets: all of one kind;
    refused: level → number of images that it needs; unknown_refused: why there is no rule for unknown images.
    """

    fitted: Mapping[str, Any]
    temperature: float
    sets: Sequence[Sets | CrossSets]
    refused: Mapping[float, int]
    accepting: Accepting
    unknowns: Unknowns | None
    unknown_refused: str = ""

    @classmethod
    def read(cls, facts: Mapping[str, Any], features: int | None = None) -> Rules | None:
        """The rules in the facts of a model; None if it has none. features: how many the model has, to check the rules,
        as they are checked by the facts' "shape".

        Raises ValueError if they are damaged.
        """
        if not facts.get(KEY):
            return None
        found = record.check(facts[KEY], len(facts["classes"]))
        sets: list[Sets | CrossSets] = [
            Sets(each.level, each.method, each.threshold, np.array(each.by_class), np.array(each.guaranteed))
            for each in found.sets]
        if found.folds is not None:
            sets += _over_folds(found.folds, len(facts["classes"]), features)
        return cls(found.fitted.model_dump(), found.temperature, sets,
                   {each.level: each.needed for each in found.refused}, Accepting(**found.accepted.model_dump()),
                   None if found.unknown is None else Unknowns.read(
                       found.unknown, features, _count(facts.get("shape"))), found.unknown_refused)

    def to_dict(self, arrays: bool = True) -> dict[str, Any]:
        """The rules as plain JSON values, as `read` takes them; `arrays` False leaves out those for unknown images."""
        return {
            "version": VERSION, "fitted": dict(self.fitted), "temperature": self.temperature,
            "sets": [{"level": each.level, "method": each.method, "threshold": each.marginal,
                      "by_class": each.by_class.tolist(), "guaranteed": each.guaranteed.tolist()}
                     for each in self.sets if isinstance(each, Sets)],
            **_folds_to_dict([each for each in self.sets if isinstance(each, CrossSets)], arrays),
            "refused": [{"level": level, "needed": needed} for level, needed in self.refused.items()],
            "accepted": asdict(self.accepting),
            "unknown": None if self.unknowns is None else self.unknowns.to_dict(arrays),
            "unknown_refused": self.unknown_refused,
        }

    @classmethod
    def of_run(cls, run: Path, facts: Mapping[str, Any], features: int | None = None) -> Rules | None:
        """As `read`, for the facts of a run's model. Raises RunError if the rules are damaged."""
        try:
            return cls.read(facts, features)
        except ValueError as error:
            raise RunError(f"{run}: its decision rules are damaged ({first_line(error)}); fit them again with `tenfold "
                           f"calibrate {run}`") from None

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """The calibrated probabilities: float64 [n, k]."""
        return calibrated(logits, self.temperature)

    def cautions(self, run: str = "RUN") -> list[str]:
        """Sentences about what the rules can't guarantee; run: the path in commands that they name."""
        found = [f"the decision rules guarantee nothing: {self.fitted['reason']}"] if self.fitted.get("reason") else []
        if self.accepting.threshold is None:
            found.append(f"no answer is accepted: {refusal(asdict(self.accepting), run)}")
        found += [self._weaker()] if self.fitted["split"] == FOLDS else []
        if LEVEL in self.refused:
            found.append(f"there are no prediction sets at {100 * LEVEL:g} %: they need {self.refused[LEVEL]:,} "
                         f"calibration images, and there "
                         f"{are(self.fitted['images'])} {self.fitted['images']:,}")
        return found

    def _weaker(self) -> str:
        """What rules that were fitted over folds guarantee less than others."""
        sets = self.sets_at(LEVEL)
        of_sets = f"sets at {100 * LEVEL:g} % guarantee {math.floor(100 * sets.promised)} %, and " \
            if isinstance(sets, CrossSets) else ""
        return f"the rules were fitted over folds: {of_sets}accepted answers are not guaranteed"

    def sets_at(self, level: float, method: str = METHOD) -> Sets | CrossSets | None:
        """The rule of the sets at a level; None if it was not fitted."""
        return next((each for each in self.sets if each.level == level and each.method == method), None)

    def shown(self, sets: Sets | CrossSets, probabilities: np.ndarray, features: np.ndarray) -> np.ndarray:
        """The sets of one rule, bool [n, k]; none is empty. probabilities: float [n, k], features: float [n, d]."""
        if isinstance(sets, Sets):
            return sets.shown(probabilities)
        return sets.shown(members(features, len(sets.scores), probabilities.shape[1]))

    def statistics(self, images: np.ndarray) -> np.ndarray | None:
        """What `decide` must know of the pixels of images uint8 [n, h, w, c]: float32 [n, s], or None for nothing."""
        return statistics(images) if self.unknowns is not None and self.unknowns.usual is not None else None

    def decide(self, probabilities: np.ndarray, logits: np.ndarray, features: np.ndarray,
               statistics: np.ndarray | None) -> list[Decision]:
        """The decision for each image: unknown if its score is above the threshold; else accepted if its probability
        is; else unsure. statistics: of the pixels of the images.

        Nothing is accepted if the images support no threshold.
        """
        limit = self.accepting.threshold
        sure = probabilities.max(axis=1) > (np.inf if limit is None else limit)
        unknown = np.zeros(len(sure), bool) if self.unknowns is None else self.unknowns.found(
            logits, features, statistics)
        return [Decision.UNKNOWN if strange else Decision.ACCEPTED if enough else Decision.UNSURE
                for strange, enough in zip(unknown, sure, strict=True)]


def _count(shape: Sequence[int] | None) -> int | None:
    """How many statistics the pixels of a model's images have."""
    return None if shape is None else statistics(np.zeros((0, *shape), np.uint8)).shape[1]


def _over_folds(rule: record.FoldRule, classes: int, features: int | None) -> list[CrossSets]:
    """The sets of a record. Raises ValueError if scores are missing, or the model has too few features for them."""
    scores = {method: [np.sort(each) for each in rule.scores[method]] for method in rule.scores}
    wrong = [each.method for each in rule.sets
             if [len(found) for found in scores.get(each.method, [])] != rule.images]
    if wrong:
        raise ValueError(f"the {wrong[0]} scores are not those of folds with {rule.images} images")
    if features is not None:
        members(np.zeros((0, features)), len(rule.images), classes)
    return [CrossSets.of(each.level, each.method, scores[each.method]) for each in rule.sets]


def _folds_to_dict(sets: Sequence[CrossSets], arrays: bool) -> dict[str, Any]:
    """The entry of sets that were fitted over folds; empty without any."""
    if not sets:
        return {}
    return {"folds": {
        "images": [len(scores) for scores in sets[0].scores],
        "sets": [{"level": each.level, "method": each.method, "promised": each.promised} for each in sets],
        "scores": {each.method: [scores.tolist() for scores in each.scores] for each in sets} if arrays else {}}}
