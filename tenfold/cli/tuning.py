"""The command that searches for the best recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tenfold.cli.command import Data, Set, app, command


@command(app, short="Search for the best recipe.")
def tune(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="The recipe that the search begins from: a shipped "
                                          "recipe's name or a TOML file.")],
    data: Data = None,
    set_: Set = None,
    space: Annotated[Path | None, typer.Option("--space", metavar="FILE", help="TOML file with a [search] table. "
                                               "Default: the space for the recipe's model.")] = None,
    show: Annotated[bool, typer.Option("--show", help="Print the search space and exit.")] = False,
) -> None:
    """Search for the recipe with the best validation score."""
    from tenfold.recipe import text
    from tenfold.search.space import Space, read

    given = {} if data is None else {"data.source": data}
    start = text.load(recipe, set_ or (), given)
    Space.load(start, space)
    if show:
        print(read(start, space)[1], end="")
