"""What a model is worth on images without labels, as text and as a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tenfold.counted import counted
from tenfold.evaluation.metrics import metric
from tenfold.report.facts import p_text
from tenfold.report.html import place, render
from tenfold.report.plots.heat import SIDE, enlarge
from tenfold.report.thumbnails import Sheet

MOST_UNREAD = 20  # files named on the page
DOUBT = 0.05  # an expected loss of accuracy above which changed shares are doubtful


def verdict(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(name, sentence) for each part of the verdict."""
    accuracy, reference, new = metric("accuracy"), found["reference"], found["new"]
    value = found["accuracy"]
    facts = [("reference", f"accuracy {accuracy.text(reference['accuracy'])} on "
                           f"{counted(reference['images'], 'image')} with labels ({reference['name']})")]
    if value["tells"]:
        facts.append(("estimate", f"accuracy {accuracy.text(value)} on {counted(found['images'], 'image')} without "
                                  "labels"))
    else:
        facts.append(("estimate", f"can't tell: {'; '.join(value['reasons'])}"))
    changed = [row for row in found["classes"] if row["changed"]]
    facts.append(("classes", _changed(changed, found["accuracy"]["loss"])))
    facts.append(("new", f"{100 * new['fraction']:.0f} % of the images look new; {100 * new['expected']:.0f} % of "
                         "known images do"))
    return facts


def _changed(rows: Sequence[Mapping[str, Any]], loss: float) -> str:
    if not rows:
        return "no class has clearly changed its share"
    rows = sorted(rows, key=lambda row: -abs(row["after"] - row["before"]))
    listed = ", ".join(f"{row['class']} {100 * row['before']:.1f} → {100 * row['after']:.1f} %" for row in rows[:5])
    more = f" and {len(rows) - 5} more" if len(rows) > 5 else ""
    doubt = "; doubtful, because the images themselves look different" if loss > DOUBT else ""
    return f"changed shares: {listed}{more}{doubt}"


def page(run: str, found: Mapping[str, Any], pictures: Sequence[np.ndarray]) -> str:
    """The page; pictures: uint8 [h, w, c] of the images in `found["new"]["images"]`."""
    sheet = Sheet("large", side=SIDE, shown=SIDE)
    tiles = [(sheet.add(enlarge(picture), f"{row['path']}: {row['predicted']}"), row)
             for row, picture in zip(found["new"]["images"], pictures, strict=True)]
    accuracy = metric("accuracy")
    rows = [("reference", found["reference"]["accuracy"])]
    if found["accuracy"]["tells"]:
        rows.append(("these images", found["accuracy"]))
    scale, placed = place([(name, each["low"], each["value"], each["high"], accuracy.text(each))
                           for name, each in rows])
    shares = [(row["class"], f"{100 * row['before']:.1f} %",
               f"{100 * row['after']:.1f} % [{100 * row['low']:.1f}, {100 * row['high']:.1f}]", p_text(row["p"]),
               row["changed"]) for row in found["classes"]]
    cautions = [f"Can't tell the accuracy: {reason}." for reason in found["accuracy"]["reasons"]]
    cautions += found["unread"][:MOST_UNREAD]
    return render("drift.html", title="Worth on other images", run=run, facts=verdict(found), cautions=cautions,
                  estimated=found["accuracy"]["tells"], scale=scale, intervals=placed, shares=shares, tiles=tiles,
                  sheets=[sheet.style()])
