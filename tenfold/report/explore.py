"""The page that shows all images of a data set: one file with a map, examples, and the findings in place."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tenfold.counted import counted
from tenfold.report.explored import Explored
from tenfold.report.html import pictures, png_uri, render
from tenfold.report.plots import Material, draw_all
from tenfold.report.plots.explored import shades_of
from tenfold.report.thumbnails import Sheet, Thumbnail
from tenfold.report.tiles import tiles

MOST_BYTES = 7_900_000  # of the images on the map, before base64 adds a third
SHOWN = 48, 96  # width of an example and of a mean image on the page, in CSS pixels
PICTURED = 60  # classes with examples and a mean image
GRID = 65_535  # coordinates are whole numbers up to this
ON_PAGE = ("explore_sizes", "explore_colours")  # plots that the page shows as they are


@dataclass(frozen=True)
class ClassRow:
    """A class on the page: its number of images by split, its mean image, and (example, whether it has a finding)."""

    name: str
    counts: Sequence[int]
    mean: Thumbnail | None
    examples: Sequence[tuple[Thumbnail, bool]]

    @property
    def total(self) -> int:
        """The number of its images."""
        return sum(self.counts)


def plots(explored: Explored) -> dict[str, bytes]:
    """The plots of a data set as PNG bytes by name; those without data are left out."""
    return draw_all(Material(classes=explored.classes, explored=explored))


def page(explored: Explored, drawn: Mapping[str, bytes]) -> str:
    """The page as HTML. drawn: the plots, from `plots`."""
    examples, means = Sheet("example", side=72, shown=SHOWN[0]), Sheet("mean", side=96, shown=SHOWN[1])
    rows = _class_rows(explored, examples, means)
    made = tiles(explored.looks.small, MOST_BYTES) if explored.places is not None else None
    facts = {
        "classes": explored.classes, "splits": explored.splits, "count": len(explored),
        "first": [int(np.argmax(explored.split_of == split)) for split in range(len(explored.splits))],
        "colours": ["#" + "".join(f"{round(255 * part):02x}" for part in shade[:3])
                    for shade in shades_of(len(explored.classes)).tolist()],
        "kinds": [kind.title for kind in explored.kinds],
        "tiles": None if made is None else {"columns": made.columns, "rows": made.rows, "height": made.height,
                                            "width": made.width, "count": len(made.pictures)},
    }
    about = (f"{counted(len(explored), 'image')} in {counted(len(explored.classes), 'class')}: "
             + ", ".join(f"{split} {count:,}" for split, count in
                         zip(explored.splits, explored.counts.sum(axis=0).tolist(), strict=True)))
    scripts = ("page.js", *(("images.js", "map.js", "tables.js", "explore.js") if made is not None else ()))
    return render(
        "explore.html", scripts=scripts, title=f"Images of {explored.name}", about=about, splits=explored.splits,
        rows=rows, kinds=explored.kinds, notes=explored.notes, pictured=PICTURED,
        map_words=f"placed by {explored.method}" if made is not None else "",
        picture=png_uri(drawn["explore_map"]) if "explore_map" in drawn else None,
        pictures=pictures({name: drawn[name] for name in ON_PAGE if name in drawn}), sizes=sizes_in_words(explored),
        sheets=[examples.style(), means.style()], facts=facts, packed={} if made is None else _packed(explored),
        tiles=[] if made is None else [_base64(each) for each in made.pictures])


def sizes_in_words(explored: Explored) -> str:
    """A sentence about the sizes of the files, and the size at which the images are read."""
    read = "Tenfold reads them at {}×{} pixels.".format(*explored.shape[1::-1])
    if explored.sizes is None:
        return f"The images are no files. {read}"
    (width, height), (most_wide, most_high) = explored.sizes.min(axis=0).tolist(), explored.sizes.max(axis=0).tolist()
    if (width, height) == (most_wide, most_high):
        return f"All files have {width}×{height} pixels. {read}"
    return f"The files are {width:,} to {most_wide:,} pixels wide and {height:,} to {most_high:,} high. {read}"


def _class_rows(explored: Explored, examples: Sheet, means: Sheet) -> list[ClassRow]:
    totals, by_class = explored.counts, dict[int, list[tuple[Thumbnail, bool]]]()
    for place, row in enumerate(explored.examples.tolist()):
        label = int(explored.labels[row])
        if label >= PICTURED:
            continue
        worst = int(explored.worst[row])
        words = explored.name_of(row) + (f", {explored.kinds[worst].title}" if worst >= 0 else "")
        thumb = examples.add(explored.looks.examples[place], words)
        by_class.setdefault(label, []).append((thumb, worst >= 0))
    rows = []
    for label, name in enumerate(explored.classes):
        mean = explored.looks.means[label]
        known = label < PICTURED and totals[label].sum()
        rows.append(ClassRow(
            name, totals[label].tolist(),
            means.add(np.rint(mean).astype(np.uint8), f"mean image of {name}") if known else None,
            by_class.get(label, [])))
    return rows


def _packed(explored: Explored) -> dict[str, str]:
    """What the script reads: gzip in base64. The names are joined by zeros; "points" is little-endian."""
    assert explored.places is not None
    x, y = np.rint(explored.places.T * GRID).astype("<u2")
    points = b"".join((x.tobytes(), y.tobytes(), explored.labels.astype("<u2").tobytes(),
                       explored.split_of.astype("u1").tobytes()))
    order = {kind.name: i for i, kind in enumerate(explored.kinds)}
    findings = [[order[each.kind], each.rows.tolist(), each.words] for each in explored.findings if len(each.rows)]
    return {"points": _zipped(points), "names": _zipped("\0".join(explored.names).encode(errors="replace")),
            "findings": _zipped(json.dumps(findings, ensure_ascii=False).encode(errors="replace"))}


def _zipped(content: bytes) -> str:
    return _base64(gzip.compress(content, mtime=0))


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def summary(explored: Explored) -> dict[str, Any]:
    """The counts, sizes and findings as plain values for JSON."""
    sizes = explored.sizes
    return {"name": explored.name, "classes": list(explored.classes), "counts": explored.count_of(),
            "sizes": None if sizes is None else {
                "width": [int(sizes[:, 0].min()), int(sizes[:, 0].max())],
                "height": [int(sizes[:, 1].min()), int(sizes[:, 1].max())], "different": len(np.unique(sizes, axis=0))},
            "findings": {kind.name: kind.count for kind in explored.kinds}, "map": explored.method or None,
            "notes": list(explored.notes)}
