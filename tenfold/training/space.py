"""The room that a run takes on the disk: estimated, and looked for before anything is made."""

from __future__ import annotations

from pathlib import Path

from tenfold.data.dataset import Dataset
from tenfold.errors import StorageError
from tenfold.recipe import Recipe
from tenfold.storage import room
from tenfold.training import optimizers
from tenfold.training.checkpoint import KEPT

FLOAT = 4  # bytes
FILE = 64 << 10  # what a checkpoint or a model file holds besides its arrays
RECORD = 300  # bytes of one epoch in a checkpoint
PICTURES = 4 << 20  # plots, and the report that holds them as well


def needed(recipe: Recipe, dataset: Dataset, parameters: int) -> int:
    """Bytes that a run of that many parameters takes at most, while it is written.

    The checkpoints that are kept and the one being written, each of the weights and the optimizer's
    variables; `model.keras` and its successor; the predictions of validation and test, as CSV too; plots
    and report. `dataset` is prepared.
    """
    slots = 0 if recipe.train.fit == "logistic-regression" else optimizers.slots(recipe.train.optimizer)
    variables = FLOAT * parameters * (1 + slots)
    checkpoints = (sum(KEPT.values()) + 1) * (variables + FILE + RECORD * recipe.train.all_epochs)
    models = 2 * (FLOAT * parameters + FILE)
    judged = sum(len(split) for name, split in dataset.splits().items() if name != "train")
    predictions = judged * (32 + 16 * len(dataset.classes))
    return checkpoints + models + predictions + PICTURES


def taken(directory: Path) -> int:
    """Bytes of all files in a directory."""
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def check(directory: Path, bytes_needed: int) -> str:
    """A line that says what is needed and what is free where `directory` is or will be.

    Raises StorageError if that is less.
    """
    free = room.free(directory)
    if free < bytes_needed:
        raise StorageError(f"{directory}: {_size(free)} free, and the run needs up to {_size(bytes_needed)}; "
                           "free some space there or write elsewhere (--runs DIR for runs)")
    return f"disk: up to {_size(bytes_needed)} needed, {_size(free)} free"


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count < 1e9 else f"{count / 1e9:,.1f} GB"
