"""The command: each function parses, makes one library call and prints. No logic of its own.

Results go to standard output, progress to standard error. Exit codes: 0 done, 1 a failure, 2 a usage
mistake, 130 interrupted.
"""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tenfold.errors import TenfoldError, UsageError

if TYPE_CHECKING:
    from tenfold.run import Run

app = typer.Typer(
    name="tenfold", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Turn labelled images into a classifier you can trust: trained fast on ordinary processors, "
         "judged honestly, offline.",
)
data_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Look at data sets and fetch them.")
app.add_typer(data_app, name="data")

DATA = "A data set's name or URI; `tenfold data list` shows them."
Runs = Annotated[Path, typer.Option("--runs", metavar="DIR", help="The directory that holds the runs.")]
Name = Annotated[str | None, typer.Option("--name", help="The run's name; a number is appended.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a recipe's key, as in train.epochs=20; repeatable."),
]
Data = Annotated[str | None, typer.Option("--data", metavar="DATA", help=DATA)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.")]

_debug = False


def command(
    group: typer.Typer, name: str | None = None, *, short: str | None = None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function as a command that turns errors into one line and an exit code.

    `short` stands in the list of commands where the first line of the docstring is too long for it.
    """

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> None:
            try:
                function(*args, **kwargs)
                sys.stdout.flush()
            except TenfoldError as error:
                _fail(str(error), error.exit_code)
            except KeyboardInterrupt:
                _fail("interrupted; what was finished is saved", 130)
            except BrokenPipeError:  # the reader of our output has gone, as in `tenfold recipes | head -1`
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            except typer.Exit:
                raise
            except Exception as error:
                reason = str(error).splitlines()[0] if str(error) else ""
                _fail(f"unexpected {type(error).__name__}: {reason} (`tenfold --debug …` shows where)", 1)

        group.command(name, short_help=short)(run)
        return function

    return register


def _fail(message: str, code: int) -> None:
    if _debug:
        import traceback

        traceback.print_exc()
    print(f"tenfold: {message}", file=sys.stderr)
    raise typer.Exit(code)


@app.callback(invoke_without_command=True)
def options(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """What comes before the command."""
    global _debug
    _debug = debug
    if version:
        import tenfold

        print(f"tenfold {tenfold.__version__}")
        raise typer.Exit


# ----------------------------------------------------------------------------------------------------
# training and judging


@command(app, short="Train a recipe, evaluate it, write its report.")
def train(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="A shipped recipe's name or a TOML file.")],
    data: Data = None,
    set_: Set = None,
    seeds: Annotated[int, typer.Option(min=1, max=1000, help="Train this many times, with seeds that count up.")] = 1,
    runs: Runs = Path("runs"),
    name: Name = None,
    csv: Annotated[bool, typer.Option("--csv", help="Write predictions as CSV as well.")] = False,
    h5: Annotated[bool, typer.Option("--h5", help="Write the model as model.h5 as well.")] = False,
) -> None:
    """Train a recipe, evaluate it and write its report: one run directory."""
    from tenfold import pipeline
    from tenfold.recipe import Recipe
    from tenfold.terminal import terminal_watcher

    overrides = list(set_ or ()) + ([f"data.source={json.dumps(data)}"] if data is not None else [])
    for each in pipeline.seeds(Recipe.load(recipe, overrides), seeds):
        with terminal_watcher() as watcher:
            run = pipeline.train(each, runs=runs, name=name, csv=csv, h5=h5, watcher=watcher)
        _print_verdict(run)


@command(app, short="Go on with a run that was stopped or killed.")
def resume(
    run: RunPath,
    epochs: Annotated[int | None, typer.Option(min=1, help="Train to this many epochs, more than before.")] = None,
    csv: Annotated[bool, typer.Option("--csv", help="Write predictions as CSV as well.")] = False,
    h5: Annotated[bool, typer.Option("--h5", help="Write the model as model.h5 as well.")] = False,
) -> None:
    """Go on with a run that was stopped or died, to the same bits as if it had never been interrupted."""
    from tenfold import pipeline
    from tenfold.run import Run
    from tenfold.terminal import terminal_watcher

    with terminal_watcher() as watcher:
        resumed = pipeline.resume(Run.open(run), epochs, csv=csv, h5=h5, watcher=watcher)
    _print_verdict(resumed)


@command(app, short="Score a run again and renew its report.")
def evaluate(
    run: RunPath,
    csv: Annotated[bool, typer.Option("--csv", help="Write predictions as CSV as well.")] = False,
    as_json: AsJson = False,
) -> None:
    """Score a run's model on its own data set again and renew its report."""
    from tenfold import pipeline
    from tenfold.run import Run
    from tenfold.terminal import terminal_watcher

    opened = Run.open(run)
    with terminal_watcher() as watcher:
        metrics = pipeline.evaluate(opened, watcher, csv=csv)
    if as_json:
        print(json.dumps(metrics, indent=2, ensure_ascii=False))
    else:
        _print_verdict(opened)


@command(app)
def compare(
    run: Annotated[list[Path], typer.Argument(metavar="RUN…", help="Run directories.")],
    by: Annotated[str, typer.Option("--by", metavar="METRIC", help="The metric to rank by.")] = "roc_auc",
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write the leaderboard's page.")] = None,
    as_json: AsJson = False,
) -> None:
    """Rank runs that were judged on the same test images."""
    from tenfold import terminal
    from tenfold.comparison import compare as rank
    from tenfold.comparison import write_html
    from tenfold.run import Run

    rows = rank([Run.open(path) for path in run], by=by)
    if html:
        write_html(rows, html)
    if as_json:
        print(json.dumps([row.to_dict() for row in rows], indent=2, ensure_ascii=False))
    else:
        terminal.print_leaderboard(rows)


@command(app)
def predict(
    run: RunPath,
    paths: Annotated[list[Path], typer.Argument(metavar="PATH…", help="Image files and folders of images.")],
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    as_json: AsJson = False,
) -> None:
    """Classify images of any size with a run's model."""
    from tenfold import terminal
    from tenfold.prediction import predict as classify
    from tenfold.run import Run

    if csv and as_json:
        raise UsageError("received --csv and --json; expected at most one of them: leave one out")

    predictions = classify(Run.open(run), paths)
    if as_json:
        print(json.dumps([p.to_dict() for p in predictions], indent=2, ensure_ascii=False))
    elif csv:
        terminal.print_csv([p.to_dict() for p in predictions])
    else:
        terminal.print_predictions(predictions)
    unread = [p for p in predictions if p.error]
    for p in unread:
        print(f"tenfold: {p.error}", file=sys.stderr)
    if unread:
        raise typer.Exit(1)


@command(app, short="Show where a model looks: Grad-CAM of errors or images.")
def explain(
    run: RunPath,
    images: Annotated[list[Path] | None, typer.Argument(metavar="[IMAGE…]", help="Image files and folders of images; "
                                                        "none: the run's errors.")] = None,
    most: Annotated[int, typer.Option(min=1, max=99, help="Errors of each kind to explain.")] = 12,
    neighbours: Annotated[int, typer.Option(min=0, max=20, help="Nearest training images of each error.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Explain images by Grad-CAM or, without any, a run's errors; its data set is looked for as its recipe names it."""
    from tenfold.explanation import explain as explain_run
    from tenfold.run import Run
    from tenfold.terminal import print_explanation, terminal_watcher

    with terminal_watcher() as watcher:
        result = explain_run(Run.open(run), images or (), most=most, neighbours=neighbours, watcher=watcher)
    if as_json:
        print(json.dumps({"path": str(result.path), "pictures": result.entries, "unread": result.unread},
                         indent=2, ensure_ascii=False))
    else:
        print_explanation(result)
    for reason in result.unread:
        print(f"tenfold: {reason}", file=sys.stderr)
    if result.unread:
        raise typer.Exit(1)


# ----------------------------------------------------------------------------------------------------
# looking around


@command(app, short="List the shipped recipes, or show one.")
def recipes(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="A recipe to show; none: list them all.")] = None,
    data: Data = None,
    set_: Set = None,
    as_json: AsJson = False,
) -> None:
    """List the shipped recipes, or show one (with --data: its network, parameters and FLOPs)."""
    from tenfold import terminal
    from tenfold.recipe import Recipe, header, read, shipped

    if name is None:
        if data is not None or set_:
            raise UsageError("--data and --set need a recipe; name one, as in `tenfold recipes cnn2 --data digits`")
        facts = {name: header(text) for name, text in shipped().items()}
        if as_json:
            print(json.dumps(facts, indent=2, ensure_ascii=False))
        else:
            terminal.print_recipes(facts)
        return
    recipe = Recipe.load(name, set_ or ())
    if data is None:
        if as_json:
            print(json.dumps(recipe.to_dict(), indent=2, ensure_ascii=False))
        else:
            print(recipe.dumps() if set_ else read(name)[1], end="")
        return
    from tenfold.pipeline import network

    with terminal.terminal_watcher() as watcher:
        shape, classes, summary = network(recipe, data, watcher)
    if as_json:
        print(json.dumps({"parameters": summary.parameters, "flops_per_image": summary.flops,
                          "shape": shape, "classes": classes}, indent=2, ensure_ascii=False))
    else:
        print(summary.text)
        print(f"parameters  {summary.parameters:,}\nFLOPs       {summary.flops:,} for one image "
              f"({shape[0]}×{shape[1]}×{shape[2]})")


@command(data_app, "list", short="List the data sets and where each lies.")
def data_list(as_json: AsJson = False) -> None:
    """List the data sets that can be named, and where each lies on this machine."""
    from tenfold import terminal
    from tenfold.data import catalogue, data_root

    found = catalogue()
    if as_json:
        print(json.dumps({"root": str(data_root()), "data_sets": found}, indent=2, ensure_ascii=False))
    else:
        terminal.print_catalogue(found, data_root())


@command(data_app, "show", short="Show counts, pixel statistics and a picture.")
def data_show(
    data: Annotated[str, typer.Argument(metavar="DATA", help=DATA)],
    set_: Set = None,
    png: Annotated[Path | None, typer.Option("--png", metavar="FILE", help="Where the grid of examples goes.")] = None,
    per_class: Annotated[int, typer.Option(min=1, max=100, help="Examples of each class in the grid.")] = 10,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the examples drawn.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Show counts per class and split, pixel statistics, and write a grid of examples (default: NAME.png)."""
    from tenfold import pipeline, terminal

    with terminal.terminal_watcher() as watcher:
        dataset, summary = pipeline.show_data(data, set_ or (), watcher)
    target = png or Path(f"{dataset.name}.png")
    pipeline.write_class_grid(dataset, target, per_class, seed)
    if as_json:
        print(json.dumps({**summary, "png": str(target)}, indent=2, ensure_ascii=False))
    else:
        terminal.print_dataset(dataset, summary, target)


@command(data_app, "fetch", short="Download a public data set.")
def data_fetch(data: Annotated[str, typer.Argument(metavar="DATA", help=DATA)]) -> None:
    """Download a public data set into TENFOLD_DATA, unless it is there already."""
    from tenfold.data import open_dataset
    from tenfold.terminal import terminal_watcher

    with terminal_watcher() as watcher:
        dataset = open_dataset(data, fetch=True, log=watcher.log, progress=watcher.fetched)
    for name, split in dataset.splits().items():
        print(f"{name}: {len(split):,} images ({split.describe()})")


@command(app, short="Train three small models, offline, and compare them.")
def demo(runs: Runs = Path("runs")) -> None:
    """Train three small models on handwritten digits, offline, and compare them."""
    from tenfold import terminal
    from tenfold.demo import demo as run_demo

    with terminal.terminal_watcher() as watcher:
        result = run_demo(runs, watcher)
    terminal.print_leaderboard(result.rows)
    print(f"\ncomparison  {result.page}")
    for row in result.rows:
        print(f"report      {runs / row.run / 'report.html'}")


@command(app, short="Show the machine, the engine's choices, versions and data.")
def doctor(as_json: AsJson = False) -> None:
    """Show the machine, what the engine chose and why, versions, data sets and missing extras."""
    from tenfold import terminal
    from tenfold.environment import diagnose

    findings = diagnose()
    if as_json:
        print(json.dumps(findings, indent=2, ensure_ascii=False))
    else:
        terminal.print_findings(findings)


# ----------------------------------------------------------------------------------------------------


def _print_verdict(run: Run) -> None:
    from tenfold import terminal

    terminal.print_verdict(run)


def main() -> None:
    """The entry point of the `tenfold` command."""
    app()


if __name__ == "__main__":
    main()
