"""Print results and tables on standard output."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tenfold import csvfile
from tenfold.data.images import printable
from tenfold.registry import METRICS

if TYPE_CHECKING:  # imported on use: `tenfold predict` needs none of them
    from tenfold.bench import Measured
    from tenfold.comparison import Groups, Leaderboard, Row
    from tenfold.data.caches import Entry
    from tenfold.data.dataset import Dataset
    from tenfold.explanation import Explanation
    from tenfold.inspection import Inspection
    from tenfold.jobs.exploring import ExploredPage
    from tenfold.prediction import Prediction
    from tenfold.run import Run


UNLIMITED_WIDTH = 10_000  # columns, for files and pipes
CONFUSED = 3  # pairs of classes shown after `tenfold try`


class _Console(Console):
    def on_broken_pipe(self) -> None:
        raise BrokenPipeError  # Rich would exit with 1; the command decides the exit code


def _console() -> Console:
    """Standard output: as wide as the terminal; in files and pipes wide enough for any table."""
    return _Console(highlight=False, width=None if sys.stdout.isatty() else UNLIMITED_WIDTH)


def _print(*things: Any) -> None:
    _console().print(*things, soft_wrap=all(isinstance(thing, str) for thing in things))


def _table(*columns: str) -> Table:
    """A plain table; a column whose name starts with ">" is right-aligned."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column.removeprefix(">"), justify="right" if column.startswith(">") else "left",
                         overflow="fold")
    return table


def print_results(run: Run) -> None:
    """Print the metrics of a finished run and the path of its report."""
    from tenfold.evaluation.metrics import metric
    from tenfold.report import facts
    from tenfold.run import SplitRecord

    metrics = run.metrics()
    table = _table("metric", *(f">{escape(name)}" for name in metrics))
    for name in METRICS.names():
        entries = [scored.get(name, {}) for scored in metrics.values()]
        if any(entry.get("value") is not None for entry in entries):
            table.add_row(metric(name).title, *map(metric(name).text, entries))
    _print(table)
    described = run.environment().splits
    inspection = run.read_json("inspection.json") if run.has("inspection.json") else {}
    for split, scored in metrics.items():
        known = SplitRecord(scored.get("data") or described.get(split.removesuffix("_tta"), {}))
        of = f" of {known.expected:,}" if known.expected else ""
        part = f"{of}: PARTIAL" if known.partial else ""
        _print(f"[dim]{escape(split)}: {known.count:,} images{part} ({escape(known.source)})[/dim]")
        for note in [*scored.get("notes", []), *facts.seen_in_training(inspection, split)]:
            _print(f"[yellow]{escape(split)}: {escape(note)}[/yellow]")
    _print(f"report  {escape(str(run.path / 'report.html'))}")


def print_first_verdict(run: Run, data: str) -> None:
    """Print the result of `tenfold try` in a few lines, and what to do next."""
    from tenfold.evaluation.metrics import metric
    from tenfold.report import facts

    test, dataset = run.metrics()["test"], run.environment()["dataset"]
    classes, accuracy = dataset["classes"], metric("accuracy")
    _print(f"accuracy  [bold]{accuracy.text(test['accuracy'])}[/bold] on {test['count']:,} test images in "
           f"{len(classes):,} classes")
    for number, (count, true, predicted) in enumerate(_confused(test["confusion_matrix"])[:CONFUSED]):
        pair = f"{escape(classes[true])} predicted as {escape(classes[predicted])}"
        _print(f"{'' if number else 'confused':<10}{pair}: {count:,} of {sum(test['confusion_matrix'][true]):,}")
    inspection = run.read_json("inspection.json") if run.has("inspection.json") else {}
    for caution in facts.cautions(run.status(), dataset["splits"], run.metrics(), inspection):
        _print(f"[yellow]{escape(caution)}[/yellow]")
    _print(escape(facts.doubled(run.learning_curve())))
    _print(f"report    {escape(str(run.path / 'report.html'))}\n")
    table = _table("next", "")
    table.add_row(f"tenfold predict {escape(str(run.path))} IMAGE", "classify other images")
    table.add_row(f"tenfold explain {escape(str(run.path))}", "look at all errors")
    table.add_row(f"tenfold train photos --data {escape(data)}", "train longer, for a better model")
    _print(table)


def _confused(matrix: Sequence[Sequence[int]]) -> list[tuple[int, int, int]]:
    """(images, true class, predicted class) of the confused pairs, most images first."""
    pairs = [(count, true, predicted) for true, row in enumerate(matrix) for predicted, count in enumerate(row)
             if count and true != predicted]
    return sorted(pairs, key=lambda pair: -pair[0])


