"""The leaderboard: ranks models by their score on the same test images and tests their differences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from tenfold.comparison.groups import comparable, eligible, found_at, grouped, require_comparable
from tenfold.comparison.leaderboard import Groups, Leaderboard, Pair, Row
from tenfold.comparison.pairs import Spread, compare_pairs, row_of, tied_with_best
from tenfold.comparison.tables import csv_text, markdown, table
from tenfold.errors import UsageError, type_of
from tenfold.evaluation.metrics import Metric, metric
from tenfold.run import Run
from tenfold.storage.files import write_whole

__all__ = [
    "Groups", "Leaderboard", "Pair", "Row", "compare", "compare_groups", "csv_text", "found_at", "markdown",
    "over_seeds", "table", "write_html",
]


def compare(runs: Run | str | Path | Sequence[Run | str | Path], by: str = "roc_auc") -> Leaderboard:
    """Rank models by the metric `by` (a name in `tenfold.registry.METRICS`) on the test split, best first; undefined
    values come last. Returns a Leaderboard.

    `runs` are Runs or paths of runs, of studies and of directories of runs. Runs that differ only in their seed are one
    model. Runs that are not finished, have no test metrics or repeat another run are left out and named in `left_out`.
    Raises UnknownNameError for an unknown metric; UsageError if no run remains, or if runs were evaluated on other
    classes or images than the first, with the reason for each.
    """
    if not isinstance(runs, Run | str | Path | Iterable):
        raise UsageError(f"runs: received {type_of(runs)}; expected Runs or paths of directories of runs")
    found, unfit = found_at([runs] if isinstance(runs, Run | str | Path) else list(runs))
    chosen, left_out = _chosen(found, by, unfit)
    require_comparable(chosen)
    return _ranked(chosen, by, left_out)


def compare_groups(runs: Sequence[Run], by: str = "roc_auc", left_out: Sequence[str] = ()) -> Groups:
    """Rank models as `compare` does, but separately for each combination of classes and test images.

    `left_out` are earlier sentences about runs that were left out, as `found_at` returns them. Raises
    UnknownNameError for an unknown metric; UsageError if no run remains.
    """
    chosen, left_out = _chosen(runs, by, left_out)
    kinds = comparable(chosen)
    if len(kinds) == 1:
        return Groups((_ranked(chosen, by, left_out),))
    return Groups(tuple(_ranked(kind, by) for kind in kinds), left_out)


def _chosen(runs: Sequence[Run], by: str, left_out: Sequence[str]) -> tuple[list[Run], tuple[str, ...]]:
    metric(by)  # reports an unknown metric before reading any file
    chosen, unfit = eligible(runs)
    left_out = (*left_out, *unfit)
    if not chosen:
        raise UsageError("; ".join(["runs: received no finished run with test metrics; expected at least one",
                                    *left_out]))
    return chosen, left_out


def _ranked(runs: Sequence[Run], by: str, left_out: Sequence[str] = ()) -> Leaderboard:
    """The leaderboard of runs that were evaluated on the same classes and images."""
    groups, repeated = grouped(runs)
    spreads = [Spread.of(group) for group in groups]
    ranked = sorted(((row_of(group, spread), spread) for group, spread in zip(groups, spreads, strict=True)),
                    key=lambda pair: _rank(pair[0], metric(by)))
    rows, spreads = [row for row, _ in ranked], [spread for _, spread in ranked]
    untested = [f"{row.model} is in no test: the predictions of a run are missing, NaN or infinite"
                for row, spread in ranked if not spread.known]
    pairs = compare_pairs(rows, spreads)
    return Leaderboard(tied_with_best(rows, pairs, by), by, (*left_out, *repeated, *untested), pairs)


def over_seeds(runs: Sequence[Run]) -> Row | None:
    """The summary of finished runs of one recipe with several seeds, as a row of a leaderboard.

    None if they have no test split, or if their recipes or data differ in more than the seed.
    """
    groups, _ = grouped(eligible(runs)[0])
    return row_of(groups[0], Spread.of(groups[0])) if len(groups) == 1 else None


def _rank(row: Row, by: Metric) -> tuple[bool, float]:
    value = row.metrics[by.name]["value"]
    if value is None:
        return True, 0.0
    return False, -value if by.higher_is_better else value


def write_html(board: Leaderboard, path: str | Path) -> Path:
    """Write the leaderboard as one self-contained HTML page. Raises StorageError."""
    from tenfold.comparison.tables import accuracies, cautions, facts
    from tenfold.report import html
    from tenfold.report.plots import Material, draw_all

    header, body = table(board)
    page = html.comparison(facts(board), header, body, ranked=2, intervals=accuracies(board),
                           cautions=[*cautions(board), *board.notes, *board.left_out], pairs=board.pairs, by=board.by,
                           plots=draw_all(Material(points=board.pareto)))
    return write_whole(Path(path), page)
