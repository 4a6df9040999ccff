"""The main job in one direction: recipe + data → fit → evaluate → report, leaving one run directory."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenfold.data import open_dataset
from tenfold.data.dataset import Dataset
from tenfold.data.splits import prepare
from tenfold.errors import DivergedError, RunError, TenfoldError, UsageError
from tenfold.interrupt import Interrupt
from tenfold.recipe import EvaluateSection, Recipe
from tenfold.run import Run, check_name

if TYPE_CHECKING:
    from tenfold.models.summary import Summary
    from tenfold.training.checkpoint import Snapshot

# What is known of a trained model, and does not hold once it is trained further.
OF_A_MODEL = ("metrics.json", "inference.json", "calibration.json", "corruptions.json", "report.html", "MODEL_CARD.md",
              "model.h5", "predictions/*", "plots/*", "explanations/*/*")


class Watcher:
    """Is told how the job goes; override what you want to show. Does nothing by itself."""

    def log(self, message: str) -> None:
        """A line worth knowing: a partial split, a download, a finished step."""

    def start(self, recipe: Recipe, run: Run, steps: int) -> None:
        """Training begins: at most `recipe.train.all_epochs` epochs, of `steps` steps in the last phase."""

    def step(self, epoch: int, step: int, steps: int, loss: float) -> None:
        """A step of an epoch (both from 1) is done."""

    def epoch(self, record: dict[str, float]) -> None:
        """An epoch is done."""

    def fetched(self, done: int, total: int | None) -> None:
        """Bytes of a download so far, of how many."""


@dataclass(frozen=True)
class _Job:
    """What is to be trained and reported, on which prepared data, and who is told."""

    recipe: Recipe
    dataset: Dataset
    callbacks: Sequence[Any]
    watcher: Watcher
    csv: bool
    h5: bool
    interrupt: Interrupt


@dataclass(frozen=True)
class _Plan:
    """The network that is trained, and where its first weights come from."""

    summary: Summary
    origin: dict[str, Any]


def train(
    recipe: Recipe | str | Path, data: Dataset | str | None = None, callbacks: Sequence[Any] = (), *,
    runs: str | Path = "runs", name: str | None = None, csv: bool = False, h5: bool = False, resume: bool = False,
    watcher: Watcher | None = None,
) -> Run:
    """Train a recipe on a data set, evaluate the best model and write the report: a complete run.

    `recipe` is a Recipe, a shipped recipe's name or a TOML file; `data` a Dataset, a data set's name or
    URI, or None for the recipe's own source. `callbacks` are `keras.callbacks.Callback`s. The run is
    `runs/<name>-<number>`, by default named after the recipe and the data set. `csv` writes predictions
    as CSV as well, `h5` the model as `model.h5`. What names missing public data has it downloaded.
    `resume` goes on with the newest run of that name and recipe that was stopped, died or failed, and keeps
    one that is finished, if there is one.

    Raises a TenfoldError: before anything is written if the input is wrong or the disk has too little
    room; DivergedError if the loss became NaN or infinite (the run then has status "diverged" and its last
    finite weights); StorageError if the disk fails on the way (the last checkpoint is kept).
    """
    watcher = watcher or Watcher()
    recipe = recipe if isinstance(recipe, Recipe) else Recipe.load(recipe)
    if name is not None:
        check_name(name)
    if data is not None:
        recipe = with_source(recipe, data.uri if isinstance(data, Dataset) else data)
    with Interrupt() as interrupt:
        prepared = prepare(data if isinstance(data, Dataset) else open_data(recipe, watcher), recipe.data)
        _announce(prepared, watcher)
        job = _Job(recipe, prepared, callbacks, watcher, csv, h5, interrupt)
        name = name or f"{recipe.name}-{prepared.name}"
        found = _begun(runs, name, recipe) if resume else None
        if found is None:
            return _start(job, Path(runs), name)
        if found.status()["status"] == "finished":
            _check_data(found, prepared)
            watcher.log(f"{found.path} is finished already")
            return found
        return _go_on(job, found)


def probe(backbone: str, data: Dataset | str | None = None, overrides: Mapping[str, Any] | None = None, *,
          runs: str | Path = "runs", name: str | None = None, watcher: Watcher | None = None) -> Run:
    """Fit a logistic regression on the features of a frozen backbone: a complete run, as `train` makes them.

    `backbone` is what `model.backbone` takes, `overrides` are values of the recipe by key. Raises as `train` does.
    """
    recipe = Recipe.from_dict(probe_sections(backbone), name="probe", overrides=overrides)
    return train(recipe, data, runs=runs, name=name, watcher=watcher)


def probe_sections(backbone: str) -> dict[str, Any]:
    """The sections of a probe's recipe."""
    return {"model": {"name": "pretrained", "backbone": backbone, "trainable": "none"},
            "train": {"fit": "logistic-regression", "epochs": 1}}


