"""Complete trials an hour, side by side with KerasTuner's random search on TensorFlow.

    python -m benchmarks.trials_per_hour [RECIPE] [--trials 4] [--rounds 1] [--set KEY=VALUE] [--json FILE]

Both search the learning rate of one recipe (default: cifar-cnn) at random: the same architecture, data, schedule,
augmentation and number of epochs, without pruning. Tenfold runs as `tenfold tune --pruner none` does by default, and
KerasTuner with its defaults, in turn.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import environments, record
from benchmarks.environments import KERAS_TUNER, AbsentError
from benchmarks.side_by_side import Contender, log, ratio, spread
from benchmarks.targets import Target, target

PEER = "keras-tuner-tensorflow"
RANGE = ("--low", "0.0005", "--high", "0.01")
SMOKE = {"data.source": "shapes:train=300,test=60", "train.batch_size": "50", "train.epochs": "1"}


def measure(recipe: str, trials: int, rounds: int, sets: Sequence[str], cache: Path, install: bool) -> dict[str, Any]:
    """Trials an hour of both, their ratio, and the best validation accuracies. Raises AbsentError."""
    words = [recipe, *(word for pair in sets for word in ("--set", pair))]
    ours, theirs = [], []
    with tempfile.TemporaryDirectory() as folder:
        Contender("tenfold", "tenfold_recipe", (*words, "--job", folder)).run(cache)
        for i in range(rounds):
            more = ("--trials", str(trials), "--seed", str(i), *RANGE)
            ours.append(Contender("tenfold", "tenfold_search", (*words, *more)).run(cache))
            theirs.append(_peer(folder, more).run(cache, install))
            log(f"round {i + 1}: {rates(ours)[-1]:.1f} trials an hour, {PEER} {rates(theirs)[-1]:.1f}")
    return compare(ours, theirs)


def compare(ours: Sequence[dict[str, Any]], theirs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Both sides' trials an hour, and ours ÷ theirs, round by round."""
    return {**{side: {"trials_per_hour": spread(rates(of)), "best_validation_accuracy": spread([r["best"] for r in of])}
               for side, of in (("tenfold", ours), (PEER, theirs))},
            "trials": ours[0]["trials"], "ratio": ratio(rates(ours), rates(theirs)),
            "peer_versions": theirs[0]["versions"]}


def targets(result: dict[str, Any]) -> list[Target]:
    """The figure that has a target."""
    return [target(f"trials of {result['recipe']} an hour ÷ KerasTuner's", result["ratio"]["median"], least=3)]


def rates(results: Sequence[dict[str, Any]]) -> list[float]:
    """Trials an hour of each round."""
    return [3600 * result["trials"] / result["seconds"] for result in results]


def _peer(folder: str, more: Sequence[str]) -> Contender:
    quiet = {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    return Contender(PEER, "keras_search", (folder, *more), KERAS_TUNER, quiet)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", nargs="?", default="cifar-cnn")
    parser.add_argument("--trials", type=record.positive, default=4)
    parser.add_argument("--rounds", type=record.positive, default=1)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as for `tenfold train`")
    parser.add_argument("--smoke", action="store_true", help="one epoch of a few drawn shapes, as a test")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result to this file")
    environments.add_options(parser)
    arguments = parser.parse_args()
    sets = [*(f"{k}={v}" for k, v in SMOKE.items()), *arguments.set] if arguments.smoke else arguments.set
    try:
        found = measure(arguments.recipe, 2 if arguments.smoke else arguments.trials, arguments.rounds, sets,
                        arguments.environments, not arguments.no_install)
    except AbsentError as absent:
        raise SystemExit(f"{PEER}: absent: {absent}") from None
    record.write(arguments.json, {"recipe": arguments.recipe, "set": list(sets), **found, **record.origin()})


if __name__ == "__main__":
    main()
