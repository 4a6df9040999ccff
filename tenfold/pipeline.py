"""The main job in one direction: recipe + data → fit → evaluate → report, leaving one run directory."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenfold.data import open_dataset
from tenfold.data.dataset import Dataset
from tenfold.data.splits import prepare, summary
from tenfold.errors import DivergedError, RunError, TenfoldError, UsageError
from tenfold.interrupt import Interrupt
from tenfold.recipe import Recipe
from tenfold.run import Run, check_name, write_whole

if TYPE_CHECKING:
    import numpy as np

    from tenfold.evaluation.mistakes import Explained
    from tenfold.models.summary import Summary
    from tenfold.training.checkpoint import Snapshot

EXPLAINED = 24  # errors that the report explains


class Watcher:
    """Is told how the job goes; override what you want to show. Does nothing by itself."""

    def log(self, message: str) -> None:
        """A line worth knowing: a partial split, a download, a finished step."""

    def start(self, recipe: Recipe, run: Run, steps: int) -> None:
        """Training begins: at most `recipe.train.epochs` epochs of `steps` steps."""

    def step(self, epoch: int, step: int, steps: int, loss: float) -> None:
        """A step of an epoch (both from 1) is done."""

    def epoch(self, record: dict[str, float]) -> None:
        """An epoch is done."""

    def fetched(self, done: int, total: int | None) -> None:
        """Bytes of a download so far, of how many."""


def train(
    recipe: Recipe | str | Path, data: Dataset | str | None = None, callbacks: Sequence[Any] = (), *,
    runs: str | Path = "runs", name: str | None = None, csv: bool = False, h5: bool = False,
    watcher: Watcher | None = None,
) -> Run:
    """Train a recipe on a data set, evaluate the best model and write the report: a complete run.

    `recipe` is a Recipe, a shipped recipe's name or a TOML file; `data` a Dataset, a data set's name or
    URI, or None for the recipe's own source. `callbacks` are `keras.callbacks.Callback`s. The run is
    `runs/<name>-<number>`, by default named after the recipe and the data set. `csv` writes predictions
    as CSV as well, `h5` the model as `model.h5`. What names missing public data has it downloaded.

    Raises a TenfoldError: before anything is written if the input is wrong; DivergedError if the loss
    became NaN or infinite (the run then has status "diverged" and its last finite weights).
    """
    watcher = watcher or Watcher()
    recipe = recipe if isinstance(recipe, Recipe) else Recipe.load(recipe)
    if name is not None:
        check_name(name)
    if data is not None:
        recipe = with_source(recipe, data.uri if isinstance(data, Dataset) else data)
    dataset = data if isinstance(data, Dataset) else open_data(recipe, watcher)
    prepared = prepare(dataset, recipe.data)
    for split, value in prepared.splits().items():
        watcher.log(f"{split}: {len(value):,} images ({value.describe()})")

    from tenfold.training import check

    check(recipe, prepared)
    run = Run.create(runs, name or f"{recipe.name}-{prepared.name}")
    _work(run, recipe, prepared, callbacks, watcher, csv, h5)
    return run


def resume(run: Run, epochs: int | None = None, callbacks: Sequence[Any] = (), *, csv: bool = False, h5: bool = False,
           watcher: Watcher | None = None) -> Run:
    """Go on with a run that was stopped, died or failed, to the same bits as if it had never been interrupted.

    `epochs` raises the recipe's number of epochs, for a finished run too. Raises RunError if the run is
    finished, is being written by another process, or if its data set has changed.
    """
    watcher = watcher or Watcher()
    recipe, status = run.recipe(), run.status()
    if epochs is not None:
        if epochs < recipe.train.epochs:
            raise UsageError(f"--epochs: received {epochs}; expected {recipe.train.epochs} or more, which the run's "
                             "recipe has")
        recipe = recipe.replace(f"train.epochs={epochs}")
    elif status["status"] == "finished":
        raise RunError(f"{run.path}: is finished; give --epochs (more than {recipe.train.epochs}) to train it further")
    dataset = own_data(run, watcher)

    from tenfold.training import check, checkpoint

    check(recipe, dataset)
    snapshot = checkpoint.load(run, "last", watcher.log) if checkpoint.has(run, "last") else None
    done = snapshot.position if snapshot else checkpoint.Position(0)
    watcher.log(f"resuming after epoch {done.epoch}, step {done.step}")
    _work(run, recipe, dataset, callbacks, watcher, csv, h5, snapshot)
    return run


def _work(run: Run, recipe: Recipe, dataset: Dataset, callbacks: Sequence[Any], watcher: Watcher, csv: bool, h5: bool,
          snapshot: Snapshot | None = None) -> None:
    """Train, evaluate and report; however that ends, the run's status says so."""
    with Interrupt() as interrupt, run.writing():
        try:
            _fit(recipe, dataset, run, callbacks, watcher, interrupt, snapshot)
            interrupt.check()
            _finish(run, dataset, csv, h5, watcher, interrupt)
        except KeyboardInterrupt:
            run.write_status("stopped", "interrupted", epochs=len(run.history()))
            raise
        except DivergedError as error:
            run.write_status("diverged", str(error), epochs=len(run.history()))
            raise
        except BaseException as error:
            with contextlib.suppress(TenfoldError):
                run.write_status("failed", str(error) or type(error).__name__, epochs=len(run.history()))
            raise


