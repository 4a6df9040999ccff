"""What there is: recipes, data sets, caches, images."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from tenfold.counted import counted
from tenfold.data.images import printable
from tenfold.terminal.console import age, show, table_of, width

if TYPE_CHECKING:  # imported on use: `tenfold predict` needs none of them
    from tenfold.data.caches import Entry
    from tenfold.data.dataset import Dataset
    from tenfold.inspection import Inspection
    from tenfold.jobs.exploring import ExploredPage


def print_recipes(facts: Mapping[str, Mapping[str, str]]) -> None:
    """Print a line for each shipped recipe: measured accuracy and seconds, and the description as far as it fits."""
    table = table_of("recipe", "accuracy", ">seconds")
    table.add_column("description", no_wrap=True, overflow="ellipsis", max_width=width() - 44)
    for name, header in facts.items():
        accuracy = header.get("accuracy", "not measured").partition(" (")[0].partition(" with")[0]
        seconds = header.get("seconds", "–").partition(" ")[0]
        table.add_row(name, escape(accuracy), escape(seconds if seconds[:1].isdigit() else "–"),
                      escape(header["title"]))
    show(table)
    show("[dim]`tenfold recipes NAME` shows the whole recipe[/dim]")


def print_studies(titles: Mapping[str, str]) -> None:
    """Print a row for each shipped study: name and description."""
    table = table_of("study", "description")
    for name, title in titles.items():
        table.add_row(name, escape(title))
    show(table)


def print_catalogue(found: Mapping[str, Mapping[str, Any]], root: Path) -> None:
    """Print a row for each known data set: name, description, location; then the options of those that have any."""
    table = table_of("data set", "description", "location")
    for name, entry in found.items():
        table.add_row(name, escape(entry["description"]), escape(entry["where"] or "not here"))
    show(table)
    for name, entry in found.items():
        if entry["options"]:
            example = ",".join(f"{key}={option['default']}" for key, option in entry["options"].items())
            show(f"\noptions of {escape(name)}, with their defaults: --data {escape(f'{name}:{example}')}")
            options = table_of("option", "meaning", "expected")
            for key, option in entry["options"].items():
                options.add_row(escape(key), escape(option["meaning"]), escape(option["expected"]))
            show(options)
    show(f"\ndirectory searched: {escape(str(root))} (set TENFOLD_DATA to use another one)")


def print_caches(removed: Sequence[Entry], kept: Sequence[Entry], clear: bool) -> None:
    """Print a row for each entry of the caches; after clearing, what was removed and what is in use and stays."""
    if kept:
        table = table_of("cache", "data set", ">images", "size of one", ">on disk", "age", "state", "key")
        for entry in kept:
            count, shape = (f"{entry.shape[0]:,}", "×".join(map(str, entry.shape[1:]))) if entry.shape else ("–", "–")
            table.add_row(entry.kind, escape(printable(entry.name) or "unknown"), count, shape,
                          _disk_size(entry.size), age(time.time() - entry.changed), entry.state, entry.key[:12])
        show(table)
    if clear:
        show(f"removed {len(removed):,} of {len(removed) + len(kept):,}, {_disk_size(sum(e.size for e in removed))}"
               + ("; a process is using the others" if kept else ""))
    else:
        show(f"{len(kept):,} in the caches, {_disk_size(sum(entry.size for entry in kept))}")


def print_inspection(found: Inspection) -> None:
    """Print a row for each kind of finding, and what was not looked for."""
    table = table_of("finding", ">number", "what it is", "example", "")
    for row in found.rows():
        table.add_row(*map(escape, row))
    show(escape(found.heading()))
    show(table if found.findings else "nothing found")
    for sentence in found.not_looked_for():
        show(f"[yellow]{escape(sentence)}[/yellow]")


def print_explored(found: ExploredPage) -> None:
    """Print what the page shows, what it lacks, and where it is."""
    show(escape(found.heading()))
    for note in found.notes:
        show(f"[yellow]{escape(note)}[/yellow]")
    show(f"page   {escape(str(found.page))}  {_disk_size(found.size)}")
    if found.plots:
        show(f"plots  {escape(str(found.plots[0].parent))}  {len(found.plots)} PNG files")


def _disk_size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count < 1e9 else f"{count / 1e9:,.1f} GB"


def print_dataset(dataset: Dataset, summary: Mapping[str, Any], png: Path | None) -> None:
    """Print counts per class and split, pixel statistics, the source of each split, and where the examples are."""
    splits = dataset.splits()
    height, width, channels = dataset.shape
    show(f"[bold]{escape(dataset.name)}[/bold]  {counted(len(dataset.classes), 'class')}, "
           f"{height}×{width} pixels, {counted(channels, 'channel')}")
    for name, split in splits.items():
        show(f"  {name}: {counted(len(split), 'image')} ({escape(split.describe())})")
    table = table_of("class", *(f">{name}" for name in splits))
    for label in dataset.classes:
        table.add_row(escape(label), *(f"{summary['splits'][name]['counts'][label]:,}" for name in splits))
    show(table)
    for name in splits:
        facts = summary["splits"][name]
        show(f"{name} pixels: mean {_numbers(facts['mean'])}, sd {_numbers(facts['sd'])} (of 255, by channel)")
    show(f"examples  {escape(str(png))}" if png else "[dim]--png FILE draws examples of every class[/dim]")


def _numbers(values: Sequence[float]) -> str:
    return " ".join(f"{value:.1f}" for value in values)


def print_findings(findings: Mapping[str, Mapping[str, Any]]) -> None:
    """Print sections of keys and values."""
    for section, facts in findings.items():
        show(f"[bold]{escape(section)}[/bold]")
        width = max(map(len, facts), default=0)
        for key, value in facts.items():
            text = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
            show(f"  {escape(key):<{width}}  {escape(text) or 'none'}")
