"""A leaderboard as text: tables for terminals and pages, CSV, Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tenfold import csvfile
from tenfold.comparison.leaderboard import Leaderboard, Pair, Row
from tenfold.evaluation.metrics import metric
from tenfold.registry import METRICS
from tenfold.report.facts import p_text

SHOWN = ("accuracy", "loss", "f1_macro", "roc_auc", "ece")  # besides the ranking metric
DASH = "–"


def table(board: Leaderboard) -> tuple[list[str], list[list[str]]]:
    """(header, body) as text: model, number of runs, ranking metric, tied with the best or not, other columns."""
    names = [board.by, *(name for name in SHOWN if name != board.by)]
    titles = [metric(name).short for name in names]
    header = ["model", "n", titles[0], "tied", *titles[1:], "seconds", "images/s", "parameters", "MB"]
    return header, [
        [row.model, str(len(row.runs)), _text(row, names[0]), _tied(row, board), *(_text(row, n) for n in names[1:]),
         f"{row.seconds:,.1f}", _count(row.images_per_second), _count(row.parameters),
         DASH if row.model_bytes is None else f"{row.model_bytes / 1e6:.1f}"]
        for row in board.rows
    ]


def seed_table(row: Row) -> tuple[list[str], list[list[str]]]:
    """(header, body) as text: each defined metric with its interval.

    Over seeds: the mean ± the standard deviation. Of a cross-validation: the value over all images ± the standard
    deviation over the folds.
    """
    names = [name for name in METRICS.names() if row.metrics[name]["value"] is not None]
    return ["metric", "all images ± sd over folds" if row.folds else "mean ± sd", "95 % interval"], [
        [metric(name).title, _with_deviation(row, name), metric(name).interval_text(row.metrics[name])]
        for name in names]


def pair_table(board: Leaderboard) -> tuple[list[str], list[list[str]]]:
    """(header, body) as text: each pair, its differences in the ranking metric and in accuracy, their p-values."""
    names = list(dict.fromkeys([board.by, "accuracy"]))
    header = ["better", "than"]
    for name in names:
        header += [f"{metric(name).short} by", "p (Holm)"]
    return header, [[pair.first, pair.second, *(cell for name in names for cell in _difference(pair, name))]
                    for pair in board.pairs]


def _difference(pair: Pair, name: str) -> tuple[str, str]:
    known, entry = metric(name), pair.differences[name]
    if entry["value"] is None:
        return DASH, DASH
    text = f"{known.number(entry['value'], '+')} {known.interval_text(entry, '+')}"
    return text, p_text(pair.test(name)["p_holm"])


def _text(row: Row, name: str) -> str:
    return f"{_with_deviation(row, name)} {metric(name).interval_text(row.metrics[name])}".rstrip()


def _with_deviation(row: Row, name: str) -> str:
    known, entry = metric(name), row.metrics[name]
    deviation = entry.get("sd")
    return known.value_text(entry) + ("" if deviation is None else f" ± {known.number(deviation)}")


def _tied(row: Row, board: Leaderboard) -> str:
    if row is board.rows[0]:
        return DASH if row.metrics[board.by]["value"] is None else "best"
    return {True: "tied", False: "no", None: DASH}[row.tied]


def _count(value: float | None) -> str:
    return DASH if value is None else f"{value:,.0f}"


def csv_text(*boards: Leaderboard) -> str:
    """CSV with a line for each model and columns for value, low, high and sd of every metric.

    With several leaderboards, the first columns are the number of the group and the data set.
    """
    rows: list[dict[str, Any]] = []
    for group, board in enumerate(boards, 1):
        for row in csv_rows(board):
            rows.append(row if len(boards) == 1 else {"group": group, "dataset": board.rows[0].dataset, **row})
    return csvfile.text(rows)


def csv_rows(board: Leaderboard) -> Iterator[dict[str, Any]]:
    """The lines of the CSV: a dictionary for each model."""
    for place, row in enumerate(board.rows, 1):
        cells = {f"{name}{suffix}": row.metrics[name][key] for name in METRICS.names()
                 for key, suffix in (("value", ""), ("low", "_low"), ("high", "_high"), ("sd", "_sd"))}
        yield {"place": place, "model": row.model, "n": len(row.runs), "tied": row.tied, **cells,
               "seconds": row.seconds, "images_per_second": row.images_per_second,
               "parameters": row.parameters, "model_bytes": row.model_bytes, "machine": row.machine,
               "runs": " ".join(row.runs)}


def markdown(board: Leaderboard) -> str:
    """The leaderboard and the pairs as Markdown tables, with the data set and the test images."""
    lines = [f"{'; '.join(f'{name}: {value}' for name, value in facts(board))}.", ""]
    lines += _markdown(*table(board))
    if board.pairs:
        lines += ["", *_markdown(*pair_table(board))]
    said = [*board.notes, *(f"{sentence}." for sentence in board.left_out)]
    return "\n".join([*lines, *(f"\n{sentence}" for sentence in said)]) + "\n"


def _markdown(header: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *body)]


def facts(board: Leaderboard) -> list[tuple[str, str]]:
    """(name, value): facts that all models share."""
    if not board.rows:
        return []
    first = board.rows[0]
    count, expected = first.test.get("count"), first.test.get("expected")
    of = f" of {expected:,}" if first.test.get("partial") and expected else ""
    machines = " / ".join(dict.fromkeys(row.machine for row in board.rows if row.machine))
    return [("data set", first.dataset), ("test images", DASH if count is None else f"{count:,}{of}"),
            ("ranked by", metric(board.by).title), *([("images/s on", machines)] if machines else [])]


def cautions(board: Leaderboard) -> list[str]:
    """Warnings about the test split of all models: partial or held out."""
    from tenfold.report.cautions import cautions as of_run

    return of_run({"status": "finished"}, {"test": board.rows[0].test}, {}) if board.rows else []


def accuracies(board: Leaderboard) -> list[tuple[str, float, float, float, str]]:
    """(model, low, value, high, text) of each accuracy with a known interval."""
    found = []
    for row in board.rows:
        entry = row.metrics["accuracy"]
        low, value, high = (entry[key] for key in ("low", "value", "high"))
        if low is not None and value is not None and high is not None:
            found.append((row.model, low, value, high, metric("accuracy").text(entry)))
    return found
