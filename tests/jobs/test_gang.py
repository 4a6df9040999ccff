"""One training in several processes of a real Ray cluster on this machine, whose nodes are killed and added."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_clusters import needs_ray, ran

# Two nodes with a core each, beside a head without. The cluster notices the death of a node sooner than by default.
CLUSTER = """
import os, signal
from pathlib import Path
from made_clusters import children
from ray.cluster_utils import Cluster
from tenfold import train
from tenfold.errors import TenfoldError
from tenfold.jobs import gang
from tenfold.progress import Epoch, Notice, Watcher
from tenfold.progress.journal import NAME, read

quick = {"health_check_initial_delay_ms": 1000, "health_check_period_ms": 500, "health_check_failure_threshold": 2}
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False,
                                                        "_system_config": quick})
nodes = [cluster.add_node(num_cpus=1), cluster.add_node(num_cpus=1)]

def kill_node(node):
    raylet = node.all_processes["raylet"][0].process.pid
    for each in [raylet, *children(raylet)]:
        os.kill(each, signal.SIGKILL)

def signal_worker(node, number):
    for each in children(node.all_processes["raylet"][0].process.pid):
        if Path(f"/proc/{each}/cmdline").read_bytes().startswith(b"ray::_work"):
            os.kill(each, number)

class Says(Watcher):
    def __init__(self, *acts):
        self.acts = list(acts)  # (words of a notice, what to do when it is said), in order
    def on(self, event):
        if isinstance(event, Notice):
            print(event.text, flush=True)
            if self.acts and self.acts[0][0] in event.text:
                self.acts.pop(0)[1]()

changes = {"model.hidden": [256, 256], "train.epochs": 20, "train.batch_size": 8, "train.early_stopping": None,
           "train.precision": "float32"}

def trained(watcher, least=1):
    return train("mlp", "digits", overrides=changes, runs="runs", ranks=2, min_ranks=least, on=cluster.address,
                 watcher=watcher)
"""


@needs_ray
@pytest.mark.slow
def test_a_training_goes_on_in_fewer_processes_when_a_node_dies_and_in_more_after_one_has_joined(
        tmp_path: Path) -> None:
    said = ran(CLUSTER + """
def replace_node():
    signal_worker(nodes[1], signal.SIGSTOP)  # it would come to its end while the new node begins
    nodes.append(cluster.add_node(num_cpus=1))
    signal_worker(nodes[1], signal.SIGKILL)

run = trained(Says((" 2/20", lambda: kill_node(nodes[0])), (" 3/20", replace_node)))
print("EPOCHS", [record["epoch"] for record in run.history()], run.status().state.value)
print("TOLD", [event.record["epoch"] for _, event in read(run.path / NAME) if isinstance(event, Epoch)])
print("RUNS", len(os.listdir("runs")), [name for name in os.listdir(run.path) if name.startswith(".")])
    """, tmp_path)
    counts = [line for line in said.splitlines() if line.startswith("training in ")]
    assert counts == ["training in 2 processes", "training in 1 process", "training in 2 processes"], said
    assert said.count("; the training goes on from its last checkpoint") == 2
    assert f"EPOCHS {list(range(1, 21))} finished" in said
    assert f"TOLD {list(range(1, 21))}" in said
    assert "RUNS 1 []" in said


@needs_ray
@pytest.mark.slow
def test_a_training_that_no_node_is_left_for_ends_with_one_line(tmp_path: Path) -> None:
    said = ran(CLUSTER + """
gang.WAIT = 5
def kill_first():
    kill_node(nodes[0])

def kill_second():
    kill_node(nodes[1])

try:
    trained(Says((" 2/20", kill_first)), least=2)
except TenfoldError as error:
    print("TOO FEW", error.exit_code, error)
try:
    trained(Says((" 2/20", kill_second)))
except TenfoldError as error:
    print("ENDED", error.exit_code, error)
from tenfold.run import Run
print("STATUS", *(run.status().state.value for run in Run.list("runs")))
    """, tmp_path)
    ended, = (line for line in said.splitlines() if line.startswith("ENDED 1 on: received "))
    assert "the living nodes have 0 processor cores for it; expected at least 1" in ended
    few, = (line for line in said.splitlines() if line.startswith("TOO FEW 1 on: received "))
    assert "the living nodes have 1 processor core for it; expected at least 2: add a node" in few
    assert "STATUS failed failed" in said
