"""The verdict of a search as sentences, for the terminal and the page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from tenfold.evaluation.metrics import metric
from tenfold.report.facts import p_text

STATUSES = ("finished", "pruned", "diverged", "failed", "running", "waiting")


def counted(results: Mapping[str, Any]) -> str:
    """The number of trials and what became of them: "30 trials: 12 finished, 18 pruned"."""
    counts = Counter(row["status"] for row in results["trials"])
    parts = ", ".join(f"{counts[status]} {status}" for status in STATUSES if counts[status])
    return f"{len(results['trials'])} trials: {parts}"


def verdict(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(name, sentence) for each part of the verdict; without a verdict, only what is known so far."""
    known, best, judged = metric(results["by"]), results["best"], results["winner"]
    facts = [("trials", counted(results))]
    if best is None:
        return facts
    facts.append(("changes", ", ".join(f"{key} {shown(value)}" for key, value in best["changes"].items()) or "none"))
    if judged is None:
        return [*facts, (f"{known.short}, validation", f"{known.value_text(best)}, trial {best['number']}")]
    seeds = sum(name.startswith(f"final/{results['recipe']}-tuned-") for name in judged["runs"])
    facts += [
        (f"{known.short}, validation", f"{known.text(judged['selection'])}, trial {judged['trial']}, the best of "
                                       f"{judged['trials']}"),
        (f"{known.short}, test", f"{known.text(judged['test'])}, {seeds} new seed{'s' * (seeds > 1)}"),
        ("optimism", f"{_signed(results['by'], judged['optimism'])}: so much better the validation score of the best "
                     "trial looks"),
    ]
    return [*facts, (f"against {results['recipe']}", _difference(results))]


def _difference(results: Mapping[str, Any]) -> str:
    found = results["winner"]["difference"]
    if found is None:
        return "no trial was better than the recipe that the search began from"
    return f"{_signed(results['by'], found)} on the same test images, p = {p_text(found['p'])}"


def _signed(by: str, entry: Mapping[str, Any]) -> str:
    known = metric(by)
    if entry["value"] is None:
        return "unknown"
    points = " points" if known.percent else ""
    return f"{known.number(entry['value'], '+')}{points} {known.interval_text(entry, '+')}".rstrip()


def shown(value: Any) -> str:
    """A value of a recipe key in a few characters."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)
