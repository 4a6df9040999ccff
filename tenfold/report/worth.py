"""What a run that was made from others is worth, as text: an ensemble, or a student beside its teacher."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tenfold.counted import counted
from tenfold.evaluation.metrics import metric
from tenfold.report.facts import DASH, p_words

SIGNIFICANT = 0.05


def ensemble(found: Mapping[str, Any]) -> str:
    """Whether an ensemble (`ensemble.json`) is worth its cost, in a sentence; empty if the run is none."""
    if not found:
        return ""
    members = found["members"]
    best = next(member for member in members if member["best"])
    name, cost, test = Path(best["run"]).name, found["cost"], found["test"]
    chosen = "its best member on validation" if best["validation"] is not None else (
        "its first member (without a validation split none can be called the best)")
    mean = f"the mean of {len(members)} runs"
    if found.get("folds"):
        return (f"{mean.capitalize()}, one without each fold, takes {cost:.1f} times the computation of one. The page "
                "of the cross-validation says how accurate one alone is on images that it has not seen.")
    if test is None:
        return (f"{mean.capitalize()} takes {cost:.1f} times the computation of {name}, {chosen}. Without a test split "
                "nothing tells whether that is worth it.")
    if test["change"] > 0 and test["p"] < SIGNIFICANT:
        verdict = f"Worth it if you can afford it: {mean} is more accurate than {name}, {chosen}"
    else:
        worse = test["change"] < 0 and test["p"] < SIGNIFICANT
        verdict = (f"Not worth it: {mean} is {'less accurate' if worse else 'not shown to be better'} than {name}, "
                   f"{chosen}")
    return f"{verdict}: {difference(test)}, at {cost:.1f} times the computation."


def student(found: Mapping[str, Any]) -> str:
    """How much of its teacher's accuracy a student keeps (`distillation.json`), in sentences; else empty."""
    if not found:
        return ""
    name, test = Path(found["teacher"]).name, found["test"]
    if test is None:
        return f"The teacher {name} was tested on other images: how much of its accuracy is kept is unknown."
    small = ""
    if found["parameters"] and found["teacher_parameters"]:
        small = f", with {100 * found['parameters'] / found['teacher_parameters']:.1f} % of its parameters"
    kept = f"{100 * test['accuracy'] / test['other']:.1f} %" if test["other"] else "–"
    doubt = "" if found["same_data"] else " The teacher learnt from other data or splits; it may know these images."
    return f"It keeps {kept} of the accuracy of its teacher {name}{small}: {difference(test)}.{doubt}"


def difference(test: Mapping[str, Any]) -> str:
    """A paired comparison as "72.4 % against 70.9 %, +1.5 points [0.4, 2.6], p = 0.012, on 1,000 test images"."""
    known = metric("accuracy")
    values = " against ".join(f"{known.number(test[key])} %" for key in ("accuracy", "other"))
    interval = known.interval_text({"value": test["change"], "low": test["low"], "high": test["high"]}, "+")
    return (f"{values}, {known.number(test['change'], '+')} points {interval}, {p_words(test['p'])}, on "
            f"{counted(test['images'], 'test image')}")


def member_rows(found: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """A row for each member of an ensemble: its run, its accuracy on validation, its temperature."""
    return [(Path(member["run"]).name, DASH if member["validation"] is None else
             f"{metric('accuracy').number(member['validation'])} %", f"{member['temperature']:.3f}")
            for member in found.get("members", ())]
