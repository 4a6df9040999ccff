"""The data set of a recipe or a run: open it, prepare it, and check it against the run's fingerprint."""

from __future__ import annotations

from tenfold.data import canonical, open_dataset
from tenfold.data.dataset import Dataset
from tenfold.data.splits import prepare
from tenfold.errors import RunError
from tenfold.progress import SILENT, Watcher
from tenfold.recipe import Recipe
from tenfold.run import Run


def with_source(recipe: Recipe, source: str) -> Recipe:
    """The recipe with another data set; a path becomes a URI with an absolute path."""
    return recipe.replace({"data.source": canonical(source)})


def open_data(
    recipe: Recipe, watcher: Watcher = SILENT, *, fetch: bool = True, shape: tuple[int, int, int] | None = None,
) -> Dataset:
    """The recipe's data set with the splits of its source.

    `fetch`: download missing public data; `shape`: bring own images to this shape, as when the run was trained.
    """
    return open_dataset(recipe.data.source, fetch=fetch, watcher=watcher, section=recipe.data,
                        side=recipe.model.image_size, shape=shape)


def prepared(
    recipe: Recipe, data: Dataset | None, watcher: Watcher, shape: tuple[int, int, int] | None = None,
) -> Dataset:
    """The data set with the splits of the recipe; `shape` as in `open_data`.

    Reports the size and source of each split, and whether it is partial.
    """
    dataset = prepare(data or open_data(recipe, watcher, shape=shape), recipe.data)
    for split, value in dataset.splits().items():
        watcher.notice(f"{split}: {len(value):,} images ({value.describe()})")
    return dataset


def own_data(run: Run, watcher: Watcher) -> Dataset:
    """The prepared data set that a run was trained on. Nothing is downloaded.

    Raises RunError if its content has changed, DataError if it is not on this machine.
    """
    recipe = run.recipe()
    dataset = prepare(open_data(recipe, watcher, fetch=False, shape=trained_shape(run)), recipe.data)
    check_data(run, dataset)
    return dataset


def trained_shape(run: Run) -> tuple[int, int, int] | None:
    """The shape of the images that a run was trained on; None if it died before it recorded that."""
    return run.environment().shape if run.has("environment.json") else None


def check_data(run: Run, dataset: Dataset) -> None:
    """Raise RunError if a run was trained on other data."""
    if not run.has("environment.json"):
        return  # it died before it recorded its data
    recorded = run.environment().fingerprint
    if dataset.fingerprint() != recorded:
        raise RunError(f"{run.path}: the data set {dataset.uri} has changed since training (fingerprint "
                       f"{dataset.fingerprint()[:12]}, expected {recorded[:12]}); restore it to continue this run")
