"""Commands for what comes after a training: average runs, judge them elsewhere, choose what to label next."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from tenfold.cli.command import AsJson, Name, RunPath, Runs, app, command, print_json, watching


@command(app, short="Average runs into one model; test whether it is more accurate.")
def ensemble(
    members: Annotated[list[Path], typer.Argument(metavar="RUN…", help="Finished runs on the same data, two or more; "
                                            "or the directory of a cross-validation.")],
    runs: Runs = Path("runs"),
    name: Name = None,
    csv: Annotated[bool, typer.Option("--csv", help="Also write the predictions as CSV.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make a run whose model averages the calibrated probabilities of others, and test whether that is worth its cost.

    It is compared with its best member, which is chosen on the validation split. Needs the runs' data set. The ensemble
    of a cross-validation has learnt from all images, and its prediction sets need no images held out.
    """
    from tenfold import jobs, terminal
    from tenfold.report import worth

    with watching() as watcher:
        made = jobs.ensemble(members, runs=runs, name=name, csv=csv, watcher=watcher)
    if as_json:
        print_json({"run": str(made.path), **made.metrics(), "ensemble": made.ensemble()})
    else:
        terminal.print_results(made)
        print(worth.ensemble(made.ensemble()))


@command(app, short="Estimate a run's accuracy on other images, without labels.")
def drift(
    run: RunPath,
    images: Annotated[list[Path], typer.Argument(metavar="NEW_IMAGES…", help="Image files, folders of images and "
                                                 "tables; labels are not needed.")],
    reference: Annotated[str | None, typer.Option("--reference", metavar="DATA", help="A labelled data set that was "
                                                  "not used in training. Default: the run's validation split.")] = None,
    as_json: AsJson = False,
) -> None:
    """Estimate the accuracy and the class proportions on unlabelled images, and find those that look new.

    If no estimate is possible, it says why. Writes drift/index.html into the run.
    """
    from tenfold import elsewhere
    from tenfold.report import drift as report

    with watching() as watcher:
        result = elsewhere.drift(run, images, reference=reference, watcher=watcher)
    if as_json:
        print_json(result.found)
    else:
        _print_facts([*report.verdict(result.found), ("page", str(result.index))])
    _tell_unread(result.found["unread"])


@command(app, "next", short="Choose the images to label next.")
def next_images(
    run: RunPath,
    images: Annotated[list[Path], typer.Argument(metavar="IMAGES…", help="Image files, folders of images and tables; "
                                                 "labels are not needed.")],
    count: Annotated[int, typer.Option(min=1, help="Number of images to choose.")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the choice.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Choose the unlabelled images to label next: the model is unsure of them, and they are unlike one another.

    Writes next/next.csv and next/index.html into the run.
    """
    from tenfold import labelling
    from tenfold.report.labelling import summary

    with watching() as watcher:
        found = labelling.next_images(run, images, count=count, seed=seed, watcher=watcher)
    if as_json:
        print_json({"images": found.rows, "unread": found.unread})
    else:
        print(summary(found.rows, found.given))
        _print_facts([("csv", str(found.csv)), ("page", str(found.index))])
    _tell_unread(found.unread)


def _print_facts(rows: Sequence[tuple[str, str]]) -> None:
    width = max(len(name) for name, _ in rows)
    for name, sentence in rows:
        print(f"{name:<{width}}  {sentence}")


def _tell_unread(reasons: Sequence[str]) -> None:
    """Name the files that could not be read on standard error, and exit with 1 if there are any."""
    for reason in reasons:
        print(f"tenfold: {reason}", file=sys.stderr)
    if reasons:
        raise typer.Exit(1)