def print_calibration(calibration: Mapping[str, Any]) -> None:
    """Print the fitted temperature and the metrics of each split before and after."""
    from tenfold.report import facts

    _print(f"\n{facts.temperature(calibration)}")
    table = _table("split", "metric", ">before", ">after")
    for row in facts.calibration_rows(calibration):
        table.add_row(*map(escape, row))
    _print(table)


def print_decisions(decisions: Mapping[str, Any]) -> None:
    """Print what the decision rules promise and how they did on the test split."""
    from tenfold.report.decisions import sentences, set_rows

    for sentence in sentences(decisions):
        _print(escape(sentence))
    _print_fitted(*set_rows(decisions))


def print_corruptions(corruptions: Mapping[str, Any]) -> None:
    """Print the accuracy by corruption and severity, and the overall mean."""
    from tenfold.evaluation.metrics import metric
    from tenfold.report import facts

    table = _table("corruption", *(f">{severity}" for severity in (1, 2, 3, 4, 5)))
    for each in corruptions["corruptions"].values():
        table.add_row(each["title"], *map(metric("accuracy").value_text, each["accuracy"]))
    _print(f"\n{facts.robustness(corruptions)}")
    _print(table)


def print_groups(groups: Groups) -> None:
    """Print a leaderboard for each group of comparable models, then the runs left out and the reasons."""
    from tenfold.comparison.tables import facts as about

    for number, board in enumerate(groups.boards, 1):
        if len(groups.boards) > 1:
            title = ", ".join(f"{name} {value}" for name, value in about(board)[:2])
            _print(f"{chr(10) * (number > 1)}[bold]group {number}: {escape(title)}[/bold]")
        print_leaderboard(board)
    if groups.left_out:
        _print("")
    for sentence in groups.left_out:
        _print(f"[dim]{escape(sentence)}[/dim]")


def print_over_seeds(row: Row) -> None:
    """Print the results of a recipe over several seeds, or over the folds of a cross-validation."""
    from tenfold.comparison.leaderboard import FEW_SEEDS
    from tenfold.comparison.tables import seed_table

    over = f"{row.folds} folds, {row.test['count']:,} images" if row.folds else f"{len(row.runs)} seeds, test split"
    _print(f"\n[bold]{escape(row.model)} over {over}[/bold]")
    header, body = seed_table(row)
    table = _table(*header)
    for cells in body:
        table.add_row(*map(escape, cells))
    _print(table)
    if len(row.runs) == 2:
        _print(f"[yellow]{escape(FEW_SEEDS.format(names=row.model))}[/yellow]")


def print_search(results: Mapping[str, Any], best: Path) -> None:
    """Print the verdict of a search, and where its recipe is."""
    from tenfold.report.search import verdict

    table = _table("", "")
    for name, sentence in verdict(results):
        table.add_row(escape(name), escape(sentence))
    _print(table)
    _print(f"\nrecipe  {escape(str(best))}")


def print_leaderboard(board: Leaderboard) -> None:
    """Print the models, best first, the tests of their differences, and the runs left out with the reasons."""
    from tenfold.comparison import table as leaderboard
    from tenfold.comparison.tables import pair_table

    hidden = _print_fitted(*leaderboard(board))
    if board.pairs:
        _print("\n[bold]differences on the same test images[/bold]")
        hidden += _print_fitted(*pair_table(board))
        _print("[dim]brackets: 95 % confidence intervals; p-values: Holm-corrected, from McNemar's test for the "
               "accuracy of single runs[/dim]")
    if hidden:
        _print(f"[dim]columns left out for lack of space: {escape(', '.join(dict.fromkeys(hidden)))} "
               "(see `tenfold compare --json`)[/dim]")
    for sentence in board.notes:
        _print(f"[yellow]{escape(sentence)}[/yellow]")
    for sentence in board.left_out:
        _print(f"[dim]{escape(sentence)}[/dim]")


TEXT_COLUMNS = ("model", "tied", "better", "than")  # columns of a comparison that hold text; the others hold numbers


