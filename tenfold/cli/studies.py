"""The command that trains and compares a list of recipes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tenfold.cli.command import AsJson, Data, On, Runs, Set, Workers, app, command, print_json, watching
from tenfold.errors import UsageError


@command(app, short="Train a list of recipes and compare them.")
def study(
    study: Annotated[str | None, typer.Argument(metavar="[NAME|FILE]", help="Shipped study or TOML file; without it, "
                                                "list the shipped studies.")] = None,
    data: Data = None,
    seeds: Annotated[int | None, typer.Option(min=1, max=1000, help="Train each model this many times.")] = None,
    by: Annotated[str | None, typer.Option("--by", metavar="METRIC", help="The metric to rank by.")] = None,
    set_: Set = None,
    show: Annotated[bool, typer.Option("--show", help="Print the study's TOML and exit.")] = False,
    resume: Annotated[bool, typer.Option(
        "--resume", help="Resume the last study with that name, if there is one.")] = False,
    runs: Runs = Path("runs"),
    workers: Workers = None,
    on: On = None,
    as_json: AsJson = False,
) -> None:
    """Train and evaluate a list of recipes on the same data and compare them."""
    from tenfold import terminal
    from tenfold.study import conduct, read, titles

    if study is None:
        if show or set_:
            raise UsageError("--show and --set need a study; name one, as in `tenfold study quick --show`")
        terminal.print_studies(titles())
        return
    if show:
        if set_ or data or seeds or by or resume:
            raise UsageError("--show prints the study as its file has it; expected no other option; leave out --show, "
                             "or the others")
        print(read(study)[1], end="")
        return
    with watching() as watcher:
        outcome = conduct(study, data, seeds, by=by, runs=runs, resume=resume, overrides=set_ or (),
                          workers=workers, on=on, watcher=watcher)
    if as_json:
        print_json(outcome.board.to_dict())
    else:
        terminal.print_leaderboard(outcome.board)
        print(f"\ncomparison  {outcome.page}")
