"""Replay a search that pruned nothing, with pruning: is the winner kept, and how many epochs are saved?

    python -m benchmarks.pruning SEARCH [--orders 20] [--pruner halving]

SEARCH is the directory of a search made with `--pruner none`. Its learning curves are replayed in random orders; each
trial is ended when the pruner says so. Also prints the rank correlation between the records at each rung and at the
end.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import optuna
from optuna.trial import TrialState
from scipy.stats import spearmanr

from tenfold.evaluation.metrics import metric
from tenfold.search.pruners import NAMES, pruner, rungs


def replay(curves: Sequence[Sequence[float]], name: str, higher: bool) -> tuple[list[int], int]:
    """(indices of the trials that were trained to the end, epochs trained in all)."""
    study = optuna.create_study(direction="maximize" if higher else "minimize",
                                pruner=pruner(name, max(map(len, curves))))
    kept, epochs = [], 0
    for index, curve in enumerate(curves):
        trial, ended = study.ask(), False
        for epoch, value in enumerate(curve, 1):
            trial.report(value, epoch)
            epochs += 1
            if ended := trial.should_prune():
                break
        study.tell(trial, None if ended else curve[-1], TrialState.PRUNED if ended else TrialState.COMPLETE)
        if not ended:
            kept.append(index)
    return kept, epochs


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pruning", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("search", type=Path)
    parser.add_argument("--orders", type=int, default=20)
    parser.add_argument("--pruner", choices=NAMES, default="halving")
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    results = json.loads((arguments.search / "search.json").read_text(encoding="utf-8"))
    rows = [row for row in results["trials"] if row["status"] == "finished"]
    curves, values = [row["curve"] for row in rows], np.array([row["value"] for row in rows])
    higher = metric(results["by"]).higher_is_better
    best, whole = int((values if higher else -values).argmax()), sum(map(len, curves))
    for rung in rungs(max(map(len, curves))):
        found = spearmanr([curve[rung - 1] for curve in curves], values).statistic
        print(f"rank correlation of {results['monitor']} after {rung} epochs with the final {results['by']}: "
              f"{found:.2f}")
    kept, saved, rng = 0, [], np.random.default_rng(0)
    for _ in range(arguments.orders):
        order = rng.permutation(len(curves))
        left, epochs = replay([curves[i] for i in order], arguments.pruner, higher)
        kept += best in order[left]
        saved.append(1 - epochs / whole)
    print(f"{arguments.pruner}: the winner of {len(curves)} trials was kept in {kept} of {arguments.orders} orders; "
          f"epochs saved: {np.mean(saved):.0%} ({min(saved):.0%} to {max(saved):.0%})")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
