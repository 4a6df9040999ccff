"""An executor on Ray: a real cluster of two nodes on this machine, whose workers and nodes are killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from made_clusters import needs_ray, ran
from PIL import Image

from tenfold.errors import UsageError
from tenfold.jobs import cluster
from tenfold.run import Run, State


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="on: received 'rayy'"):
        cluster.check("rayy")
    for address in (None, "ray", "ray://head:10001", "head:6379"):
        cluster.check(address)


@needs_ray
@pytest.mark.slow
def test_a_search_survives_the_death_of_a_worker_and_of_a_node(tmp_path: Path) -> None:
    said = ran("""
        import os, signal
        from pathlib import Path
        from ray.cluster_utils import Cluster
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        node = cluster.add_node(num_cpus=1)

        from made_searches import OPTIONS, START
        from tenfold.progress import Notice, Watcher
        from tenfold.search import tune

        class Killer(Watcher):
            done = []
            def on(self, event):
                if not isinstance(event, Notice):
                    return
                print(event.text, flush=True)
                if event.text.startswith("trial ") and len(self.done) < 2:
                    self.done.append(event.text)
                    if len(self.done) == 1:
                        kill_worker()
                    else:
                        cluster.remove_node(node, allow_graceful=False)
                        print("node removed", flush=True)

        def kill_worker():
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    text = path.read_bytes()
                except OSError:
                    continue
                if text.startswith(b"ray::_work"):
                    os.kill(int(path.parent.name), signal.SIGKILL)
                    print("worker killed", flush=True)
                    return

        found = tune(START, runs="runs", on=cluster.address, watcher=Killer(),
                     **OPTIONS | {"workers": 2, "trials": 10, "pruner": "none"})
        rows = found.results["trials"]
        print("STATUSES", len(rows), sorted({row["status"] for row in rows}))
        import ray
        ray.shutdown()
        cluster.shutdown()
    """, tmp_path)
    assert "worker killed" in said
    assert "node removed" in said
    assert "STATUSES 10 ['finished']" in said
    assert "the work goes on elsewhere" in said


@needs_ray
@pytest.mark.slow
def test_an_interrupt_saves_and_stops_what_runs_on_the_cluster(tmp_path: Path) -> None:
    said = ran("""
        from functools import partial
        from tenfold import jobs
        from tenfold.jobs.executors import run_all
        from tenfold.progress import Notice, Watcher
        from tenfold.recipe import Recipe

        class Stop(Watcher):
            stopped = False
            def on(self, event):
                self.stopped |= isinstance(event, Notice) and "epoch " in event.text
            def stop(self):
                return self.stopped

        recipe = Recipe.load("mlp", {"data.source": "digits", "train.epochs": 9999, "train.batch_size": 8})
        try:
            list(run_all([partial(jobs.train, recipe, runs="runs")], 1, Stop(), "ray"))
        except KeyboardInterrupt:
            print("INTERRUPTED")
    """, tmp_path)
    run = Run.open(tmp_path / "runs" / "mlp-digits-1")
    assert "INTERRUPTED" in said
    assert run.status().state is State.STOPPED
    assert list((run.path / "checkpoints").glob("last-*"))


@needs_ray
@pytest.mark.slow
def test_seeds_and_bulk_predictions_run_on_a_local_cluster(tmp_path: Path) -> None:
    def tenfold(*words: str) -> str:
        done = subprocess.run([sys.executable, "-m", "tenfold", *words, "--on", "ray"], capture_output=True, text=True,
                              timeout=300, cwd=tmp_path, check=False, env={**os.environ, "TENFOLD_THREADS": "2"})
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    tenfold("train", "mlp", "--data", "digits", "--set", "train.epochs=1", "--seeds", "2", "--json")
    runs = [tmp_path / "runs" / f"mlp-digits-{number}" for number in (1, 2)]
    assert [Run.open(run).status().state for run in runs] == [State.FINISHED] * 2
    (tmp_path / "images").mkdir()
    for number in range(20):
        Image.new("L", (8, 8), 10 * number).save(tmp_path / "images" / f"{number}.png")
    told = json.loads(tenfold("predict", str(runs[0]), "images", "--out", "out", "--json"))
    assert told == {"path": "out", "images": 20, "unread": 0}
