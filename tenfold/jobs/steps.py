"""The steps of a job: fit, then validate, then finish. Only the last one uses the test split, if the job has it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tenfold.data.dataset import Dataset
from tenfold.errors import DivergedError, RunError, TenfoldError
from tenfold.jobs.job import Job, Plan, Pruned
from tenfold.machine import configure
from tenfold.progress import SILENT, Ended, Epoch, Evaluating, Together, Training, Watcher
from tenfold.progress.journal import NAME, Journal
from tenfold.run import Run, State, Status, stale_after

if TYPE_CHECKING:
    from tenfold.evaluation.answers import Kept
    from tenfold.report.apart import Apart
    from tenfold.training.checkpoint import Snapshot


def do(job: Job, run: Run, plan: Plan, snapshot: Snapshot | None = None) -> None:
    """Run all steps, from a snapshot or from the start, and record in the run's status how they ended."""
    conduct(job, run, lambda job: fit(job, run, plan, snapshot))


def conduct(job: Job, run: Run, make: Callable[[Job], None]) -> None:
    """Make the run's model, then validate and finish; record in the run's status how that ended.

    Events also go to the run's journal, so that another process can follow.
    """
    job = replace(job, watcher=Together([Journal(run.path / NAME), job.watcher]))
    try:
        make(job)
        kept: Kept = {}
        validate(job, run, kept)
        finish(job, run, kept) if job.tested else conclude(run)
    except KeyboardInterrupt:
        _ended(job, run, State.STOPPED, "interrupted")
        raise
    except Pruned as decision:
        _ended(job, run, State.PRUNED, str(decision))
        raise
    except DivergedError as error:
        _ended(job, run, State.DIVERGED, str(error), epoch=error.epoch, step=error.step)
        raise
    except BaseException as error:
        _ended(job, run, State.FAILED, str(error) or type(error).__name__)
        raise
    job.watcher.on(Ended(str(run.path), State.FINISHED.value))


def _ended(job: Job, run: Run, state: State, reason: str, **more: int) -> None:
    """Record how a job ended early, as far as the disk allows; a finished run stays finished."""
    with contextlib.suppress(TenfoldError, OSError):
        if run.read_json("status.json").get("status") == State.FINISHED.value:
            return
    with contextlib.suppress(TenfoldError, OSError):
        epochs = 0
        with contextlib.suppress(RunError):  # a damaged history must not hide why the job ended
            epochs = len(run.history())
        run.write_status(state, reason, epochs=epochs, **more)
    job.watcher.on(Ended(str(run.path), state.value))


