"""The speed of a run's model in every runtime, as a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tenfold.report.facts import DASH
from tenfold.report.html import pictures, render
from tenfold.report.plots import Material, draw_all

SPEEDS = ("runtime", "batch", "images/s", "lowest", "highest", "p50 ms", "p95 ms", "p99 ms")
MODELS = ("runtime", "start-up", "memory", "file", "same class", "largest difference", "accuracy, points")


def page(run: str, about: str, found: Sequence[Mapping[str, Any]]) -> str:
    """The page as HTML; about: where it was measured; found: `Measured.to_dict` of each runtime."""
    drawn = draw_all(Material(runtimes=found))
    return render("bench.html", title="Speed by runtime", run=run, about=about, pictures=pictures(drawn),
                  speeds=(SPEEDS, speed_rows(found)), models=(MODELS, model_rows(found)))


def speed_rows(found: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """A row of text for each runtime and batch size: images per second (median, lowest, highest round), latencies."""
    rates, latencies = ("images_per_second", "low", "high"), ("p50", "p95", "p99")
    return [[each["runtime"], f"{speed['batch']:,}", *(f"{speed[key]:,.0f}" for key in rates),
             *(f"{speed[key]:.2f}" for key in latencies)] for each in found for speed in each["speeds"]]


def model_rows(found: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """A row of text for each runtime: start-up, memory and file, and how its answers agree with those of `keras`."""
    rows = []
    for each in found:
        start_up, memory, agreement = each["start_up"], each["memory"], each["agreement"]
        rows.append([each["runtime"], DASH if start_up is None else f"{start_up:.2f} s",
                     DASH if memory is None else f"{memory:,.0f} MiB", f"{each['size'] / 1e6:,.2f} MB",
                     f"{100 * agreement['same']:.2f} %", f"{agreement['largest']:.1e}",
                     f"{agreement['accuracy']:+.2f} [{agreement['low']:+.2f}, {agreement['high']:+.2f}]"])
    return rows
