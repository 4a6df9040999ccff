"""Commands that create runs and work with them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tenfold.cli.command import (
    AsJson,
    Data,
    Name,
    On,
    RunPath,
    Runs,
    Set,
    Workers,
    app,
    command,
    one_format,
    print_json,
    refuse_both,
    watching,
)
from tenfold.errors import UsageError

if TYPE_CHECKING:
    from tenfold.recipe import Recipe
    from tenfold.run import Run


@command(app, short="Train a recipe, evaluate the model, write a report.")
def train(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="A shipped recipe's name or a TOML file.")],
    data: Data = None,
    set_: Set = None,
    weights: Annotated[str | None, typer.Option("--weights", metavar="FILE", help="Initial weights of a pretrained "
                       "backbone: a .weights.h5, .h5 or .keras file.")] = None,
    teacher: Annotated[Path | None, typer.Option("--teacher", metavar="RUN", help="Also learn the probabilities of "
                                                 "this finished run; see train.distillation.")] = None,
    seeds: Annotated[int, typer.Option(min=1, max=1000, help="Train this many times, with consecutive seeds.")] = 1,
    runs: Runs = Path("runs"),
    name: Name = None,
    csv: Annotated[bool, typer.Option("--csv", help="Also write the predictions as CSV.")] = False,
    h5: Annotated[bool, typer.Option("--h5", help="Also write the model as model.h5.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Resume the newest run with that name and recipe, if there "
                                         "is one; keep it if it is finished.")] = False,
    folds: Annotated[int | None, typer.Option(min=3, max=1000, metavar="K", help="Cross-validate: train this many "
                                              "times, each time without one fold of the images, which is then "
                                              "scored.")] = None,
    workers: Workers = None,
    ranks: Annotated[int, typer.Option(min=1, max=1024, metavar="N", help="Number of processes for data-parallel "
                                       "training: each computes a part of every batch.")] = 1,
    min_ranks: Annotated[int, typer.Option("--min-ranks", min=1, max=1024, metavar="N", help="Fewest processes with "
                                           "which --ranks goes on if a cluster loses nodes.")] = 1,
    on: On = None,
    as_json: AsJson = False,
) -> None:
    """Train a recipe, evaluate the model and write a report, all in one run directory.

    With --folds, the runs and a summary over all images go into one directory.
    """
    from functools import partial

    from tenfold import jobs
    from tenfold.jobs import executors
    from tenfold.recipe import text
    from tenfold.run import Run

    given = {key: value for key, value in {"data.source": data, "model.weights": weights}.items() if value is not None}
    if teacher is not None:
        given["train.distillation.teacher"] = str(Run.open(teacher).path.absolute())
    chosen = text.load(recipe, set_ or (), given)
    if folds is not None:
        refuse_both("--folds", {"--seeds": seeds > 1, "--h5": h5, "--ranks": ranks > 1, "--min-ranks": min_ranks > 1})
        _cross_validate(chosen, folds, as_json, runs=runs, name=name, csv=csv, resume=resume, workers=workers, on=on)
        return
    if ranks > 1:
        refuse_both("--ranks", {"--workers": workers is not None})
    together: dict[str, Any] = {"ranks": ranks, "min_ranks": min_ranks, "on": on} if ranks > 1 or min_ranks > 1 else {}
    calls = [partial(jobs.train, each, runs=runs, name=name, csv=csv, h5=h5, resume=resume, **together)
             for each in jobs.seeds(chosen, seeds)]
    workers, on = (1, None) if ranks > 1 else (executors.chosen_workers(workers, on), on)
    ended: dict[int, Run] = {}
    with watching() as watcher:
        if data is None:
            watcher.notice(f"data set: {chosen.data.source} (--data names another one)")
        for index, outcome in executors.run_all(calls, workers, watcher, on):
            ended[index] = executors.result(outcome)
            if not as_json:
                _print_results(ended[index])
    trained = [ended[index] for index in sorted(ended)]
    if as_json:
        print_json([{"run": str(run.path), "metrics": run.metrics()} for run in trained])
    elif len(trained) > 1:
        _print_over_seeds(trained)


@command(app, short="Fit a linear classifier on a backbone's features.")
def probe(
    backbone: Annotated[str, typer.Argument(metavar="BACKBONE", help="EfficientNetLite0, a model of "
                                            "keras.applications, run:DIRECTORY or file:PATH.")],
    data: Data = None,
    set_: Set = None,
    runs: Runs = Path("runs"),
    name: Name = None,
    as_json: AsJson = False,
) -> None:
    """Fit a logistic regression on a frozen backbone's features: the quickest baseline. It makes an ordinary run."""
    from tenfold import jobs
    from tenfold.recipe import text

    recipe = text.recipe(jobs.probe_sections(backbone), set_ or (), name="probe")
    with watching() as watcher:
        if data is None:
            watcher.notice(f"data set: {recipe.data.source} (--data names another one)")
        run = jobs.train(recipe, data, runs=runs, name=name, watcher=watcher)
    _show(run, as_json)


