"""The command that searches for the best recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tenfold.cli.command import AsJson, Data, On, Runs, Set, app, command, print_json, watching


@command(app, short="Search for the best recipe.")
def tune(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="The recipe that the search begins from: a shipped "
                                          "recipe's name or a TOML file.")],
    data: Data = None,
    set_: Set = None,
    trials: Annotated[int, typer.Option(min=1, help="Number of trials.")] = 50,
    minutes: Annotated[float | None, typer.Option(min=0.0, help="Start no trial after this many minutes of "
                                                  "training.")] = None,
    by: Annotated[str, typer.Option("--by", metavar="METRIC", help="The metric of the validation split that chooses "
                                    "the best recipe.")] = "roc_auc",
    space: Annotated[Path | None, typer.Option("--space", metavar="FILE", help="TOML file with a [search] table. "
                                               "Default: the space for the recipe's model.")] = None,
    show: Annotated[bool, typer.Option("--show", help="Print the search space and exit.")] = False,
    sampler: Annotated[str, typer.Option(help="How values are drawn: tpe, random, grid or gp.")] = "tpe",
    pruner: Annotated[str, typer.Option(help="How trials are ended early: halving, percentile or none.")] = "halving",
    folds: Annotated[int | None, typer.Option(min=3, max=1000, metavar="K", help="Rank trials by the mean score over "
                                              "this many folds of the training images, instead of by the validation "
                                              "split.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, max=1024, help="Train this many trials at a time, which share "
                                                "the threads. Default: one for each thread.")] = None,
    final_seeds: Annotated[int, typer.Option(min=1, max=1000, help="Train the chosen recipe this many times for the "
                                             "test score.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the search.")] = 0,
    storage: Annotated[str | None, typer.Option(metavar="URL", help="Store the trials in PostgreSQL: "
                                                "postgresql://USER@HOST/DATABASE.")] = None,
    on: On = None,
    new: Annotated[bool, typer.Option("--new", help="Begin another search of that name.")] = False,
    runs: Runs = Path("runs"),
    name: Annotated[str | None, typer.Option("--name", help="Name of the search; a number is appended. Default: "
                                             "search-<recipe>-<data set>.")] = None,
    as_json: AsJson = False,
) -> None:
    """Search for the recipe with the best validation score, then train it again with new seeds and score it on the test
    split.

    The same command continues an interrupted search.
    """
    from tenfold import search, terminal
    from tenfold.recipe import text
    from tenfold.search.space import Space, read

    start = text.load(recipe, set_ or (), {} if data is None else {"data.source": data})
    searched = Space.load(start, space)
    if show:
        print(read(start, space)[1], end="")
        return
    with watching() as watcher:
        found = search.tune(start, trials=trials, minutes=minutes, by=by, space=searched, sampler=sampler,
                            pruner=pruner, folds=folds, workers=workers, final_seeds=final_seeds, seed=seed,
                            storage=storage, on=on, new=new, runs=runs, name=name, watcher=watcher)
    if as_json:
        print_json(found.results)
    else:
        terminal.print_search(found.results, found.best)
        print(f"page    {found.page}")
