"""Why a model says what it says: `explanations/` of a run, for its errors or for images of one's own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tenfold import machine
from tenfold.data.dataset import Dataset
from tenfold.data.images import image_files, printable, read_image
from tenfold.data.view import Images
from tenfold.errors import ImageError, RunError
from tenfold.evaluation import misclassified
from tenfold.evaluation.confusion import Pair, confused_pairs, confusion_matrix
from tenfold.evaluation.misclassified import Explained, Guess
from tenfold.evaluation.weighted import Predictions
from tenfold.jobs.own_data import own_data
from tenfold.material import predicted
from tenfold.progress import Watcher
from tenfold.progress.notebook import default_watcher
from tenfold.report import explanations
from tenfold.report.explanations import Shown, explained_picture, gallery_picture
from tenfold.report.plots.plot import Predicted
from tenfold.run import Run

ERRORS, IMAGES = "explanations/errors", "explanations/images"
GALLERY = 5  # images of each kind in the gallery of a class
PAIRS = 200  # confused pairs that are listed
GALLERIES = 50  # classes that have one: those with the most missed images


@dataclass(frozen=True)
class Explanation:
    """What was written: the directory with its PNG files, `index.html` and `index.json` (in `entries`).

    unread: why a file could not be read, for each that could not.
    """

    path: Path
    entries: tuple[dict[str, Any], ...]
    unread: tuple[str, ...] = ()

    @property
    def index(self) -> Path:
        """The page that shows everything."""
        return self.path / "index.html"


def explain(run: Run, images: Iterable[str | Path] = (), *, most: int = 12, neighbours: int = 5,
            watcher: Watcher | None = None) -> Explanation:
    """Explain image files by Grad-CAM or, without any, the run's errors on its test (else validation) split.

    For images, which need nothing but the run, a picture each goes into `explanations/images/`: Grad-CAM of the
    predicted class and of the runner-up. For errors, `explanations/errors/` gets the `most` most and least
    confident errors, each with its Grad-CAM of the predicted and the true class and the `neighbours` training images
    nearest by the penultimate features (0: none), a gallery of every class, and the confused pairs. What these
    directories held before is replaced.

    The data set of the run is looked for as its recipe names it, and has to be the one it was trained with.
    Raises UsageError for images that do not exist or a model without a convolution (for errors it is done without),
    RunError if the run lacks its model or predictions or its data set has changed, DataError if that is not to be had.
    """
    watcher = watcher or default_watcher()
    machine.configure("float32")
    paths = list(images)
    return _explain_images(run, paths) if paths else _explain_errors(run, most, neighbours, watcher)


def _explain_images(run: Run, paths: Sequence[str | Path]) -> Explanation:
    from tenfold.evaluation.explain import grad_cam
    from tenfold.runtimes import open_predictor

    files = list(image_files(paths))
    predictor, model = open_predictor(run), run.model()
    classes, read, unread = predictor.classes, {}, []
    for number, file in enumerate(files):
        try:
            read[number] = read_image(file, predictor.shape)
        except ImageError as error:
            unread.append(str(error))
    if not read:
        raise ImageError("; ".join(unread))
    pixels = np.stack(list(read.values()))
    p = predictor.predict(pixels)
    order = np.argsort(-p, axis=1, kind="stable")[:, :2]
    heats = [grad_cam(model, pixels, labels) for labels in order.T]
    explained = [
        Explained(Guess(number, None, int(best), float(p[i, best])), pixels[i],
                  ((int(best), heats[0][i]), (int(second), heats[1][i])))
        for i, (number, (best, second)) in enumerate(zip(read, order.tolist(), strict=True))]
    shown = [explained_picture(each, classes, "Images", f"image-{each.guess.index + 1:03d}.png",
                               printable(files[each.guess.index].name), path=printable(files[each.guess.index]))
             for each in explained]
    return _write(run, IMAGES, "Images explained", shown, classes, unread=unread)


def _explain_errors(run: Run, most: int, neighbours: int, watcher: Watcher) -> Explanation:
    from tenfold.evaluation.explain import explain as explain_guesses

    dataset = own_data(run, watcher)
    split, (images, labels, p) = _judged(run, dataset)
    surest = misclassified.most_confident(labels, p, most)
    known = {guess.index for guess in surest}
    least = [guess for guess in misclassified.least_confident(labels, p, most) if guess.index not in known]
    guesses = [*surest, *least]
    watcher.notice(f"explaining {len(guesses)} errors of the {split} split")
    chosen = np.array([guess.index for guess in guesses], np.int64)
    model = run.model()
    explained = explain_guesses(model, images[chosen], guesses, labels[chosen]) if guesses else []
    explained = _with_neighbours(model, explained, dataset, neighbours, watcher)
    shown = [*_error_pictures("most", explained[: len(surest)], split, dataset),
             *_error_pictures("least", explained[len(surest) :], split, dataset),
             *_gallery_pictures(images, labels, p, dataset.classes)]
    notes = []
    if explained and not explained[0].heats:
        notes.append("The model has no convolution, so there is no Grad-CAM.")
    if len(dataset.classes) > GALLERIES:
        notes.append(f"Galleries are shown of the {GALLERIES} classes with the most missed images.")
    pairs = confused_pairs(confusion_matrix(Predictions(labels, p)))
    if len(pairs) > PAIRS:
        notes.append(f"Of {len(pairs):,} confused pairs the {PAIRS} with the most images are listed.")
    return _write(run, ERRORS, f"Errors on the {split} split", shown, dataset.classes, pairs[:PAIRS], notes)


def _error_pictures(kind: str, explained: Sequence[Explained], split: str, dataset: Dataset) -> Iterator[Shown]:
    training = dataset.train.images, dataset.train.labels
    for number, each in enumerate(explained, 1):
        yield explained_picture(each, dataset.classes, f"{kind.capitalize()} confident errors",
                                f"{kind}-confident-{number:02d}.png", f"{split} image {each.guess.index:,}", training)


def _gallery_pictures(images: Images, labels: np.ndarray, p: np.ndarray, classes: Sequence[str]) -> Iterator[Shown]:
    missed = np.bincount(labels[labels != p.argmax(axis=1)], minlength=len(classes))
    for label in np.sort(np.argsort(-missed, kind="stable")[:GALLERIES]).tolist():
        gallery = misclassified.gallery(labels, p, label, GALLERY)
        picture = gallery_picture(gallery, images, classes, f"class-{label:03d}.png")
        if picture is not None:
            yield picture


def _write(run: Run, directory: str, title: str, shown: Sequence[Shown], classes: Sequence[str],
           pairs: Sequence[Pair] = (), notes: Sequence[str] = (), unread: Sequence[str] = ()) -> Explanation:
    path = explanations.write(run, directory, title, shown, classes, pairs, notes)
    return Explanation(path, tuple(dict(each.entry) for each in shown), tuple(unread))


def _judged(run: Run, dataset: Dataset) -> tuple[str, Predicted]:
    for split in ("test", "validation"):
        found = predicted(run, dataset, split)
        if found is not None:
            return split, found
        if dataset.splits().get(split):
            break
    raise RunError(f"{run.path}: has no predictions of its {split} split to explain; `tenfold evaluate {run.path}` "
                   "makes them")


def _with_neighbours(model: Any, explained: Sequence[Explained], dataset: Dataset, count: int,
                     watcher: Watcher) -> list[Explained]:
    from tenfold.evaluation.explain import nearest

    if not explained or not count:
        return list(explained)
    train = dataset.train
    watcher.notice(f"looking for the nearest of {len(train):,} training images")
    found = nearest(model, np.stack([each.image for each in explained]), train.images, train.labels, count,
                    progress=lambda done: watcher.advance("explain", done, len(train), "images"))
    return [replace(each, neighbours=near) for each, near in zip(explained, found, strict=True)]
