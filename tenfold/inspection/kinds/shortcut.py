"""Something beside the content gives the label away."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePath

import numpy as np

from tenfold.inspection.finding import Finding, kind
from tenfold.inspection.subject import Subject
from tenfold.later import importing_sklearn
from tenfold.registry import FINDINGS

FEWEST = 20  # images, and at least FOLDS in a class
FOLDS = 5
MOST = 5000  # images that are looked at
CLEAR = 0.5  # of the way from chance to certainty, over all classes
CERTAIN = 0.9  # F1 of one class
EXAMPLES = 12


@FINDINGS.add("shortcut")
@kind("pixels", order=5, advice="A network learns the easy cue instead of the content. Crop the border, resize all "
                                "images in the same way, or collect every class under the same conditions.")
def shortcut(subject: Subject) -> Iterator[Finding]:
    """The border, the size or the file name gives the label away: a small tree that sees only that predicts it."""
    rows = _sample(subject.labels)
    if len(rows) < FEWEST:
        return
    for cue, values in _cues(subject, rows).items():
        predicted = _predicted(values, subject.labels[rows])
        labels = subject.labels[rows]
        chance = np.bincount(labels).max() / len(labels)
        right = float((predicted == labels).mean())
        gain = (right - chance) / max(1 - chance, 1e-9)
        given_away = [label for label in np.unique(labels) if _is_given_away(labels == label, predicted == label)]
        if gain < CLEAR and not given_away:
            continue
        shown = rows[np.isin(labels, given_away or np.unique(labels))][:EXAMPLES]
        which = ", ".join(subject.dataset.classes[label] for label in given_away[:5])
        yield Finding("shortcut", subject.named(shown), max(gain, 0.0) if not given_away else max(gain, CERTAIN),
                      f"the {cue} alone predicts {100 * right:.0f} % of the labels (chance: {100 * chance:.0f} %)"
                      + (f"; it gives away {which}" if which else ""))


def _sample(labels: np.ndarray) -> np.ndarray:
    """Rows of up to 5,000 images, of the classes that have enough: int64, ascending."""
    enough = np.flatnonzero(np.bincount(labels) >= FOLDS)
    rows = np.flatnonzero(np.isin(labels, enough))
    if len(enough) < 2:
        return rows[:0]
    return np.sort(np.random.default_rng(0).permutation(rows)[:MOST])


def _cues(subject: Subject, rows: np.ndarray) -> dict[str, np.ndarray]:
    """float64 [m, d] for each cue."""
    names = subject.named(rows)
    cues: dict[str, np.ndarray] = {"border": subject.looks.border[rows]}
    known = [subject.headers.get(name) for name in names]
    if all(known):
        cues["size of image and file"] = np.array([(each[0].width, each[0].height, each[0].width / each[0].height,
                                  each[1], each[1] / each[0].width / each[0].height) for each in known if each])
        cues["file name"] = _name_values(names, subject.dataset.classes)
    return cues


def _name_values(names: tuple[str, ...], classes: tuple[str, ...]) -> np.ndarray:
    """Length of the name, number of its digits, and which letters it has, without the class name and the numbers."""
    stems = [PurePath(name).stem.lower() for name in names]
    for name in sorted(map(str.lower, classes), key=len, reverse=True):
        if not name.isdecimal():
            stems = [stem.replace(name, "") for stem in stems]
    letters = [re.sub(r"[0-9]+", "0", stem) for stem in stems]
    kinds = {each: i for i, each in enumerate(dict.fromkeys(letters))}
    return np.array([(len(stem), sum(map(str.isdigit, stem)), kinds[each], PurePath(name).suffix in (".png", ".PNG"))
                     for name, stem, each in zip(names, stems, letters, strict=True)], float)


def _predicted(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The label of each image by a tree that saw only others: int64 [m]."""
    with importing_sklearn():
        from sklearn.model_selection import StratifiedKFold, cross_val_predict
        from sklearn.tree import DecisionTreeClassifier

    tree = DecisionTreeClassifier(max_depth=8, min_samples_leaf=2, random_state=0)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    return cross_val_predict(tree, values, labels, cv=folds)


def _is_given_away(true: np.ndarray, predicted: np.ndarray) -> bool:
    """Whether a class is predicted well, and much better than by predicting it always."""
    found, always = _f1(true, predicted), _f1(true, np.ones(len(true), bool))
    return found >= CERTAIN and found - always >= CLEAR * (1 - always)


def _f1(true: np.ndarray, predicted: np.ndarray) -> float:
    both = float((true & predicted).sum())
    return 2 * both / max(1.0, float(true.sum() + predicted.sum()))
