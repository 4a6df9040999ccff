"""Inspect the images of a data set: on request, with or without a trained run, and before each training on own data."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tenfold import machine
from tenfold.data import canonical
from tenfold.data.dataset import Dataset
from tenfold.data.exclusion import identified, image_names
from tenfold.data.images import Header
from tenfold.data.own.places import PATHS
from tenfold.data.splits import prepare
from tenfold.errors import UsageError
from tenfold.evaluation.predictions import read_predictions
from tenfold.inspection import ALL, CHEAP, Inspection, Needs, inspect, judged_by
from tenfold.jobs.own_data import Chosen, open_data, own_data, with_source
from tenfold.progress import Watcher
from tenfold.progress.notebook import chosen_watcher
from tenfold.recipe import DataSection, Recipe
from tenfold.run import Run

SIDE = 160  # own images are decoded to at most this height and width, as for `tenfold try`
OWN = (*PATHS, "hf", "given")  # kinds of sources whose images nobody has checked
SAME = ("leak", "near_leak", "duplicate", "near_duplicate")  # kinds whose images show the same
FILE = "inspection.json"  # in a run
MOST = 200_000  # images that are inspected before a training


def check(data: str | Path, recipe: Recipe | None = None, *, run: Run | str | Path | None = None,
          needs: Sequence[Needs] = ALL, watcher: Watcher | None = None) -> tuple[Dataset, Inspection]:
    """Inspect a data set: (the data set, its findings).

    data: name, URI or path. recipe: another one than that of `check_sections`; its `data.exclude` is applied first.
    run: a run that was trained on these images; its own features and probabilities then serve to find odd images and
    label errors, its splits to find leaks, and the findings are kept in it. needs: what the kinds of findings that are
    looked for may need. Raises the errors of `open_dataset`; UsageError for a run on other data.
    """
    watcher = chosen_watcher(watcher)
    machine.check(watcher.notice)
    if run is not None:
        return _check_with(Run.open(run), data, needs, watcher)
    dataset, headers = whole_data(data, recipe, watcher)
    return dataset, inspect(dataset, headers, needs=needs, watcher=watcher)


def whole_data(
    data: str | Path, recipe: Recipe | None, watcher: Watcher,
) -> tuple[Dataset, dict[str, tuple[Header, int]]]:
    """(all images of a data set with their names, (header, bytes) of image files by name); see `check`."""
    recipe = with_source(recipe or Recipe.from_dict(check_sections(), name="check"), data)
    headers: dict[str, tuple[Header, int]] = {}
    return _whole(open_data(recipe, watcher, visit=headers.update), recipe.data), headers


def check_sections() -> dict[str, Any]:
    """The sections of the recipe whose `[data]` says how `check` reads the images."""
    return {"data": {"group": "none"}, "model": {"image_size": SIDE}}


def _check_with(run: Run, data: str | Path, needs: Sequence[Needs], watcher: Watcher) -> tuple[Dataset, Inspection]:
    from tenfold.runtimes import open_predictor

    recipe = run.recipe()
    if canonical(str(data)) != recipe.data.source:
        raise UsageError(f"run: received {run.path}, which was trained on {recipe.data.source}; expected a run on "
                         f"{data}, the data set to check")
    with run.writing():
        dataset = own_data(run, watcher, named=True)
        judged = {name: read_predictions(run, name)[1] for name in ("validation", "test")
                  if name in dataset.splits() and run.has(f"predictions/{name}.parquet")}
        predictor = open_predictor(run)

        def features() -> np.ndarray:
            watcher.notice(f"computing the run's features of {sum(map(len, dataset.splits().values())):,} images")
            return np.concatenate([predictor.features(split.images) for split in dataset.splits().values()])

        found = inspect(dataset, needs=needs, features=features, probabilities=judged_by(judged),
                        evidence=_digest(run.path / "model.keras"), watcher=watcher)
        run.write_json(FILE, record(found, dataset))
    return dataset, found


def before_training(chosen: Chosen, watcher: Watcher) -> dict[str, Any] | None:
    """Inspect own images in seconds before a training, and report the result in a line.

    Expensive kinds are included if `check` looked for them before. Returns the content of the run's `inspection.json`;
    None for public data sets, and for so many images that it would take minutes, and memory for each of them.
    """
    if chosen.recipe.data.source.partition(":")[0] not in OWN:
        return None
    count = sum(map(len, chosen.opened.splits().values()))
    if count > MOST:
        watcher.notice(f"inspection: left out, because there are {count:,} images, more than {MOST:,}; `tenfold data "
                       "check` looks at them")
        return None
    found = inspect(_whole(chosen.opened, chosen.recipe.data), chosen.headers, needs=CHEAP, watcher=watcher)
    watcher.notice(f"inspection: {found.summary()}")
    return record(found, prepare(identified(chosen.opened), chosen.recipe.data))


def record(found: Inspection, dataset: Dataset) -> dict[str, Any]:
    """The findings as a run keeps them, with the number of images of each split that training has seen.

    dataset: prepared, with the names of `identified`. Images count as seen if an equal or nearly equal one is in train,
    as contradicted if an equal one has another label. The findings name the splits of the run.
    """
    split_of = {name: split for split, names in image_names(dataset).items() for name in names}
    seen: dict[str, set[str]] = {}
    for finding in found.of(*SAME):
        if "train" in {split_of.get(image) for image in finding.images}:
            for image in finding.images:
                seen.setdefault(split_of.get(image, "train"), set()).add(image)
    contradicted = Counter(split_of.get(image, "train") for finding in found.of("conflict") for image in finding.images)
    facts = found.to_dict()
    if len(found.images) == 1:  # the source has no splits
        facts["findings"] = [{**each, "words": _with_splits(each, split_of)} for each in facts["findings"]]
    return {"summary": found.summary(), **facts,
            "judged": {name: len(split) for name, split in dataset.splits().items()},
            "seen_in_training": {split: len(images) for split, images in seen.items() if split != "train"},
            "contradicted": {split: count for split, count in contradicted.items() if split != "train"}}


def _with_splits(finding: Mapping[str, Any], split_of: Mapping[str, str]) -> str:
    """What was found, with the splits of the run in which the images are: "2 times; in train, test"."""
    splits = list(dict.fromkeys(split_of[image] for image in finding["images"] if image in split_of))
    text = str(finding["words"])
    return f"{text}{'; ' if text else ''}in {', '.join(splits)}" if splits else text


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _whole(dataset: Dataset, section: DataSection) -> Dataset:
    """The data set with the decisions and classes of a recipe, the splits of its source, and a name for each image."""
    everything = section.model_copy(update={"validation": 0.0, "test": 0.0, "train_size": None})
    return identified(prepare(dataset, everything))
