"""Training speed of one network, side by side: Tenfold, plain PyTorch, Keras on TensorFlow, JAX and PyTorch.

    python -m benchmarks.throughput --network A|B [--rounds 3] [--json FILE]

A has the shape of airbench94, in batches of 500. B is a textbook ConvNet, in batches of 128. Measures images per second
of forward, loss, backward and update after a warm-up; Tenfold's also include gathering and scaling uint8 images. The
programs run in turn, each in its own process, once per round.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from benchmarks import environments, record
from benchmarks.environments import JAX, TENSORFLOW
from benchmarks.side_by_side import Contender, ratio, rounds, spread

BATCH = {"A": 500, "B": 128}
STEPS = {"A": 20, "B": 80}
TENFOLD = Contender("tenfold", "tenfold_fit")


def _keras(backend: str, policy: str, environment: environments.Environment) -> Contender:
    quiet = {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3", "JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": ""}
    return Contender(f"keras-{backend}-{policy}", "keras_fit", ("--policy", policy), environment, quiet)


PEERS = {contender.name: contender for contender in (
    Contender("pytorch-bfloat16", "plain_torch", ("--dtype", "bfloat16")),
    Contender("pytorch-float32", "plain_torch", ("--dtype", "float32")),
    _keras("tensorflow", "float32", TENSORFLOW),
    _keras("tensorflow", "mixed_bfloat16", TENSORFLOW),
    _keras("jax", "float32", JAX),
    _keras("torch", "float32", environments.PRESENT),
)}


def yardstick(network: str, batch: int | None = None, steps: int | None = None) -> Contender:
    """Plain PyTorch in bfloat16 on that network."""
    return _on(PEERS["pytorch-bfloat16"], network, batch or BATCH[network], steps or STEPS[network])


def _on(contender: Contender, network: str, batch: int, steps: int) -> Contender:
    arguments = (network, "--batch", str(batch), "--steps", str(steps), *contender.arguments)
    return Contender(contender.name, contender.program, arguments, contender.environment, contender.variables)


def compare(results: dict[str, list[dict[str, Any]]], absent: dict[str, str]) -> dict[str, Any]:
    """Each contender's rates with their spread and Tenfold's rate ÷ its rate per round, or why it is absent."""
    rates = {name: [result["images_per_second"] for result in of] for name, of in results.items()}
    table: dict[str, Any] = {}
    for name, of in results.items():
        table[name] = {
            "images_per_second": spread(rates[name])["median"], "rounds": rates[name],
            "peak_memory_mib": max(result["peak_memory_mib"] for result in of),
            **{key: of[0][key] for key in ("threads", "precision", "versions") if key in of[0]},
        }
        if name == TENFOLD.name:
            table[name]["data_share"] = spread([result["data_share"] for result in of])
        elif TENFOLD.name in rates:
            table[name]["tenfold_ratio"] = ratio(rates[TENFOLD.name], rates[name])
    return table | {name: {"absent": reason} for name, reason in absent.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=("A", "B"), required=True)
    parser.add_argument("--rounds", type=record.positive, default=3)
    parser.add_argument("--steps", type=record.positive, help=f"timed steps per round (default: {STEPS})")
    parser.add_argument("--batch", type=record.positive, help=f"images per step (default: {BATCH})")
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=list(PEERS), metavar="PEER",
                        help=f"any of {', '.join(PEERS)} (default: all)")
    parser.add_argument("--smoke", action="store_true", help="one round of a few small steps, as a test")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result to this file")
    environments.add_options(parser)
    arguments = parser.parse_args()
    batch, steps = arguments.batch or BATCH[arguments.network], arguments.steps or STEPS[arguments.network]
    count = arguments.rounds
    if arguments.smoke:
        batch, steps, count = 8, 3, 1
    contenders = [_on(c, arguments.network, batch, steps) for c in (TENFOLD, *map(PEERS.__getitem__, arguments.peers))]
    results, absent = rounds(contenders, count, arguments.environments, not arguments.no_install)
    record.write(arguments.json, {
        **compare(results, absent), **record.origin(), "network": arguments.network, "batch": batch, "steps": steps})


if __name__ == "__main__":
    main()
