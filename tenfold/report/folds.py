"""The page of a cross-validation: metrics over all images, each fold, and the plots of all predictions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tenfold.evaluation.metrics import metric
from tenfold.registry import METRICS
from tenfold.report.facts import DASH, class_rows
from tenfold.report.html import pictures, render
from tenfold.report.plots import CONFUSION, IMAGES, Material, draw_all, plot_named

SHOWN = ("accuracy", "loss", "f1_macro", "roc_auc", "ece")  # of each fold


def page(results: Mapping[str, Any], metrics: Mapping[str, Mapping[str, Any]], material: Material) -> str:
    """The page as HTML. results: the content of `folds.json`; metrics: with intervals and deviations over folds."""
    about = (f"{results['recipe']} on {results['data']}: {results['images']:,} images in {results['folds']} folds, "
             f"seed {results['seed']}")
    _, columns, rows = class_rows(material.metrics)
    header, body = fold_rows(results)
    plots = draw_all(material)
    detailed = (CONFUSION, IMAGES)  # these need more room than curves
    groups = [{name: content for name, content in plots.items() if plot_named(name).section not in detailed},
              *({name: content for name, content in plots.items() if plot_named(name).section == section}
                for section in detailed)]
    return render("folds.html", title=results["name"], about=about, cautions=results.get("notes", []),
                  metrics=metric_rows(metrics), header=header, body=body, columns=columns, classes=rows,
                  groups=[pictures(group) for group in groups])


def metric_rows(metrics: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """A row for each defined metric: title, value over all images with its interval, deviation over the folds."""
    defined = [name for name in METRICS.names() if metrics[name]["value"] is not None]
    return [[metric(name).title, metric(name).text(metrics[name]), _deviation(name, metrics[name])]
            for name in defined]


def fold_rows(results: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """(header, body): a row for each fold, with its run, size and main metrics."""
    header = ["fold", "run", "images", "epochs", "seconds", *(metric(name).short for name in SHOWN)]
    return header, [
        [str(each["fold"]), each["run"], f"{each['images']:,}", str(each["epochs"]), f"{each['seconds']:.1f}",
         *(metric(name).value_text(each["metrics"][name] or {"value": None}) for name in SHOWN)]
        for each in results["runs"]]


def _deviation(name: str, entry: Mapping[str, Any]) -> str:
    return DASH if entry["sd"] is None else metric(name).number(entry["sd"])