def resume(run: Run, epochs: int | None = None, callbacks: Sequence[Any] = (), *, csv: bool = False, h5: bool = False,
           watcher: Watcher | None = None) -> Run:
    """Go on with a run that was stopped, died or failed, to the same bits as if it had never been interrupted.

    `epochs` raises the recipe's number of epochs, for a finished run too. Raises RunError if the run is
    finished, is being written by another process, or if its data set has changed.
    """
    watcher = watcher or Watcher()
    recipe, status = run.recipe(), run.status()
    if epochs is not None:
        least = recipe.train.epochs + (status["status"] == "finished")
        if epochs < least:
            raise UsageError(f"--epochs: received {epochs}; expected {least} or more: the run's recipe has "
                             f"{recipe.train.epochs}, and its status is {status['status']!r}")
        recipe = recipe.replace({"train.epochs": epochs})
    elif status["status"] == "finished":
        raise RunError(f"{run.path}: is finished; give --epochs (more than {recipe.train.epochs}) to train it further")
    with Interrupt() as interrupt:
        dataset = prepare(open_data(recipe, watcher), recipe.data)
        _announce(dataset, watcher)
        return _go_on(_Job(recipe, dataset, callbacks, watcher, csv, h5, interrupt), run)


def _announce(dataset: Dataset, watcher: Watcher) -> None:
    """Say how large the splits are, where they come from, and which are partial."""
    for split, value in dataset.splits().items():
        watcher.log(f"{split}: {len(value):,} images ({value.describe()})")


def _begun(runs: str | Path, name: str, recipe: Recipe) -> Run | None:
    """The newest run of that name and recipe that is finished or can be resumed; unreadable ones are passed over."""
    for run in reversed(Run.list(runs)):
        with contextlib.suppress(RunError):
            fits = run.status()["status"] in ("stopped", "died", "failed", "finished")
            if fits and run.name.rpartition("-")[0] == name and run.recipe() == recipe:
                return run
    return None


def _start(job: _Job, runs: Path, name: str) -> Run:
    """Make a run and do the job there."""
    plan = _plan(job, runs)
    run = Run.create(runs, name)
    with run.writing():
        _work(job, run, plan)
    return run


def _go_on(job: _Job, run: Run) -> Run:
    """Do the rest of the job in its run."""
    from tenfold.training import checkpoint, space

    _check_data(run, job.dataset)
    plan = _plan(job, run.path, already=space.taken(run.path))
    with run.writing():
        snapshot = checkpoint.load(run, "last", job.watcher.log) if checkpoint.has(run, "last") else None
        done = snapshot.position if snapshot else checkpoint.Position(0)
        job.watcher.log(f"resuming {run.path} after epoch {done.epoch}, step {done.step}")
        _work(job, run, plan, snapshot)
    return run


