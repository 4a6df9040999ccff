"""What the command shows: progress on standard error, tables on standard output."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from tenfold import csvfile
from tenfold.comparison import Leaderboard
from tenfold.comparison import table as leaderboard
from tenfold.comparison.tables import pair_table
from tenfold.evaluation.metrics import metric
from tenfold.pipeline import Watcher
from tenfold.recipe import Recipe
from tenfold.registry import METRICS
from tenfold.run import Run

if TYPE_CHECKING:
    from tenfold.data.dataset import Dataset
    from tenfold.explanation import Explanation
    from tenfold.prediction import Prediction


BAR = 24  # columns: a bar as wide as the terminal would leave a trace behind the "^C" of an interrupt


def terminal_watcher() -> LineWatcher:
    """A watcher for standard error: a live bar on a terminal, a line an epoch elsewhere."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    return BarWatcher(console) if console.is_terminal else LineWatcher(console)


class LineWatcher(Watcher):
    """A line for each message and each epoch. A context manager, so that a bar can be put away."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.epochs = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def log(self, message: str) -> None:
        self.console.print(escape(message))

    def start(self, recipe: Recipe, run: Run, steps: int) -> None:
        self.epochs = recipe.train.all_epochs
        self.log(f"training {recipe.name} → {run.path}")

    def epoch(self, record: dict[str, float]) -> None:
        loss, accuracy = f"loss {record['loss']:.3f}", f"accuracy {record['accuracy']:.1%}"
        if "val_loss" in record:
            loss += f", val {record['val_loss']:.3f}"
            accuracy += f", val {record['val_accuracy']:.1%}"
        self.log(f"epoch {int(record['epoch']):>{len(str(self.epochs))}}/{self.epochs}  {loss}  {accuracy}  "
                 f"{record['seconds']:.1f} s  {record['images_per_second']:,.0f}/s")  # within 80 columns


class BarWatcher(LineWatcher):
    """The same, with a live bar of the steps and the time left."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def __exit__(self, *_: object) -> None:
        self._close()

    def start(self, recipe: Recipe, run: Run, steps: int) -> None:
        super().start(recipe, run, steps)
        self._open(TextColumn("{task.description}"), BarColumn(BAR), TextColumn("{task.percentage:>3.0f} %"),
                   TextColumn("loss {task.fields[loss]:.3f}"), TimeRemainingColumn(), TextColumn("left"),
                   total=self.epochs, description=f"epoch 1/{self.epochs}", loss=float("nan"))

    def step(self, epoch: int, step: int, steps: int, loss: float) -> None:
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=epoch - 1 + step / steps, loss=loss,
                                  description=f"epoch {epoch}/{self.epochs}")

    def log(self, message: str) -> None:
        if message.startswith("evaluating"):
            self._close()
        super().log(message)

    def fetched(self, done: int, total: int | None) -> None:
        if self._progress is None:
            self._open(TextColumn("{task.description}"), BarColumn(BAR), DownloadColumn(), TimeRemainingColumn(),
                       total=total, description="downloading")
        assert self._progress is not None
        assert self._task is not None
        self._progress.update(self._task, completed=done, total=total)
        if done == total:
            self._close()

    def _open(self, *columns: Any, total: float | None, description: str, **fields: Any) -> None:
        self._close()
        self._progress = Progress(*columns, console=self.console, transient=True)
        self._task = self._progress.add_task(description, total=total, **fields)
        self._progress.start()

    def _close(self) -> None:
        if self._progress is not None:
            self._progress.stop()
        self._progress = self._task = None


# ----------------------------------------------------------------------------------------------------
# results


class _Console(Console):
    def on_broken_pipe(self) -> None:
        raise BrokenPipeError  # Rich would exit with 1; what it means is the command's to say


def _console() -> Console:
    """Standard output: as wide as the terminal, wide enough for every table elsewhere."""
    return _Console(highlight=False, width=None if sys.stdout.isatty() else 200)


def _print(*things: Any) -> None:
    _console().print(*things, soft_wrap=all(isinstance(thing, str) for thing in things))


