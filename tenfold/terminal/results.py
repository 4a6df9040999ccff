"""What a run is worth, and what it says about images."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from tenfold.counted import counted
from tenfold.data.images import printable
from tenfold.registry import METRICS
from tenfold.terminal.console import show, show_fitted, table_of

if TYPE_CHECKING:  # imported on use: `tenfold predict` needs none of them
    from tenfold.bench import Measured
    from tenfold.explanation import Explanation
    from tenfold.prediction import Prediction
    from tenfold.run import Run

CONFUSED = 3  # pairs of classes shown after `tenfold try`
ENOUGH = 500  # training images for which it recommends to train a network


def print_results(run: Run) -> None:
    """Print the metrics of a finished run and the path of its report."""
    from tenfold.evaluation.metrics import metric
    from tenfold.report.cautions import of_split
    from tenfold.run import SplitRecord

    metrics = run.metrics()
    table = table_of("metric", *(f">{escape(name)}" for name in metrics))
    for name in METRICS.names():
        entries = [scored.get(name, {}) for scored in metrics.values()]
        if any(entry.get("value") is not None for entry in entries):
            table.add_row(metric(name).title, *map(metric(name).text, entries))
    if metrics:
        show(table)
    described = run.environment().splits
    inspection = run.read_json("inspection.json") if run.has("inspection.json") else {}
    for split, scored in metrics.items():
        known = SplitRecord(scored.get("data") or described.get(split.removesuffix("_tta"), {}))
        of = f" of {known.expected:,}" if known.expected else ""
        part = f"{of}: PARTIAL" if known.partial else ""
        show(f"[dim]{escape(split)}: {counted(known.count, 'image')}{part} ({escape(known.source)})[/dim]")
        for note in of_split(split, scored, inspection):
            show(f"[yellow]{escape(split)}: {escape(note)}[/yellow]")
    show(f"report  {escape(str(run.path / 'report.html'))}")


def print_first_verdict(run: Run, data: str, overrides: Sequence[str] = ()) -> None:
    """Print the result of `tenfold try` in a few lines, and what to do next with its data and their overrides."""
    from tenfold.evaluation.metrics import metric
    from tenfold.report import facts
    from tenfold.report.cautions import cautions

    metrics, dataset = run.metrics(), run.environment()["dataset"]
    split = "test" if "test" in metrics else "validation"
    of, classes = metrics[split], dataset["classes"]
    present = sum(any(row) for row in of["confusion_matrix"])
    where = counted(present, "class") if present == len(classes) else f"{present:,} of {counted(len(classes), 'class')}"
    show(f"accuracy  [bold]{metric('accuracy').text(of['accuracy'])}[/bold] on "
         f"{counted(of['count'], f'{split} image')} in {where}")
    for number, (count, true, predicted) in enumerate(_confused(of["confusion_matrix"])[:CONFUSED]):
        pair = f"{escape(classes[true])} predicted as {escape(classes[predicted])}"
        show(f"{'' if number else 'confused':<10}{pair}: {count:,} of {sum(of['confusion_matrix'][true]):,}")
    inspection = run.read_json("inspection.json") if run.has("inspection.json") else {}
    for caution in cautions(run.status(), dataset["splits"], run.metrics(), inspection):
        show(f"[yellow]{escape(caution)}[/yellow]")
    if run.has("learning_curve.json"):
        show(escape(facts.doubled(run.learning_curve())))
    show(f"report    {escape(str(run.path / 'report.html'))}\n")
    table = table_of("next", "")
    table.add_row(f"tenfold predict {escape(str(run.path))} IMAGE", "classify other images")
    table.add_row(f"tenfold explain {escape(str(run.path))}", "look at all errors")
    chosen = [word for each in overrides if each.startswith("data.") for word in ("--set", each)]
    if dataset["splits"]["train"]["count"] < ENOUGH:
        words, what = ["data", "check", data], "look for wrong labels and copies"
    else:
        words, what = ["train", "photos", "--data", data], "train longer, for a better model"
    table.add_row(escape(shlex.join(["tenfold", *words, *chosen])), what)
    show(table)


def _confused(matrix: Sequence[Sequence[int]]) -> list[tuple[int, int, int]]:
    """(images, true class, predicted class) of the confused pairs, most images first."""
    pairs = [(count, true, predicted) for true, row in enumerate(matrix) for predicted, count in enumerate(row)
             if count and true != predicted]
    return sorted(pairs, key=lambda pair: -pair[0])


def print_calibration(calibration: Mapping[str, Any]) -> None:
    """Print the fitted temperature and the metrics of each split before and after."""
    from tenfold.report import facts

    show(f"\n{facts.temperature(calibration)}")
    table = table_of("split", "metric", ">before", ">after")
    for row in facts.calibration_rows(calibration):
        table.add_row(*map(escape, row))
    show(table)


def print_decisions(decisions: Mapping[str, Any]) -> None:
    """Print what the decision rules guarantee and how they did on the test split."""
    from tenfold.report.decisions import sentences, set_rows

    for sentence in sentences(decisions):
        show(escape(sentence))
    header, rows = set_rows(decisions)
    if rows:  # none without a test split
        show_fitted(header, rows)


def print_corruptions(corruptions: Mapping[str, Any]) -> None:
    """Print the accuracy by corruption and severity, and the overall mean."""
    from tenfold.evaluation.metrics import metric
    from tenfold.report import facts

    table = table_of("corruption", *(f">{severity}" for severity in (1, 2, 3, 4, 5)))
    for each in corruptions["corruptions"].values():
        table.add_row(each["title"], *map(metric("accuracy").value_text, each["accuracy"]))
    show(f"\n{facts.robustness(corruptions)}")
    show(table)


def print_predictions(predictions: Sequence[Prediction]) -> None:
    """Print a row for each image: the two most probable classes, the prediction set and the decision if the model has
    rules; a star if the image is unlike the training images.
    """
    decided = any(prediction.decision for prediction in predictions)
    more = ("set", "decision") if decided else ()
    table = table_of("image", "class", ">probability", "next", ">probability", *more)
    for prediction in predictions:
        if prediction.error:
            table.add_row(escape(printable(prediction.name)), "–", "–", "unreadable", *[""] * (3 if decided else 1))
            continue
        ranked = sorted(prediction.probabilities.items(), key=lambda item: -item[1])[:2]
        cells = [cell for name, p in ranked for cell in (escape(printable(name)), f"{100 * p:.1f} %")]
        if decided:
            cells += [escape(printable(", ".join(prediction.set or ()))), prediction.decision or ""]
        table.add_row(escape(printable(prediction.name)) + " *" * prediction.unlike, *cells)
    show(table)
    if any(prediction.unlike for prediction in predictions):
        meaningless = "the probabilities, and the decision," if decided else "the probabilities"
        show(f"[dim]* unlike the training images in brightness or contrast: {meaningless} may mean nothing[/dim]")


def print_explanation(explanation: Explanation) -> None:
    """Print a row for each explained image or error, and the path of the index page."""
    explained = [entry for entry in explanation.entries if "predicted" in entry]
    errors = any("true" in entry for entry in explained)
    table = table_of("picture", "true" if errors else "image", "predicted", ">probability")
    for entry in explained:
        table.add_row(entry["file"], escape(entry["true"] if errors else entry["path"]), escape(entry["predicted"]),
                      f"{100 * entry['probability']:.1f} %")
    if explained:
        show(table)
    show(f"index  {escape(str(explanation.index))}")


def print_bench(found: Sequence[Measured]) -> None:
    """Print a row for each runtime and batch size, then one for each runtime."""
    from tenfold.report import bench

    facts = [each.to_dict() for each in found]
    for columns, rows in ((bench.SPEEDS, bench.speed_rows(facts)), (bench.MODELS, bench.model_rows(facts))):
        table = table_of(columns[0], *(f">{name}" for name in columns[1:]))
        for row in rows:
            table.add_row(*row)
        show(table)
        show("")
    show("[dim]start-up and memory: `tenfold predict` for one image; agreement: with the probabilities of the runtime "
         "keras[/dim]")
