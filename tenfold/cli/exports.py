"""Commands that turn runs into models for other programs, and compare their speed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from tenfold.cli.command import AsJson, RunPath, app, command, watching


@command(app, short="Export a run's model: onnx, openvino, torch, keras, h5.")
def export(
    run: RunPath,
    format: Annotated[str, typer.Argument(metavar="FORMAT", help="onnx, openvino, torch, keras or h5.")],
    out: Annotated[Path | None, typer.Option("--out", metavar="PATH", help="The exported file, or a folder for it. "
                                             "Default: the run's exports/.")] = None,
    int8: Annotated[bool, typer.Option("--int8", help="With 8-bit layers (onnx, openvino), calibrated on training "
                                       "images. Needs the run's data set.")] = False,
    lose: Annotated[float, typer.Option(min=0, max=100, help="Points of accuracy that --int8 may lose on the "
                                        "validation split.")] = 0.5,
    as_json: AsJson = False,
) -> None:
    """Export a run's model, checked against model.keras on real images.

    Exported models take raw pixels and give probabilities.
    """
    from tenfold import jobs
    from tenfold.run import Run

    with watching() as watcher:
        made = jobs.export(Run.open(run), format, out, int8=int8, lose=lose, watcher=watcher)
    if as_json:
        print(json.dumps(made.to_dict(), indent=2, ensure_ascii=False))
    else:
        print(f"{made.path}  {made.size / 1e6:,.1f} MB\n{made.agreement}")
