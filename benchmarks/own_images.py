"""Own images: how fast folders are decoded, and what keeping bursts together does to the validation accuracy.

    python -m benchmarks.own_images [--small 60000] [--photos 4000] [--rounds 3] [--json FILE]

Writes two folders of JPEGs: 32×32 pixels from CIFAR-10, and photos of 640×480 pixels, which are enlarged mosaics of
CIFAR-10 with noise of a camera. Each program reads them in turn, in its own process: Tenfold into an empty cache,
Pillow in threads, `keras.utils.image_dataset_from_directory` on TensorFlow. Then `tenfold try` gets 200 and 2,000
photos in four classes, as a whole process. At last it plants bursts: each of 1,500 images
of CIFAR-10 is followed by five shifted, re-encoded frames; a network is trained with and without the rule, and its
validation accuracy is compared with that on 5,000 images of unseen scenes, over five splits.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks import environments, record
from benchmarks.environments import TENSORFLOW
from benchmarks.side_by_side import Contender, finish, log, ratio, rounds, spread

SIDE = 96  # pixels to which photos are decoded
SCENES, FRAMES, SHIFT = 1500, 5, 3
UNSEEN, SEEDS = 5000, 5  # images of other scenes; random splits
RECIPE, EPOCHS = "cnn2", 8
CLASSES = 4  # of the photos that `tenfold try` gets
COMPARED = 200  # photos whose pixels are compared


def write_jpegs(folder: Path, images: Iterator[np.ndarray], labels: np.ndarray, quality: int) -> None:
    """Write images as `folder/<class>/<number>.jpg`."""
    for number, (image, label) in enumerate(zip(images, labels, strict=False)):
        path = folder / str(label) / f"{number:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path, "JPEG", quality=quality)


def photos(images: np.ndarray, count: int) -> Iterator[np.ndarray]:
    """Photos of 640×480 pixels: each of 5×4 images, enlarged, with noise, so that files have the size of real ones."""
    rng = np.random.default_rng(0)
    for _ in range(count):
        tiles = images[rng.integers(0, len(images), 20)].reshape(4, 5, 32, 32, 3).transpose(0, 2, 1, 3, 4)
        large = Image.fromarray(tiles.reshape(128, 160, 3)).resize((640, 480), Image.Resampling.BICUBIC)
        yield np.clip(np.asarray(large) + rng.normal(0, 4, (480, 640, 3)), 0, 255).astype(np.uint8)


def compare(folder: Path, size: int, count: int, options: argparse.Namespace) -> dict[str, Any]:
    """Seconds of each program on a folder, and ratios to Tenfold."""
    sized = ("--size", str(size))
    contenders = [Contender("Tenfold", "tenfold_folder", (str(folder), *sized)),
                  Contender("Pillow", "pillow_folder", (str(folder), *sized)),
                  Contender("Keras on TensorFlow", "keras_folder", (str(folder), *sized), TENSORFLOW)]
    results, absent = rounds(contenders, options.rounds, options.environments, not options.no_install)
    table: dict[str, Any] = {name: {"absent": reason} for name, reason in absent.items()}
    rates = {name: [each["images_per_second"] for each in of] for name, of in results.items()}
    for name, of in results.items():
        table[name] = {"seconds": spread([each["seconds"] for each in of]), "images_per_second": spread(rates[name])}
        if name != "Tenfold":
            table[name]["tenfold_is_faster"] = ratio(rates["Tenfold"], rates[name])
    return {"images": count, "to": size, **table}


def pixel_differences(folder: Path) -> dict[str, float]:
    """Differences of grey levels from Pillow's draft with the same resize, over photos, and at full size."""
    from tenfold.data.images import read_image

    drafts, largest = [], 0
    for path in sorted(folder.glob("*/*"))[:COMPARED]:
        with Image.open(path) as image:
            image.draft("RGB", (SIDE, SIDE))
            draft = np.asarray(image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR), int)
        drafts.append(np.abs(draft - read_image(path, (SIDE, SIDE, 3))).mean())
        with Image.open(path) as image:
            largest = max(largest, int(np.abs(np.asarray(image.convert("RGB"), int) - read_image(path)).max()))
    return {"mean_difference_from_draft": float(np.mean(drafts)), "largest_mean": float(np.max(drafts)),
            "largest_at_full_size": largest, "photos": len(drafts)}


def plant(images: np.ndarray, labels: np.ndarray, folder: Path) -> None:
    """Write each image and five frames after it: shifted by up to 3 pixels, brighter or darker, with noise, as JPEG."""
    rng = np.random.default_rng(1)
    frames, repeated = [], []
    for image, label in zip(images, labels, strict=True):
        frames.append(image)
        padded = np.pad(image, ((SHIFT, SHIFT), (SHIFT, SHIFT), (0, 0)), mode="edge")
        for _ in range(FRAMES):
            down, across = rng.integers(0, 2 * SHIFT + 1, 2)
            frame = padded[down : down + 32, across : across + 32] * rng.uniform(0.9, 1.1)
            frame = np.clip(frame + rng.normal(0, 3, frame.shape), 0, 255).astype(np.uint8)
            content = io.BytesIO()
            Image.fromarray(frame).save(content, "JPEG", quality=int(rng.integers(60, 95)))
            frames.append(np.asarray(Image.open(content)))
        repeated += [label] * (FRAMES + 1)
    write_jpegs(folder, iter(frames), np.array(repeated), 95)


