"""The speed of predictions against its targets, in one sitting: runtimes, int8, latency, and a folder of photos.

    python -m benchmarks.inference [--rounds 3] [--photos 10000] [--only runtimes|folder] [--json FILE]

Trains `cifar-cnn` and a logistic probe on EfficientNetLite0 (96×96 pixels) for moments on a part of CIFAR-10, and
exports them in float32 and in int8. In each round, Keras on TensorFlow predicts the same images with `model.predict`
in its own process and environment, at its best batch size, and then `tenfold bench` measures every runtime. Last, two
folders, JPEGs of the size of the model and photos of 640×480 pixels: to a CSV with all probabilities, as whole
processes, against a plain Keras loop.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import environments, exports, own_images, record
from benchmarks.environments import TENSORFLOW, AbsentError
from benchmarks.side_by_side import Contender, log, ratio, rounds, spread
from benchmarks.targets import Target, target

CNN, BACKBONE = "cifar-cnn", "EfficientNetLite0, 96 pixels, probe"
BATCHES = (1, 64, 512)
IMAGES = 4096  # that Keras predicts at each batch size
LOSE = 0.5  # points of accuracy that int8 may lose
SMALL, LARGE = "32×32", "640×480"  # pixels of the JPEGs in the folders
DISTINCT = 1000  # large photos; a larger folder repeats them under other names
FLOAT32, NARROW = "float32", "int8"  # with which Tenfold predicts a folder
INT8 = " int8"  # at the end of the name of an int8 export
Rounds = list[dict[str, dict[int, dict[str, float]]]]  # for each round: runtime → batch size → what bench measured


def measure_runtimes(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Speeds of both networks in every runtime, of Keras on TensorFlow, and what int8 costs."""
    runs = {family: exports.FAMILIES[family](folder / str(number))
            for number, family in enumerate((CNN, BACKBONE))}
    narrow = {family: {name: exports.export(run, name, int8=True, lose=LOSE) for name in ("onnx", "openvino")}
              for family, run in runs.items()}
    found: dict[str, Rounds] = {family: [] for family in runs}
    keras: dict[str, list[dict[str, Any]]] = {family: [] for family in runs}
    absent = ""
    for number in range(options.rounds):
        for family, run in runs.items():
            try:
                keras[family].append(_keras(run, folder, options))
            except AbsentError as reason:
                absent = str(reason)
            found[family].append(_bench(run))
            log(f"round {number + 1}: {family}: {_fastest(found[family][-1]):,.0f} images/s")
    families = {family: {"int8": narrow[family], "runtimes": _spreads(found[family]),
                         "keras_on_tensorflow": {"absent": absent} if absent else _keras_spreads(keras[family])}
                for family in runs}
    return {"families": families, "figures": _figures(found, keras, narrow, absent)}


