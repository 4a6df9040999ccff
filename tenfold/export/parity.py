"""The check of an exported model against its source: the same answers on real images, in batches of any size."""

from __future__ import annotations

import io
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tenfold.counted import counted
from tenfold.data.images import MAX_PIXELS, read_image
from tenfold.errors import ExportError
from tenfold.evaluation.statistics import accuracy_change

if TYPE_CHECKING:
    from tenfold.export.check_images import CheckImages
    from tenfold.export.formats import Answer
    from tenfold.export.source import Source

TOLERANCE = 1e-5  # largest difference between probabilities
RELATIVE = 1e-4  # largest difference between features or logits, as a fraction of the largest of them
SAME = 0.999  # least fraction of images with the same most probable class
BATCHES = ((1, 16), (7, 70), (512, 512))  # batch size and number of images
MAX_SIDE = 65_500  # pixels that JPEG can hold
FILES = 24  # images that are also read from encoded files
QUICK, QUICK_FILES = ((1, 1), (7, 7)), 3  # for the model that each training keeps


@dataclass(frozen=True)
class Agreement:
    """How an exported model agrees with its source.

    images: compared; largest: the largest difference between probabilities; same: the fraction of images with the
    same most probable class (classes that tie within `TOLERANCE` count as the same); accuracy: the change of the
    accuracy in points, with its paired 95 % interval `low` to `high`.
    """

    images: int
    largest: float
    same: float
    accuracy: float
    low: float
    high: float

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def change(self) -> str:
        """The change of the accuracy in words."""
        return f"{self.accuracy:+.2f} points [{self.low:+.2f}, {self.high:+.2f}] on {counted(self.images, 'image')}"

    def __str__(self) -> str:
        return f"largest difference {self.largest:.1e}, same class {100 * self.same:.2f} %, accuracy {self.change}"


def check(source: Source, answer: Answer, kept: CheckImages, quick: bool = False) -> Agreement:
    """Compare an exported model with its source. Raises ExportError if they disagree, with the differences.

    `quick`: in batches of 1, 7 and all images, instead of up to 512.
    """
    decoded = from_files(kept.images[: QUICK_FILES if quick else FILES])
    together = source.answer(np.concatenate([kept.images, decoded]))  # a plain network is slow in its first calls
    expected, of_decoded = ({name: values[rows] for name, values in together.items()}
                            for rows in (slice(len(kept.images)), slice(len(kept.images), None)))
    for size, count in QUICK if quick else BATCHES:
        chosen = np.resize(np.arange(len(kept.images)), max(size, min(count, len(kept.images))))
        for start in range(0, len(chosen) - size + 1, size):
            rows = chosen[start : start + size]
            _compare(answer(kept.images[rows]), {name: values[rows] for name, values in expected.items()},
                     f"in batches of {size}")
    if len(decoded):
        _compare(answer(decoded), of_decoded, "from JPEG files")
    given = answer(kept.images)["probabilities"]
    return agreement(expected["probabilities"], given, kept.labels)


def agreement(expected: np.ndarray, given: np.ndarray, labels: np.ndarray) -> Agreement:
    """The agreement of probabilities [n, k] with the expected ones, and the change of the accuracy."""
    change, (low, high) = accuracy_change(labels, expected, given)
    return Agreement(len(labels), float(np.abs(given - expected).max()), float(same_class(expected, given).mean()),
                     change, low, high)


def same_class(expected: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Whether the most probable class is the same, or tied with it in the source: bool [n]."""
    chosen = expected[np.arange(len(expected)), given.argmax(1)]
    same: np.ndarray = chosen >= expected.max(axis=1) - 2 * TOLERANCE
    return same


def from_files(images: np.ndarray) -> np.ndarray:
    """The images written as JPEG files of up to three sizes and read again by the image reader: uint8 [n, *shape].

    Empty if no JPEG file can hold them.
    """
    from PIL import Image

    height, width, channels = images.shape[1:]
    scales = [scale for scale in (1, 2, 7) if scale**2 * height * width <= MAX_PIXELS
              and scale * max(height, width) <= MAX_SIDE]
    if not scales or channels not in (1, 3):
        return images[:0]
    found = []
    for i, image in enumerate(images):
        scale, buffer = scales[i % len(scales)], io.BytesIO()
        picture = Image.fromarray(image[:, :, 0] if channels == 1 else image)
        picture.resize((scale * width, scale * height), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
        found.append(read_image(buffer.getvalue(), (height, width, channels)))
    return np.stack(found)


def _compare(given: dict[str, np.ndarray], expected: dict[str, np.ndarray], how: str) -> None:
    """Raise ExportError unless all outputs agree within the tolerances."""
    for name, values in expected.items():
        if given[name].shape != values.shape or not np.isfinite(given[name]).all():
            raise ExportError(f"the exported model gives {name} that are not finite, or not of the shape "
                              f"{values.shape}, {how}; expected the values of model.keras")
        most = TOLERANCE if name in ("probabilities", "calibrated") else RELATIVE * max(1.0, float(abs(values).max()))
        largest = float(np.abs(given[name] - values).max())
        if largest > most:
            raise ExportError(f"the exported model differs from model.keras by {largest:.1e} in {name}, {how}; "
                              f"expected at most {most:.1e}")
    same = float(same_class(expected["probabilities"], given["probabilities"]).mean())
    if same < SAME:
        raise ExportError(f"the exported model gives the same class for {100 * same:.1f} % of the images, {how}; "
                          f"expected at least {100 * SAME:.1f} %")
