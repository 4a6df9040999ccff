"""Fits the decision rules of a run, and judges them on its test split."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tenfold import modelfile
from tenfold.counted import counted
from tenfold.data.dataset import Dataset, Split
from tenfold.data.view import blocks
from tenfold.decisions import abstention, conformal
from tenfold.decisions.choosing import choose
from tenfold.decisions.crossconformal import CrossSets
from tenfold.decisions.pixels import Usual, statistics
from tenfold.decisions.rules import FOLDS, KEY, LEVELS, Rules
from tenfold.decisions.temperature import at_temperature, calibrated
from tenfold.decisions.unknowns import Evidence, Unknowns
from tenfold.errors import RunError
from tenfold.evaluation.answers import Answers, Kept
from tenfold.evaluation.calibration import calibrate
from tenfold.evaluation.judging import judge
from tenfold.evaluation.predictions import read_finite
from tenfold.evaluation.temperature import temperature_of
from tenfold.progress import SILENT, Watcher
from tenfold.run import Run, State, stale_after
from tenfold.runtimes import Predictor, open_predictor

if TYPE_CHECKING:
    from tenfold.recipe import ModelSection

FILE, MODEL = "decisions.json", "model.keras"
ACCURACY, HIGHEST = 0.99, 0.999  # default of the accuracy to guarantee; the highest default
FALSE_REJECTS = 0.05
MOST_TRAINING, MOST_TEST = 5000, 10_000  # images that are read, evenly spaced


@dataclass(frozen=True)
class Wanted:
    """What to guarantee: levels of prediction sets beside 90 and 95 %, the accuracy of accepted answers, and the
    fraction of images of the classes that may be taken for unknown.

    accuracy None: 99 %, or the plain accuracy if that is higher.
    """

    levels: Sequence[float] = ()
    accuracy: float | None = None
    false_rejects: float = FALSE_REJECTS


def decide(run: Run, dataset: Dataset, wanted: Wanted | None = None, watcher: Watcher = SILENT,
           kept: Kept | None = None) -> dict[str, Any]:
    """Fit the decision rules of a run whose splits are scored, and judge them on the test split, if there is one.

    dataset: prepared as for the training. The temperature and the score for unknown images are chosen on the validation
    split, which has chosen the epoch too; all thresholds are fitted on the calibration split. Without one, everything
    is fitted on validation, and the record says that nothing is guaranteed. The rules of the ensemble of a
    cross-validation are fitted on all its images, each predicted by the member that has not seen it. Writes
    `calibration.json` (without folds) and `decisions.json`, puts the rules into `model.keras` and removes exports,
    report and whatever else is derived from the former rules. Returns the content of `decisions.json`. kept: answers of
    the same model to whole splits, which are then not computed again.

    Raises RunError without validation images, or if some of their probabilities are NaN.
    """
    wanted, answering = wanted or Wanted(), Answering(run, open_predictor(run), kept or {}, watcher)
    rules = _by_folds(run, wanted) if of_folds(run) else _by_splits(run, dataset, answering, wanted)
    tested = dataset.test
    content = rules.to_dict(arrays=False)
    if tested is not None and len(tested):
        numbers = spread_evenly(len(tested), MOST_TEST)
        content["tested"] = judge(rules, answering.evidence("test", tested, numbers), numbers)
    _write(run, rules, content)
    return content


def _write(run: Run, rules: Rules, content: Mapping[str, Any]) -> None:
    """Put the rules into `model.keras`, then write `decisions.json`.

    Whatever tells of the former rules is removed between: a run that is killed here may lack its record, its report and
    its exports, but has none of other rules than its model's.
    """

    def fill(path: Path) -> None:
        modelfile.copy(run.path / MODEL, path, {KEY: rules.to_dict()})
        if run.status().state is not State.RUNNING:  # a training has none yet
            run.remove(*stale_after("decisions"), FILE)  # only now, so that a full disk changes nothing

    run.write(MODEL, fill)
    run.write_json(FILE, content)


def of_folds(run: Run) -> bool:
    """Whether a run is the ensemble of the runs of a cross-validation."""
    return run.has("ensemble.json") and bool(run.ensemble().get("folds"))


def _by_splits(run: Run, dataset: Dataset, answering: Answering, wanted: Wanted) -> Rules:
    """The rules of a run with a validation split."""
    temperature, validation = float(calibrate(run)["temperature"]), dataset.validation
    assert validation is not None  # it has predictions
    on = answering.evidence("validation", validation)
    held = on if dataset.calibration is None else answering.evidence("calibration", dataset.calibration)
    train = answering.evidence("train", dataset.train, spread_evenly(len(dataset.train), MOST_TRAINING))
    return fit(on, held, train, temperature, wanted, frozen(run.recipe().model),
               {"split": "calibration" if dataset.calibration else "validation", "images": len(held.labels),
                "reason": reason(dataset)})


def _by_folds(run: Run, wanted: Wanted) -> Rules:
    """The rules of the ensemble of a cross-validation. Its members are calibrated already: its own temperature is 1."""
    folds = []
    for known in run.ensemble()["members"]:
        member = Run.open(known["run"])
        if temperature_of(member) != known["temperature"]:
            raise RunError(f"{member.path}: has another temperature ({temperature_of(member):.3f}) than in the "
                           f"ensemble {run.path} ({known['temperature']:.3f}), because it was trained further; make "
                           "the ensemble again with `tenfold ensemble`")
        labels, probabilities = read_finite(member, "test")
        folds.append((labels, at_temperature(probabilities, known["temperature"])))
    return fit_over_folds(folds, wanted)


def fit_over_folds(folds: Sequence[tuple[np.ndarray, np.ndarray]], wanted: Wanted) -> Rules:
    """The rules from the labels int64 [n] and calibrated probabilities float [n, k] of each fold, by the model without
    it. Only the sets come with a guarantee, for the ensemble of these models.
    """
    labels, p = (np.concatenate(each) for each in zip(*folds, strict=True))
    sets, refused = [], {}
    for level in sorted({*LEVELS, *wanted.levels}):
        if len(labels) < conformal.needed(level):
            refused[level] = conformal.needed(level)
        else:
            sets += [CrossSets.fit(folds, level, method) for method in conformal.METHODS]
    correct = p.argmax(axis=1) == labels
    accepting = abstention.fit(p.max(axis=1), correct, wanted.accuracy or _usual_accuracy(correct))
    return Rules({"split": FOLDS, "images": len(labels), "reason": ""}, 1.0, sets, refused, accepting, None,
                 "their score is chosen on a validation split, and the folds have none in common")


def fit(on: Evidence, held: Evidence, train: Evidence, temperature: float, wanted: Wanted, frozen: bool,
        fitted: Mapping[str, Any]) -> Rules:
    """The rules: choices are made on `on` and `train`, thresholds fitted on `held`; `frozen` as in `choose`."""
    probabilities, labels = calibrated(held.logits, temperature), held.labels
    sets, refused = [], {}
    for level in sorted({*LEVELS, *wanted.levels}):
        if len(labels) < conformal.needed(level):
            refused[level] = conformal.needed(level)
        else:
            sets += [conformal.Sets.fit(labels, probabilities, level, method) for method in conformal.METHODS]
    unknowns, unknown_refused = _unknowns(on, held, train, wanted.false_rejects, frozen)
    kept = np.ones(len(labels), bool) if unknowns is None else ~unknowns.found(
        held.logits, held.features, held.statistics)
    p = probabilities[kept]  # given the threshold for unknown images, those below it are independent draws
    accepting = abstention.fit(p.max(axis=1), p.argmax(axis=1) == labels[kept], wanted.accuracy or _usual_accuracy(
        on.logits.argmax(axis=1) == on.labels))
    return Rules(fitted, temperature, sets, refused, accepting, unknowns, unknown_refused)


def frozen(section: ModelSection) -> bool:
    """Whether a model is a classifier on the features of a frozen backbone that was not trained on the same classes."""
    options = section.options
    return (section.name == "pretrained" and options.get("trainable") == "none"
            and not str(options.get("backbone", "")).startswith("run:"))


def reason(dataset: Dataset) -> str:
    """Why the rules of a data set guarantee nothing; empty if they do."""
    if dataset.calibration is not None:
        return ""
    return ("no images were held out for calibration, so they are fitted on the validation images, by which the "
            "model was chosen too")


def _unknowns(on: Evidence, held: Evidence, train: Evidence, false_rejects: float, frozen: bool,
              ) -> tuple[Unknowns | None, str]:
    """The rule for unknown images, or None with the reason."""
    level, count = 1 - false_rejects, len(held.labels)
    if count < conformal.needed(level):
        return None, (f"{counted(count, 'image')} can't tell which score {100 * false_rejects:g} % of images of the "
                      f"classes exceed; it needs {conformal.needed(level) - count:,} more")
    chosen = choose(train, on, frozen)
    usual = None
    if train.statistics is not None and on.statistics is not None:
        spread = float(chosen.score.score(chosen.arrays, on.logits, on.features).std())
        usual = Usual.fit(train.statistics, on.statistics, spread)
    rule = Unknowns(chosen.name, chosen.arrays, 0.0, false_rejects, chosen.auroc, usual)
    scores = rule.scores(held.logits, held.features, held.statistics)
    return replace(rule, threshold=conformal.threshold(scores, level)), ""


def _usual_accuracy(correct: np.ndarray) -> float:
    """99 %, or the plain accuracy in whole thousandths if that is higher; correct: bool [n]."""
    return min(max(ACCURACY, math.floor(1000 * float(correct.mean())) / 1000), HIGHEST)


@dataclass(frozen=True)
class Answering:
    """A run's model and its known answers to whole splits."""

    run: Run
    predictor: Predictor
    kept: Kept
    watcher: Watcher

    def evidence(self, name: str, split: Split, numbers: np.ndarray | None = None) -> Evidence:
        """What the model says of a split, or of the images with some numbers int64 [n].

        Raises RunError for logits or features that are not finite.
        """
        known = self.kept.get(name)
        if numbers is not None:
            split, known = split.take(numbers), known and known[numbers]
        answers, of_pixels, done = [], [], 0
        for block in blocks(split.images) if len(split) else [np.asarray(split.images[:0])]:
            self.watcher.advance("decide", done, len(split), "images")
            answers.append(known[done : done + len(block)] if known else Answers.of(self.predictor, block))
            of_pixels.append(statistics(block))
            done += len(block)
        self.watcher.advance("decide", done, len(split), "images")
        whole = Answers.joined(answers)
        if not (np.isfinite(whole.logits).all() and np.isfinite(whole.features).all()):
            raise RunError(f"{self.run.path}: some logits or features are NaN or infinite; expected finite ones; train "
                           "again with a lower learning rate")
        return Evidence(whole.logits, whole.features, split.labels, np.concatenate(of_pixels))


def spread_evenly(count: int, most: int) -> np.ndarray:
    """The numbers of at most `most` of `count` images, evenly spaced: int64."""
    return np.unique(np.linspace(0, count - 1, min(most, count)).astype(np.int64))