@command(app, "try", short="Train a quick baseline on photos and report its accuracy.")
def try_images(
    path: Annotated[str, typer.Argument(metavar="PATH", help="A folder with a folder of images for each class, a "
                                        "table, an archive, or the name or URI of a data set.")],
    set_: Set = None,
    runs: Runs = Path("runs"),
    name: Name = None,
    export: Annotated[str | None, typer.Option("--export", metavar="FORMAT", help="Also export the model, as in "
                                               "--export html.")] = None,
    show: Annotated[bool, typer.Option("--open", help="Open the report in the browser.")] = False,
    as_json: AsJson = False,
) -> None:
    """Classify images by the features of a pretrained network, judge the result, and tell what more images would bring.

    It makes an ordinary run.
    """
    from tenfold import jobs, terminal
    from tenfold.recipe import text

    recipe = text.recipe(jobs.try_sections(), set_ or (), name="try")
    if export is not None:
        jobs.check_format(export)
    with watching() as watcher:
        run = jobs.try_images(path, recipe, runs=runs, name=name, watcher=watcher)
    if as_json:
        print_json({"run": str(run.path), "test": run.metrics().get("test"),
                    "learning_curve": run.learning_curve() if run.has("learning_curve.json") else None,
                    "left_out": run.environment()["dataset"]["left_out"]})
    else:
        terminal.print_first_verdict(run, path, set_ or ())
    if export is not None:
        with watching() as watcher:
            made = jobs.export(run, export, watcher=watcher)
        if not as_json:
            print(f"export    {made.path}")
    if show:
        import webbrowser

        webbrowser.open((run.path / "report.html").resolve().as_uri())


@command(app, short="Resume a run that was stopped or killed.")
def resume(
    run: RunPath,
    epochs: Annotated[int | None, typer.Option(min=1, help="New total number of epochs, more than before.")] = None,
    csv: Annotated[bool, typer.Option("--csv", help="Also write the predictions as CSV.")] = False,
    h5: Annotated[bool, typer.Option("--h5", help="Also write the model as model.h5.")] = False,
    as_json: AsJson = False,
) -> None:
    """Resume a run that was stopped or killed. The weights are bit-identical to those of an uninterrupted run."""
    from tenfold import jobs
    from tenfold.run import Run

    with watching() as watcher:
        resumed = jobs.resume(Run.open(run), epochs, csv=csv, h5=h5, watcher=watcher)
    _show(resumed, as_json)


@command(app, short="Evaluate a run again and update its report.")
def evaluate(
    run: RunPath,
    split: Annotated[list[str] | None, typer.Option("--split", help="Split to evaluate; repeatable. "
                                                    "Default: validation and test; with --data: test, or all images "
                                                    "if they are in no splits.")] = None,
    data: Annotated[str | None, typer.Option("--data", metavar="DATA", help="Evaluate on another data set.")] = None,
    tta: Annotated[str | None, typer.Option("--tta", metavar="VIEWS", help="Evaluate with test-time augmentation too: "
                                            "none, mirror or mirror-translate. Default: the recipe's.")] = None,
    calibrate: Annotated[bool, typer.Option("--calibrate", help="Fit the temperature and the decision rules again, "
                                            "as `tenfold calibrate` does; show the metrics before and after.")] = False,
    corruptions: Annotated[bool, typer.Option("--corruptions", help="Evaluate on test images with ten corruptions at "
                                              "five severities.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Also write the predictions as CSV.")] = False,
    as_json: AsJson = False,
) -> None:
    """Evaluate a run's model again, on its own data set or on another one, and update its report."""
    from tenfold import jobs, terminal
    from tenfold.run import Run

    opened = Run.open(run)
    with watching() as watcher:
        metrics = jobs.evaluate(opened, watcher, csv, splits=split or (), data=data, tta=tta,
                                    calibrate=calibrate, corruptions=corruptions)
    if as_json:
        more = {name: opened.read_json(f"{name}.json")
                for name, asked in (("calibration", calibrate), ("corruptions", corruptions)) if asked}
        print_json({**metrics, **more})
        return
    _print_results(opened)
    if calibrate:
        terminal.print_calibration(opened.calibration())
    if corruptions:
        terminal.print_corruptions(opened.corruptions())


