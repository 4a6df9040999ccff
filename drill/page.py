"""`docs/reliability.md`, from the results of the drill."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

HEAD = """# Reliability

`make drill` generates this page from `docs/reliability.json`. The drill trains a small network in real processes: 800
drawn shapes, eight epochs of 24 steps, one thread. It kills or stops them, or fills the disk. Then `tenfold train …
--resume` continues. A run resumes bit for bit if it equals an uninterrupted run: SHA-256 of the weights, history,
metrics and predictions, except for times. `python -m drill TEST …` runs single tests. `make test` runs short versions
of all but the last.
"""


def render(results: Mapping[str, Mapping[str, Any]]) -> str:
    """The page, from row name → {title, target, tries, good, met, skipped, problems, facts, seconds, machine, date}."""
    lines = [HEAD, "| test | event | target | result |", "|---|---|---|---|"]
    lines += [f"| `{name}` | {row['title']} | {row['target']} | {_outcome(row)} |" for name, row in results.items()]
    lines += ["", "## Details", ""]
    lines += [f"- `{name}`: {'; '.join(row['facts']) or 'see the table'}. {row['seconds']:.0f} s on {row['date']}."
              for name, row in results.items()]
    problems = [f"- `{name}`: {problem}" for name, row in results.items() for problem in row["problems"]]
    if problems:
        lines += ["", "## Problems", "", *problems]
    machines = dict.fromkeys(row["machine"] for row in results.values())
    lines += ["", "## Machines", "", *(f"- {machine}" for machine in machines)]
    return "\n".join([*lines, ""])


def _outcome(row: Mapping[str, Any]) -> str:
    if row["skipped"]:
        return f"**not run**: {row['skipped']}"
    return f"{'met' if row['met'] else '**not met**'}: {row['good']} of {row['tries']}"
