"""The contents of a report as text and rows: headline, warnings, tables. `html` puts them on a page."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tenfold.counted import are, counted
from tenfold.decisions.temperature import HIGHEST_TEMPERATURE, LOWEST_TEMPERATURE
from tenfold.evaluation.metrics import metric
from tenfold.recipe import Recipe
from tenfold.recipe.sections import ENSEMBLE
from tenfold.registry import METRICS
from tenfold.report.material import Material
from tenfold.run import Run, SplitRecord

SCORED = ("validation", "test")
DASH = "–"


def p_words(p: float) -> str:
    """A p-value in a sentence: "p = 0.012" or "p < 0.001"."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def p_text(p: float | None) -> str:
    """A p-value as "0.012" or "<0.001"."""
    return DASH if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"


def scored(metrics: Mapping[str, Any]) -> str:
    """Sentences on how often the test split was scored, and that it chose nothing."""
    test = metrics.get("test", {})
    when, times, earlier = test.get("scored", ""), test.get("times", 1), test.get("earlier", 0)
    often = "once, at the end of the training" if times == 1 else f"{times} times, at the end of the training and later"
    often += f" ({when})" if when else ""
    often += f", {earlier} of them before the run was resumed" if earlier else ""
    return f"The test split was scored {often}. It did not choose anything in this run."


@dataclass(frozen=True)
class Headline:
    """The number at the top of the page; a dash if no split was scored (`scored` is false)."""

    label: str
    number: str
    interval: str
    images: str
    scored: bool


def headline(metrics: Mapping[str, Any]) -> Headline:
    """The accuracy on test, otherwise on validation, with its interval and number of images."""
    for split in reversed(SCORED):
        entry = metrics.get(split, {}).get("accuracy")
        if entry:
            accuracy, count = metric("accuracy"), metrics[split].get("count")
            images = f"on {counted(count, 'image')}" if count is not None else ""
            return Headline(f"{split} accuracy".capitalize(), accuracy.value_text(entry),
                            accuracy.interval_text(entry), images, scored=True)
    return Headline("Test accuracy", DASH, "", "not scored", scored=False)


def training_seconds(history: Sequence[Mapping[str, float]], ensemble: Mapping[str, Any]) -> float:
    """How long a run was trained, or the members of an ensemble (`ensemble.json`)."""
    return float(ensemble.get("seconds", sum(record.get("seconds", 0.0) for record in history)))


