"""HTML pages: single files without requests, for phones, paper and dark mode, readable without JavaScript."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, Protocol

import jinja2
from markupsafe import Markup, escape

from tenfold.evaluation.confusion import Pair as ConfusedPair
from tenfold.evaluation.metrics import metric
from tenfold.evaluation.misclassified import Explained
from tenfold.registry import METRICS
from tenfold.report import decisions, facts, worth
from tenfold.report.cautions import cautions
from tenfold.report.confusions import confusions
from tenfold.report.plots import (
    CONFUSION,
    CURVES,
    DECISIONS,
    FURTHER,
    IMAGES,
    RANKING,
    ROBUSTNESS,
    Material,
    plot_named,
)
from tenfold.report.plots.answered import refused_cells
from tenfold.report.plots.confusion import MAX_NUMBERED
from tenfold.report.plots.grid import Cell
from tenfold.report.plots.heat import SIDE, enlarge, overlay
from tenfold.report.plots.samples import first_cells, sample_cells
from tenfold.report.thumbnails import Sheet, Thumbnail
from tenfold.run import Run

# Grids of images, which the page shows as tiles on its own ground: plot → its cells.
TILED = {"refused": refused_cells, "samples": sample_cells, "first_validation": first_cells}

# Plots that the page replaces with HTML.
REPLACED_PLOTS = ("confident_errors", "confusion_matrix", "confusion_matrix_normalised", *TILED)

MOST_DIFFERENCES = 500  # rows in the table of pairs; above that, only two metrics are shown


@dataclass(frozen=True)
class Picture:
    """A plot on a page; photographs keep their colours in dark mode."""

    title: str
    caption: str
    uri: str
    photographs: bool


@dataclass(frozen=True)
class Error:
    """An explained error on a page: its image, its caption, and (class, heat map) for each Grad-CAM."""

    true: int
    predicted: int
    words: tuple[str, str, str]
    image: Thumbnail
    heats: Sequence[tuple[str, Thumbnail]]
    name: str


@dataclass(frozen=True)
class Interval:
    """A value with its interval, as percentages of the width of a scale and as text."""

    name: str
    low: float
    value: float
    high: float
    text: str


def report(run: Run, material: Material, plots: Mapping[str, bytes], status: Mapping[str, Any]) -> str:
    """The page of one run; plots: PNG bytes by the names of registered plots."""
    recipe = run.recipe()
    environment = run.environment() if run.has("environment.json") else {}
    dataset = environment.get("dataset", {})
    cells, large = Sheet("small", side=64, shown=52), Sheet("large", side=SIDE, shown=SIDE)
    confused = confusions(material, cells)
    errors = [_error(explained, material.classes, large) for explained in material.explained]
    matrix = confused is not None and len(material.classes) <= MAX_NUMBERED
    sections = _sections(plots, without={
        *(REPLACED_PLOTS[:1] if errors else ()), *(REPLACED_PLOTS[1:3] if matrix else ()), *REPLACED_PLOTS[3:]})
    splits, metric_rows = facts.metric_rows(material.metrics)
    class_split, class_columns, class_rows = facts.class_rows(material.metrics)
    columns, history = facts.history_rows(material.history)
    left_out, left_out_rows = facts.left_out(dataset)
    inspected, inspected_rows = facts.inspected(material.inspection)
    return render(
        "report.html", title=run.name, recipe=recipe.name, status=status.get("status", "unknown"),
        dataset=dataset.get("name", recipe.data.source), headline=facts.headline(material.metrics),
        cards=facts.cards(material, environment),
        cautions=cautions(status, dataset.get("splits", {}), material.metrics, material.inspection),
        settings=facts.settings(recipe),
        split_rows=facts.split_rows(dataset.get("splits", {})), left_out=left_out, left_out_rows=left_out_rows,
        inspected=inspected, inspected_rows=inspected_rows, splits=splits, metric_rows=metric_rows,
        scored=facts.scored(material.metrics), class_split=class_split, class_rows=class_rows,
        class_columns=class_columns, undefined=facts.undefined(material.metrics),
        classes=material.classes, curves=sections.pop(CURVES, []), matrices=sections.pop(CONFUSION, []),
        ranking=sections.pop(RANKING, []), robust=sections.pop(ROBUSTNESS, []), pictures=sections.pop(IMAGES, []),
        answered=sections.pop(DECISIONS, []), others=sections,
        ranking_title=RANKING, robust_title=ROBUSTNESS, **_optional_results(material),
        tiled=_tiled(material, large), confused=confused, errors=errors, sheets=[cells.style(), large.style()],
        all_correct=_all_correct(material.metrics), columns=columns,
        lower_precision=facts.lower_precision(environment, recipe.train.fit),
        history=history, recipe_text=recipe.dumps(), environment=facts.sections(environment),
        repeat=facts.repeat(run, environment),
    )


def _optional_results(material: Material) -> dict[str, Any]:
    """What only some runs have, as sentences and rows: calibration, decisions, robustness, members of an ensemble."""
    return {"doubled": facts.doubled(material.learning_curve), "worth": worth.ensemble(material.ensemble),
            "kept": worth.student(material.distillation),
            "member_rows": worth.member_rows(material.ensemble),
            "calibration": facts.temperature(material.calibration),
            "calibration_rows": facts.calibration_rows(material.calibration),
            "decisions": decisions.sentences(material.decisions),
            "decision_table": decisions.set_rows(material.decisions),
            "robustness": facts.robustness(material.corruptions),
            "corruption_rows": facts.corruption_rows(material.corruptions)}


def _sections(plots: Mapping[str, bytes], without: set[str]) -> dict[str, list[Picture]]:
    """The pictures grouped by heading; "Further plots" come last."""
    found: dict[str, list[Picture]] = {}
    for name, content in plots.items():
        if name not in without:
            found.setdefault(plot_named(name).section, []).append(_picture(name, content))
    if FURTHER in found:
        found[FURTHER] = found.pop(FURTHER)
    return found


def _error(explained: Explained, classes: Sequence[str], sheet: Sheet) -> Error:
    guess = explained.guess
    assert guess.true is not None
    words = (f"true: {classes[guess.true]}", f"✗ {classes[guess.predicted]}", f"{100 * guess.probability:.1f} %")
    image = sheet.add(enlarge(explained.image), f"{guess.name or f'image {guess.index:,}'}, {', '.join(words)}")
    heats = [(classes[label], sheet.add(overlay(explained.image, heat), f"Grad-CAM of {classes[label]}"))
             for label, heat in explained.heats]
    return Error(guess.true, guess.predicted, words, image, heats, guess.name)


def _tiled(material: Material, sheet: Sheet) -> list[tuple[str, str, list[tuple[Thumbnail, Cell]]]]:
    """(title, caption, tiles) of each grid of images."""
    return [(plot_named(name).title, _caption(plot_named(name).caption),
             [(sheet.add(enlarge(cell.image), ", ".join(cell.lines)), cell) for cell in cells])
            for name, cells_of in TILED.items() if (cells := cells_of(material))]


def explanations(title: str, run: str, headings: Mapping[str, Sequence[Any]], classes: Sequence[str],
                 pairs: Sequence[ConfusedPair], notes: Sequence[str]) -> str:
    """The index page of a directory of explanations; each picture has a `file` in the directory and `words`."""
    similar = any(each.entry.get("neighbours") for shown in headings.values() for each in shown)
    return render("explanations.html", title=title, run=run, headings=headings, classes=classes, pairs=pairs,
                   notes=notes, similar=similar)


class Pair(Protocol):
    """The part of `comparison.Pair` that the page uses."""

    @property
    def first(self) -> str: ...
    @property
    def second(self) -> str: ...
    @property
    def differences(self) -> Mapping[str, Mapping[str, float | None]]: ...
    def test(self, by: str) -> Mapping[str, float | None]: ...
    def significant(self, by: str) -> bool | None: ...


def comparison(
    about: Sequence[tuple[str, str]], header: Sequence[str], body: Sequence[Sequence[str]], ranked: int, *,
    intervals: Sequence[tuple[str, float, float, float, str]] = (), cautions: Sequence[str] = (),
    pairs: Sequence[Pair] = (), by: str = "roc_auc", plots: Mapping[str, bytes] = MappingProxyType({}),
) -> str:
    """The page of a leaderboard, best first.

    about: (name, value) facts that all models share; header, body: the table as text, sorted by column `ranked`;
    intervals: (model, low, value, high, text) of the accuracies; cautions: sentences; pairs: paired differences, at
    first shown for the metric `by`; plots: PNG bytes by the names of registered plots.
    """
    scale, placed = place(intervals)
    measured = {name for pair in pairs for name in pair.differences}
    shown = sorted(measured, key=lambda name: (name != by, METRICS.names().index(name)))
    if len(pairs) * len(shown) > MOST_DIFFERENCES:
        shown = [name for name in shown if name in (by, "accuracy")]
    return render("comparison.html", title="Comparison", facts=about, header=header, body=body,
                   ranked=ranked, scale=scale, intervals=placed, cautions=cautions,
                   pairs=[_difference(pair, name) for name in shown for pair in pairs],
                   metrics={name: metric(name).title for name in shown},
                   pictures=pictures(plots))


def _difference(pair: Pair, name: str) -> dict[str, str]:
    """A paired difference in one metric as text, the better model first."""
    known, entry = metric(name), pair.differences[name]
    value, low, high = (entry.get(key) for key in ("value", "low", "high"))
    swapped = value is not None and value != 0 and (value > 0) != known.higher_is_better
    if swapped:
        value, low, high = (None if each is None else -each for each in (value, high, low))
    text = facts.DASH
    if value is not None:
        interval = known.interval_text({"value": value, "low": low, "high": high}, "+")
        text = f"{known.number(value, '+')}{' points' if known.percent else ''} {interval}".rstrip()
    p, p_holm = (facts.p_text(pair.test(name).get(key)) for key in ("p", "p_holm"))
    significant = {None: facts.DASH, True: "yes", False: "no"}[pair.significant(name)]
    better, worse = (pair.second, pair.first) if swapped else (pair.first, pair.second)
    return {"better": better, "worse": worse, "metric": name, "title": known.title, "difference": text,
            "p": p, "p_holm": p_holm, "significant": significant}


def place(intervals: Sequence[tuple[str, float, float, float, str]]) -> tuple[list[str], list[Interval]]:
    """(labels of both ends of the scale, intervals on it); fractions become percentages of its width."""
    if not intervals:
        return [], []
    low = max(0.0, min(i[1] for i in intervals) - 0.01)
    high = min(1.0, max(i[3] for i in intervals) + 0.01)
    ends = [f"{100 * end:.1f} %" for end in (low, high)]

    def across(fraction: float) -> float:
        return round(100 * (fraction - low) / (high - low), 2)

    return ends, [Interval(name, across(a), across(b), across(c), text) for name, a, b, c, text in intervals]


def unbroken(text: str) -> str:
    """Text that can wrap between a value and its interval, but not inside "81.3 %" or "[78.8, 83.6]"."""
    joined = text.replace(" %", "\N{NO-BREAK SPACE}%").replace(" ± ", "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}")
    return joined.replace(", ", ",\N{NO-BREAK SPACE}")


def coded(text: str) -> Markup:
    """Text as `unbroken`, with what stands between backticks as code."""
    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(unbroken(text)))))


def stacked(text: str) -> Markup:
    """Text as `unbroken`, with the interval at its end smaller, so that it can stand on a line of its own."""
    value, space, interval = text.partition(" [")
    if not space:
        return escape(unbroken(text))
    return Markup('{} <span class="interval">{}</span>').format(unbroken(value), unbroken(f"[{interval}"))


def pictures(plots: Mapping[str, bytes]) -> list[Picture]:
    """Plots, PNG bytes by the names of registered plots, for the page."""
    return [_picture(name, content) for name, content in plots.items()]


def _picture(name: str, content: bytes) -> Picture:
    plot = plot_named(name)
    return Picture(plot.title, _caption(plot.caption), png_uri(content), plot.section == IMAGES)


def _caption(text: str) -> str:
    return text.replace(" %", "\N{NO-BREAK SPACE}%")


def png_uri(content: bytes) -> str:
    """PNG bytes as a URI for the page."""
    return "data:image/png;base64," + base64.b64encode(content).decode()


def _all_correct(metrics: Mapping[str, Any]) -> bool:
    """Whether every image of the test split is classified correctly."""
    test = metrics.get("test", {})
    return test.get("accuracy", {}).get("value") == 1.0


@cache
def environment() -> jinja2.Environment:
    """The templates of this package, each compiled once in a process."""
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("tenfold.report"), autoescape=True,
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    templates.filters |= {"unbroken": unbroken, "coded": coded, "stacked": stacked}
    return templates


def render(template: str, scripts: Sequence[str] = ("page.js",), **content: Any) -> str:
    """A page from a template of this package, with the style and the scripts that pages share.

    content: what the template names; `sheets`, if any, is the CSS of its thumbnails.
    """
    script = "".join(environment().get_template(name).render() for name in scripts)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment().get_template(template).render(script=script, digest=digest, **content)
