"""Explain a run's errors or given images with Grad-CAM, and write the pictures to `explanations/` of the run."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tenfold import machine
from tenfold.arguments import whole
from tenfold.counted import counted
from tenfold.data.dataset import Dataset
from tenfold.data.exclusion import file_names, image_names
from tenfold.data.given.image import read
from tenfold.data.given.unlabelled import with_paths
from tenfold.data.given.values import Data
from tenfold.data.images import check_given, printable
from tenfold.data.view import Images
from tenfold.decisions.rules import Rules
from tenfold.errors import ImageError, MissingExtraError, RunError, UsageError
from tenfold.evaluation import misclassified
from tenfold.evaluation.confusion import Pair, confused_pairs, confusion_matrix
from tenfold.evaluation.misclassified import Explained, Guess
from tenfold.evaluation.weighted import Predictions
from tenfold.inspection.labels import suspected
from tenfold.jobs.own_data import own_data
from tenfold.material import calibrated, predicted
from tenfold.progress import Watcher
from tenfold.progress.notebook import chosen_watcher
from tenfold.report import explanations
from tenfold.report.explanations import Shown, explained_picture, gallery_picture
from tenfold.report.material import Predicted
from tenfold.run import Run

if TYPE_CHECKING:
    from tenfold.runtimes import Predictor

ERRORS, IMAGES = "explanations/errors", "explanations/images"
GALLERY = 5  # images of each kind in the gallery of a class
PAIRS = 200  # most confused pairs in the list
GALLERIES = 50  # most classes with a gallery: those with the most misclassified images


@dataclass(frozen=True)
class Explanation:
    """A written explanation: the directory with PNG files, `index.html` and `index.json` (its content: `entries`).

    unread: the reasons why files could not be read, one for each such file.
    """

    path: Path
    entries: tuple[dict[str, Any], ...]
    unread: tuple[str, ...] = ()

    @property
    def index(self) -> Path:
        """The page with all pictures."""
        return self.path / "index.html"


def explain(run: Run | str | Path, images: Any = (), *, most: int = 12,
            neighbours: int = 5, data: Data | None = None, watcher: Watcher | None = None) -> Explanation:
    """Explain images with Grad-CAM or, without any, the run's errors on its test (or else validation) split.

    run: a Run or its path. images: one or a list of them, as for `predict`: paths of files and folders, arrays, Pillow
    images and bytes of image files. data: the run's images again, if the run does not keep
    them.

    Images: `explanations/images/` gets a picture for each, with Grad-CAM of the two most probable classes. This needs
    only the run. Errors: `explanations/errors/` gets the `most` most and the `most` least confident errors, a gallery
    of every class and the confused pairs. Each error is shown with Grad-CAM of the predicted and the true class and
    with the `neighbours` training images nearest in the penultimate features (0: none); its caption says whether its
    label is suspected. The former content of these directories is replaced.

    Errors need the data set of the run's recipe, unchanged since training. Raises UsageError if images do not exist, or
    if images are given and the model has no convolution (the run's errors are then shown without Grad-CAM); ImageError
    if no image can be read, RunError if the model or the predictions are missing or the data set has changed, DataError
    if the data set is not available.
    """
    watcher, most, neighbours = chosen_watcher(watcher), whole("most", most, 1), whole("neighbours", neighbours, 0)
    machine.configure("float32")
    run, given = Run.open(run), not (images is None or (isinstance(images, list | tuple) and not images))
    if given:
        check_given(images)
    with run.writing():  # first: a run that another process writes is refused before any data are read
        return _explain_images(run, images) if given else _explain_errors(run, most, neighbours, watcher, data)


def _explain_images(run: Run, images: Any) -> Explanation:
    from tenfold import modelfile
    from tenfold.evaluation.explain import grad_cam_of
    from tenfold.runtimes import open_predictor

    if not modelfile.has_convolution(run.path / "model.keras"):
        raise UsageError(f"{run.path}: its model has no convolution, so there is no Grad-CAM of images; expected a "
                         "model such as cnn2; `tenfold predict` classifies images")
    predictor, model, facts = open_predictor(run), run.model(), modelfile.facts(run.path / "model.keras")
    resize = facts.get("resize", "stretch")
    given = list(with_paths(images, predictor.shape[2]))
    classes, pictures, unread = predictor.classes, {}, []
    for number, (_, image) in enumerate(given):
        try:
            pictures[number] = read(image, predictor.shape, resize=resize)
        except ImageError as error:
            unread.append(str(error))
    if not pictures:
        raise ImageError("; ".join(unread))
    pixels = np.stack(list(pictures.values()))
    rules = Rules.of_run(run.path, facts)
    p, decisions = _answers(predictor, rules, pixels)
    order = np.argsort(-p, axis=1, kind="stable")[:, :2]
    heats = grad_cam_of(model, pixels, list(order.T))
    explained = [
        Explained(Guess(number, None, int(best), float(p[i, best])), pixels[i],
                  ((int(best), heats[0][i]), (int(second), heats[1][i])))
        for i, (number, (best, second)) in enumerate(zip(pictures, order.tolist(), strict=True))]
    shown: list[Shown] = []
    for each in explained:
        title, path = _named(given[each.guess.index][0], each.guess.index + 1)
        file = f"image-{each.guess.index + 1:03d}.png"
        decision = decisions.get(len(shown))
        picture = explained_picture(each, classes, "Images", file, title, path=path, decision=decision)
        shown.append(replace(picture, words=f"{picture.words}{f', {decision}' if decision else ''}"))
    return _write(run, IMAGES, "Images explained", shown, classes, unread=unread)


def _answers(predictor: Predictor, rules: Rules | None, pixels: np.ndarray) -> tuple[np.ndarray, dict[int, str]]:
    """(probabilities float [n, k], the decision about each image by its number, if the model has rules)."""
    if rules is None:
        return predictor.predict(pixels), {}
    logits, features = predictor.logits_and_features(pixels)
    p = rules.probabilities(logits)
    decided = rules.decide(p, logits, features, rules.statistics(pixels))
    return p, {i: decision.value for i, decision in enumerate(decided)}


def _named(path: Path | None, number: int) -> tuple[str, str]:
    """(the title of an image, its path): the name of its file or of the row of a table, or its number."""
    if path is not None:
        return printable(path.name), printable(path)
    return f"image {number}", f"image {number}"


def _explain_errors(run: Run, most: int, neighbours: int, watcher: Watcher, data: Data | None) -> Explanation:
    from tenfold.evaluation.explain import explain as explain_guesses

    dataset = own_data(run, watcher, data, named=True)
    split, (images, labels, p) = _judged(run, dataset)
    stated = calibrated(run, p)
    most_confident = misclassified.most_confident(labels, stated, most)
    known = {guess.index for guess in most_confident}
    least_confident = [guess for guess in misclassified.least_confident(labels, stated, most)
                       if guess.index not in known]
    guesses = misclassified.named([*most_confident, *least_confident], file_names(dataset.splits()[split]))
    watcher.notice(f"explaining {counted(len(guesses), 'error')} of the {split} split")
    chosen = np.array([guess.index for guess in guesses], np.int64)
    model = run.model()
    explained = explain_guesses(model, images[chosen], guesses, labels[chosen]) if guesses else []
    explained = _with_neighbours(model, explained, dataset, neighbours, watcher)
    doubtful = _doubtful(run, dataset, split, labels, p)
    shown = [*_error_pictures("most", explained[: len(most_confident)], split, dataset, doubtful),
             *_error_pictures("least", explained[len(most_confident) :], split, dataset, doubtful),
             *_gallery_pictures(images, labels, stated, dataset.classes)]
    notes = []
    if explained and not explained[0].heats:
        notes.append("The model has no convolution, so there is no Grad-CAM.")
    if len(dataset.classes) > GALLERIES:
        notes.append(f"Galleries are shown for the {GALLERIES} classes with the most misclassified images.")
    pairs = confused_pairs(confusion_matrix(Predictions(labels, p)))
    if len(pairs) > PAIRS:
        notes.append(f"The list shows the {PAIRS} of {len(pairs):,} confused pairs with the most images.")
    return _write(run, ERRORS, f"Errors on the {split} split", shown, dataset.classes, pairs[:PAIRS], notes)


def _doubtful(run: Run, dataset: Dataset, split: str, labels: np.ndarray, p: np.ndarray) -> set[int]:
    """The numbers of the images of a split whose label is suspected: by the run's inspection, or its probabilities."""
    found = run.read_json("inspection.json")["findings"] if run.has("inspection.json") else []
    listed = {name for each in found if each["kind"] == "label_error" for name in each["images"]}
    numbers = {i for i, name in enumerate(image_names(dataset)[split]) if name in listed}
    with contextlib.suppress(MissingExtraError):
        numbers |= {row for row, _ in suspected(labels, p)}
    return numbers


def _error_pictures(kind: str, explained: Sequence[Explained], split: str, dataset: Dataset,
                    doubtful: Collection[int]) -> Iterator[Shown]:
    training = dataset.train.images, dataset.train.labels
    for number, each in enumerate(explained, 1):
        shown = explained_picture(each, dataset.classes, f"{kind.capitalize()} confident errors",
                                  f"{kind}-confident-{number:02d}.png",
                                  each.guess.name or f"{split} image {each.guess.index:,}", training)
        is_doubtful = each.guess.index in doubtful
        words = f"{shown.words}; its label may be wrong" if is_doubtful else shown.words
        yield replace(shown, words=words, entry={**shown.entry, "label_suspected": is_doubtful})


def _gallery_pictures(images: Images, labels: np.ndarray, p: np.ndarray, classes: Sequence[str]) -> Iterator[Shown]:
    errors = np.bincount(labels[labels != p.argmax(axis=1)], minlength=len(classes))
    for label in np.sort(np.argsort(-errors, kind="stable")[:GALLERIES]).tolist():
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
    raise RunError(f"{run.path}: the run has no predictions of its {split} split; create them with `tenfold evaluate "
                   f"{run.path}`")


def _with_neighbours(model: Any, explained: Sequence[Explained], dataset: Dataset, count: int,
                     watcher: Watcher) -> list[Explained]:
    from tenfold.evaluation.explain import nearest

    if not explained or not count:
        return list(explained)
    train = dataset.train
    watcher.notice(f"looking for the nearest of {counted(len(train), 'training image')}")
    found = nearest(model, np.stack([each.image for each in explained]), train.images, train.labels, count,
                    progress=lambda done: watcher.advance("explain", done, len(train), "images"))
    names = file_names(dataset.splits()["train"])
    if names:
        found = [tuple(replace(each, name=names[each.index]) for each in near) for near in found]
    return [replace(each, neighbours=near) for each, near in zip(explained, found, strict=True)]
