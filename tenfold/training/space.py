"""Disk space of a run: estimated and checked before anything is written."""

from __future__ import annotations

import math
from pathlib import Path

from tenfold.data.dataset import Dataset
from tenfold.errors import StorageError
from tenfold.recipe import Recipe
from tenfold.storage import room
from tenfold.training import optimizers
from tenfold.training.checkpoint import KEPT

FLOAT = 4  # bytes
FILE = 64 << 10  # bytes of a checkpoint or model file without its arrays
RECORD = 300  # bytes of the record of one epoch in a checkpoint
CHECK_IMAGES, CHECK = 512, 16 << 20  # largest number and bytes of the images in `check.npz`
RULES = 2 << 20  # bytes of the decision rules in a model
PICTURES = 4 << 20  # bytes of the plots and of the report, which contains them too


def needed(recipe: Recipe, dataset: Dataset, parameters: int) -> int:
    """The maximum disk space in bytes of a run with `parameters` parameters while it is written.

    It counts the kept checkpoints and the one being written, each with weights and optimizer variables, and what a
    finished run has. `dataset` is prepared.
    """
    slots = 0 if recipe.train.fit == "logistic-regression" else optimizers.slots(recipe.train.optimizer)
    variables = FLOAT * parameters * (1 + slots)
    checkpoints = (sum(KEPT.values()) + 1) * (variables + FILE + RECORD * recipe.train.all_epochs)
    return checkpoints + finished(dataset, parameters)


def finished(dataset: Dataset, parameters: int) -> int:
    """The maximum disk space in bytes of a finished run without its checkpoints.

    It counts `model.keras` and its ONNX model, each twice, because they may be replaced; the predictions on the
    validation and test splits, also as CSV; the check images; plots and report.
    """
    models = 4 * (FLOAT * parameters + FILE + RULES)
    images = sum(len(split) for name, split in dataset.splits().items() if name != "train")
    predictions = images * (32 + 16 * len(dataset.classes))
    check = min(CHECK_IMAGES * math.prod(dataset.shape), CHECK)
    return models + predictions + check + PICTURES


def used(directory: Path) -> int:
    """The size in bytes of all files in a directory."""
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def check(directory: Path, bytes_needed: int) -> str:
    """Check the free space at `directory`, which need not exist yet; return a line with needed and free space.

    Raises StorageError if less than `bytes_needed` is free.
    """
    free = room.free(directory)
    if free < bytes_needed:
        raise StorageError(f"{directory}: {_size(free)} free; the run needs up to {_size(bytes_needed)}: "
                           "free some space or write elsewhere (--runs DIR for runs)")
    return f"disk: up to {_size(bytes_needed)} needed, {_size(free)} free"


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count < 1e9 else f"{count / 1e9:,.1f} GB"
