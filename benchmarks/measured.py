"""The tables of measured figures in pages that are otherwise written by hand.

A page says where a table belongs by `<!-- benchmarks/results/NAME.json -->` and, below, `<!-- end -->`. What stands
between is written anew from the committed result; the module that measured it makes the table.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import (
    active_learning,
    decisions,
    drift,
    explore,
    exports,
    gate,
    inference,
    page,
    scale,
    targets,
    trials_per_hour,
)
from benchmarks.record import read, source

Result = dict[str, Any]

DOCS = Path(__file__).parent.parent / "docs"
BLOCK = re.compile(r"(?<=<!-- benchmarks/results/)([\w-]+)(\.json -->\n).*?(?=<!-- end -->)", re.DOTALL)


def _targets(of: Callable[[Result], list[targets.Target]]) -> Callable[[Result], str]:
    return lambda result: targets.table(of(result))


TABLES: dict[str, Callable[[Result], str]] = {  # name of the result → its table
    "active-learning": _targets(active_learning.targets),
    "coverage-of-sets": decisions.coverage_table,
    "cost-of-rules": _targets(decisions.targets),
    "drift": drift.table,
    "explore": _targets(explore.targets),
    "exports": exports.table,
    "gate-10000": gate.table,
    "gate-60000": gate.table,
    "inference": _targets(inference.targets),
    "page": page.table,
    "scale": scale.table,
    "trials-per-hour": _targets(trials_per_hour.targets),
    "unknowns-classes": _targets(decisions.targets),
    "unknowns-far": _targets(decisions.targets),
    "unknowns-photos": _targets(decisions.targets),
}


def pages() -> dict[str, Callable[[], str]]:
    """The pages of docs/ with such tables: file name → its text with the tables of the committed results."""
    found = {path.name: path.read_text(encoding="utf-8") for path in sorted(DOCS.glob("*.md"))}
    return {name: partial(filled, text) for name, text in found.items() if BLOCK.search(text)}


def filled(text: str) -> str:
    """The text with the tables of the committed results."""
    return BLOCK.sub(lambda block: f"{block[1]}{block[2]}\n{_shown(block[1])}\n", text)


def _shown(name: str) -> str:
    result = read(name)
    if result is None:
        return "Not measured.\n"
    return f"{TABLES[name](result).rstrip()}\n\n{source(result)}\n"
