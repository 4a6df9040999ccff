"""A search as text: its verdict for the terminal and the page, its trials as a table, and the page itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from tenfold.counted import counted
from tenfold.evaluation.metrics import metric
from tenfold.report.facts import DASH, TITLES, p_words
from tenfold.report.html import pictures, render
from tenfold.report.plots import Material, draw_all
from tenfold.report.plots.search import chosen_on, heading, position, shown

EDGE = 0.03  # of a range; a best value nearer to its end asks for a wider range
MISSING = object()  # no value of a recipe
STATUSES = ("finished", "pruned", "diverged", "failed", "running", "waiting")


def outcomes(results: Mapping[str, Any]) -> str:
    """The number of trials and what became of them: "30 trials: 12 finished, 18 pruned"."""
    counts = Counter(row["status"] for row in results["trials"])
    parts = ", ".join(f"{counts[status]} {status}" for status in STATUSES if counts[status])
    return f"{counted(len(results['trials']), 'trial')}: {parts}"


def verdict(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(name, sentence) for each part of the verdict; without a verdict, only what is known so far."""
    known, best, judged = metric(results["by"]), results["best"], results["winner"]
    facts = [("trials", outcomes(results))]
    if best is None:
        return facts
    start = results.get("start") or {}
    changed = [f"{key} {shown(value)}" for key, value in best["changes"].items() if start.get(key, MISSING) != value]
    facts.append(("changes", ", ".join(changed) or "none"))
    if judged is None:
        return [*facts, (f"{known.short}, {chosen_on(results)}",
                         f"{known.value_text(best)}, trial {best['number']}")]
    seeds = len(_chosen(results, judged["runs"]))
    tested = f"{known.text(judged['test'])}, {counted(seeds, 'new seed')}" if seeds else \
        "unknown: it diverged with every new seed"
    facts += [
        (f"{known.short}, {chosen_on(results)}", f"{known.text(judged['selection'])}, trial {judged['trial']}, the "
                                                  f"best of {judged['trials']}"),
        (f"{known.short}, test", tested),
        ("optimism", f"{_signed(results['by'], judged['optimism'])}: how much better the validation "
                       "score is than the test score"),
    ]
    return [*facts, (f"against {results['recipe']}", _difference(results))]


def _chosen(results: Mapping[str, Any], runs: Iterable[str]) -> list[str]:
    """The final runs of the chosen recipe; the others are those of the start."""
    return [name for name in runs if name.startswith(f"final/{results['recipe']}-tuned-")]


def _difference(results: Mapping[str, Any]) -> str:
    found, runs = results["winner"]["difference"], [*results["winner"]["runs"], *_diverged(results)]
    if found is None and len(_chosen(results, runs)) < len(runs):
        return "unknown: one of the two has no test score"
    if found is None:
        return "no trial was better than the recipe that the search began from"
    return f"{_signed(results['by'], found)} on the same test images, {p_words(found['p'])}"


def _diverged(results: Mapping[str, Any]) -> Mapping[str, str]:
    """The final runs that diverged, with the reasons; searches of earlier versions have none."""
    return dict(results["winner"].get("diverged", {}))


def _signed(by: str, entry: Mapping[str, Any]) -> str:
    known = metric(by)
    if entry["value"] is None:
        return "unknown"
    points = " points" if known.percent else ""
    return f"{known.number(entry['value'], '+')}{points} {known.interval_text(entry, '+')}".rstrip()


def page(results: Mapping[str, Any], recipe: str) -> str:
    """The page of a search as HTML; recipe: the best one as TOML, empty if there is none."""
    plots = draw_all(Material(search={"importance": [], **results}))
    about = (f"from {results['recipe']}, sampler {results['sampler']}, pruner {results['pruner']}, seed "
             f"{results['seed']}")
    header, body = table(results)
    # A search that is not finished has its page load itself again every minute.
    return render("search.html", title=results["name"], about=about, running=results["winner"] is None,
                  facts=verdict(results), cautions=cautions(results), header=header, body=body,
                  numbers=header.index("status"), per_minute=_per_minute(results), recipe=recipe,
                  pictures=pictures(plots))


def table(results: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """(header, body) of the trials as text: number, value, cost, status, and a column for each key."""
    known, keys, rate = metric(results["by"]), list(results["space"]), _per_minute(results)
    header = ["trial", known.short, "seconds", "epochs", *([rate] if rate else []), "status", *map(heading, keys),
              "reason"]
    return header, [
        [str(row["number"]), known.value_text(row), DASH if row["seconds"] is None else f"{row['seconds']:.1f}",
         str(row["epochs"]), *([_best_per_minute(row)] if rate else []), str(row["status"]),
         *(shown(row["changes"][key]) if key in row["changes"] else DASH for key in keys), row["reason"]]
        for row in results["trials"]]


def _per_minute(results: Mapping[str, Any]) -> str | None:
    """The title of the column with the best record per minute; None if that says nothing.

    A loss is to be low, so a loss per minute says nothing. With folds, records are of the first fold, seconds of all.
    """
    if results["monitor"] != "val_accuracy" or results.get("folds"):
        return None
    return f"{TITLES[results['monitor']]} per minute"


def _best_per_minute(row: Mapping[str, Any]) -> str:
    return f"{60 * max(row['curve']) / row['seconds']:.2f}" if row["curve"] and row["seconds"] else DASH


def cautions(results: Mapping[str, Any]) -> list[str]:
    """Sentences about what limits the verdict."""
    best, judged, said = results["best"], results["winner"], list[str]()
    if judged is None:
        said.append("The search is not finished: its winner has no test score yet.")
    elif judged["optimism"]["low"] is not None and judged["optimism"]["low"] > 0:
        said.append("The score that chose the best trial is clearly too good: report the test score.")
    if judged is not None:
        said += [f"{name} diverged and has no test score: {reason}" for name, reason in _diverged(results).items()]
    found = judged and judged["difference"]
    if found and found["p"] is not None and found["p"] < 0.05:
        if (found["value"] > 0) != metric(results["by"]).higher_is_better:
            said.append(f"The chosen recipe is worse than {results['recipe']}: keep {results['recipe']}.")
    elif found and (found["p"] is None or found["p"] >= 0.05):
        said.append(f"The chosen recipe is not shown to be better than {results['recipe']}.")
    for key, value in (best["changes"] if best else {}).items():
        each = results["space"][key]
        if "choices" not in each and value != 0 and not EDGE < position(each, value) < 1 - EDGE:
            said.append(f"{key}: the best value, {shown(value)}, lies at the end of its range; a wider one may hold a "
                        "better value.")
    return said
