"""How good is `tenfold drift`? Its estimates against the true accuracy, on images whose labels it does not see.

    python -m benchmarks.drift [RUN …] [--json FILE]

Without runs, it trains `cnn2` on CIFAR-10 and `mnist-cnn` on MNIST. The cases are up to 1,000 test images of each run:
unchanged, under every corruption of `evaluation.corruptions` at five severities, encoded again as JPEG of six
qualities, and with the shares of the classes drawn anew (looks unchanged). None of these is among the known changes by
which the method sets its interval. The bar is for severities up to 3 and JPEG: mean absolute error at most 3 points,
the interval covers at least 85 % at a mean width of at most 15 points. `tells` is the fraction with an estimate.
"""

from __future__ import annotations

import argparse
import io
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks import record
from benchmarks.side_by_side import log
from benchmarks.targets import Target, target
from benchmarks.targets import table as targets_table

MOST = 1000  # test images
QUALITIES = (95, 85, 75, 60, 45, 30)
BOUND = "severity 1 to 3 and JPEG"  # the group with targets
DRAWS = 10  # of class shares
TRAINED = {"cnn2": "cifar10", "mnist-cnn": "mnist"}


def cases(images: np.ndarray, labels: np.ndarray) -> Iterator[tuple[str, str, np.ndarray, np.ndarray]]:
    """(group, name, images, labels) of every case."""
    from tenfold.evaluation.corruptions import SEVERITIES, corruption
    from tenfold.registry import CORRUPTIONS

    yield "unchanged", "unchanged", images, labels
    for name in CORRUPTIONS.names():
        for severity in SEVERITIES:
            group = BOUND if severity <= 3 else "severity 4 and 5"
            yield group, f"{name} {severity}", corruption(name)(images, severity), labels
    for quality in QUALITIES:
        again = np.stack([encoded(each, quality) for each in images])
        yield BOUND, f"JPEG {quality}", again, labels
    for seed in range(DRAWS):
        rng = np.random.default_rng(seed)
        weights = rng.dirichlet(np.ones(labels.max() + 1))[labels]
        rows = rng.choice(len(labels), len(labels) // 4, replace=False, p=weights / weights.sum())
        yield "other shares", f"shares {seed}", images[rows], labels[rows]


def encoded(image: np.ndarray, quality: int) -> np.ndarray:
    """An image uint8 [h, w, c] after JPEG of this quality."""
    buffer = io.BytesIO()
    Image.fromarray(image if image.shape[2] == 3 else image[:, :, 0]).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer)).reshape(image.shape)


def judged(run: Any) -> Iterator[dict[str, Any]]:
    """The estimate and the truth of every case of a run."""
    from tenfold.elsewhere import reference_of
    from tenfold.evaluation.judgement import Judge
    from tenfold.evaluation.looking import tempered
    from tenfold.jobs.own_data import own_data
    from tenfold.progress import SILENT
    from tenfold.runtimes.fast import fast

    test, predictor, reference = own_data(run, SILENT).test, fast(run), reference_of(run, SILENT)
    judge = Judge(predictor, reference, SILENT)
    rows = np.arange(min(MOST, len(test)))
    for group, name, images, labels in cases(np.asarray(test.images[rows]), test.labels[rows]):
        features = predictor.features(images)
        p = tempered(predictor, features, reference.temperature)
        found, truth = judge(features, p), float((p.argmax(axis=1) == labels).mean())
        true_shares = np.bincount(labels, minlength=p.shape[1]) / len(labels)
        off = [abs(share.after - true) for share, true in zip(found.shares, true_shares, strict=True)]
        yield {"run": run.name, "group": group, "case": name, "truth": truth, **found.accuracy.to_dict(),
               "new": found.new, "changed": sum(share.changed for share in found.shares),
               "largest_error_of_a_share": max(off)}


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """What the cases of a group come to; errors and widths in points, of the cases with an estimate."""
    told = [row for row in rows if row["tells"]]
    found: dict[str, Any] = {"cases": len(rows), "tells": len(told) / len(rows)}
    if told:
        found |= {"error": 100 * float(np.mean([abs(row["value"] - row["truth"]) for row in told])),
                  "covers": float(np.mean([row["low"] <= row["truth"] <= row["high"] for row in told])),
                  "width": 100 * float(np.mean([row["high"] - row["low"] for row in told]))}
    return found


def targets(result: dict[str, Any]) -> list[Target]:
    """The figures that have targets."""
    found = result["groups"][BOUND]
    return [target("mean absolute error, points", found.get("error"), most=3),
            target("fraction of intervals with the true accuracy", found.get("covers"), least=0.85),
            target("mean width of the intervals, points", found.get("width"), most=15)]


def table(result: dict[str, Any]) -> str:
    """The Markdown tables of a result."""
    lines = ["| cases | number | with an estimate | error | intervals that cover | width |",
             "|---|---|---|---|---|---|"]
    for name, found in result["groups"].items():
        told = (f"{found['error']:.1f} | {found['covers']:.0%} | {found['width']:.1f}" if "error" in found
                else "– | – | –")
        lines.append(f"| {name} | {found['cases']} | {found['tells']:.0%} | {told} |")
    return "\n".join([*lines, "", f"Targets for {BOUND}:", "", targets_table(targets(result))])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", type=Path, metavar="RUN")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there")
    arguments = parser.parse_args()
    import tenfold

    with tempfile.TemporaryDirectory() as folder:
        runs = [tenfold.Run.open(path) for path in arguments.runs] or [
            tenfold.train(recipe, data, runs=folder) for recipe, data in TRAINED.items()]
        rows = []
        for run in runs:
            for row in judged(run):
                rows.append(row)
                log(f"{row['run']}, {row['case']}: true {row['truth']:.3f}, estimated {row['value']:.3f} "
                    f"[{row['low']:.3f}, {row['high']:.3f}]{'' if row['tells'] else ' (can not tell)'}")
        names = {run.name: run.metrics()["test"]["accuracy"]["value"] for run in runs}
    groups = {group: summary([row for row in rows if row["group"] == group])
              for group in dict.fromkeys(row["group"] for row in rows)}
    by_run = {run: summary([row for row in rows if row["run"] == run and row["group"] == BOUND])
              for run in names}
    record.write(arguments.json, {"runs": names, "groups": groups, f"{BOUND}, by run": by_run,
                                  "rows": rows, **record.origin()})


if __name__ == "__main__":
    main()
