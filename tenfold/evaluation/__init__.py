"""Evaluation: computes the predictions and metrics of a finished run and writes them into the run directory."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import hashlib
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from tenfold import machine
from tenfold.counted import are, counted
from tenfold.data.dataset import Dataset, Split
from tenfold.data.view import Images, blocks
from tenfold.errors import RunError, UsageError
from tenfold.evaluation.answers import Answers, Kept
from tenfold.evaluation.predictions import write_predictions
from tenfold.evaluation.scores import score
from tenfold.progress import SILENT, Watcher
from tenfold.run import Run
from tenfold.runtimes import Predictor, open_predictor
from tenfold.runtimes.views import WithViews

if TYPE_CHECKING:
    from tenfold.recipe import EvaluateSection

EVALUATED = ("validation", "test")
COUNTS_FILE = "scored.json"
TIMED_IMAGES, TIMED_SECONDS = 2000, 0.2  # either suffices to measure the speed of prediction
WARM_UP = 16  # images

T = TypeVar("T", np.ndarray, Answers)


def score_run(run: Run, dataset: Dataset, splits: Sequence[str] = EVALUATED, csv: bool = False,
              how: EvaluateSection | None = None, watcher: Watcher = SILENT, kept: Kept | None = None,
              ) -> dict[str, Any]:
    """Predict the splits of a prepared data set with the run's `model.keras`, in float32, and score them.

    Writes `predictions/<split>.parquet` (and `.csv`) and `metrics.json`. Returns the metrics:
    split → metric → {"value", "low", "high"}. Splits that the data set lacks are left out. If `how` (default: the
    run's recipe) enables test-time augmentation, each split is scored twice: "test" is the score of `model.keras`,
    and "test_tta" is the score with augmentation, named in "views". "times" counts how often this run was scored
    on the split; "earlier" counts the times before the run was resumed, with the model of that time. The answers of
    the plain model are put into `kept`, if it is given.
    Raises UsageError if the classes or the image shape of the data set differ from the run's.
    """
    if dataset.classes != run.classes():
        raise UsageError(f"data set {dataset.name}: received the classes {', '.join(dataset.classes)}; expected those "
                         f"of {run.path}: {', '.join(run.classes())}")
    _check_shape(run, dataset)
    present = {name: split for name, split in dataset.splits().items() if name in splits}
    return _score(run, present, csv, how or run.recipe().evaluate, watcher, kept=kept)


def score_elsewhere(run: Run, dataset: Dataset, split: str, csv: bool = False, how: EvaluateSection | None = None,
                    own: Dataset | None = None, watcher: Watcher = SILENT) -> dict[str, Any]:
    """Score a run's model on a split of another data set, whose classes must be among the run's, in any order.

    Writes predictions and metrics under `<data set>-<split>`, with "data": uri, source, partial, fingerprint and
    "overlap", the number of its images that also occur in each split of `own`, the run's data set.
    Raises UsageError for an unknown class, another image shape or a missing split.
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
    shared = _overlap(chosen.images, own) if own else {}
    if shared:
        of = ", ".join(f"{name} {count:,}" for name, count in shared.items())
        total = sum(shared.values())
        watcher.notice(f"warning: {total:,} of {counted(len(chosen), 'image')} {are(total)} also in the run's "
                       f"own splits ({of}): the score says little about new images")
    data = {"uri": dataset.uri, "source": chosen.provenance.source, "partial": chosen.partial,
            "expected": chosen.provenance.expected, "count": len(chosen), "fingerprint": mapped.fingerprint(),
            "overlap": shared}
    name = _free_name(run, f"{dataset.name}-{split}", mapped.fingerprint())
    return _score(run, {name: mapped}, csv, how or run.recipe().evaluate, watcher, {"data": data})


def _previous_metrics(run: Run) -> dict[str, Any]:
    """The run's metrics so far; empty if the file is damaged, because it is about to be overwritten."""
    with contextlib.suppress(RunError):
        return dict(run.metrics())
    return {}


def _times_scored(run: Run) -> dict[str, int]:
    """How often each split was scored in this run. Further training deletes the metrics but keeps these counts.

    Earlier versions kept the counts only in the metrics. Raises RunError if the counts are damaged.
    """
    counts = dict(run.times_scored())
    return counts or {name: scored.get("times", 1) for name, scored in _previous_metrics(run).items()}


def _overlap(images: Images, own: Dataset) -> dict[str, int]:
    """How many images also occur in each split of the run's own data set; splits without any are left out."""
    seen = _hashes(images)
    shared = {name: len(seen & _hashes(split.images)) for name, split in own.splits().items()}
    return {name: count for name, count in shared.items() if count}


def _hashes(images: Images) -> set[bytes]:
    return {hashlib.sha256(image.tobytes()).digest() for block in blocks(images) for image in block}


def _free_name(run: Run, name: str, fingerprint: str) -> str:
    """The name, with a number if other images were already scored under it."""
    taken = _previous_metrics(run)
    names = [name, *(f"{name}-{i}" for i in range(2, len(taken) + 3))]
    return next(n for n in names if taken.get(n, {}).get("data", {}).get("fingerprint", fingerprint) == fingerprint)


def _check_shape(run: Run, dataset: Dataset) -> None:
    shape = run.environment().shape
    if dataset.shape != shape:
        raise UsageError(f"data set {dataset.name}: received images of {dataset.shape}; expected {shape} (height, "
                         f"width, channels) as in {run.path}")


def _score(run: Run, splits: Mapping[str, Split], csv: bool, how: EvaluateSection,
           watcher: Watcher, more: Mapping[str, Any] | None = None, kept: Kept | None = None) -> dict[str, Any]:
    from tenfold.runtimes.fast import softmax  # imports the engine

    result, counts = _previous_metrics(run), _times_scored(run)
    for suffix, predictor in predictors(run, how).items():
        facts = {**(more or {}), **({"views": how.tta} if suffix else {})}
        for name, split in splits.items():
            key = name + suffix
            if kept is None or suffix or not Answers.may_be_kept(predictor, split):
                p = _predicted(predictor.predict, split, how.batch_size, watcher, np.concatenate)
            else:
                kept[key] = _predicted(partial(Answers.of, predictor), split, how.batch_size, watcher, Answers.joined)
                p = softmax(kept[key].logits)
            write_predictions(run, key, split.labels, p, run.classes(), csv, split.names)
            before = counts.get(key, 0)
            counts[key] = before + 1
            result[key] = {
                **score(split.labels, p, run.classes(), watcher=watcher), **facts,
                "scored": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
                "times": counts[key], "earlier": result[key].get("earlier", 0) if key in result else before}
    run.write_json(COUNTS_FILE, counts)  # first: a kill between the two writes must not hide a score
    run.write_json("metrics.json", result)
    return result


def _predicted(predict: Callable[[Images, int], T], split: Split, batch_size: int, watcher: Watcher,
               join: Callable[[list[T]], T]) -> T:
    """What `predict` says of the images of a split; reports each batch to the watcher."""
    parts, count = [], len(split)
    for start in range(0, max(count, 1), batch_size):
        watcher.advance("score", start, count, "images")
        parts.append(predict(split.images[start : start + batch_size], batch_size))
    watcher.advance("score", count, count, "images")
    return join(parts)


def predictors(run: Run, how: EvaluateSection) -> dict[str, Predictor]:
    """The predictors of a run, by the suffix of the split's name.

    "" is the plain model; "_tta" adds test-time augmentation if `how` enables it.
    """
    plain = open_predictor(run)
    return {"": plain} if how.tta == "none" else {"": plain, "_tta": WithViews(plain, how.tta, how.tta_below)}


def time_run(run: Run, images: Images) -> dict[str, Any]:
    """How many images per second the run's model classifies in float32, without decoding and loading.

    images: uint8 [n, h, w, c], n > 0. Predicts batches of them repeatedly, three at least, up to 2,000 images or 0.2
    seconds. Batches are so small that this takes three of them.
    Returns "images_per_second" (the median batch; the first only warms up), "images", "batch_size", "precision",
    "threads" and "processor".
    """
    predictor, count = open_predictor(run), min(len(images), TIMED_IMAGES)
    rates: list[float] = []
    seconds, done = 0.0, 0

    def predict(batch: np.ndarray) -> float:
        nonlocal seconds, done
        started = time.perf_counter()
        predictor.predict(batch, len(batch))
        took = time.perf_counter() - started
        rates.append(len(batch) / took)
        seconds, done = seconds + took, done + len(batch)
        return took

    first = np.asarray(images[np.arange(min(WARM_UP, count))])
    predict(first)
    affordable = int(TIMED_SECONDS / 3 / max(predict(first), 1e-9) * len(first))
    size = max(len(first), min(run.recipe().evaluate.batch_size, count, affordable))
    if size > len(first):  # another size needs its own warm-up
        rates, seconds, done = [], 0.0, 0
    batches = itertools.cycle([np.asarray(images[np.arange(i, min(i + size, len(images)))])
                               for i in range(0, count, size)])
    while len(rates) < 3 or (done < TIMED_IMAGES and seconds < TIMED_SECONDS):
        predict(next(batches))
    used = machine.current("float32")
    return {"images_per_second": round(float(np.median(rates[1:])), 1), "images": done, "batch_size": size,
            "precision": used.precision, "threads": used.threads, "processor": machine.processor_name()}


def score_corruptions(run: Run, dataset: Dataset, watcher: Watcher) -> dict[str, Any]:
    """Score the run on corrupted test images. Writes and returns `corruptions.json` (see `robustness`).

    Raises RunError if the data set has no test split.
    """
    from tenfold.evaluation.robustness import robustness

    if dataset.test is None or not len(dataset.test):
        raise RunError(f"{run.path}: its data set has no test split; expected one, because corruptions are scored on "
                       "test images: leave out --corruptions")
    how = run.recipe().evaluate
    result = {"split": "test", **robustness(open_predictor(run), dataset.test, watcher, how.batch_size)}
    run.write_json("corruptions.json", result)
    return result
