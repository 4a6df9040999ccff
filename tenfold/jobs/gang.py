"""Calls that need each other, on a Ray cluster: all of them at a time, each on a core that was reserved for it.

The cores are reserved together, and only nodes that answer can reserve some. So a dead node takes no part even before
the cluster knows of its death, and where there is no room for all, fewer calls are made. If one dies, the others would
wait for it, and are ended.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tenfold.counted import counted
from tenfold.errors import EngineError, TenfoldError, WorkerError
from tenfold.jobs.cluster import PAUSE, Died, Pool, connect
from tenfold.jobs.executors import Call
from tenfold.progress import Watcher, stop_if_asked

SOON = 5.0  # seconds, after which the command says that it waits for cores
WAIT = 60.0  # seconds, after which cores that others use are left out, or the lack of any core is an error
LAST = 30.0  # seconds, after a call failed, for the others to end, or for the cluster to notice that a node died


def run_gang(on: str, most: int, make: Callable[[int], Sequence[Call]], watcher: Watcher,
             least: int = 1) -> Iterator[tuple[int, Any]]:
    """Make the calls `make(count)`, each on a core of its own, with the largest count that has room.

    The count is from `least` to `most`. Yields (index, result or TenfoldError) of each; none is made again. Raises
    KeyboardInterrupt once all have stopped; EngineError if the cluster has no cores for `least`.
    """
    from ray.util import remove_placement_group

    ray = connect(on)
    group = _reserved(ray, on, least, most, watcher)
    try:
        with Pool(ray) as pool:
            yield from _together(ray, pool, group, make(group.bundle_count), watcher)
    finally:
        remove_placement_group(group)


def _reserved(ray: Any, on: str, least: int, most: int, watcher: Watcher) -> Any:
    """A placement group of one core for each of `least` to `most` calls. Raises EngineError, KeyboardInterrupt."""
    from ray.util import placement_group, remove_placement_group

    group, told, began = None, 0, time.monotonic()
    try:
        while True:
            stop_if_asked(watcher)
            waited = time.monotonic() - began
            room = _room(ray, waited > WAIT)
            count = min(most, room) if room >= least else 0
            if not count and waited > WAIT:
                raise EngineError(f"on: received {on}; the living nodes have {counted(room, 'processor core')} for it; "
                                  f"expected at least {least}: add a node with `ray start`, and repeat the command "
                                  "with --resume")
            if group is not None and group.bundle_count != count:
                remove_placement_group(group)
                group = None
            if group is None and count:
                group = placement_group([{"CPU": 1}] * count)
            if group is None:
                time.sleep(PAUSE)
            elif group.wait(PAUSE):
                return group
            if waited > SOON and told != max(count, least):
                told = max(count, least)
                watcher.notice(f"waiting for {counted(told, 'free core')} of the cluster")
    except BaseException:
        if group is not None:
            remove_placement_group(group)
        raise


def _room(ray: Any, waited: bool) -> int:
    """The cores of the living nodes; after waiting, without those that others use, unless that leaves none."""
    cores = sum(int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"])
    free = int(ray.available_resources().get("CPU", 0))
    return free if waited and 0 < free < cores else cores


def _together(ray: Any, pool: Pool, group: Any, calls: Sequence[Call], watcher: Watcher) -> Iterator[tuple[int, Any]]:
    from ray.util import placement_group_table
    from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

    nodes = placement_group_table(group)["bundles_to_node_id"]
    working = {pool.start(call, scheduling_strategy=PlacementGroupSchedulingStrategy(group, index)): index
               for index, call in enumerate(calls)}
    end = math.inf  # when those that do not end are given up: immediately if one is known to have died
    try:
        while working and time.monotonic() < end:
            results = [(working.pop(each), pool.result(each)) for each in pool.ended(list(working), watcher)]
            alive = {node["NodeID"] for node in ray.nodes() if node["Alive"]}
            lost = [each for each, index in working.items() if nodes[index] not in alive]
            results += [(working.pop(each), Died("the node of a worker process died")) for each in lost]
            for index, result in results:
                if isinstance(result, Died):
                    end = 0.0
                elif isinstance(result, TenfoldError):
                    end = min(end, time.monotonic() + LAST)
                yield index, WorkerError(result.reason) if isinstance(result, Died) else result
        for index in working.values() if end else ():
            yield index, WorkerError(f"a worker process or its node died (no answer for {LAST:.0f} s)")
        pool.kill(list(working))
    except BaseException:
        pool.stop(list(working))
        raise
