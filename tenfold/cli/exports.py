"""Commands that turn runs into models for other programs, and compare their speed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from tenfold.cli.command import AsJson, RunPath, app, command, print_json, watching
from tenfold.errors import StorageError


@command(app, short="Export a run's model, also as one web page.")
def export(
    run: RunPath,
    format: Annotated[str, typer.Argument(metavar="FORMAT", help="onnx, openvino, litert, torch, keras, h5, tf, or "
                                       "html: one web page that works offline.")],
    out: Annotated[Path | None, typer.Option("--out", metavar="PATH", help="The exported file, or a folder for it. "
                                             "Default: the run's exports/.")] = None,
    int8: Annotated[bool, typer.Option("--int8", help="With 8-bit layers (onnx, openvino, html), calibrated on "
                                       "training images. Needs the run's data set.")] = False,
    lose: Annotated[float, typer.Option(min=0, max=100, help="Largest loss of accuracy that --int8 may cause on "
                                        "the validation split, in percentage points.")] = 0.5,
    fetch: Annotated[bool, typer.Option("--fetch", help="Download what html needs, if the installation lacks it: ONNX "
                                        "Runtime for browsers, 33 MB.")] = False,
    as_json: AsJson = False,
) -> None:
    """Export a run's model, checked against model.keras on real images.

    Exported models take raw pixels and give probabilities.
    """
    from tenfold import jobs
    from tenfold.run import Run

    with watching() as watcher:
        opened = Run.open(run)
        if fetch and format == "html":
            from tenfold.export.page.runtime import fetch as fetch_runtime

            fetch_runtime(watcher)
        made = jobs.export(opened, format, out, int8=int8, lose=lose, watcher=watcher)
    if as_json:
        print_json(made.to_dict())
    else:
        print(f"{made.path}  {made.size / 1e6:,.1f} MB\n{made.agreement}")


@command(app, short="Measure the speed of a run's model in every runtime.")
def bench(
    run: RunPath,
    batch: Annotated[list[int] | None, typer.Option("--batch", min=1, max=4096, help="Batch size; repeatable. Default: "
                                                    "1, 8, 64 and 512.")] = None,
    rounds: Annotated[int, typer.Option(min=1, max=100, help="Rounds in which the runtimes take turns.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Measure speed, latency, start-up, memory, size and agreement of a run's model in every installed runtime.

    Writes bench/index.html and bench/index.json into the run.
    """
    from tenfold import bench as benching
    from tenfold import terminal
    from tenfold.run import Run

    with watching() as watcher:
        found = benching.bench(Run.open(run), batch or benching.BATCHES, rounds, watcher)
    if as_json:
        print_json([each.to_dict() for each in found])
    else:
        terminal.print_bench(found)
    try:
        written = benching.write_page(Run.open(run), found)
    except StorageError as error:  # the run may be read-only
        print(f"tenfold: warning: no page: {error}", file=sys.stderr)
        return
    if not as_json:
        print(f"page  {written}")