def _table(*columns: str) -> Table:
    """A plain table; a column whose name starts with ">" is right-aligned."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column.removeprefix(">"), justify="right" if column.startswith(">") else "left",
                         overflow="fold")
    return table


def print_verdict(run: Run) -> None:
    """The metrics of a finished run and where its report lies."""
    metrics = run.metrics()
    table = _table("metric", *(f">{escape(name)}" for name in metrics))
    for name in METRICS.names():
        texts = [metric(name).text(scored.get(name)) for scored in metrics.values()]
        if set(texts) != {"–"}:
            table.add_row(name, *texts)
    _print(table)
    described = run.environment()["dataset"]["splits"]
    for split, scored in metrics.items():
        facts = scored.get("data") or described[split.removesuffix("_tta")]
        of = f" of {facts['expected']:,}" if facts["expected"] else ""
        part = f"{of}: PARTIAL" if facts["partial"] else ""
        _print(f"[dim]{escape(split)}: {facts['count']:,} images{part} ({escape(facts['source'])})[/dim]")
        for note in scored.get("notes", []):
            _print(f"[yellow]{escape(split)}: {escape(note)}[/yellow]")
    _print(f"report  {escape(str(run.path / 'report.html'))}")


def print_calibration(calibration: Mapping[str, Any]) -> None:
    """The fitted temperature and what it changes on each split."""
    from tenfold.report import facts

    _print(f"\n{facts.temperature(calibration)}")
    table = _table("split", "metric", ">before", ">after")
    for row in facts.calibration_rows(calibration):
        table.add_row(*map(escape, row))
    _print(table)


def print_corruptions(corruptions: Mapping[str, Any]) -> None:
    """Accuracy by corruption and severity, and the mean of all."""
    from tenfold.report import facts

    table = _table("corruption", *(f">{severity}" for severity in (1, 2, 3, 4, 5)))
    for each in corruptions["corruptions"].values():
        table.add_row(each["title"], *(f"{100 * entry['value']:.1f} %" for entry in each["accuracy"]))
    _print(f"\n{facts.robustness(corruptions)}")
    _print(table)


def print_leaderboard(board: Leaderboard) -> None:
    """Models, best first; the tests of their differences; what was left out, and why."""
    hidden = _print_fitted(*leaderboard(board))
    if board.pairs:
        _print("\n[bold]differences on the same test images[/bold]")
        hidden += _print_fitted(*pair_table(board))
        _print("[dim]brackets: 95 % intervals; p-values: Holm's, over McNemar's for accuracy of single runs[/dim]")
    if hidden:
        _print(f"[dim]no room for {escape(', '.join(dict.fromkeys(hidden)))} (see `tenfold compare --json`)[/dim]")
    for sentence in board.left_out:
        _print(f"[dim]{escape(sentence)}[/dim]")


def _print_fitted(header: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    """Print a table without the columns that the terminal has no room for; returns their names."""
    keep, hidden = _fitting(header, body, _console().width)
    numeric = {i for i in keep if all(_numeric(row[i]) for row in body)}
    table = _table(*(f">{header[i]}" if i in numeric else header[i] for i in keep))
    for row in body:
        table.add_row(*(escape(row[i]) for i in keep))
    _print(table)
    return hidden


def _fitting(header: Sequence[str], body: Sequence[Sequence[str]], width: int) -> tuple[list[int], list[str]]:
    """(columns that fit into `width`, names of those that don't); after the first four the last go first."""
    widths = [max(len(name), *(len(row[i]) for row in body)) for i, name in enumerate(header)]
    keep = list(range(len(header)))
    while len(keep) > 4 and sum(widths[i] + 2 for i in keep) - 2 > width:
        keep.pop()
    return keep, list(header[len(keep):])


def _numeric(text: str) -> bool:
    return text.lstrip("+-<")[:1].isdigit() or text in ("–", "")


def print_predictions(predictions: Sequence[Prediction]) -> None:
    """A row for each image: the class and its probability, and the runner-up."""
    table = _table("image", "class", ">probability", "next", ">probability")
    for prediction in predictions:
        if prediction.error:
            table.add_row(escape(str(prediction.path)), "–", "–", "unreadable", "")
            continue
        ranked = sorted(prediction.probabilities.items(), key=lambda item: -item[1])[:2]
        cells = [cell for name, p in ranked for cell in (escape(name), f"{100 * p:.1f} %")]
        table.add_row(escape(str(prediction.path)), *cells)
    _print(table)


def print_explanation(explanation: Explanation) -> None:
    """A row for each image or error that was explained, and where the pictures lie."""
    explained = [entry for entry in explanation.entries if "predicted" in entry]
    errors = any("true" in entry for entry in explained)
    table = _table("picture", "true" if errors else "image", "predicted", ">probability")
    for entry in explained:
        table.add_row(entry["file"], escape(entry["true"] if errors else entry["path"]), escape(entry["predicted"]),
                      f"{100 * entry['probability']:.1f} %")
    if explained:
        _print(table)
    _print(f"index  {escape(str(explanation.index))}")


def print_csv(rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows as CSV; the columns of the first readable row, then any others."""
    print(csvfile.text(rows), end="")


def print_recipes(facts: Mapping[str, Mapping[str, str]]) -> None:
    """A row for each shipped recipe: what it is, its measured accuracy and seconds."""
    table = _table("recipe", "what it is", "accuracy", "seconds")
    for name, header in facts.items():
        table.add_row(name, escape(header["title"]), escape(header.get("accuracy", "not measured")),
                      escape(header.get("seconds", "–")))
    _print(table)


def print_studies(titles: Mapping[str, str]) -> None:
    """A row for each shipped study: what it compares."""
    table = _table("study", "what it compares")
    for name, title in titles.items():
        table.add_row(name, escape(title))
    _print(table)


def print_catalogue(found: Mapping[str, Mapping[str, Any]], root: Path) -> None:
    """A row for each data set that can be named."""
    table = _table("data set", "what it is", "where")
    for name, entry in found.items():
        table.add_row(name, escape(entry["description"]), escape(entry["where"] or "not here"))
    _print(table)
    _print(f"\nlooked for in {escape(str(root))} (TENFOLD_DATA names another directory)")


def print_dataset(dataset: Dataset, summary: Mapping[str, Any], png: Path) -> None:
    """Counts per class and split, pixel statistics, provenance."""
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
    _print(f"examples  {escape(str(png))}")


def _numbers(values: Sequence[float]) -> str:
    return " ".join(f"{value:.1f}" for value in values)


def print_findings(findings: Mapping[str, Mapping[str, Any]]) -> None:
    """Sections of keys and values."""
    for section, facts in findings.items():
        _print(f"[bold]{escape(section)}[/bold]")
        width = max(map(len, facts), default=0)
        for key, value in facts.items():
            text = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
            _print(f"  {escape(key):<{width}}  {escape(text) or 'none'}")
