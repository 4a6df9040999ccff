"""Pages as single files: no script, no request, readable on a phone, in print, in the dark."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jinja2

from tenfold.report import facts
from tenfold.report.plots import Material, plot_named
from tenfold.run import Run

CURVES = ("loss", "accuracy")
MATRICES = ("confusion_matrix", "confusion_matrix_normalised")
PICTURES = ("first_validation", "confident_errors", "samples")


@dataclass(frozen=True)
class Picture:
    """A plot as it stands in a page."""

    title: str
    caption: str
    uri: str


@dataclass(frozen=True)
class Interval:
    """A value with its interval as percentages of the width of a scale, and as text."""

    name: str
    low: float
    value: float
    high: float
    text: str


def report(run: Run, material: Material, plots: Mapping[str, bytes], status: Mapping[str, Any]) -> str:
    """The page of one run: `plots` are PNG bytes by the names of registered plots."""
    recipe = run.recipe()
    environment = run.environment() if run.has("environment.json") else {}
    dataset = environment.get("dataset", {})
    pictures = {name: _picture(name, content) for name, content in plots.items()}
    grouped = {*CURVES, *MATRICES, *PICTURES}
    splits, metric_rows = facts.metric_rows(material.metrics)
    class_split, class_rows = facts.class_rows(material.metrics)
    columns, history = facts.history_rows(material.history)
    return _render(
        "report.html", title=run.name, recipe=recipe.name, status=status.get("status", "unknown"),
        dataset=dataset.get("name", recipe.data.source), headline=facts.headline(material.metrics),
        cards=facts.cards(material.history, environment, material.metrics),
        cautions=facts.cautions(status, dataset.get("splits", {}), material.metrics),
        split_rows=facts.split_rows(dataset.get("splits", {})), splits=splits, metric_rows=metric_rows,
        scored=material.metrics.get("test", {}).get("scored"), class_split=class_split, class_rows=class_rows,
        curves=[pictures[name] for name in CURVES if name in pictures],
        matrices=[pictures[name] for name in MATRICES if name in pictures],
        pictures=[pictures[name] for name in PICTURES if name in pictures],
        others=[picture for name, picture in pictures.items() if name not in grouped],
        many=len(material.classes) > 15, faultless=_faultless(material.metrics), columns=columns,
        history=history, recipe_text=recipe.dumps(), environment=facts.sections(environment),
        repeat=facts.repeat(run, environment),
    )


def comparison(
    facts: Sequence[tuple[str, str]], header: Sequence[str], body: Sequence[Sequence[str]], ranked: int, *,
    intervals: Sequence[tuple[str, float, float, float, str]] = (), cautions: Sequence[str] = (),
) -> str:
    """The page of a leaderboard, best first.

    facts: (name, value) about all runs; header and body: the table as text, column `ranked` the one it is
    sorted by; intervals: (run, low, value, high, text) of the accuracies; cautions: sentences.
    """
    scale, placed = place(intervals)
    return _render("comparison.html", title="Comparison", facts=facts, header=header, body=body,
                   ranked=ranked, scale=scale, intervals=placed, cautions=cautions)


def place(intervals: Sequence[tuple[str, float, float, float, str]]) -> tuple[list[str], list[Interval]]:
    """(texts of the scale's ends, intervals on it): shares from 0 to 1 as percentages of its width."""
    if not intervals:
        return [], []
    low = max(0.0, min(i[1] for i in intervals) - 0.01)
    high = min(1.0, max(i[3] for i in intervals) + 0.01)
    ends = [f"{100 * end:.1f} %" for end in (low, high)]


    def across(share: float) -> float:
        return round(100 * (share - low) / (high - low), 2)

    return ends, [Interval(name, across(a), across(b), across(c), text) for name, a, b, c, text in intervals]


def whole(text: str) -> str:
    """Text that breaks between a value and its interval, not within either: "81.3 %" and "[78.8, 83.6]"."""
    return text.replace(" %", "\N{NO-BREAK SPACE}%").replace(", ", ",\N{NO-BREAK SPACE}")


def _picture(name: str, content: bytes) -> Picture:
    plot = plot_named(name)
    return Picture(plot.title, plot.caption, "data:image/png;base64," + base64.b64encode(content).decode())


def _faultless(metrics: Mapping[str, Any]) -> bool:
    """Whether the test split is scored and nothing in it is misclassified."""
    test = metrics.get("test", {})
    return test.get("accuracy", {}).get("value") == 1.0


def _render(template: str, **content: Any) -> str:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tenfold.report"), autoescape=True,
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["whole"] = whole
    return environment.get_template(template).render(content)
