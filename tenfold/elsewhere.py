"""What a run's model is worth on other images, without labels: its accuracy, the classes, what looks new."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tenfold import machine
from tenfold.counted import counted
from tenfold.data import open_dataset
from tenfold.data.dataset import Split
from tenfold.data.images import check_given, printable
from tenfold.data.splits import stratified
from tenfold.decisions.temperature import at_temperature, fit_temperature
from tenfold.errors import RunError, UsageError
from tenfold.evaluation.judgement import RARE, Judge, Reference
from tenfold.evaluation.looking import Looked, look
from tenfold.evaluation.predictions import read_finite
from tenfold.evaluation.scores import entry
from tenfold.evaluation.statistics import wilson
from tenfold.evaluation.temperature import temperature_of
from tenfold.jobs import exporting
from tenfold.progress import Watcher
from tenfold.progress.notebook import chosen_watcher
from tenfold.report import drift as page
from tenfold.run import Run
from tenfold.runtimes.fast import fast

DIRECTORY, INDEX, PAGE = "drift", "index.json", "index.html"
SAMPLE = 512  # labelled images that are changed in known ways
SHOWN = 24  # pictures of what looks new
FEWEST = 2  # reference images, so that each has a nearest one


@dataclass(frozen=True)
class Drift:
    """What was found out about images without labels, written to the directory `path`.

    found: the content of `index.json`; see docs/after-training.md.
    """

    path: Path
    found: dict[str, Any]

    @property
    def index(self) -> Path:
        """The page with everything."""
        return self.path / PAGE


def drift(run: Run | str | Path, images: Any, *, reference: str | Path | None = None,
          watcher: Watcher | None = None) -> Drift:
    """Estimate the accuracy of a run's model on images without labels, and tell how they differ from known ones.

    run: a Run or its path. images: as for `predict`. reference: the name, URI or path of a data set with labels that
    the model did not learn from (its test split, else its validation split, else its training split); default: the
    run's own validation images. Writes `drift/index.html` and `drift/index.json` into the run, replacing what was
    there.

    Raises UsageError for paths that do not exist or unknown classes, ImageError if no image can be read, RunError if
    the run has no model or, without a reference, no validation split.
    """
    watcher = chosen_watcher(watcher)
    machine.configure("float32")
    run = Run.open(run)
    check_given(images)
    with run.writing():
        known = reference_of(run, watcher) if reference is None else _given(run, str(reference), watcher)
        if len(known.images) < FEWEST:
            raise UsageError(f"the reference: received {counted(len(known.images), 'image')} with labels; expected at "
                             f"least {FEWEST}: give more with --reference DATA")
        seen = look(run, images, known.temperature, watcher)
        found, pictures = _compare(run, known, seen, watcher)
        content = page.page(run.name, found, pictures)

        def fill(folder: Path) -> None:
            text = json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
            (folder / INDEX).write_text(text, encoding="utf-8", errors="replace")
            (folder / PAGE).write_text(content, encoding="utf-8", errors="replace")

        return Drift(run.write_directory(DIRECTORY, fill), found)


def _compare(run: Run, known: Reference, seen: Looked, watcher: Watcher) -> tuple[dict[str, Any], list[np.ndarray]]:
    """(the content of `index.json`, the pictures of what looks new)."""
    judged = Judge(fast(run), known, watcher)(seen.features, seen.probabilities)
    right, classes = known.right, run.classes()
    order = np.argsort(-judged.distances, kind="stable")[:SHOWN]
    best = seen.probabilities.argmax(axis=1)
    found = {
        "run": run.name, "images": len(seen), "unread": list(seen.unread),
        "reference": {"name": known.name, "images": len(known.labels),
                      "accuracy": entry(float(right.mean()), wilson(int(right.sum()), len(right)), "")},
        "accuracy": judged.accuracy.to_dict(),
        "classes": [{"class": name, **dataclasses.asdict(share), "changed": share.changed}
                    for name, share in zip(classes, judged.shares, strict=True)],
        "new": {"fraction": judged.new, "expected": RARE,
                "images": [{"path": printable(seen.name(row)), "distance": float(judged.distances[row]),
                            "rarity": float(judged.rarity[row]), "predicted": classes[best[row]],
                            "probability": float(seen.probabilities[row, best[row]])} for row in order.tolist()]},
    }
    return found, seen.pixels(order)


def reference_of(run: Run, watcher: Watcher) -> Reference:
    """The validation split of a run, as it was scored, with the run's check images as the sample."""
    if not run.has("predictions/validation.parquet"):
        raise RunError(f"{run.path}: the run has no predictions of a validation split; expected labelled images that "
                       "the model did not learn from: give some with --reference DATA")
    labels, p = read_finite(run, "validation")
    kept = exporting.images_of(run, watcher)
    temperature = temperature_of(run)
    return Reference("the run's validation split", labels, at_temperature(p, temperature), temperature, kept.images,
                     kept.labels)


def _given(run: Run, uri: str, watcher: Watcher) -> Reference:
    """A labelled data set whose classes are among the run's."""
    section = run.recipe().replace({"data.group": "none"}).data
    dataset = open_dataset(uri, fetch=True, watcher=watcher, section=section, shape=run.environment().shape)
    known = {name: i for i, name in enumerate(run.classes())}
    strange = [name for name in dataset.classes if name not in known]
    if strange:
        raise UsageError(f"reference: received {uri}, which has classes that {run.path} does not know "
                         f"({', '.join(strange[:10])}); expected some of {', '.join(known)}")
    split: Split = dataset.test or dataset.validation or dataset.train
    labels = np.array([known[name] for name in dataset.classes], np.int64)[split.labels]
    predictor = fast(run)
    p = predictor.predict(split.images)
    temperature = fit_temperature(labels, p)
    rows = stratified(labels, min(SAMPLE, len(labels)), np.random.default_rng(0))
    return Reference(uri, labels, at_temperature(p, temperature), temperature, np.asarray(split.images[rows]),
                     labels[rows])