def _print_fitted(header: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    """Print a table without the columns that do not fit into the terminal; return the names of these columns."""
    keep, hidden = _fitting(header, body, _console().width)
    table = _table(*(header[i] if header[i] in TEXT_COLUMNS else f">{header[i]}" for i in keep))
    for row in body:
        table.add_row(*(escape(row[i]) for i in keep))
    _print(table)
    return hidden


def _fitting(header: Sequence[str], body: Sequence[Sequence[str]], width: int) -> tuple[list[int], list[str]]:
    """(indices of the columns that fit into `width`, names of the others).

    The first four columns are always kept; the last ones are dropped first.
    """
    widths = [max(len(name), *(len(row[i]) for row in body)) for i, name in enumerate(header)]
    keep = list(range(len(header)))
    while len(keep) > 4 and sum(widths[i] + 2 for i in keep) - 2 > width:
        keep.pop()
    return keep, list(header[len(keep):])


def print_predictions(predictions: Sequence[Prediction]) -> None:
    """Print a row for each image: the two most probable classes, the prediction set and the decision if the model has
    rules; a star if the image is unlike the training images.
    """
    decided = any(prediction.decision for prediction in predictions)
    table = _table("image", "class", ">probability", "next", ">probability", *(("set", "decision") if decided else ()))
    for prediction in predictions:
        if prediction.error:
            table.add_row(escape(printable(prediction.name)), "–", "–", "unreadable", *[""] * (3 if decided else 1))
            continue
        ranked = sorted(prediction.probabilities.items(), key=lambda item: -item[1])[:2]
        cells = [cell for name, p in ranked for cell in (escape(name), f"{100 * p:.1f} %")]
        if decided:
            cells += [escape(", ".join(prediction.set or ())), prediction.decision or ""]
        table.add_row(escape(printable(prediction.name)) + " *" * prediction.unlike, *cells)
    _print(table)
    if any(prediction.unlike for prediction in predictions):
        _print("[dim]* unlike the training images in brightness or contrast: the probabilities may mean nothing[/dim]")


def print_explanation(explanation: Explanation) -> None:
    """Print a row for each explained image or error, and the path of the index page."""
    explained = [entry for entry in explanation.entries if "predicted" in entry]
    errors = any("true" in entry for entry in explained)
    table = _table("picture", "true" if errors else "image", "predicted", ">probability")
    for entry in explained:
        table.add_row(entry["file"], escape(entry["true"] if errors else entry["path"]), escape(entry["predicted"]),
                      f"{100 * entry['probability']:.1f} %")
    if explained:
        _print(table)
    _print(f"index  {escape(str(explanation.index))}")


def print_bench(found: Sequence[Measured]) -> None:
    """Print a row for each runtime and batch size, then one for each runtime."""
    table = _table("runtime", ">batch", ">images/s", ">lowest", ">highest", ">p50 ms", ">p95 ms", ">p99 ms")
    for each in found:
        for speed in each.speeds:
            table.add_row(each.runtime, f"{speed.batch:,}", f"{speed.images_per_second:,.0f}", f"{speed.low:,.0f}",
                          f"{speed.high:,.0f}", f"{speed.p50:.2f}", f"{speed.p95:.2f}", f"{speed.p99:.2f}")
    _print(table)
    _print("")
    table = _table("runtime", ">start-up", ">memory", ">file", ">same class", ">largest difference")
    for each in found:
        memory = "–" if each.memory is None else f"{each.memory:,.0f} MiB"
        start_up = "–" if each.start_up is None else f"{each.start_up:.2f} s"
        table.add_row(each.runtime, start_up, memory, f"{each.size / 1e6:,.2f} MB",
                      f"{100 * each.agreement.same:.2f} %", f"{each.agreement.largest:.1e}")
    _print(table)
    _print("[dim]start-up and memory: `tenfold predict` for one image; difference: to the probabilities of the runtime "
           "keras[/dim]")


def print_csv(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows as CSV, with every column that occurs in a row."""
    print(csvfile.text(rows), end="")


def print_recipes(facts: Mapping[str, Mapping[str, str]]) -> None:
    """Print a line for each shipped recipe: measured accuracy and seconds, and the description as far as it fits."""
    table = _table("recipe", "accuracy", ">seconds")
    table.add_column("description", no_wrap=True, overflow="ellipsis", max_width=_console().width - 44)
    for name, header in facts.items():
        accuracy = header.get("accuracy", "not measured").partition(" (")[0].partition(" with")[0]
        seconds = header.get("seconds", "–").partition(" ")[0]
        table.add_row(name, escape(accuracy), escape(seconds if seconds[:1].isdigit() else "–"),
                      escape(header["title"]))
    _print(table)
    _print("[dim]`tenfold recipes NAME` shows the whole recipe[/dim]")


def print_runs(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print a line for each run: its data, status, test accuracy and age."""
    from tenfold.evaluation.metrics import metric

    if not rows:
        _print("no runs here; create one with `tenfold train RECIPE --data DATA`")
        return
    table = _table("run", "data", "status", ">epochs", "test accuracy", "age")
    for row in rows:
        accuracy = metric("accuracy").text(row["accuracy"] or {})
        table.add_row(escape(row["run"]), escape(row["data"]), row["status"], f"{row['epochs']:,}", accuracy,
                      _age(row["age_seconds"]))
    _print(table)


def _age(seconds: float) -> str:
    """An age in its largest unit, as in "3 hours ago"."""
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            count = int(seconds // length)
            return f"{count} {unit}{'s' * (count > 1)} ago"
    return "just now"


def print_studies(titles: Mapping[str, str]) -> None:
    """Print a row for each shipped study: name and description."""
    table = _table("study", "description")
    for name, title in titles.items():
        table.add_row(name, escape(title))
    _print(table)


def print_catalogue(found: Mapping[str, Mapping[str, Any]], root: Path) -> None:
    """Print a row for each known data set: name, description, location; then the options of those that have any."""
    table = _table("data set", "description", "location")
    for name, entry in found.items():
        table.add_row(name, escape(entry["description"]), escape(entry["where"] or "not here"))
    _print(table)
    for name, entry in found.items():
        if entry["options"]:
            example = ",".join(f"{key}={option['default']}" for key, option in entry["options"].items())
            _print(f"\noptions of {escape(name)}, with their defaults: --data {escape(f'{name}:{example}')}")
            options = _table("option", "meaning", "expected")
            for key, option in entry["options"].items():
                options.add_row(escape(key), escape(option["meaning"]), escape(option["expected"]))
            _print(options)
    _print(f"\ndirectory searched: {escape(str(root))} (set TENFOLD_DATA to use another one)")


def print_caches(removed: Sequence[Entry], kept: Sequence[Entry], clear: bool) -> None:
    """Print a row for each entry of the caches; after clearing, what was removed and what is in use and stays."""
    if kept:
        table = _table("cache", "data set", ">images", "size of one", ">on disk", "age", "state", "key")
        for entry in kept:
            count, shape = (f"{entry.shape[0]:,}", "×".join(map(str, entry.shape[1:]))) if entry.shape else ("?", "?")
            table.add_row(entry.kind, escape(printable(entry.name) or "unknown"), count, shape,
                          _disk_size(entry.size), _age(time.time() - entry.changed), entry.state, entry.key[:12])
        _print(table)
    if clear:
        _print(f"removed {len(removed):,} of {len(removed) + len(kept):,}, {_disk_size(sum(e.size for e in removed))}"
               + ("; a process is using the others" if kept else ""))
    else:
        _print(f"{len(kept):,} in the caches, {_disk_size(sum(entry.size for entry in kept))}")


def print_inspection(found: Inspection) -> None:
    """Print a row for each kind of finding, and what was not looked for."""
    table = _table("finding", ">number", "what it is", "example", "")
    for row in found.rows():
        table.add_row(*map(escape, row))
    _print(escape(found.heading()))
    _print(table if found.findings else "nothing found")
    for sentence in found.not_looked_for():
        _print(f"[yellow]{escape(sentence)}[/yellow]")


def print_explored(found: ExploredPage) -> None:
    """Print what the page shows, what it lacks, and where it is."""
    _print(escape(found.heading()))
    for note in found.notes:
        _print(f"[yellow]{escape(note)}[/yellow]")
    _print(f"page   {escape(str(found.page))}  {_disk_size(found.size)}")
    if found.plots:
        _print(f"plots  {escape(str(found.plots[0].parent))}  {len(found.plots)} PNG files")


def _disk_size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count < 1e9 else f"{count / 1e9:,.1f} GB"


def print_dataset(dataset: Dataset, summary: Mapping[str, Any], png: Path | None) -> None:
    """Print counts per class and split, pixel statistics, the source of each split, and where the examples are."""
    splits = dataset.splits()
    height, width, channels = dataset.shape
    _print(f"[bold]{escape(dataset.name)}[/bold]  {len(dataset.classes)} classes, "
           f"{height}×{width} pixels, {channels} channel{'s' if channels > 1 else ''}")
    for name, split in splits.items():
        _print(f"  {name}: {len(split):,} images ({escape(split.describe())})")
    table = _table("class", *(f">{name}" for name in splits))
    for label in dataset.classes:
        table.add_row(escape(label), *(f"{summary['splits'][name]['counts'][label]:,}" for name in splits))
    _print(table)
    for name in splits:
        facts = summary["splits"][name]
        _print(f"{name} pixels: mean {_numbers(facts['mean'])}, sd {_numbers(facts['sd'])} (of 255, by channel)")
    _print(f"examples  {escape(str(png))}" if png else "[dim]--png FILE draws examples of every class[/dim]")


def _numbers(values: Sequence[float]) -> str:
    return " ".join(f"{value:.1f}" for value in values)


def print_findings(findings: Mapping[str, Mapping[str, Any]]) -> None:
    """Print sections of keys and values."""
    for section, facts in findings.items():
        _print(f"[bold]{escape(section)}[/bold]")
        width = max(map(len, facts), default=0)
        for key, value in facts.items():
            text = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
            _print(f"  {escape(key):<{width}}  {escape(text) or 'none'}")
