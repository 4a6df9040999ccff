"""Make a run whose model is the mean of the calibrated probabilities of other runs, or of those of a cross-validation.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tenfold import machine, modelfile
from tenfold.data.dataset import Dataset
from tenfold.data.given.values import Data
from tenfold.data.splits import prepare
from tenfold.errors import RunError, UsageError
from tenfold.evaluation.temperature import temperature_of
from tenfold.interrupt import Interrupt
from tenfold.jobs import steps
from tenfold.jobs.job import Interruptible, Job
from tenfold.jobs.own_data import KEPT, own_data, source_of
from tenfold.progress import Watcher
from tenfold.progress.notebook import chosen_watcher
from tenfold.recipe import Recipe
from tenfold.recipe.sections import ENSEMBLE
from tenfold.run import FOLDS_FILE, Run, State, check_name, check_root, stale_after

WHOLE = {"folds": None, "fold": 1, "validation": 0, "train_size": None}  # in [data]: all images of the folds


@dataclass(frozen=True)
class Member:
    """A run in an ensemble, with its temperature and its accuracy on the validation split (None: it has none)."""

    run: Run
    temperature: float
    validation: float | None

    @classmethod
    def of(cls, run: Run) -> Member:
        known = run.metrics() if run.has("metrics.json") else {}
        validation = known.get("validation", {}).get("accuracy", {}).get("value")
        return cls(run, temperature_of(run), validation)

    def facts(self) -> dict[str, Any]:
        """The entry of the member in `ensemble.json`."""
        return {"run": str(self.run.path.absolute()), "temperature": self.temperature, "validation": self.validation,
                "model": modelfile.fingerprint(self.run.path / "model.keras"),
                **self.run.environment().get("model", {})}


def ensemble(members: Sequence[Run | str | Path], *, runs: str | Path = "runs", name: str | None = None,
             csv: bool = False, data: Data | None = None, watcher: Watcher | None = None) -> Run:
    """Make a run whose model averages the calibrated probabilities of other runs, and score it like them.

    members: at least two finished runs, or their paths, trained on the same data with the same splits; or the directory
    of a cross-validation (all its folds). Its `model.keras` is one plain Keras model. `ensemble.json` holds a paired
    test of whether it is more accurate than its best member, which is chosen on the validation split (without one: the
    first member). The ensemble of folds has learnt from all images that they divide; its decision rules are fitted on
    them all, each predicted by the member that has not seen it; it is tested on the test split of the source, if there
    is one. data: the images of the first member again, if it does not keep them. runs, name, csv: as for `train`.

    Raises UsageError if the members do not fit together, RunError if one is not finished or the data set has changed,
    StorageError. Nothing is written then.
    """
    watcher = chosen_watcher(watcher)
    machine.check(watcher.notice)
    opened = _checked([run for member in members for run in _opened(member)])
    check_root(Path(runs))
    with Interrupt() as interrupt:
        watcher = Interruptible(watcher, interrupt)
        recipe = _recipe(opened)
        dataset = _data(opened[0], recipe, data, watcher)
        name = name or f"{ENSEMBLE}-{dataset.name}"
        check_name(name)
        _check_space(Path(runs), opened, dataset, watcher)
        with Run.begin(runs, name, recipe) as run:
            _fill(run, opened, Job(recipe, dataset, (), watcher, interrupt, csv))
    return run


def complete(run: Run, data: Data | None, csv: bool, watcher: Watcher, interrupt: Interrupt) -> Run:
    """Make an ensemble again in its own run, which was interrupted and whose lock the caller holds."""
    recipe = run.recipe()
    paths = recipe.model.options.get("members")
    if not isinstance(paths, list):
        raise RunError(f"{run.path / 'recipe.toml'}: damaged (model.members is no list of runs)")
    members = _checked([Run.open(path) for path in paths])
    _fill(run, members, Job(recipe, _data(members[0], recipe, data, watcher), (), watcher, interrupt, csv))
    return run


def _opened(member: Run | str | Path) -> list[Run]:
    """The run, or the runs in the directory of a cross-validation."""
    if isinstance(member, str | Path) and (Path(member) / FOLDS_FILE).is_file():
        return Run.list(member)
    return [Run.open(member)]


def _data(first: Run, recipe: Recipe, data: Data | None, watcher: Watcher) -> Dataset:
    """The data set of the first member, which is checked; with the splits of the ensemble's recipe."""
    own = own_data(first, watcher, data)
    if first.recipe().data == recipe.data:
        return own
    return prepare(source_of(first, recipe, watcher, data), recipe.data)


def _recipe(members: Sequence[Run]) -> Recipe:
    """The recipe of an ensemble: the data, all of what folds divide, and the evaluation of its first member."""
    recipe = members[0].recipe()
    first = recipe.to_dict()
    data = first["data"] if recipe.data.folds is None else {**first["data"], **WHOLE}
    paths = [str(run.path.absolute()) for run in members]
    return Recipe.from_dict({"data": data, "evaluate": first["evaluate"],
                             "model": {"name": ENSEMBLE, "members": paths}}, name=ENSEMBLE, unknown_model=True)


