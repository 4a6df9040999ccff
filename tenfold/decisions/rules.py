"""The decision rules of a model: from its logits and features to probabilities, sets and decisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from tenfold.decisions import record
from tenfold.decisions.abstention import Accepting
from tenfold.decisions.conformal import Sets
from tenfold.decisions.temperature import calibrated
from tenfold.decisions.unknowns import Unknowns

VERSION = 1
KEY = "decisions"  # in the facts of a model and of its exports
LEVEL, METHOD = 0.9, "lac"  # of the sets that a prediction shows
LEVELS = (0.9, 0.95)  # that are always fitted


class Decision(StrEnum):
    """What to do with an answer."""

    ACCEPTED = "accepted"
    UNSURE = "unsure"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Rules:
    """The rules that `tenfold calibrate` fits.

    fitted: the split and number of images, and the "reason" why nothing is guaranteed; refused: level → number of
    images that it needs; unknown_refused: why there is no rule for unknown images.
    """

    fitted: Mapping[str, Any]
    temperature: float
    sets: Sequence[Sets]
    refused: Mapping[float, int]
    accepting: Accepting
    unknowns: Unknowns | None
    unknown_refused: str = ""

    @classmethod
    def read(cls, facts: Mapping[str, Any], features: int | None = None) -> Rules | None:
        """The rules in the facts of a model; None if it has none. features: how many the model has, to check the rules.

        Raises ValueError if they are damaged.
        """
        if not facts.get(KEY):
            return None
        found = record.check(facts[KEY], len(facts["classes"]))
        sets = [Sets(each.level, each.method, each.threshold, np.array(each.by_class), np.array(each.guaranteed))
                for each in found.sets]
        return cls(found.fitted.model_dump(), found.temperature, sets,
                   {each.level: each.needed for each in found.refused}, Accepting(**found.accepted.model_dump()),
                   None if found.unknown is None else Unknowns.read(found.unknown, features),
                   found.unknown_refused)

    def to_dict(self, arrays: bool = True) -> dict[str, Any]:
        """The rules as plain JSON values, as `read` takes them; `arrays` False leaves out those for unknown images."""
        return {
            "version": VERSION, "fitted": dict(self.fitted), "temperature": self.temperature,
            "sets": [{"level": each.level, "method": each.method, "threshold": each.marginal,
                      "by_class": each.by_class.tolist(), "guaranteed": each.guaranteed.tolist()}
                     for each in self.sets],
            "refused": [{"level": level, "needed": needed} for level, needed in self.refused.items()],
            "accepted": asdict(self.accepting),
            "unknown": None if self.unknowns is None else self.unknowns.to_dict(arrays),
            "unknown_refused": self.unknown_refused,
        }

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """The calibrated probabilities: float64 [n, k]."""
        return calibrated(logits, self.temperature)

    def cautions(self) -> list[str]:
        """Sentences about what the rules can't promise."""
        found = [str(self.fitted["reason"])] if self.fitted.get("reason") else []
        rule = self.accepting
        if rule.threshold is None:
            found.append(f"no answer is accepted: {rule.images:,} calibration images can't support an accuracy of "
                         f"{100 * rule.accuracy:g} %{self._missing()}; lower it with `tenfold calibrate --accuracy`")
        if LEVEL in self.refused:
            found.append(f"there are no prediction sets at {100 * LEVEL:g} %: they need {self.refused[LEVEL]:,} "
                         f"calibration images, and there are {self.fitted['images']:,}")
        return found

    def _missing(self) -> str:
        more = self.accepting.needed - self.accepting.images
        return f" ({more:,} more are needed, if all their answers are right)" if more > 0 else ""

    def sets_at(self, level: float, method: str = METHOD) -> Sets | None:
        """The rule of the sets at a level; None if it was not fitted."""
        return next((each for each in self.sets if each.level == level and each.method == method), None)

    def decide(self, probabilities: np.ndarray, logits: np.ndarray, features: np.ndarray) -> list[Decision]:
        """The decision for each image: unknown before unsure before accepted.

        Nothing is accepted if the images support no threshold.
        """
        limit = self.accepting.threshold
        sure = probabilities.max(axis=1) > (np.inf if limit is None else limit)
        unknown = np.zeros(len(sure), bool) if self.unknowns is None else self.unknowns.found(logits, features)
        return [Decision.UNKNOWN if strange else Decision.ACCEPTED if enough else Decision.UNSURE
                for strange, enough in zip(unknown, sure, strict=True)]