def cards(material: Material, environment: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The other facts at the top of the page: (name, value)."""
    test, history = material.metrics.get("test", {}), material.history
    parameters = environment.get("model", {}).get("parameters")
    seed = environment.get("seed")
    return [
        ("ROC-AUC (test)", metric("roc_auc").text(test.get("roc_auc")) if test else DASH),
        ("F1 (test, macro)", metric("f1_macro").text(test.get("f1_macro")) if test else DASH),
        ("Epochs", DASH if material.ensemble else f"{len(history):,}"),
        ("Training time", duration(training_seconds(history, material.ensemble))),
        ("Parameters", DASH if parameters is None else f"{parameters:,}"),
        ("Seed", DASH if seed is None else str(seed)),
    ]


def settings(recipe: Recipe) -> list[tuple[str, str]]:
    """The main settings of the recipe: (name, value)."""
    model, train = recipe.model, recipe.train
    options = ", ".join(f"{key} {_plain(value)}" for key, value in model.options.items())
    size = [f"images resized to {model.image_size}×{model.image_size}"] if model.image_size else []
    scratch = ["random initial weights (from scratch)"] if model.options.get("weights") == "none" else []
    head = [("head", f"trained alone first: {counted(train.head.epochs, 'epoch')}, batch size "
                     f"{train.head.batch_size:,}, learning rate {train.head.learning_rate:g}")] if train.head else []
    decay = f"; each stage learns at {train.stage_decay:g} × the rate of the next one" if train.stage_decay < 1 else ""
    return [
        ("data", recipe.data.source),
        ("model", ", ".join([model.name, *size, *([options] if options else []), *scratch])),
        *head,
        ("training", "none: the mean of the calibrated probabilities of other runs" if model.name == ENSEMBLE else
         "logistic regression on features of the frozen backbone" if train.fit == "logistic-regression" else
         f"up to {counted(train.epochs, 'epoch')}, batch size {train.batch_size:,}, {train.optimizer.name}, "
         f"learning rate {train.learning_rate:g} ({train.schedule}){decay}"),
        ("augmentation", ", ".join(train.augment) or "none"),
    ]


def split_rows(splits: Mapping[str, Mapping[str, Any]]) -> list[dict[str, str]]:
    """A row for each split: name, number of images, kind (whole, partial, held out), source."""
    rows = []
    for name, split in splits.items():
        expected = split.get("expected")
        kind = ("partial" if split.get("partial") else "held out" if SplitRecord(split).held_out
                else "whole" if expected else DASH)
        of = f" of {expected:,}" if split.get("partial") and expected else ""
        rows.append({"name": name, "images": f"{split.get('count', 0):,}{of}", "kind": kind,
                     "source": str(split.get("source", DASH))})
    return rows


MOST_LEFT_OUT = 200  # files in the table of those that are left out


def left_out(dataset: Mapping[str, Any]) -> tuple[str, list[tuple[str, str]]]:
    """(a sentence, a row of name and reason for each) of the files of a data set that are not used."""
    files = dataset.get("left_out", [])
    count, rows = dataset.get("left_out_count", len(files)), [(each["name"], each["reason"]) for each in files]
    if not count:
        return "", []
    shown = "" if count <= MOST_LEFT_OUT else f" The table shows the first {MOST_LEFT_OUT}."
    return f"{counted(count, 'file')} of the data set {are(count)} not used.{shown}", rows[:MOST_LEFT_OUT]


MOST_FINDINGS = 30  # rows in the table of findings in the images


def inspected(inspection: Mapping[str, Any]) -> tuple[str, list[tuple[str, str, str]]]:
    """(a sentence, a row of kind, images and what was found for each) of the inspection before training."""
    if not inspection:
        return "", []
    findings = inspection["findings"]
    rows = [(each["kind"].replace("_", " "), ", ".join(each["images"][:3]) or DASH, each["words"])
            for each in findings[:MOST_FINDINGS]]
    more = f" The table shows the first {MOST_FINDINGS}." if len(findings) > MOST_FINDINGS else ""
    return f"{inspection['summary'][:1].upper()}{inspection['summary'][1:]}.{more}", rows


def metric_rows(metrics: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """(splits, rows): each row is the title of a metric, its direction and its text for each scored split.

    Validation and test come first, each followed by its score with test-time augmentation (`test_tta`); then other
    data.
    """
    splits, rows = scored_splits(metrics), []
    for name in METRICS.names():
        known = metric(name)
        direction = "higher is better" if known.higher_is_better else "lower is better"
        rows.append([known.title, direction, *(known.text(metrics[split].get(name)) for split in splits)])
    return splits, rows


def scored_splits(metrics: Mapping[str, Any]) -> list[str]:
    """The scored splits: validation and test first, each followed by its score with test-time augmentation."""
    own = [name for split in SCORED for name in (split, f"{split}_tta") if name in metrics]
    return own + [name for name in metrics if name not in own]


def undefined(metrics: Mapping[str, Any]) -> list[str]:
    """A sentence for each undefined metric with a known reason; one for each split with metrics without an interval."""
    found = [f"{metric(name).title} is not defined on the {split} split: {entry['reason']}."
             for name in METRICS.names() for split in scored_splits(metrics)
             if (entry := metrics.get(split, {}).get(name)) and entry.get("value") is None and entry.get("reason")]
    for split in scored_splits(metrics):
        vague = [metric(name).short for name in METRICS.names() if (entry := metrics[split].get(name))
                 and entry.get("value") is not None and entry.get("low") is None]
        if vague:
            found.append(f"The {split} split has too few images, or too few of a class, for an interval of "
                         f"{', '.join(vague)}.")
    return found


# Columns of the table by class: key → (title, a metric with the same format).
BY_CLASS = {"precision": ("precision", "precision_macro"), "recall": ("recall", "recall_macro"),
            "f1": ("F1", "f1_macro"), "roc_auc": ("ROC-AUC", "roc_auc"),
            "average_precision": ("average precision", "precision_macro")}


def class_rows(metrics: Mapping[str, Any]) -> tuple[str, list[str], list[list[str]]]:
    """(split, columns, rows) of test, otherwise of validation: a row per class, its values, its number of images."""
    for split in reversed(SCORED):
        table = metrics.get(split, {}).get("per_class")
        if table:
            keys = [key for key in BY_CLASS if any(key in row for row in table.values())]
            columns = ["class", *(BY_CLASS[key][0] for key in keys), "images"]
            return split, columns, [
                [name, *(metric(BY_CLASS[key][1]).text(of_class(row, key)) for key in keys),
                 f"{row.get('support', 0):,}"] for name, row in table.items()]
    return "", [], []


def of_class(row: Mapping[str, Any], key: str) -> Mapping[str, float | None]:
    """The entry {"value", "low", "high"} of one class; runs of earlier versions have only the plain value."""
    found = row.get(key)
    return found if isinstance(found, Mapping) else {"value": found}


def temperature(calibration: Mapping[str, Any]) -> str:
    """A sentence about the fitted temperature; empty if none was fitted."""
    if not calibration:
        return ""
    fitted = calibration["temperature"]
    confidence = "too confident" if fitted > 1 else "not confident enough"
    at_bound = not LOWEST_TEMPERATURE * 1.001 < fitted < HIGHEST_TEMPERATURE / 1.001
    searched = f"{LOWEST_TEMPERATURE:g} to {HIGHEST_TEMPERATURE:g}"
    bound = f" This is the limit of the search ({searched})." if at_bound else ""
    return f"Temperature {fitted:.3f}, fitted on validation: the model was {confidence}.{bound}"


def lower_precision(environment: Mapping[str, Any], fit: str) -> str:
    """Why the history and the metrics of the same epoch may differ; empty if they do not. fit: `train.fit`."""
    precision = environment.get("precision", "float32")
    how = f"on features that are computed in {precision}" if fit == "logistic-regression" else \
        f"in {precision}, in which the network trains"
    return "" if precision == "float32" else (
        f"The history is measured {how}, the metrics in float32: the values of one epoch may differ slightly.")


def doubled(curve: Mapping[str, Any]) -> str:
    """What twice the training images would bring, in a sentence; empty if it was not measured."""
    if not curve:
        return ""
    gain = curve["doubled"]
    if not gain or gain["low"] is None:
        return "There are too few training images to estimate how much additional images would help."
    accuracy = metric("accuracy")
    if curve["points"][-1]["accuracy"] == 1:
        return (f"All test images are classified correctly. On other images, twice the training images "
                f"({gain['images']:,}) would bring at most about {accuracy.number(gain['high'], '+')} points.")
    value = {"value": gain["gain"], "low": gain["low"], "high": gain["high"]}
    return (f"Twice the training images ({gain['images']:,}) would change the accuracy by about "
            f"{accuracy.number(gain['gain'], '+')} points {accuracy.interval_text(value, '+')}.")


def calibration_rows(calibration: Mapping[str, Any]) -> list[list[str]]:
    """A row for each split and each metric that the temperature changes: before and after."""
    return [[split, metric(name).title, metric(name).text(before[name]),
             metric(name).text(calibration["after"][split][name])]
            for split, before in calibration.get("before", {}).items() for name in ("loss", "brier", "ece")]


def corruption_rows(corruptions: Mapping[str, Any]) -> list[list[str]]:
    """A row for each corruption: its title and the accuracy at each severity."""
    text = metric("accuracy").text
    return [[each["title"], *(text(entry) for entry in each["accuracy"])]
            for each in corruptions.get("corruptions", {}).values()]


def robustness(corruptions: Mapping[str, Any]) -> str:
    """A sentence about the accuracy with and without corruption; empty if no corruption was scored."""
    if not corruptions:
        return ""
    text = metric("accuracy").text
    return (f"Accuracy on {counted(corruptions['count'], 'test image')}: {text(corruptions['clean'])} without "
            f"corruption, {text(corruptions['mean'])} with corruption (mean over all corruptions and severities).")


def history_rows(history: Sequence[Mapping[str, float]]) -> tuple[list[str], list[list[str]]]:
    """(columns, rows) of the history as text; missing values are a dash."""
    columns = list(dict.fromkeys(key for record in history for key in record))
    titles = [TITLES.get(column, column.replace("_", " ")) for column in columns]
    return titles, [[_value(column, record.get(column)) for column in columns] for record in history]


TITLES = {
    "images_per_second": "images/s", "learning_rate": "learning rate",
    "val_loss": "validation loss", "val_accuracy": "validation accuracy", "seconds": "time (s)",
}
FORMATS = {"epoch": ",.0f", "images_per_second": ",.0f", "seconds": ",.1f", "loss": ".4f", "val_loss": ".4f"}


def _value(column: str, value: float | None) -> str:
    if value is None:
        return DASH
    if not math.isfinite(value):
        return str(value)
    if column.endswith("accuracy"):
        return f"{100 * value:.1f} %"
    return format(value, FORMATS.get(column, ",.4g"))


def sections(environment: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """The environment as (section, [(name, value)]); names of nested values have those of the outer ones before them.

    Leaves out the splits and the files left out, because `split_rows` and `left_out` have them.
    """
    general = [(_words(key), _plain(value)) for key, value in environment.items() if not isinstance(value, Mapping)]
    nested = []
    for key, value in environment.items():
        if isinstance(value, Mapping):
            kept = {k: v for k, v in value.items() if key != "dataset" or k not in ("splits", "left_out")}
            nested.append((_words(key).capitalize(), _flat(kept)))
    return ([("General", general)] if general else []) + nested


def _flat(tree: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for key, value in tree.items():
        name = f"{prefix}{_words(key)}"
        rows += _flat(value, f"{name}, ") if isinstance(value, Mapping) else [(name, _plain(value))]
    return rows


def _words(key: str) -> str:
    return key.replace("_", " ")


def _plain(value: Any) -> str:
    if value is None or value == "" or value == []:
        return DASH
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def duration(seconds: float) -> str:
    """Seconds as "41.2 s", "12 min 3 s" or "2 h 5 min"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60:,} h {minutes % 60} min"


def repeat(run: Run, environment: Mapping[str, Any]) -> str:
    """The command that repeats the run, quoted for a shell."""
    model = run.recipe().model
    if model.name == ENSEMBLE:
        return shlex.join(["tenfold", "ensemble", *map(str, model.options["members"])])
    words = ["tenfold", "train", str(run.path / "recipe.toml")]
    uri = environment.get("dataset", {}).get("uri")
    return shlex.join([*words, "--data", str(uri)] if uri else words)