def _plan(job: _Job, directory: Path, already: int = 0) -> _Plan:
    """The network, once it is known that the job can be done and has room in `directory`."""
    from tenfold.models import obtain, origin
    from tenfold.models.summary import Summary
    from tenfold.training import check, space

    check(job.recipe, job.dataset)
    obtain(job.recipe.model, job.watcher.log)
    summary = Summary.of(job.recipe.model, job.dataset.shape, len(job.dataset.classes))
    needed = space.needed(job.recipe, job.dataset, summary.parameters)
    job.watcher.log(space.check(directory, max(needed - already, 0)))
    return _Plan(summary, origin(job.recipe.model))


def _work(job: _Job, run: Run, plan: _Plan, snapshot: Snapshot | None = None) -> None:
    """Train, evaluate and report; however that ends, the run's status says so."""
    try:
        _fit(job, run, plan, snapshot)
        _finish(job, run)
    except KeyboardInterrupt:
        run.write_status("stopped", "interrupted", epochs=len(run.history()))
        raise
    except DivergedError as error:
        run.write_status("diverged", str(error), epochs=len(run.history()), epoch=error.epoch, step=error.step)
        raise
    except BaseException as error:
        with contextlib.suppress(TenfoldError, OSError):
            run.write_status("failed", str(error) or type(error).__name__, epochs=len(run.history()))
        raise


def open_data(recipe: Recipe, watcher: Watcher | None = None) -> Dataset:
    """The recipe's data set as its source has it, downloaded where it is public and missing."""
    watcher = watcher or Watcher()
    return open_dataset(recipe.data.source, fetch=True, log=watcher.log, progress=watcher.fetched)


def with_source(recipe: Recipe, source: str) -> Recipe:
    """The recipe on another data set."""
    return recipe.replace({"data.source": source})