def open_data(recipe: Recipe, watcher: Watcher | None = None) -> Dataset:
    """The recipe's data set as its source has it, downloaded where it is public and missing."""
    watcher = watcher or Watcher()
    return open_dataset(recipe.data.source, fetch=True, log=watcher.log, progress=watcher.fetched)


def with_source(recipe: Recipe, source: str) -> Recipe:
    """The recipe on another data set."""
    tree = recipe.to_dict()
    if source != recipe.data.source:
        tree["data"] = {**tree["data"], "source": source}
    return Recipe.from_dict(tree)


def _fit(recipe: Recipe, dataset: Dataset, run: Run, callbacks: Sequence[Any], watcher: Watcher,
         interrupt: Interrupt, snapshot: Snapshot | None) -> None:
    from tenfold import environment
    from tenfold.models.summary import Summary
    from tenfold.training import engine, fit

    run.write_recipe(recipe)
    run.write_status("running")
    machine = engine.prepare(recipe.train.precision)
    summary = Summary.of(recipe.model, dataset.shape, len(dataset.classes))
    run.write_json("environment.json", environment.describe(
        dataset, machine.to_dict(), recipe.train.seed, summary.parameters, summary.flops))
    watcher.start(recipe, run, -(-len(dataset.train) // recipe.train.batch_size))
    training = fit(recipe, dataset, run, callbacks, watcher.step, resume=snapshot, stop=lambda: interrupt.asked)
    with contextlib.closing(training) as records:
        for record in records:
            watcher.epoch(record)


def _finish(run: Run, dataset: Dataset, csv: bool, h5: bool, watcher: Watcher, interrupt: Interrupt) -> None:
    """Evaluate and report a trained run."""
    from tenfold import modelfile
    from tenfold.evaluation import score_run

    watcher.log("evaluating the best epoch; the test split is scored once, now")
    score_run(run, dataset, csv=csv)
    interrupt.check()
    if h5:
        run.write("model.h5", modelfile.save_h5(run.model()))
    records = run.history()
    run.write_status("finished", epochs=len(records), seconds=sum(r["seconds"] for r in records))
    write_report(run, dataset)


def write_report(run: Run, dataset: Dataset) -> Path:
    """Draw the plots of a run, write its `report.html` and `MODEL_CARD.md`; `dataset` is prepared."""
    from tenfold import modelfile
    from tenfold.report import Material, report

    splits = {name: predicted(run, dataset, name) for name in ("validation", "test")}
    material = Material(
        history=run.history(), classes=dataset.classes, metrics=run.metrics(),
        samples=(dataset.train.images, dataset.train.labels), validation=splits["validation"],
        test=splits["test"], best_epoch=modelfile.facts(run.path / "model.keras")["epoch"],
        explained=_explained_errors(run, splits["test"] or splits["validation"]))
    return report(run, material)


def predicted(run: Run, dataset: Dataset, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """(images, labels, probabilities float [n, k]) of a split; None where the run or the data set lacks it."""
    import numpy as np

    split = dataset.splits().get(name)
    if split is None or not run.has(f"predictions/{name}.parquet"):
        return None
    table = run.predictions(name)
    return split.images, split.labels, np.stack([table[f"p_{c}"].to_numpy() for c in dataset.classes], axis=1)


def _explained_errors(run: Run, judged: tuple[np.ndarray, np.ndarray, np.ndarray] | None) -> list[Explained]:
    """The most confident errors with their Grad-CAM."""
    import numpy as np

    from tenfold.evaluation.explain import explain
    from tenfold.evaluation.mistakes import confident_errors_of

    if judged is None:
        return []
    images, labels, probabilities = judged
    errors = confident_errors_of(labels, probabilities, EXPLAINED)
    chosen = np.array([error.index for error in errors], np.int64)
    return explain(run.model(), images[chosen], errors, labels[chosen]) if errors else []


def evaluate(run: Run, watcher: Watcher | None = None, csv: bool = False) -> dict[str, Any]:
    """Score a run's model again on the data set it was trained with, and renew its report.

    Returns the metrics: split → metric → {"value", "low", "high"}. Raises RunError if the data set's
    content is no longer what it was.
    """
    from tenfold.evaluation import score_run

    dataset = own_data(run, watcher)
    result = score_run(run, dataset, csv=csv)
    write_report(run, dataset)
    return result


def own_data(run: Run, watcher: Watcher | None) -> Dataset:
    """The prepared data set that a run was made with. Raises RunError if its content is another now."""
    recipe = run.recipe()
    dataset = prepare(open_data(recipe, watcher), recipe.data)
    if not run.has("environment.json"):
        return dataset  # it died before it could note what it was to be trained with
    recorded = run.environment()["dataset"]["fingerprint"]
    if dataset.fingerprint() != recorded:
        raise RunError(f"{run.path}: the data set {recipe.data.source} has changed since training (fingerprint "
                       f"{dataset.fingerprint()[:12]}, expected {recorded[:12]}); restore it to go on with this run")
    return dataset


def network(
    recipe: Recipe, source: str, watcher: Watcher | None = None
) -> tuple[tuple[int, int, int], list[str], Summary]:
    """(image shape, classes, summary) of the network that a recipe builds for a data set."""
    from tenfold.models.summary import Summary

    recipe = with_source(recipe, source)
    dataset = prepare(open_data(recipe, watcher), recipe.data)
    return dataset.shape, list(dataset.classes), Summary.of(recipe.model, dataset.shape, len(dataset.classes))


def show_data(source: str, overrides: Sequence[str], watcher: Watcher) -> tuple[Dataset, dict[str, Any]]:
    """(data set, summary) of a source: split as it is or, with overrides of `data.…`, as a recipe would."""
    recipe = Recipe.from_dict({"data": {"source": source}}, name=source, overrides=overrides)
    dataset = open_data(recipe, watcher)
    if overrides:
        dataset = prepare(dataset, recipe.data)
    return dataset, summary(dataset)


def write_class_grid(dataset: Dataset, path: Path, per_class: int, seed: int) -> None:
    """Write a PNG with seeded random training examples of each class. Raises StorageError, UsageError."""
    if path.suffix.lower() != ".png":
        raise UsageError(f"--png: received {path}; expected a file name that ends in .png")
    from tenfold.report.plots import class_grid

    figure = class_grid(dataset.train.images, dataset.train.labels, dataset.classes, per_class, seed)
    write_whole(path, lambda target: figure.savefig(target, dpi=150, format="png"))


def seeds(recipe: Recipe, count: int) -> list[Recipe]:
    """The recipe `count` times, with the seeds that follow its own."""
    return [recipe.replace(f"train.seed={recipe.train.seed + i}") for i in range(count)]
