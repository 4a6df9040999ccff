"""The plan of a search: everything that its trials depend on, written once into its directory."""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self

from tenfold.data import canonical
from tenfold.errors import RunError, TenfoldError, UsageError
from tenfold.evaluation.metrics import metric
from tenfold.jobs import in_folds
from tenfold.recipe import Recipe
from tenfold.run import ELSEWHERE, make_numbered, numbers
from tenfold.search.space import Range, Space
from tenfold.storage.files import storing, write_whole
from tenfold.storage.locks import locked

FILE = "plan.json"


@dataclass(frozen=True)
class SearchPlan:
    """What a search looks for, and how.

    recipe: the sections of the recipe that it begins from; space: ranges by key; by: the metric of the validation
    split, or of the folds; sampler, pruner, seed: how trials are drawn and ended; data: fingerprint of the data set;
    storage: URL without password, None for a journal; study: the name of the search in its storage; folds: into how
    many the training images are divided, None: one validation split.
    """

    recipe: Mapping[str, Any]
    space: Mapping[str, Any]
    by: str
    sampler: str
    pruner: str
    seed: int
    data: str
    storage: str | None
    study: str = ""
    folds: int | None = None

    @property
    def start(self) -> Recipe:
        """The recipe that the search begins from."""
        return Recipe.from_dict(self.recipe)

    @property
    def chosen_on(self) -> str:
        """The images that choose the best trial, in words."""
        return "on the validation split" if self.folds is None else f"as the mean over {self.folds} folds"

    def in_folds(self, recipe: Recipe) -> list[Recipe]:
        """The recipes to train for a trial: this one, or this one without each fold."""
        return [recipe] if self.folds is None else in_folds(recipe, self.folds)

    @property
    def ranges(self) -> Space:
        return Space({key: Range.model_validate(each) for key, each in self.space.items()})

    @property
    def direction(self) -> Literal["maximize", "minimize"]:
        """Optuna's word for the better direction of the metric."""
        return "maximize" if metric(self.by).higher_is_better else "minimize"

    @property
    def monitor(self) -> str:
        """The column of the history by which trials are pruned: it improves in the direction of the metric."""
        return "val_accuracy" if metric(self.by).higher_is_better else "val_loss"

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The plan in the directory of a search. Raises RunError if it is missing or damaged."""
        path = folder / FILE
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise RunError(f"{path}: missing or damaged ({error}); begin another search with --new") from None

    def differences(self, other: SearchPlan) -> list[str]:
        """What differs in another plan, one phrase each: "by: accuracy, not roc_auc"."""
        own, theirs = (_flat(asdict(plan) | {"study": ""}) for plan in (self, other))
        if source := theirs.get("recipe.data.source"):  # searches of earlier versions have the path as it was typed
            with contextlib.suppress(TenfoldError):
                theirs["recipe.data.source"] = canonical(str(source), online=False)
        return [f"{key}: {_shown(own, key)}, not {_shown(theirs, key)}"
                for key in dict.fromkeys([*own, *theirs]) if own.get(key) != theirs.get(key)]


def directory(runs: Path, name: str, plan: SearchPlan, new: bool) -> Path:
    """The directory of the last search with that name, or of a new one: `<runs>/<name>-<number>`.

    Raises UsageError if the last one has another plan and `new` is False.
    """
    with storing(runs, ELSEWHERE):
        runs.mkdir(parents=True, exist_ok=True)
    with locked(runs / f".{name}.search.lock", advice=ELSEWHERE):  # processes that begin together share a search
        existing = numbers(runs, name)
        if not existing or new:
            content = asdict(plan) | {"study": f"{name}-{uuid.uuid4().hex[:12]}"}
            text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
            return make_numbered(runs, name, lambda folder: write_whole(folder / FILE, text, ELSEWHERE))
    folder = runs / f"{name}-{existing[-1]}"
    different = plan.differences(SearchPlan.read(folder))
    if different:
        raise UsageError(f"{folder} is another search ({'; '.join(different)}); repeat its own command to continue it, "
                         "or begin another search with --new or --name")
    return folder


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in tree.items():
        nested = isinstance(value, Mapping) and bool(value)
        found |= _flat(value, f"{prefix}{key}.") if nested else {f"{prefix}{key}": value}
    return found


def _shown(values: Mapping[str, Any], key: str) -> str:
    return json.dumps(values[key], ensure_ascii=False) if key in values else "nothing"
