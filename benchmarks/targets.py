"""Figures and their targets: what was to be reached, what was measured, and whether that is enough."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Target = dict[str, Any]  # what, target, measured, met


def target(what: str, value: float | None, *, least: float | None = None, most: float | None = None) -> Target:
    """A figure that should be at least `least` or at most `most`; None was not measured, and is not met."""
    words = f"≥ {least:g}" if least is not None else f"≤ {most:g}"
    met = value is not None and (value >= least if least is not None else value <= (most or 0))
    return {"what": what, "target": words, "measured": value, "met": met}


def table(rows: Iterable[Target]) -> str:
    """The Markdown table of figures and targets."""
    lines = ["| figure | target | measured | |", "|---|---|---|---|"]
    for row in rows:
        measured = "–" if row["measured"] is None else f"{row['measured']:,.4g}"
        lines.append(f"| {row['what']} | {row['target']} | {measured} | {'met' if row['met'] else 'not met'} |")
    return "\n".join(lines)
