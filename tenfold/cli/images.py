"""Commands that look at images with a run's model."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from tenfold.cli.command import AsJson, On, RunPath, app, command, one_format, print_json, refuse_both, watching
from tenfold.counted import counted
from tenfold.errors import UsageError


@command(app, short="Classify images and say which answers to accept.")
def predict(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run directory, or a model exported as onnx or "
                                        "openvino.")],
    paths: Annotated[list[Path], typer.Argument(metavar="PATH…", help="Image files, folders of images and tables "
                                                                      "of paths, pixels or encoded images.")],
    runtime: Annotated[str, typer.Option("--runtime", help="auto, fast, keras, onnx or openvino. auto: the run's ONNX "
                                         "model, which starts fastest, else fast.")] = "auto",
    level: Annotated[float | None, typer.Option("--level", help="Level of the prediction sets, one that `tenfold "
                                                "calibrate` has fitted; default: 0.9.")] = None,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Write the predictions as parquet files, "
                                             "block by block, so the images need not fit into memory; repeat the "
                                             "command to continue. Parquet files of images can be read too.")] = None,
    workers: Annotated[int | None, typer.Option("--workers", min=1, max=1024, metavar="N", help="With --out: predict "
                                                "in this many processes.")] = None,
    on: On = None,
    as_json: AsJson = False,
) -> None:
    """Classify images of any size with a run's model, and say which answers to accept."""
    one_format(csv, as_json)
    if out is not None:
        refuse_both("--out", {"--level": level is not None, "--csv": csv})
        _predict_all(run, paths, out, as_json, runtime=runtime, workers=workers, on=on)
        return
    if workers or on:
        raise UsageError(f"received {'--on' if on else '--workers'} without --out; expected a directory for the "
                         "predictions: add --out DIR")
    from tenfold.run import model_at
    from tenfold.storage.paths import check_present

    model = model_at(run)
    for path in paths:
        check_present(path)  # wrong paths are told before NumPy and the image reader are imported
    from tenfold import terminal
    from tenfold.prediction import Classifier, Predictions, cautions, columns

    classifier, predictions = Classifier(model, runtime, level), Predictions()
    predictions.rule_cautions = classifier.cautions
    for batch in classifier.classify_all(paths):
        if csv:
            terminal.print_csv([p.to_dict() for p in batch], columns(classifier.classes), header=not predictions)
        predictions += batch
    for caution in cautions(model, predictions):
        print(f"tenfold: warning: {caution}", file=sys.stderr)
    if as_json:
        print_json([p.to_dict() for p in predictions])
    elif not csv:
        terminal.print_predictions(predictions)
    unread = [p for p in predictions if p.error]
    for p in unread:
        named = p.path is None or p.name in str(p.error)
        print(f"tenfold: {p.error}" if named else f"tenfold: {p.name}: {p.error}", file=sys.stderr)
    if unread:
        raise typer.Exit(1)


@command(app, short="Explain errors or images with Grad-CAM.")
def explain(
    run: RunPath,
    images: Annotated[list[Path] | None, typer.Argument(metavar="[IMAGE…]", help="Image files, folders of images and "
                                                        "tables; without any: the run's errors.")] = None,
    most: Annotated[int, typer.Option(min=1, max=99, help="Number of most and of least confident errors.")] = 12,
    neighbours: Annotated[int, typer.Option(min=0, max=20, help="Nearest training images per error.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Explain images with Grad-CAM or, without any, the run's errors. Errors need the data set of the run's recipe."""
    from tenfold.run import Run
    from tenfold.terminal import print_explanation

    opened = Run.open(run)
    from tenfold.explanation import explain as explain_run  # imports Keras and PyTorch

    with watching() as watcher:
        result = explain_run(opened, images or (), most=most, neighbours=neighbours, watcher=watcher)
    if as_json:
        print_json({"path": str(result.path), "pictures": result.entries, "unread": result.unread})
    else:
        print_explanation(result)
    for reason in result.unread:
        print(f"tenfold: {reason}", file=sys.stderr)
    if result.unread:
        raise typer.Exit(1)


def _predict_all(model: Path, paths: list[Path], out: Path, as_json: bool, **options: Any) -> None:
    from tenfold.bulk import predict_all

    with watching() as watcher:
        found = predict_all(model, paths, out, watcher=watcher, **options)
    if as_json:
        print_json({"path": str(found.path), "images": found.images, "unread": found.unread})
    else:
        print(f"{counted(found.images, 'image')}, {found.unread:,} of them unreadable\npredictions  {found.path}")
    if found.unread:
        raise typer.Exit(1)