def _checked(members: Sequence[Run]) -> list[Run]:
    """The members, each once, in the order of their folds if they have some. Raises UsageError, RunError."""
    chosen = list({run.path.resolve(): run for run in members}.values())
    if len(chosen) < 2:
        raise UsageError(f"an ensemble: received {len(chosen)} run; expected at least 2 different ones")
    for run in chosen:
        state = run.status().state
        if state is not State.FINISHED or not run.has("model.keras"):
            raise RunError(f"{run.path}: can't be in an ensemble, because its status is {state.value!r}; expected a "
                           "finished run: finish it with `tenfold resume`, or leave it out")
    if any(run.recipe().data.folds for run in chosen):
        chosen = _in_folds(chosen)
    first = chosen[0].environment()
    for run in chosen[1:]:
        other = run.environment()
        for what, ours, theirs in (("classes", first.classes, other.classes), ("image shape", first.shape, other.shape),
                                   ("data", _images(chosen[0]), _images(run))):
            if ours != theirs:
                raise UsageError(f"{run.path}: has other {what} than {chosen[0].path} ({_shown(theirs)}, not "
                                 f"{_shown(ours)}); expected runs on the same data with the same splits: leave it out")
    return chosen


def _in_folds(runs: Sequence[Run]) -> list[Run]:
    """The runs in the order of their folds. Raises UsageError unless they are all folds of one cross-validation."""
    sections = [run.recipe().data for run in runs]
    count = sections[0].folds or 0
    alike = {each.model_copy(update={"fold": 1}).model_dump_json() for each in sections}
    if len(alike) > 1 or sorted(each.fold for each in sections) != list(range(1, count + 1)):
        raise UsageError(f"an ensemble: received {len(runs)} runs, some of a cross-validation; expected all its folds, "
                         "once each: give its directory, which holds `folds.json`")
    return sorted(runs, key=lambda run: run.recipe().data.fold)


def _images(run: Run) -> str:
    """What a member must have in common with the others: the data set, or the images that its folds divide."""
    environment = run.environment()
    folds = environment.splits["test"].get("fold_of") if run.recipe().data.folds else None
    return str(folds or environment.fingerprint)[:12]


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else ", ".join(map(str, value))
    return text if len(text) <= 80 else f"{text[:80]}…"


def _check_space(root: Path, members: Sequence[Run], dataset: Dataset, watcher: Watcher) -> None:
    from tenfold.training import space

    parameters = sum((run.path / "model.keras").stat().st_size for run in members) // space.FLOAT
    kept = members[0].path / KEPT
    watcher.notice(space.check(root, space.finished(dataset, parameters) + (space.used(kept) if kept.is_dir() else 0)))


def _fill(run: Run, members: Sequence[Run], job: Job) -> None:
    """Write everything that a finished run has."""
    kept = members[0].path / KEPT
    if kept.is_dir() and not (run.path / KEPT).is_dir():
        run.write_directory(KEPT, lambda folder: shutil.copytree(kept, folder, dirs_exist_ok=True))
    steps.conduct(job, run, lambda job: _make(run, [Member.of(member) for member in members], job))


def _make(run: Run, members: Sequence[Member], job: Job) -> None:
    """Write `model.keras`, `environment.json` and `ensemble.json`."""
    from tenfold import environment
    from tenfold.models.ensemble import build

    run.write_status(State.RUNNING)
    run.remove(*stale_after("model"))
    facts = [member.facts() for member in members]
    best = max(range(len(members)), key=lambda i: members[i].validation or 0.0)
    for number, (member, known) in enumerate(zip(members, facts, strict=True)):
        known["best"] = number == best
        job.watcher.notice(f"member {member.run.path}: temperature {member.temperature:.3f}"
                           f"{', the best on validation' if number == best and member.validation is not None else ''}")
    folds = members[0].run.recipe().data.folds or 0
    model = build([(member.run.model(), member.temperature) for member in members], apart=folds > 0)
    inside = modelfile.facts(members[best].run.path / "model.keras")
    run.write("model.keras", lambda path: modelfile.save(
        model, path, {**inside, "decisions": None, "epoch": 0, "recipe": ENSEMBLE}))  # the rules of that member
    flops = [known.get("flops_per_image") or 0 for known in facts]
    run.write_json("environment.json", environment.describe(
        job.dataset, machine.configure("float32").to_dict(), job.recipe.train.seed, model.count_params(), sum(flops)))
    run.write_json("ensemble.json", {
        "members": facts, "folds": folds, "cost": sum(flops) / flops[best] if all(flops) else float(len(members)),
        "seconds": sum(member.run.status().seconds or 0.0 for member in members), "test": None})
