"""Runs beside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from tenfold.counted import counted
from tenfold.terminal.console import age, show, show_fitted, table_of

if TYPE_CHECKING:  # imported on use: `tenfold predict` needs none of them
    from tenfold.comparison import Groups, Leaderboard, Row


def print_groups(groups: Groups) -> None:
    """Print a leaderboard for each group of comparable models, then the runs left out and the reasons."""
    from tenfold.comparison.tables import facts as about

    for number, board in enumerate(groups.boards, 1):
        if len(groups.boards) > 1:
            title = ", ".join(f"{name} {value}" for name, value in about(board)[:2])
            show(f"{chr(10) * (number > 1)}[bold]group {number}: {escape(title)}[/bold]")
        print_leaderboard(board)
    if groups.apart:
        show(f"\n[yellow]{escape(groups.apart)}[/yellow]")
    if groups.left_out:
        show("")
    for sentence in groups.left_out:
        show(f"[dim]{escape(sentence)}[/dim]")


def print_over_seeds(row: Row) -> None:
    """Print the results of a recipe over several seeds, or over the folds of a cross-validation."""
    from tenfold.comparison.leaderboard import FEW_SEEDS
    from tenfold.comparison.tables import seed_table

    over = f"{row.folds} folds, {counted(row.test['count'], 'image')}" if row.folds else \
        f"{counted(len(row.runs), 'seed')}, test split"
    show(f"\n[bold]{escape(row.model)} over {over}[/bold]")
    header, body = seed_table(row)
    table = table_of(*header)
    for cells in body:
        table.add_row(*map(escape, cells))
    show(table)
    if len(row.runs) == 2:
        show(f"[yellow]{escape(FEW_SEEDS.format(names=row.model))}[/yellow]")


def print_search(results: Mapping[str, Any], best: Path) -> None:
    """Print the verdict of a search, and where its recipe is."""
    from tenfold.report.search import verdict

    table = table_of("", "")
    for name, sentence in verdict(results):
        table.add_row(escape(name), escape(sentence))
    show(table)
    show(f"\nrecipe  {escape(str(best))}")


def print_leaderboard(board: Leaderboard) -> None:
    """Print the models, best first, the tests of their differences, and the runs left out with the reasons."""
    from tenfold.comparison import table as leaderboard
    from tenfold.comparison.tables import pair_table

    hidden = show_fitted(*leaderboard(board))
    if board.pairs:
        show("\n[bold]differences on the same test images[/bold]")
        hidden += show_fitted(*pair_table(board))
        show("[dim]brackets: 95 % confidence intervals; p-values: Holm-corrected, from McNemar's test for the "
               "accuracy of single runs[/dim]")
    if hidden:
        show(f"[dim]columns left out for lack of space: {escape(', '.join(dict.fromkeys(hidden)))} "
               "(see `tenfold compare --json`)[/dim]")
    for sentence in board.notes:
        show(f"[yellow]{escape(sentence)}[/yellow]")
    for sentence in board.left_out:
        show(f"[dim]{escape(sentence)}[/dim]")


def print_runs(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print a line for each run: its data, status, test accuracy and age."""
    from tenfold.evaluation.metrics import metric

    if not rows:
        show("no runs here; create one with `tenfold train RECIPE --data DATA`")
        return
    table = table_of("run", "data", "status", ">epochs", "test accuracy", "age")
    for row in rows:
        accuracy = metric("accuracy").text(row["accuracy"] or {})
        table.add_row(escape(row["run"]), escape(row["data"]), row["status"], f"{row['epochs']:,}", accuracy,
                      age(row["age_seconds"]))
    show(table)