@command(app, short="Fit the rules that decide which answers to accept.")
def calibrate(
    run: RunPath,
    level: Annotated[list[float] | None, typer.Option("--level", help="Another level of prediction sets, in addition "
                                                      "to 0.9 and 0.95; repeatable.")] = None,
    accuracy: Annotated[float | None, typer.Option("--accuracy", help="Accuracy to guarantee for accepted answers. "
                                                   "Default: 0.99, or the accuracy of all answers if that is "
                                                   "higher.")] = None,
    false_rejects: Annotated[float, typer.Option("--false-rejects", help="Largest fraction of images of known classes "
                                                 "that may be called unknown.")] = 0.05,
    as_json: AsJson = False,
) -> None:
    """Fit a run's decision rules: calibrated probabilities, prediction sets, which answers to accept, unknown images.

    They are fitted on images that are used for nothing else, tested on the test split, and stored in the model.
    """
    from tenfold import jobs, terminal

    with watching() as watcher:
        found = jobs.calibrate(run, levels=level or (), accuracy=accuracy, false_rejects=false_rejects, watcher=watcher)
    if as_json:
        print_json(found)
    else:
        terminal.print_decisions(found)


@command(app, "runs", short="List the runs in a directory.")
def list_runs(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="Directory that holds the runs.")] = Path("runs"),
    as_json: AsJson = False,
) -> None:
    """List the runs in a directory and in its studies: data, status, epochs, test accuracy, age."""
    from tenfold import overview, terminal

    rows = overview.list_runs(folder)
    if as_json:
        print_json(rows)
    else:
        terminal.print_runs(rows)


@command(app, short="Rank models and test their differences.")
def compare(
    run: Annotated[list[Path], typer.Argument(metavar="RUN…", help="Run directories and study directories.")],
    by: Annotated[str, typer.Option("--by", metavar="METRIC", help="The metric to rank by.")] = "roc_auc",
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write the leaderboard as HTML.")] = None,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    as_json: AsJson = False,
) -> None:
    """Rank models and test their differences. Models evaluated on different test images get separate tables."""
    from tenfold import comparison, terminal
    from tenfold.storage.paths import check_file_name

    one_format(csv, as_json)
    if html:
        check_file_name("html", html, ".html", ".htm")
    runs, left_out = comparison.found_at(run)
    groups = comparison.compare_groups(runs, by, left_out)
    if html and len(groups.boards) > 1:
        raise UsageError(f"html: received runs on {len(groups.boards)} different sets of test images; expected one: "
                         "give only the runs of one table")
    if as_json:
        print_json(groups.to_dict())
    elif csv:
        print(comparison.csv_text(*groups.boards), end="")
    else:
        terminal.print_groups(groups)
    if html:
        comparison.write_html(groups.boards[0], html)  # last: the table is printed even if this fails


def _cross_validate(recipe: Recipe, folds: int, as_json: bool, **options: Any) -> None:
    from tenfold import terminal
    from tenfold.crossvalidation import cross_validate

    with watching() as watcher:
        found = cross_validate(recipe, None, folds, watcher=watcher, **options)
    if as_json:
        print_json(found.results)
    else:
        terminal.print_over_seeds(found.row)
        print(f"page    {found.page}")


def _print_over_seeds(runs: list[Run]) -> None:
    from tenfold import comparison, terminal

    row = comparison.over_seeds(runs)
    if row is not None:
        terminal.print_over_seeds(row)


def _show(run: Run, as_json: bool) -> None:
    """Print a run's metrics, as JSON or as a table."""
    if as_json:
        print_json({"run": str(run.path), "metrics": run.metrics()})
    else:
        _print_results(run)


def _print_results(run: Run) -> None:
    from tenfold import terminal

    terminal.print_results(run)
