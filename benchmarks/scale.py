"""The costs of a cluster of two nodes with one core each, on this machine, and what they foretell of larger ones.

    python -m benchmarks.scale [trials] [ranks] [predict] [--smoke] [--json FILE]

`trials` compares 2 nodes × 1 core with 1 process × 2 threads: trainings of one recipe an hour, through `run_all`.
`ranks` compares data-parallel training in 2 processes with 1 process × 2 threads: images a second after the first
epoch, and measures the seconds that a step spends in exchanging gradients. `predict` measures images a second in bulk.
Bars: 0.85 for trials, 0.7 for `cifar-cnn`. Needs 'tenfold[scale]'; the nodes are two raylets on the loopback address.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import record
from benchmarks.side_by_side import significant
from benchmarks.targets import Target, target
from benchmarks.targets import table as targets_table
from tenfold import jobs
from tenfold.bulk import predict_all
from tenfold.jobs import executors
from tenfold.progress import SILENT
from tenfold.recipe import Recipe

SMOKE = {"data.source": "shapes:train=300,test=60", "train.epochs": 2, "train.batch_size": 50}
NODES = (8, 64, 512)
LATENCY, BANDWIDTH = 50e-6, 1.25e9  # of a plain 10 Gbit/s network, for the plan: seconds, bytes a second


@contextlib.contextmanager
def two_nodes() -> Iterator[str]:
    """The address of a cluster of two nodes with one core each."""
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.add_node(num_cpus=1)
    try:
        yield cluster.address
    finally:
        import ray

        ray.shutdown()
        cluster.shutdown()


def trials(recipe: Recipe, count: int, address: str) -> dict[str, Any]:
    """Trainings an hour, alone with all threads and on the cluster; the seconds of a call that does nothing."""
    recipes = [recipe.replace({"train.seed": seed}) for seed in range(count)]
    rates = {}
    for name, workers, on in (("one process, two threads", 1, None), ("two nodes, one core each", 2, address)):
        with tempfile.TemporaryDirectory() as runs:
            calls = [partial(jobs.train, each, runs=runs) for each in recipes]
            if on:
                for _ in executors.run_all([partial(nothing)] * 2, 2, SILENT, on):
                    pass  # the first calls start the processes and import the engine
            before = time.perf_counter()
            for _, outcome in executors.run_all(calls, workers, SILENT, on):
                executors.result(outcome)
            rates[name] = 3600 * count / (time.perf_counter() - before)
    before = time.perf_counter()
    for _ in executors.run_all([partial(nothing)] * 20, 2, SILENT, address):
        pass
    overhead = (time.perf_counter() - before) / 20
    alone, cluster = rates.values()
    return {"trainings_per_hour": rates, "ratio": significant(cluster / alone), "seconds_per_call": overhead}


def nothing(*, watcher: Any) -> None:
    """A call that costs only its way."""
    import tenfold.training.loop  # noqa: F401


def ranks(recipe: Recipe, address: str) -> dict[str, Any]:
    """Training images a second after the first epoch, alone with two threads and in two processes on the cluster."""
    found = {}
    for name, options in (("one process, two threads", {}), ("two processes", {"ranks": 2, "on": address})):
        with tempfile.TemporaryDirectory() as runs:
            run = jobs.train(recipe, runs=runs, **options)
            found[name] = statistics.median(each["images_per_second"] for each in run.history()[1:])
            parameters = run.environment()["model"]["parameters"]
    alone, together = found.values()
    return {"images_per_second": found, "ratio": significant(together / alone), "parameters": parameters,
            "images_per_step": recipe.train.batch_size}


def predict(recipe: Recipe, count: int) -> dict[str, Any]:
    """Image files a second in bulk, in one process, its start included."""
    from PIL import Image

    with tempfile.TemporaryDirectory() as folder:
        run = jobs.train(recipe.replace({"train.epochs": 1}), runs=folder)
        images, rng = Path(folder) / "images", np.random.default_rng(0)
        images.mkdir()
        for number in range(count):
            Image.fromarray(rng.integers(0, 256, (64, 64, 3), np.uint8)).save(images / f"{number}.jpg")
        before = time.perf_counter()
        predict_all(run, [images], Path(folder) / "out")
        return {"images_per_second": count / (time.perf_counter() - before), "images": count}


def targets(found: dict[str, Any]) -> list[Target]:
    """The figures that have targets."""
    return [target("trainings on two nodes with one core ÷ one process with two threads", found["trials"]["ratio"],
                   least=0.85),
            target("one training in two processes ÷ one process with two threads", found["ranks"]["ratio"], least=0.7)]


def table(found: dict[str, Any]) -> str:
    """The Markdown tables of a result: the targets, and the plan for more nodes."""
    rows = plan(found)
    lines = [f"| {' | '.join(cells)} |" for cells in (rows[0], ["---"] * len(rows[0]), *(row.values() for row in rows))]
    return "\n".join([targets_table(targets(found)), "", *lines])


def plan(found: dict[str, Any]) -> list[dict[str, str]]:
    """A row for 8, 64 and 512 nodes of one core: what they do if the measured costs stay, and the network is LATENCY.

    Trainings and predictions need no exchange. Gradients go around a ring: 2 (n - 1) messages and, in each direction,
    (n - 1) / n of their bytes (Patarasuk & Yuan 2009), while each node computes on a batch of the measured size.
    """
    rows = []
    for nodes in NODES:
        row = {"nodes": f"{nodes:,}"}
        if "trials" in found:
            rate = found["trials"]["trainings_per_hour"]["two nodes, one core each"] / 2
            calls = 3600 / found["trials"]["seconds_per_call"]  # one driver starts them all
            row["trainings an hour"] = f"{min(nodes * rate, calls):,.0f}"
        if "ranks" in found:
            each = found["ranks"]
            step = each["images_per_step"] / (each["images_per_second"]["two processes"] / 2)
            exchange = 2 * (nodes - 1) * LATENCY + 2 * 4 * each["parameters"] * (nodes - 1) / nodes / BANDWIDTH
            row["efficiency of one training"] = f"{100 * step / (step + exchange):.0f} %"
        if "predict" in found:
            row["images predicted a second"] = f"{nodes * found['predict']['images_per_second']:,.0f}"
        rows.append(row)
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", type=record.one_of(("trials", "ranks", "predict")), metavar="WHAT",
                        default=["trials", "ranks", "predict"])
    parser.add_argument("--smoke", action="store_true", help="a few drawn shapes, as a test")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    small = SMOKE if arguments.smoke else {"data.train_size": 9000}
    found: dict[str, Any] = {}
    with two_nodes() as address:
        if "trials" in arguments.what:
            found["trials"] = trials(Recipe.load("cnn2", {"train.epochs": 2, **small}), 4, address)
        if "ranks" in arguments.what:
            found["ranks"] = ranks(Recipe.load("cifar-cnn", {"train.epochs": 3, **small}), address)
    if "predict" in arguments.what:
        found["predict"] = predict(Recipe.load("cifar-cnn", small), 200 if arguments.smoke else 8000)
    print(json.dumps(found, indent=2))
    for row in plan(found):
        print(row)
    if arguments.json:
        arguments.json.write_text(json.dumps({**found, **record.origin()}, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