def _keras(run: Any, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Images a second of Keras on TensorFlow for the check images of a run, repeated."""
    from tenfold.export import check_images

    images = folder / f"{run.path.parent.name}.npy"
    kept = check_images.read(run).images
    np.save(images, kept[np.resize(np.arange(len(kept)), IMAGES)])
    contender = Contender("Keras on TensorFlow", "keras_predict", (str(run.path / "model.keras"), str(images)),
                          TENSORFLOW)
    return contender.run(options.environments, not options.no_install)


def _bench(run: Any) -> dict[str, dict[int, dict[str, float]]]:
    from tenfold import bench

    return {each.runtime: {speed.batch: {"images_per_second": speed.images_per_second, "p50": speed.p50}
                           for speed in each.speeds} for each in bench.bench(run, BATCHES, 1, start_up=False)}


def _fastest(of: dict[str, dict[int, dict[str, float]]], among: Sequence[str] | None = None) -> float:
    """The most images per second of the runtimes (by default, of all) at any batch size."""
    return max(speed["images_per_second"] for name in among or of for speed in of[name].values())


def _figures(found: dict[str, Rounds], keras: dict[str, list[dict[str, Any]]], narrow: dict[str, Any], absent: str,
             ) -> dict[str, Any]:
    """The figures that have targets, each with its spread over the rounds."""
    exact = [name for name in found[CNN][0] if not name.endswith(INT8)]
    good = [f"{name}{INT8}" for name, made in narrow[CNN].items() if "error" not in made]
    fast = [_fastest(of, [*exact, *good]) for of in found[CNN]]
    pairs = {name.removesuffix(INT8): [_fastest(of, [name]) / _fastest(of, [name.removesuffix(INT8)])
                                       for of in found[CNN]] for name in good}
    return {
        "fastest_runtime_to_keras": {"absent": absent} if absent else ratio(
            fast, [each["images_per_second"] for each in keras[CNN]]),
        "fastest_float32_runtime_to_keras": {"absent": absent} if absent else ratio(
            [_fastest(of, exact) for of in found[CNN]], [each["images_per_second"] for each in keras[CNN]]),
        "int8_to_float32": {name: spread(values) for name, values in pairs.items()},
        "one_image_p50_ms": spread([min(of[name][1]["p50"] for name in exact) for of in found[CNN]]),
        "efficientnetlite0_float32": spread([_fastest(of, [name for name in of if not name.endswith(INT8)])
                                             for of in found[BACKBONE]]),
        "efficientnetlite0_fastest": spread([_fastest(of) for of in found[BACKBONE]]),
    }


def _spreads(of: Rounds) -> dict[str, Any]:
    return {name: {str(batch): {key: spread([each[name][batch][key] for each in of])
                                for key in ("images_per_second", "p50")} for batch in BATCHES} for name in of[0]}


def _keras_spreads(of: list[dict[str, Any]]) -> dict[str, Any]:
    return {batch: spread([each["by_batch"][batch] for each in of]) for batch in of[0]["by_batch"]}


def measure_folder(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Images/s of `tenfold predict --csv` and of a plain Keras loop on folders of JPEGs, as whole processes.

    Tenfold predicts with the run, in float32, and with its int8 export to OpenVINO.
    """
    import tenfold

    run = exports.FAMILIES[CNN](folder / "runs")
    narrow, export = exports.export(run, "openvino", int8=True, lose=LOSE), run.path / "exports/model.int8.openvino"
    images = np.asarray(tenfold.open_dataset("cifar10").train.images[: max(5000, options.photos)])
    found: dict[str, Any] = {"photos": options.photos}
    for name, (distinct, drawn) in {
            SMALL: (len(images), lambda count: iter(images[:count])),
            LARGE: (DISTINCT, lambda count: own_images.photos(images[:5000], count))}.items():
        files = _write(folder / name, drawn, min(options.photos, distinct), options.photos)
        place = str(files[0].parent)
        models = {FLOAT32: str(run.path)} | ({NARROW: str(export)} if export.exists() else {})
        contenders = [
            *(Contender(each, "tenfold_csv", (path, place, str(folder / "tenfold.csv")))
              for each, path in models.items()),
            Contender("Keras loop", "keras_csv", (str(run.path / "model.keras"), place, str(folder / "keras.csv")),
                      TENSORFLOW)]
        results, absent = rounds(contenders, options.rounds, options.environments, not options.no_install)
        rates = {each: [one["images_per_second"] for one in of] for each, of in results.items()}
        found[name] = {"images_per_second": {each: spread(of) for each, of in rates.items()},
                       "bytes": sum(path.stat().st_size for path in files) // len(files),
                       "to_keras": {each: absent if absent else ratio(rates[each], rates["Keras loop"])
                                    for each in models}}
    return found | {"int8": narrow}


def _write(folder: Path, drawn: Callable[[int], Iterator[np.ndarray]], distinct: int, count: int) -> list[Path]:
    """`count` JPEGs, of which `distinct` differ; the others are the same files under other names."""
    log(f"writing {distinct:,} different JPEGs of {folder.name} pixels")
    own_images.write_jpegs(folder, drawn(distinct), np.zeros(distinct, int), 88)
    files = sorted(folder.glob("*/*.jpg"))
    for number in range(distinct, count):
        os.link(files[number % distinct], files[0].with_name(f"{number:06d}.jpg"))
    return sorted(folder.glob("*/*.jpg"))


def targets(result: dict[str, Any]) -> list[Target]:
    """The figures that have targets, and whether they are met."""
    found = result["runtimes"]["figures"]
    return [
        target("cifar-cnn: fastest runtime ÷ Keras on TensorFlow", found["fastest_runtime_to_keras"].get("median"),
               least=5),
        target("cifar-cnn: int8 ÷ float32 in one runtime, losing at most 0.5 points",
               max((each["median"] for each in found["int8_to_float32"].values()), default=None), least=1.8),
        target("cifar-cnn: median latency of one image, ms", found["one_image_p50_ms"]["median"], most=1),
        target("EfficientNetLite0 at 96×96 pixels, images/s", found["efficientnetlite0_fastest"]["median"], least=1500),
        *(target(f"cifar-cnn, JPEGs of {name} pixels to CSV: tenfold predict in {each} ÷ a plain Keras loop",
                 result["folder"][name]["to_keras"].get(each, {}).get("median"), least=3)
          for name in (SMALL, LARGE) for each in (NARROW, FLOAT32)),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=record.positive, default=3)
    parser.add_argument("--photos", type=record.positive, default=10_000, help="JPEGs in each folder (default: 10,000)")
    parser.add_argument("--only", choices=("runtimes", "folder"), help="measure only this part")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result to this file")
    environments.add_options(parser)
    arguments = parser.parse_args()
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="tenfold-inference-") as name:
        for part, measure in (("runtimes", measure_runtimes), ("folder", measure_folder)):
            if arguments.only in (None, part):
                result[part] = measure(Path(name) / part, arguments)
    record.write(arguments.json, {**result, **record.origin()})


if __name__ == "__main__":
    main()
