"""Evaluation: the predictions and the metrics of a finished run, written into the run."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import hashlib
import itertools
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tenfold import machine
from tenfold.data.dataset import Dataset, Split
from tenfold.data.view import Images, blocks
from tenfold.errors import RunError, UsageError
from tenfold.evaluation.predictions import write_predictions
from tenfold.evaluation.robustness import robustness
from tenfold.evaluation.scores import score
from tenfold.progress import SILENT, Watcher
from tenfold.run import Run
from tenfold.runtimes import Predictor, open_predictor
from tenfold.runtimes.views import WithViews

if TYPE_CHECKING:
    from tenfold.recipe import EvaluateSection

EVALUATED = ("validation", "test")
COUNTS = "scored.json"
TIMED = 2000  # images, at most, that the speed of prediction is measured on


def score_run(run: Run, dataset: Dataset, splits: Sequence[str] = EVALUATED, csv: bool = False,
              how: EvaluateSection | None = None, watcher: Watcher = SILENT) -> dict[str, Any]:
    """Predict the splits of a prepared data set with the run's `model.keras`, in float32, and score them.

    Writes `predictions/<split>.parquet` (and `.csv`) and `metrics.json`; returns the metrics:
    split → metric → {"value", "low", "high"}. A split that the data set lacks is left out. Where `how`
    (default: the run's recipe) asks for test-time augmentation, each split is scored twice: as "test", which
    is what `model.keras` says, and as "test_tta", with the "views". "times" counts how often this run was
    scored on the split, and "earlier" how many of these times before it was resumed, with the model of then.
    Raises UsageError if the data set has other classes or another image shape than the run.
    """
    if dataset.classes != run.classes():
        raise UsageError(f"the data set's classes are {', '.join(dataset.classes)}; "
                         f"{run.path} was trained on {', '.join(run.classes())}")
    _check_shape(run, dataset)
    present = {name: split for name, split in dataset.splits().items() if name in splits}
    return _score(run, present, csv, how or run.recipe().evaluate, watcher)


def score_elsewhere(run: Run, dataset: Dataset, split: str, csv: bool = False, how: EvaluateSection | None = None,
                    own: Dataset | None = None, watcher: Watcher = SILENT) -> dict[str, Any]:
    """Score a run's model on a split of another data set, whose classes it knows; in whatever order.

    Writes predictions and metrics under `<data set>-<split>`, with "data" (uri, source, partial, fingerprint, and
    "overlap": how many of the images are among those of each split of `own`, the data set of the run).
    Raises UsageError for a class that the run does not know, another image shape, or a split that is not there.
    """
    known = {name: i for i, name in enumerate(run.classes())}
    strange = [name for name in dataset.classes if name not in known]
    if strange:
        raise UsageError(f"the data set has classes that {run.path} does not know: {', '.join(strange[:10])}; "
                         f"expected some of {', '.join(known)}")
    _check_shape(run, dataset)
    there = dataset.splits()
    if split not in there:
        raise UsageError(f"the data set {dataset.name} has no {split} split; choose from: {', '.join(there)}")
    chosen = there[split]
    positions = np.array([known[name] for name in dataset.classes], np.int64)
    mapped = dataclasses.replace(chosen, labels=positions[chosen.labels])
    data = {"uri": dataset.uri, "source": chosen.provenance.source, "partial": chosen.partial,
            "expected": chosen.provenance.expected, "count": len(chosen), "fingerprint": mapped.fingerprint(),
            "overlap": _overlap(chosen.images, own) if own else {}}
    name = _free_name(run, f"{dataset.name}-{split}", mapped.fingerprint())
    return _score(run, {name: mapped}, csv, how or run.recipe().evaluate, watcher, {"data": data})


def _known(run: Run) -> dict[str, Any]:
    """What is known of the run so far; nothing, if that is damaged: it is about to be written again."""
    with contextlib.suppress(RunError):
        return dict(run.metrics())
    return {}


def _counts(run: Run) -> dict[str, int]:
    """How often each split was scored in this run; metrics go when it is trained further, these stay.

    Runs made before there was such a file have the counts in their metrics alone.
    """
    with contextlib.suppress(RunError):
        if run.has(COUNTS):
            return run.read_json(COUNTS)
    return {name: scored.get("times", 1) for name, scored in _known(run).items()}


def _overlap(images: Images, own: Dataset) -> dict[str, int]:
    """How many images are among those of each split of the run's own data set; splits without any are left out."""
    seen = _hashes(images)
    shared = {name: len(seen & _hashes(split.images)) for name, split in own.splits().items()}
    return {name: count for name, count in shared.items() if count}


def _hashes(images: Images) -> set[bytes]:
    return {hashlib.sha256(image.tobytes()).digest() for block in blocks(images) for image in block}


def _free_name(run: Run, name: str, fingerprint: str) -> str:
    """The name with a number, if other images are scored under it already."""
    taken = _known(run)
    names = [name, *(f"{name}-{i}" for i in range(2, len(taken) + 3))]
    return next(n for n in names if taken.get(n, {}).get("data", {}).get("fingerprint", fingerprint) == fingerprint)


def _check_shape(run: Run, dataset: Dataset) -> None:
    shape = run.environment().shape
    if dataset.shape != shape:
        raise UsageError(f"the data set's images are {dataset.shape}; {run.path} was trained on {shape}")


def _score(run: Run, splits: Mapping[str, Split], csv: bool, how: EvaluateSection,
           watcher: Watcher, more: Mapping[str, Any] | None = None) -> dict[str, Any]:
    result, counts = _known(run), _counts(run)
    for suffix, predictor in predictors(run, how).items():
        facts = {**(more or {}), **({"views": how.tta} if suffix else {})}
        for name, split in splits.items():
            p = _predicted(predictor, split, how.batch_size, watcher)
            key = name + suffix
            write_predictions(run, key, split.labels, p, run.classes(), csv)
            before = counts.get(key, 0)
            counts[key] = before + 1
            result[key] = {
                **score(split.labels, p, run.classes(), watcher=watcher), **facts,
                "scored": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
                "times": counts[key], "earlier": result[key].get("earlier", 0) if key in result else before}
    run.write_json(COUNTS, counts)  # first, so that a kill between the two can't hide that the split was scored
    run.write_json("metrics.json", result)
    return result


def _predicted(predictor: Predictor, split: Split, batch_size: int, watcher: Watcher) -> np.ndarray:
    """Probabilities float32 [n, k] of a split; the watcher is told of each batch."""
    parts, count = [], len(split)
    for start in range(0, max(count, 1), batch_size):
        watcher.advance("score", start, count, "images")
        parts.append(predictor.predict(split.images[start : start + batch_size], batch_size))
    watcher.advance("score", count, count, "images")
    return np.concatenate(parts)


def predictors(run: Run, how: EvaluateSection) -> dict[str, Predictor]:
    """What judges a run's images, by suffix of the split.

    "" is the model as it is; "_tta" has test-time augmentation, where `how` asks for any.
    """
    plain = open_predictor(run)
    return {"": plain} if how.tta == "none" else {"": plain, "_tta": WithViews(plain, how.tta, how.tta_below)}


def time_run(run: Run, images: Images) -> dict[str, Any]:
    """How many images a second the run's model classifies in float32, decoding and loading aside.

    images: uint8 [n, h, w, c], n > 0; batches of them, over and over, until 2,000 images or two seconds have
    gone by. Gives "images_per_second" (the median batch; the first one only warms up), "images", "batch_size",
    and what computed: "precision", "threads", "processor".
    """
    predictor, size, count = open_predictor(run), run.recipe().evaluate.batch_size, min(len(images), TIMED)
    batches = itertools.cycle([np.asarray(images[np.arange(i, min(i + size, len(images)))])
                               for i in range(0, count, size)])
    rates: list[float] = []
    seconds, count = 0.0, 0
    while count < TIMED and seconds < 2:
        batch = next(batches)
        started = time.perf_counter()
        predictor.predict(batch, size)
        took = time.perf_counter() - started
        rates.append(len(batch) / took)
        seconds, count = seconds + took, count + len(batch)
    used = machine.current("float32")
    return {"images_per_second": round(float(np.median(rates[1:] or rates)), 1), "images": count, "batch_size": size,
            "precision": used.precision, "threads": used.threads, "processor": machine.processor_name()}


def score_corruptions(run: Run, dataset: Dataset, watcher: Watcher) -> dict[str, Any]:
    """Score the run on its corrupted test images; writes and returns `corruptions.json` (see `robustness`).

    Raises RunError if the data set has no test split.
    """
    if dataset.test is None or not len(dataset.test):
        raise RunError(f"{run.path}: its data set has no test images to corrupt")
    how = run.recipe().evaluate
    result = {"split": "test", **robustness(open_predictor(run), dataset.test, watcher, how.batch_size)}
    run.write_json("corruptions.json", result)
    return result