def fit(job: Job, run: Run, plan: Plan, snapshot: Snapshot | None = None) -> None:
    """Train, from a snapshot or from the start, and write history, checkpoints and `model.keras`."""
    recipe, dataset = job.recipe, job.dataset
    first, summary = plan.origin, plan.summary
    if snapshot is not None and run.environment().get("pretrained") != first.get("pretrained"):
        raise RunError(f"{run.path}: the backbone {first['pretrained']['backbone']} or its weights have changed since "
                       "training began; restore them to continue this run")
    if snapshot is not None and run.environment().get("teacher") != first.get("teacher"):
        raise RunError(f"{run.path}: the teacher {first['teacher']['run']} has changed since training began; restore "
                       "it to continue this run")
    run.write_recipe(recipe)
    run.write_status(State.RUNNING)
    run.remove(*stale_after("model"))
    from tenfold import environment  # imported after writing the files that make the directory a run
    from tenfold.training import fit as train

    machine = configure(recipe.train.precision)
    run.write_json("environment.json", environment.describe(
        dataset, machine.to_dict(), recipe.train.seed, summary.parameters, summary.flops) | first
        | ({"learning_curve": True} if job.learning_curve else {}))
    job.watcher.on(Training(recipe.name, str(run.path), recipe.train.all_epochs,
                            -(-len(dataset.train) // recipe.train.batch_size)))
    if job.ranks > 1 or job.on is not None:
        from tenfold.jobs import ranks

        ranks.fit(job, run)  # its first process tells the epochs
        return
    training = train(recipe, dataset, run, job.callbacks, job.watcher, resume=snapshot)
    with job.interrupt.deferred(), contextlib.closing(training) as records:
        for record in records:
            job.watcher.on(Epoch(record))


def validate(job: Job, run: Run, kept: Kept) -> None:
    """Evaluate the best epoch on the validation split, and keep the model's answers.

    A run that serves to choose a recipe is also scored on its fold, which comes from the training images.
    """
    from tenfold import modelfile
    from tenfold.evaluation import score_run

    draw(job, run)
    if job.dataset.validation is None:
        return
    job.watcher.on(Evaluating("validation", modelfile.facts(run.path / "model.keras")["epoch"]))
    chooses_by_fold = not job.tested and job.recipe.data.folds is not None
    splits = ("validation", "test") if chooses_by_fold else ("validation",)
    score_run(run, job.dataset, splits, job.csv, watcher=job.watcher, kept=kept if job.tested else None)


def finish(job: Job, run: Run, kept: Kept) -> None:
    """Evaluate the best epoch on the test split, fit its decision rules, keep its ONNX model, write the report, finish.
    """
    from tenfold import modelfile
    from tenfold.evaluation import score_run
    from tenfold.jobs import exporting, verdicts

    if job.dataset.test is not None:
        job.watcher.on(Evaluating("test", modelfile.facts(run.path / "model.keras")["epoch"]))
        score_run(run, job.dataset, ("test",), job.csv, watcher=job.watcher,
                  kept=kept if job.dataset.validation else None)
    if not run.has("metrics.json"):  # the ensemble of a cross-validation learnt from all images
        run.write_json("metrics.json", {})
    if job.apart is not None:
        job.apart.wait()  # the speed is measured on all cores
    measure_speed(run, job.dataset)
    draw(job, run)
    fit_rules(run, job.dataset, job.watcher, kept)
    draw(job, run)
    exporting.keep(run, job.dataset, job.watcher)
    if job.learning_curve:
        from tenfold.jobs.learning_curve import measure

        measure(run, job.recipe, job.dataset, job.watcher, kept)
    verdicts.judge(run)
    if job.h5:
        run.write("model.h5", modelfile.save_h5(run.model()))
    end = _end(run)
    write_report(run, job.dataset, end, job.watcher, job.apart)
    run.write_json("status.json", end)  # written last, so that a finished run is always complete


def draw(job: Job, run: Run) -> None:
    """Have the second process, if there is one, draw the plots of what the run has so far."""
    from tenfold.material import gather

    if job.apart is not None:
        job.apart.prepare(gather(run, job.dataset, explain=False))


def conclude(run: Run) -> None:
    """Finish a run after validation: it has no test score, and a later `finish` of the same model is still honest."""
    run.write_json("status.json", _end(run))


def _end(run: Run) -> Status:
    """The status of a finished run."""
    records = run.history()
    seconds = run.ensemble()["seconds"] if run.has("ensemble.json") else sum(record["seconds"] for record in records)
    return Status({"status": State.FINISHED.value, "reason": "", "epochs": len(records), "seconds": seconds})


def fit_rules(run: Run, dataset: Dataset, watcher: Watcher, kept: Kept) -> None:
    """Fit and judge the decision rules of a run with a validation split, or of the ensemble of a cross-validation.

    A run that allows none gets a notice.
    """
    from tenfold.evaluation.deciding import decide, of_folds
    from tenfold.jobs.known_answers import of_training

    if not run.has("predictions/validation.parquet") and not of_folds(run):
        return
    try:
        decide(run, dataset, watcher=watcher, kept={**kept, **of_training(run, dataset, watcher)})
    except RunError as error:
        watcher.notice(f"no decision rules: {error}")


def measure_speed(run: Run, dataset: Dataset) -> None:
    """Measure the model's prediction speed on the test or validation split, and write `inference.json`."""
    from tenfold.evaluation import time_run

    split = dataset.test or dataset.validation
    if split is not None and len(split):
        run.write_json("inference.json", time_run(run, split.images))


def write_report(run: Run, dataset: Dataset, status: Status | None = None, watcher: Watcher = SILENT,
                 apart: Apart | None = None) -> Path:
    """Draw the plots of a run and write its `report.html` and `MODEL_CARD.md`. `dataset` must be prepared.

    `status` is the status to show, for a run whose status is not written yet; default: the run's current status.
    `apart` is the second process that makes the report, if there is one.
    """
    from tenfold.material import gather
    from tenfold.report import report

    return report(run, gather(run, dataset), status, watcher, apart)