def bursts(folder: Path) -> dict[str, Any]:
    """Validation accuracy and accuracy on unseen scenes, with bursts kept together and without, of the same recipe."""
    import tenfold
    from tenfold.recipe import Recipe

    data = tenfold.open_dataset("cifar10")
    order = np.random.default_rng(0).permutation(len(data.train))[:SCENES]
    plant(np.asarray(data.train.images[order]), data.train.labels[order], folder / "train")
    unseen = np.random.default_rng(0).permutation(len(data.train))[SCENES : SCENES + UNSEEN]
    write_jpegs(folder / "test", iter(np.asarray(data.train.images[unseen])), data.train.labels[unseen], 95)
    found: dict[str, Any] = {}
    for group in ("bursts", "none"):
        gaps = []
        for seed in range(SEEDS):
            recipe = Recipe.load(RECIPE, {"data.group": group, "data.validation": 0.2, "data.seed": seed,
                                          "train.epochs": EPOCHS})
            metrics = tenfold.train(recipe, f"folder:{folder}", runs=folder.parent / "runs").metrics()
            validation, test = (metrics[split]["accuracy"]["value"] for split in ("validation", "test"))
            log(f"{group}, seed {seed}: validation {validation:.3f}, unseen scenes {test:.3f}")
            gaps.append(100 * (validation - test))
        found[group] = {"validation_minus_unseen_points": float(np.mean(gaps)),
                        "standard_error": float(np.std(gaps, ddof=1) / np.sqrt(SEEDS)), "splits": SEEDS}
    return found


def first_verdict(folder: Path, images: np.ndarray, labels: np.ndarray, count: int, times: int) -> dict[str, Any]:
    """Wall seconds of `tenfold try` as a whole process on photos in four classes, each time with an empty cache."""
    rng = np.random.default_rng(2)
    rows = np.concatenate([np.flatnonzero(labels == label)[: count // CLASSES] for label in range(CLASSES)])
    large = (np.asarray(Image.fromarray(images[row]).resize((640, 480), Image.Resampling.BICUBIC)) for row in rows)
    noisy = (np.clip(image + rng.normal(0, 4, image.shape), 0, 255).astype(np.uint8) for image in large)
    write_jpegs(folder / "tried", noisy, labels[rows], 88)
    seconds = []
    for number in range(times):
        started = time.perf_counter()
        finish([sys.executable, "-c", "from tenfold.cli import main; main()", "try", str(folder / "tried"), "--runs",
                str(folder / "runs")], {"TENFOLD_CACHE": str(folder / f"cache-{number}")})
        seconds.append(time.perf_counter() - started)
        log(f"tried {count:,} photos: {seconds[-1]:.1f} s")
    return {"photos": count, "seconds": spread(seconds)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", type=record.positive, default=60_000, help="JPEGs of 32×32 pixels (default: 60,000)")
    parser.add_argument("--photos", type=record.positive, default=4000, help="photos of 640×480 (default: 4,000)")
    parser.add_argument("--rounds", type=record.positive, default=3)
    parser.add_argument("--only", choices=("small", "photos", "verdict", "bursts"), help="measure only this part")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there")
    environments.add_options(parser)
    arguments = parser.parse_args()
    import tenfold

    result: dict[str, Any] = {}
    images = np.asarray(tenfold.open_dataset("cifar10").train.images[:])
    labels = np.asarray(tenfold.open_dataset("cifar10").train.labels)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["TENFOLD_CACHE"] = str(folder / "cache")
        if arguments.only in (None, "small"):
            log(f"writing {arguments.small:,} JPEGs of 32×32 pixels")
            rows = np.arange(arguments.small) % len(images)
            write_jpegs(folder / "small", iter(images[rows]), labels[rows], 90)
            result["small"] = compare(folder / "small", 32, arguments.small, arguments)
        if arguments.only in (None, "photos"):
            log(f"writing {arguments.photos:,} photos of 640×480 pixels")
            write_jpegs(folder / "photos", photos(images, arguments.photos), labels[: arguments.photos], 88)
            result["photos"] = {**compare(folder / "photos", SIDE, arguments.photos, arguments),
                                **pixel_differences(folder / "photos")}
        if arguments.only in (None, "verdict"):
            result["verdict"] = [first_verdict(folder / str(count), images, labels, count, arguments.rounds)
                                 for count in (200, 2000)]
        if arguments.only in (None, "bursts"):
            result["bursts"] = {"recipe": RECIPE, "scenes": SCENES, "frames": FRAMES, **bursts(folder / "bursts")}
    record.write(arguments.json, {**result, **record.origin()})


if __name__ == "__main__":
    main()