def _fit(job: _Job, run: Run, plan: _Plan, snapshot: Snapshot | None) -> None:
    recipe, dataset, interrupt = job.recipe, job.dataset, job.interrupt
    first, summary = plan.origin, plan.summary
    if snapshot is not None and run.environment().get("pretrained") != first.get("pretrained"):
        raise RunError(f"{run.path}: the backbone {first['pretrained']['backbone']} or its weights have changed since "
                       "training began; put them back to go on with this run")
    run.write_recipe(recipe)
    run.write_status("running")
    run.remove(*OF_A_MODEL)
    from tenfold import environment  # after what makes the directory a run
    from tenfold.training import engine, fit

    machine = engine.prepare(recipe.train.precision)
    run.write_json("environment.json", environment.describe(
        dataset, machine.to_dict(), recipe.train.seed, summary.parameters, summary.flops) | first)
    job.watcher.start(recipe, run, -(-len(dataset.train) // recipe.train.batch_size))
    training = fit(recipe, dataset, run, job.callbacks, job.watcher.step, resume=snapshot,
                   stop=lambda: interrupt.asked, log=job.watcher.log)
    with interrupt.deferred(), contextlib.closing(training) as records:
        for record in records:
            job.watcher.epoch(record)


def _finish(job: _Job, run: Run) -> None:
    """Evaluate and report a trained run."""
    from tenfold import modelfile
    from tenfold.evaluation import score_run

    epoch = modelfile.facts(run.path / "model.keras")["epoch"]
    job.watcher.log(f"evaluating the best epoch ({epoch}); the test split is scored now")
    score_run(run, job.dataset, csv=job.csv)
    _time(run, job.dataset)
    if job.h5:
        run.write("model.h5", modelfile.save_h5(run.model()))
    records = run.history()
    end: dict[str, Any] = {"status": "finished", "reason": "", "epochs": len(records),
                           "seconds": sum(record["seconds"] for record in records)}
    write_report(run, job.dataset, end)
    run.write_status(**end)  # the last of all: whatever says that it is finished is whole


def write_report(run: Run, dataset: Dataset, status: Mapping[str, Any] | None = None) -> Path:
    """Draw the plots of a run, write its `report.html` and `MODEL_CARD.md`; `dataset` is prepared.

    They show `status`, which the run is about to have, or the one it has.
    """
    from tenfold.material import gather
    from tenfold.report import report

    return report(run, gather(run, dataset), status)


def evaluate(run: Run, watcher: Watcher | None = None, csv: bool = False, *, splits: Sequence[str] = (),
             data: str | None = None, tta: str | None = None, calibrate: bool = False,
             corruptions: bool = False) -> dict[str, Any]:
    """Score a run's model again on the data set it was trained with, and renew its report.

    splits: those to score (default: validation and test). With `data`, a data set's name or URI, its split
    (default: test) is scored beside them, under `<data set>-<split>`. `tta` is test-time augmentation in place
    of the recipe's (`evaluate.tta`), scored beside them under `<split>_tta`. `calibrate` fits a temperature on the
    validation predictions and writes `calibration.json`; `corruptions` scores the corrupted test images and
    writes `corruptions.json`. Returns the metrics: split → metric → {"value", "low", "high"}. Raises
    RunError if the data set's content is no longer what it was, UsageError for a split that is not there,
    RecipeError for a `tta` that is none.
    """
    how = run.recipe().replace({} if tta is None else {"evaluate.tta": tta}).evaluate
    watcher = watcher or Watcher()
    dataset = own_data(run, watcher)
    other = None if data is None else open_dataset(data, fetch=True, log=watcher.log, progress=watcher.fetched)
    with run.writing():
        _judge(run, dataset, other, splits, csv, how)
        if calibrate:
            from tenfold.evaluation.calibration import calibrate as fit

            watcher.log(f"temperature fitted on validation: {fit(run)['temperature']:.3f}")
        if corruptions:
            from tenfold.evaluation import score_corruptions

            score_corruptions(run, dataset, watcher.log)
        write_report(run, dataset)
    return run.metrics()


def _judge(run: Run, dataset: Dataset, other: Dataset | None, splits: Sequence[str], csv: bool,
           how: EvaluateSection) -> None:
    """Score splits of the run's own data set, or of another one in place of it."""
    from tenfold import evaluation

    if other is not None:
        for split in splits or ("test",):
            evaluation.score_elsewhere(run, other, split, csv, how, dataset)
        return
    missing = [split for split in splits if split not in dataset.splits()]
    if missing:
        raise UsageError(f"--split: received {missing[0]}; choose from: {', '.join(dataset.splits())}")
    evaluation.score_run(run, dataset, splits or evaluation.EVALUATED, csv, how)
    _time(run, dataset)


def _time(run: Run, dataset: Dataset) -> None:
    """Measure how fast the model predicts, on the split it is judged on, and write `inference.json`."""
    from tenfold import environment
    from tenfold.evaluation import time_run
    from tenfold.training import engine

    split = dataset.test or dataset.validation
    if split is not None and len(split):
        run.write_json("inference.json", {**time_run(run, split.images), "precision": "float32",
                                          "threads": engine.prepare("float32").threads,
                                          "processor": environment.machine()["processor"]})


def own_data(run: Run, watcher: Watcher | None) -> Dataset:
    """The prepared data set that a run was made with. Raises RunError if its content is another now."""
    recipe = run.recipe()
    dataset = prepare(open_data(recipe, watcher), recipe.data)
    _check_data(run, dataset)
    return dataset


def _check_data(run: Run, dataset: Dataset) -> None:
    """Raise RunError if a run was made with other data."""
    if not run.has("environment.json"):
        return  # it died before it could note what it was to be trained with
    recorded = run.environment()["dataset"]["fingerprint"]
    if dataset.fingerprint() != recorded:
        raise RunError(f"{run.path}: the data set {dataset.uri} has changed since training (fingerprint "
                       f"{dataset.fingerprint()[:12]}, expected {recorded[:12]}); restore it to go on with this run")


def seeds(recipe: Recipe, count: int) -> list[Recipe]:
    """The recipe `count` times, with the seeds that follow its own."""
    return [recipe.replace({"train.seed": recipe.train.seed + i}) for i in range(count)]
