"""Training on a split that is larger than the memory: images/s on a mapped file against an array in memory.

    python -m benchmarks.large_split [--gib 10] [--limit 1] [--rounds 3] [--json FILE]

Writes a file of random 32×32 colour images (10 GiB, in a temporary folder: pages of files may lie in memory, but the
process may hold no more than 1 GiB besides) and a small one, and trains the fastest shipped recipe on both by
`tenfold.train`, in turn, in processes of their own: an epoch on the large one, mapped, as many as take a comparable
time on the small one, read into memory. Both hash their splits, train, evaluate and report; images/s are of training.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import record
from benchmarks.programs.tenfold_split import CLASSES
from benchmarks.side_by_side import Contender, log, ratio, rounds, spread

SHAPE = (32, 32, 3)
IMAGE = 32 * 32 * 3  # bytes
SMALL = 200_000  # images of the split in memory, 0.6 GiB
HELD = 2000  # images of validation and test
BLOCK = 10_000  # images that are written at a time
EPOCHS = 3  # on the small split


def write_split(folder: Path, name: str, count: int) -> None:
    """Write `<name>-images.npy`, random uint8 [count, 32, 32, 3], and `<name>-labels.npy`, int64 [count]."""
    rng = np.random.default_rng(count)
    header = {"descr": "|u1", "fortran_order": False, "shape": (count, *SHAPE)}
    with (folder / f"{name}-images.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, count, BLOCK):
            file.write(rng.bytes(min(BLOCK, count - start) * IMAGE))
    np.save(folder / f"{name}-labels.npy", rng.integers(len(CLASSES), size=count))


def measure(folder: Path, large: int, recipe: str, limit: float, count: int) -> dict[str, Any]:
    """Rates and memory of both trainings and the ratio of their rates; or why there are none."""
    sizes = {"large": large, "small": min(SMALL, large), "held": min(HELD, large)}
    for name, size in sizes.items():
        log(f"writing {size:,} images ({size * IMAGE / 2**30:.2f} GiB)")
        write_split(folder, name, size)
    mapped = Contender("mapped", "tenfold_split", (
        str(folder), "large", "--mapped", "--limit", str(limit), "--recipe", recipe, "--epochs", "1"))
    memory = Contender("in memory", "tenfold_split", (
        str(folder), "small", "--recipe", recipe, "--epochs", str(EPOCHS)))
    results, absent = rounds([mapped, memory], count, folder)
    table: dict[str, Any] = {name: {"absent": reason} for name, reason in absent.items()}
    for name, of in results.items():
        table[name] = {"images_per_second": spread([each["images_per_second"] for each in of]),
                       "anonymous_mib": max(each["anonymous_mib"] for each in of),
                       **{key: of[0][key] for key in ("images", "threads", "precision")}}
    if not absent:
        table["ratio"] = ratio(*([each["images_per_second"] for each in results[name]]
                                 for name in ("mapped", "in memory")))
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gib", type=float, default=10.0, help="size of the large split (default: 10)")
    parser.add_argument("--limit", type=float, default=1.0, help="GiB of memory besides pages of files (default: 1)")
    parser.add_argument("--recipe", default="mlp", help="default: mlp, the fastest: the less a step takes, the more "
                        "reading would show")
    parser.add_argument("--rounds", type=record.positive, default=3)
    parser.add_argument("--folder", type=Path, help="where the temporary folder is made (not in memory)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        result = measure(Path(folder), int(arguments.gib * 2**30 / IMAGE), arguments.recipe, arguments.limit,
                         arguments.rounds)
    record.write(arguments.json, {**result, "gib": arguments.gib, "limit_gib": arguments.limit,
                                  "recipe": arguments.recipe, **record.origin()})


if __name__ == "__main__":
    main()
