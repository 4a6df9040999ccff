"""Plots of a search: its history, learning curves, the importance of keys, parallel coordinates and slices."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from tenfold.evaluation.metrics import metric
from tenfold.report.facts import TITLES
from tenfold.report.plots.plot import Material, plot
from tenfold.report.plots.style import BLUE, GREY, INK, VERMILLION, shorten

MOST_SLICES = 40
SEARCH = "Search"


def heading(key: str) -> str:
    """A key of a recipe in words, without its section: "mixup alpha" of `train.augment.mixup.alpha`."""
    parts = key.split(".")[1:]
    return " ".join(parts[1:] if len(parts) > 2 else parts).replace("_", " ")


def shown(value: Any) -> str:
    """A value of a recipe key in a few characters."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {shown(each)}" for key, each in value.items())
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(shown, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def position(each: Mapping[str, Any], value: Any) -> float:
    """Where a value lies in its range of `search.json`: 0 for the first choice or low, 1 for the last or high."""
    if "choices" in each:
        known = [repr(choice) for choice in each["choices"]]
        return known.index(repr(value)) / max(len(known) - 1, 1) if repr(value) in known else math.nan
    low, high = each["low"], each["high"]
    if each.get("log"):
        return (math.log(value) - math.log(low)) / (math.log(high) - math.log(low))
    return (value - low) / (high - low)


def chosen_on(results: Mapping[str, Any]) -> str:
    """The images whose score ranks the trials, in words."""
    return f"mean over {results['folds']} folds" if results.get("folds") else "validation"


def finished(results: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The finished trials of a search, worst first, so that the best are drawn last."""
    sign = 1 if metric(results["by"]).higher_is_better else -1
    rows = [row for row in results["trials"] if row["status"] == "finished"]
    return sorted(rows, key=lambda row: (sign * row["value"], -row["number"]))


def best_so_far(results: Mapping[str, Any]) -> tuple[list[int], list[float]]:
    """(numbers of the finished trials, the best value up to each of them)."""
    rows = sorted(finished(results), key=lambda row: row["number"])
    values = np.array([row["value"] for row in rows])
    better = np.maximum if metric(results["by"]).higher_is_better else np.minimum
    return [row["number"] for row in rows], better.accumulate(values).tolist() if rows else []


@plot("search_history", "History of the search",
      "The score of each finished trial, and the best one so far. Ticks at the bottom are trials that were "
      "pruned, diverged or failed.", SEARCH)
def search_history(material: Material) -> Figure | None:
    """Values of trials over their numbers."""
    results = material.search
    if not results or not finished(results):
        return None
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    axes = figure.subplots()
    numbers, best = best_so_far(results)
    values = {row["number"]: row["value"] for row in finished(results)}
    axes.plot(numbers, [values[number] for number in numbers], "o", color=GREY)
    axes.step(numbers, best, where="post", color=BLUE)
    ended = [row["number"] for row in results["trials"] if row["status"] in ("pruned", "diverged", "failed")]
    axes.plot(ended, np.zeros(len(ended)), "|", color=VERMILLION, markersize=10, clip_on=False,
              transform=axes.get_xaxis_transform())
    axes.set(xlabel="trial", ylabel=f"{metric(results['by']).short} ({chosen_on(results)})")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    return figure


@plot("search_curves", "Learning curves of the trials",
      "The validation record of each trial after each epoch (with folds, of the first one). Grey curves that end early "
      "were pruned; the blue curve is that of the best trial.", SEARCH)
def search_curves(material: Material) -> Figure | None:
    """Validation records of trials over epochs."""
    results = material.search
    if not results or not any(row["curve"] for row in results["trials"]):
        return None
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    axes = figure.subplots()
    best = results["best"] and results["best"]["number"]
    for row in sorted(results["trials"], key=lambda row: row["number"] == best):
        chosen = row["number"] == best
        axes.plot(range(1, len(row["curve"]) + 1), row["curve"], marker=".", color=BLUE if chosen else GREY,
                  linewidth=2.2 if chosen else 0.8, alpha=1 if chosen else 0.6)
    axes.set(xlabel="epoch", ylabel=TITLES[results["monitor"]])
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    return figure


@plot("search_importance", "Importance of the keys",
      "How much of the variation of the trials' scores each key explains, by a random forest on the finished "
      "trials, with 95 % intervals over resamples of the trials. A wide interval says that more trials are needed.",
      SEARCH)
def search_importance(material: Material) -> Figure | None:
    """Importance of each key with its interval."""
    entries = material.search.get("importance") or []
    if not entries:
        return None
    figure = Figure(figsize=(9, 0.6 + 0.34 * len(entries)), layout="constrained")
    axes = figure.subplots()
    for place, entry in enumerate(reversed(entries)):
        axes.hlines(place, entry["low"], entry["high"], color=BLUE, linewidth=1.4)
        axes.plot(entry["value"], place, "o", color=BLUE)
    axes.set_yticks(range(len(entries)), [shorten(heading(entry["key"]), 40) for entry in reversed(entries)])
    axes.set(xlabel="share of the explained variation", xlim=(0, 1))
    return figure


@plot("search_parallel", "Parallel coordinates",
      "One line for each finished trial, through its values; the best third is blue, the best trial is thick. A line "
      "is interrupted where a key does not apply.", SEARCH)
def search_parallel(material: Material) -> Figure | None:
    """Finished trials as lines through their values."""
    results = material.search
    rows = finished(results) if results else []
    if len(rows) < 2:
        return None
    keys = list(results["space"])
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    axes = figure.subplots()
    for place, row in enumerate(rows):
        good, best = place >= len(rows) * 2 / 3, place == len(rows) - 1
        axes.plot(range(len(keys)), _positions(results, row, keys), marker=".", color=BLUE if good else GREY,
                  linewidth=2.6 if best else 0.9, alpha=1 if good else 0.5)
    axes.set_xticks(range(len(keys)), [_label(results["space"][key], key) for key in keys], rotation=30, ha="right",
                    fontsize=7)
    axes.set(yticks=[0, 1], yticklabels=["low, first", "high, last"])
    return figure


@plot("search_slices", "Slices",
      "The score of the finished trials over each key. The orange diamond is the best trial.", SEARCH)
def search_slices(material: Material) -> Figure | None:
    """Values of trials over each key."""
    results = material.search
    rows = finished(results) if results else []
    if len(rows) < 2:
        return None
    keys = list(results["space"])[:MOST_SLICES]
    columns = min(4, len(keys))
    figure = Figure(figsize=(9, 2.1 * -(-len(keys) // columns)), layout="constrained")
    panels = np.ravel(figure.subplots(-(-len(keys) // columns), columns, sharey=True))
    for axes, key in zip(panels, keys, strict=False):
        _slice(axes, results["space"][key], key, rows)
    for axes in panels[len(keys):]:
        axes.set_axis_off()
    panels[0].set_ylabel(metric(results["by"]).short)
    return figure


def _slice(axes: Axes, each: Mapping[str, Any], key: str, rows: Sequence[Mapping[str, Any]]) -> None:
    applied = [row for row in rows if key in row["changes"]]
    choices = each.get("choices")
    places = [position(each, row["changes"][key]) * (len(choices) - 1) if choices else row["changes"][key]
              for row in applied]
    axes.plot(places, [row["value"] for row in applied], "o", color=BLUE, alpha=0.6)
    if applied and applied[-1] is rows[-1]:
        axes.plot(places[-1], applied[-1]["value"], "D", color=VERMILLION)
    if choices:
        names = [shorten(shown(choice), 12) for choice in choices]
        axes.set_xticks(range(len(choices)), names, fontsize=6, rotation=30)
    elif each.get("log"):
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=4))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_locator(NullLocator())
    axes.set_title(shorten(heading(key), 26), fontsize=7, color=INK)
    axes.tick_params(labelsize=6)


def _positions(results: Mapping[str, Any], row: Mapping[str, Any], keys: Sequence[str]) -> list[float]:
    return [position(results["space"][key], row["changes"][key]) if key in row["changes"] else math.nan
            for key in keys]


def _label(each: Mapping[str, Any], key: str) -> str:
    name = shorten(heading(key), 26)
    if "choices" in each:
        return f"{name}\n{shorten(shown(each['choices'][0]), 10)} … {shorten(shown(each['choices'][-1]), 10)}"
    return f"{name}\n{each['low']:g} … {each['high']:g}"
