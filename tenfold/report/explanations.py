"""Writes explanations into a directory of a run: pictures, `index.html` for people, `index.json` for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenfold.evaluation.confusion import Pair
from tenfold.evaluation.misclassified import Explained, Gallery, Guess
from tenfold.report import html
from tenfold.report.material import Samples
from tenfold.report.plots.heat import draw_explained, draw_gallery
from tenfold.report.plots.style import png
from tenfold.run import Run

if TYPE_CHECKING:
    from tenfold.data.view import Images


@dataclass(frozen=True)
class Shown:
    """A picture under a heading: its file, its caption, its PNG bytes and its entry in `index.json`."""

    heading: str
    file: str
    words: str
    content: bytes
    entry: Mapping[str, Any]


def explained_picture(explained: Explained, classes: Sequence[str], heading: str, file: str, title: str,
                      training: Samples | None = None, **more: Any) -> Shown:
    """The picture of one explanation; `more` is added to its entry in the index."""
    guess = explained.guess
    said = f"{classes[guess.predicted]} ({100 * guess.probability:.1f} %)"
    words = f"{title}: {said}" if guess.true is None else f"{title}: {classes[guess.true]}, predicted as {said}"
    neighbours = [{"index": n.index, **({"name": n.name} if n.name else {}), "label": classes[n.label],
                   "similarity": n.similarity} for n in explained.neighbours]
    entry = {"file": file, **more, **_plain(guess, classes),
             "grad_cam": [classes[label] for label, _ in explained.heats], "neighbours": neighbours}
    content = png(draw_explained(explained, classes, training, title))
    return Shown(heading, file, words, content, entry)


def gallery_picture(gallery: Gallery, images: Images, classes: Sequence[str], file: str) -> Shown | None:
    """The gallery of one class; None if it has no images."""
    figure = draw_gallery(gallery, images, classes)
    if figure is None:
        return None
    name = classes[gallery.label]
    kinds = {"surest": gallery.most_confident, "least_sure": gallery.least_confident,
             "missed": gallery.misclassified, "intruders": gallery.predicted_as}
    indices = {kind: [guess.index for guess in guesses] for kind, guesses in kinds.items()}
    return Shown("Galleries of the classes", file, f"Class {name}", png(figure),
                 {"file": file, "class": name, **indices})


def write(run: Run, directory: str, title: str, shown: Sequence[Shown], classes: Sequence[str],
          pairs: Sequence[Pair] = (), notes: Sequence[str] = ()) -> Path:
    """Write the pictures, `index.html` and `index.json` into a directory of the run, all or nothing.

    Returns the path of the directory. Raises StorageError.
    """
    headings: dict[str, list[Shown]] = {}
    for each in shown:
        headings.setdefault(each.heading, []).append(each)
    page = html.explanations(title, run.name, headings, classes, pairs, notes)
    index = {
        "title": title, "run": run.name, "notes": list(notes), "pictures": [dict(each.entry) for each in shown],
        "confused_pairs": [{"true": classes[p.true], "predicted": classes[p.predicted], "images": p.count,
                            "fraction": p.fraction} for p in pairs],
    }

    def fill(path: Path) -> None:
        for each in shown:
            (path / each.file).write_bytes(each.content)
        text = json.dumps(index, indent=2, ensure_ascii=False) + "\n"
        # A file's name may hold bytes that are no text: they become question marks.
        (path / "index.json").write_text(text, encoding="utf-8", errors="replace")
        (path / "index.html").write_text(page, encoding="utf-8", errors="replace")

    return run.write_directory(directory, fill)


def _plain(guess: Guess, classes: Sequence[str]) -> dict[str, Any]:
    true = {} if guess.true is None else {"index": guess.index, "true": classes[guess.true]}
    true |= {"name": guess.name} if guess.name else {}
    return {**true, "predicted": classes[guess.predicted], "probability": guess.probability}
