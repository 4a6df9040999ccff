"""What a recipe would build on a data set, and what is in a data set: shown, not trained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenfold.data.dataset import Dataset
from tenfold.data.splits import prepare, summary
from tenfold.errors import UsageError
from tenfold.jobs.own_data import open_data, with_source
from tenfold.progress import SILENT, Watcher
from tenfold.recipe import Recipe
from tenfold.storage.files import write_whole

if TYPE_CHECKING:
    from tenfold.models.summary import Summary


def network(
    recipe: Recipe, source: str, watcher: Watcher = SILENT
) -> tuple[tuple[int, int, int], list[str], Summary, str]:
    """(image shape, classes, summary, table of layers) of the network that a recipe builds for a data set."""
    from tenfold.models.summary import Summary, layer_table

    recipe = with_source(recipe, source)
    dataset = prepare(open_data(recipe, watcher), recipe.data)
    network = recipe.model, dataset.shape, len(dataset.classes)
    return dataset.shape, list(dataset.classes), Summary.of(*network), layer_table(*network)


def show_data(recipe: Recipe, watcher: Watcher, *, prepared: bool) -> tuple[Dataset, dict[str, Any]]:
    """(data set, summary) of a recipe's source: as the source has it or, `prepared`, as the recipe trains on it."""
    dataset = open_data(recipe, watcher)
    if prepared:
        dataset = prepare(dataset, recipe.data)
    return dataset, summary(dataset)


def write_class_grid(dataset: Dataset, path: Path, per_class: int, seed: int) -> None:
    """Write a PNG with seeded random training examples of each class. Raises StorageError, UsageError."""
    if path.suffix.lower() != ".png":
        raise UsageError(f"--png: received {path}; expected a file name that ends in .png")
    from tenfold.report.plots import class_grid

    figure = class_grid(dataset.train.images, dataset.train.labels, dataset.classes, per_class, seed)
    write_whole(path, lambda target: figure.savefig(target, dpi=150, format="png"))
