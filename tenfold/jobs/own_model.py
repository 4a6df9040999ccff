"""Keras models given in Python: as a recipe, and as a file that their runs keep."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tenfold.data.given.values import Data
from tenfold.errors import StorageError
from tenfold.jobs.own_data import value
from tenfold.progress import SILENT, Watcher
from tenfold.recipe import Recipe
from tenfold.run import Run
from tenfold.storage.files import write_whole

FILE = "initial.keras"


def is_keras_model(value: Any) -> bool:
    """Whether a value is a Keras model, told without importing Keras."""
    return any(kind.__module__.startswith("keras.") and kind.__name__ == "Model" for kind in type(value).__mro__)


def recipe_of(recipe: Any, overrides: Mapping[str, Any] | None = None, data: Data | None = None,
              watcher: Watcher = SILENT) -> tuple[Recipe, Data | None]:
    """(a Recipe from what stands for one, its data): a name, a TOML file, sections, or a Keras model.

    The recipe of a Keras model has the optimizer that it was compiled with; the model is written to the cache. A model
    without weights is built for the images of `data`, which are then read. Raises UsageError or ModelFileError for an
    unsuitable model or an unknown backbone, RecipeError.
    """
    if not is_keras_model(recipe):
        recipe = Recipe.load(recipe, overrides)
        check_backbone(recipe)
        return recipe, data
    from tenfold.models import compiled, given

    shape = None
    if not recipe.built and data is not None:
        dataset = value(Recipe.from_dict({}, overrides=overrides), data, watcher)
        shape, data = dataset.shape, data if isinstance(data, str | Path) else dataset
    values, notes = given.settings(recipe, shape)
    for note in notes:
        watcher.notice(note)
    return Recipe.from_dict({}, name=compiled.name_of(recipe), overrides={**values, **(overrides or {})}), data


def check_backbone(recipe: Recipe) -> None:
    """Raise UsageError if the recipe names a backbone that does not exist, before any image is read."""
    if recipe.model.name == "pretrained":
        from tenfold.models.backbone import check

        check(recipe.model.options["backbone"])


def keep_model(run: Run, recipe: Recipe) -> None:
    """Copy the file of a recipe's Keras model into its run, so that it can be resumed anywhere. Raises StorageError."""
    if recipe.model.name == "keras":
        try:
            content = Path(recipe.model.options["file"]).expanduser().read_bytes()
        except OSError as error:
            raise StorageError(f"{recipe.model.options['file']}: can't be read: {error.strerror}") from None
        run.write(FILE, content)


def restore_model(run: Run, recipe: Recipe) -> None:
    """Put a run's copy of its Keras model back to the place that its recipe names, if it is missing there."""
    if recipe.model.name == "keras" and run.has(FILE):
        path = Path(recipe.model.options["file"]).expanduser()
        if not path.is_file():
            write_whole(path, (run.path / FILE).read_bytes())
