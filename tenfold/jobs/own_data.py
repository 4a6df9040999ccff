"""The data set of a recipe or a run: open it, prepare it, and check it against the run's fingerprint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from tenfold.counted import counted
from tenfold.data import canonical, kept, open_dataset
from tenfold.data.dataset import Dataset
from tenfold.data.exclusion import absolute, identified
from tenfold.data.given.image import kind_of
from tenfold.data.given.values import Data, dataset_of
from tenfold.data.images import Header
from tenfold.data.source import Visit
from tenfold.data.splits import prepare
from tenfold.errors import RunError, TenfoldError, UnknownNameError, UsageError
from tenfold.progress import SILENT, Watcher
from tenfold.recipe import Recipe
from tenfold.run import ELSEWHERE, Run
from tenfold.storage.files import write_directory

KEPT = "data"  # the directory in a run


@dataclass(frozen=True)
class Chosen:
    """A recipe with its data set: prepared, and as it was given if the run has to keep it.

    opened: with the splits of its source; headers: (header, bytes) of its image files by name.
    """

    recipe: Recipe
    dataset: Dataset
    opened: Dataset
    keep: Dataset | None = None
    headers: Mapping[str, tuple[Header, int]] = field(default_factory=dict)


def choose(recipe: Recipe, data: Data | None, watcher: Watcher) -> Chosen:
    """The data set to train on: `data`, or without it the recipe's own source.

    A run keeps data that nothing but these values can open again, up to `kept.LARGEST`, and data that another run
    keeps.
    """
    if data is None or isinstance(data, str | Path):
        recipe = with_source(recipe, recipe.data.source if data is None else data)
        if not recipe.data.source.startswith(f"{kept.SOURCE}:"):
            headers: dict[str, tuple[Header, int]] = {}
            opened = open_data(recipe, watcher, visit=headers.update)
            return Chosen(recipe, prepared(recipe, opened, watcher), opened, headers=headers)
    recipe = _with_absolute_paths(recipe)
    given = value(recipe, recipe.data.source if data is None else data, watcher)
    again = _opened_again(recipe, given)
    dataset = prepared(recipe, given, watcher)
    if again is not None and again.fingerprint() == dataset.fingerprint():
        return Chosen(recipe.replace({"data.source": given.uri}), dataset, given)
    uri = kept.given_uri(given)
    recipe, dataset = recipe.replace({"data.source": uri}), replace(dataset, uri=uri)
    if kept.size(given) > kept.LARGEST:
        watcher.notice(f"the images take {kept.size(given):,} bytes, more than {kept.LARGEST:,}: the run does not keep "
                       "them; give them again as data= to evaluate, explain or resume it")
        return Chosen(recipe, dataset, given)
    return Chosen(recipe, dataset, given, replace(given, uri=uri))


def given_once(recipe: Recipe, data: Data, watcher: Watcher) -> Dataset:
    """The data set of values for several trainings, with a URI that opens it or names its content.

    Raises UsageError if it is too large to be kept for them.
    """
    given = value(recipe, data, watcher)
    again = _opened_again(recipe, given)
    if again is not None and again.fingerprint() == prepare(given, recipe.data).fingerprint():
        return given
    if kept.size(given) > kept.LARGEST:
        raise UsageError(f"the images take {kept.size(given):,} bytes; expected at most {kept.LARGEST:,} for several "
                         "trainings: save them as a folder or an npz file and give its path")
    return replace(given, uri=kept.given_uri(given))


def hand_over(dataset: Dataset, folder: Path) -> str | None:
    """Keep images that were given in Python in the directory of a study or search: the URI for its runs to open.

    dataset: from `given_once`; None if its own URI opens it. Raises StorageError.
    """
    if not dataset.uri.startswith(kept.GIVEN):
        return None
    path = folder / KEPT
    if kept.same_in(dataset, [path]) is None:
        write_directory(path, lambda empty: kept.write(dataset, empty), ELSEWHERE)
    return f"{kept.SOURCE}:{path.absolute()}"


def handed_over(folder: Path) -> str | None:
    """The URI of the images that `hand_over` has kept in a directory; None if there are none."""
    path = folder / KEPT
    return f"{kept.SOURCE}:{path.absolute()}" if (path / kept.FACTS).is_file() else None


def keep(dataset: Dataset, run: Run) -> None:
    """Keep a data set in a run; runs beside it, or the directory that it was opened from, share their images with it.

    Raises StorageError.
    """
    root = run.path.parent
    same = kept.same_in(dataset, [root / KEPT, root.parent / KEPT, *sorted(root.glob(f"*/{KEPT}"))])
    run.write_directory(KEPT, lambda empty: kept.write(dataset, empty, same))


def _opened_again(recipe: Recipe, given: Dataset) -> Dataset | None:
    """The data set that the URI of a given one opens, prepared; None if it opens none."""
    try:
        return prepare(open_data(recipe.replace({"data.source": canonical(given.uri)}), fetch=False,
                                 shape=given.shape), recipe.data) if given.uri else None
    except TenfoldError:
        return None


def value(recipe: Recipe, data: Data, watcher: Watcher = SILENT, *,
          shape: tuple[int, int, int] | None = None) -> Dataset:
    """The data set of values, a name, a URI or a path, with the splits of its source; `shape` as in `open_data`."""
    if isinstance(data, str | Path):
        return open_data(with_source(recipe, data), watcher, shape=shape)
    return dataset_of(data, recipe.data, side=recipe.model.image_size, shape=shape, watcher=watcher)


def with_source(recipe: Recipe, source: str | Path) -> Recipe:
    """The recipe with another data set; a path becomes a URI with an absolute path. Raises UsageError."""
    if not isinstance(source, str | Path):
        raise UsageError(f"data: received {kind_of(source)}; expected the name, URI or path of a data set")
    return _with_absolute_paths(recipe.replace({"data.source": canonical(str(source))}))


def _with_absolute_paths(recipe: Recipe) -> Recipe:
    return recipe if recipe.data.exclude is None else recipe.replace({"data.exclude": absolute(recipe.data.exclude)})


def open_data(
    recipe: Recipe, watcher: Watcher = SILENT, *, fetch: bool = True, shape: tuple[int, int, int] | None = None,
    visit: Visit | None = None, bursts_as_read: bool = False,
) -> Dataset:
    """The recipe's data set with the splits of its source.

    `fetch`: download missing public data; `shape`: bring own images to this shape, as when the run was trained;
    `visit`, `bursts_as_read`: as in `open_dataset`.
    """
    return open_dataset(recipe.data.source, fetch=fetch, watcher=watcher, section=recipe.data,
                        side=recipe.model.image_size, shape=shape, visit=visit, bursts_as_read=bursts_as_read)


def prepared(recipe: Recipe, data: Dataset | None, watcher: Watcher) -> Dataset:
    """The data set, by default that of the recipe's source, with the splits of the recipe.

    Reports the size and source of each split, and whether it is partial.
    """
    dataset = prepare(data or open_data(recipe, watcher), recipe.data)
    for split, value in dataset.splits().items():
        watcher.notice(f"{split}: {counted(len(value), 'image')} ({value.describe()})")
    return dataset


def own_data(run: Run, watcher: Watcher, data: Data | None = None, *, named: bool = False) -> Dataset:
    """The prepared data set that a run was trained on, or `data` if given. Nothing is downloaded without `data`.

    named: give each image the name that decisions know it by (see `exclusion.identified`).

    Raises RunError if its content has changed, DataError if it is not on this machine.
    """
    recipe = run.recipe()
    opened = source_of(run, recipe, watcher, data)
    dataset = prepare(identified(opened) if named else opened, recipe.data)
    check_data(run, dataset)
    return dataset


def source_of(run: Run, recipe: Recipe, watcher: Watcher, data: Data | None, *, fetch: bool = False) -> Dataset:
    """The data set of a run with the splits of its source: `data` if given, else what the run keeps or names."""
    if data is not None:
        return replace(value(recipe, data, watcher, shape=trained_shape(run)), uri=recipe.data.source)
    if run.has(f"{KEPT}/{kept.FACTS}"):
        return kept.open_kept(run.path / KEPT)
    if recipe.data.source.startswith(kept.GIVEN):
        raise RunError(f"{run.path}: the run does not keep the images that it was given in Python; expected them again "
                       "as data=, in Python")
    try:
        earlier = run.has("environment.json") and "identity" not in run.environment().get("dataset", {})
        return open_data(recipe, watcher, fetch=fetch, shape=trained_shape(run), bursts_as_read=earlier)
    except UnknownNameError as error:
        raise RunError(f"{run.path}: {error}; a data set that is registered in a file of your own needs that file: "
                       "tenfold --plugin FILE.py, or import it first") from None


def trained_shape(run: Run) -> tuple[int, int, int] | None:
    """The shape of the images that a run was trained on; None if it died before it recorded that."""
    return run.environment().shape if run.has("environment.json") else None


def is_data_of(run: Run, dataset: Dataset) -> bool:
    """Whether a run was trained on this prepared data set."""
    return dataset.fingerprint() == run.environment().fingerprint


def check_data(run: Run, dataset: Dataset) -> None:
    """Raise RunError if a run was trained on other data."""
    if not run.has("environment.json"):
        return  # it died before it recorded its data
    recorded = run.environment().fingerprint
    if dataset.fingerprint() != recorded:
        raise RunError(f"{run.path}: the data set {dataset.uri} has changed since training (fingerprint "
                       f"{dataset.fingerprint()[:12]}, expected {recorded[:12]}); restore it to continue this run")
