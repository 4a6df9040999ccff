"""The style of all plots: fonts, lines, and colours that colour-blind readers can distinguish."""

from __future__ import annotations

import contextlib
import io
import unicodedata
from collections.abc import Iterator
from functools import cache
from types import MappingProxyType
from typing import Any

import numpy as np
from PIL import Image

from tenfold.later import importing_later

with importing_later("fontTools.agl"):  # names of characters in TeX's fonts: they take a quarter of a second
    import matplotlib
    from matplotlib import font_manager
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

DPI = 150

# Okabe & Ito (2008), Color universal design.
BLUE, VERMILLION, GREY, INK = "#0072B2", "#D55E00", "#8A8F98", "#1F2328"
COLOURS = (BLUE, "#E69F00", "#009E73", VERMILLION, "#CC79A7", "#56B4E9")  # of lines in one plot

# Fonts for scripts that the default font lacks, used if installed.
OTHER_FONTS = ("Noto Sans CJK SC", "Noto Sans CJK JP", "WenQuanYi Micro Hei", "PingFang SC",
                 "Hiragino Sans", "Microsoft YaHei", "Noto Sans Arabic", "Noto Sans Devanagari")

STYLE = MappingProxyType({
    "figure.dpi": DPI, "figure.facecolor": "white", "savefig.dpi": DPI,
    "font.size": 9, "axes.titlesize": 10, "axes.titleweight": "bold", "axes.labelsize": 9,
    "text.color": INK, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK,
    "axes.edgecolor": GREY, "axes.linewidth": 0.8, "axes.spines.top": False, "axes.spines.right": False,
    "axes.grid": True, "axes.axisbelow": True, "grid.color": "#E4E7EB", "grid.linewidth": 0.8,
    "lines.linewidth": 1.8, "lines.markersize": 4.5, "legend.frameon": False, "legend.fontsize": 9,
    "legend.handlelength": 3.2,
    "figure.constrained_layout.h_pad": 0.1, "figure.constrained_layout.w_pad": 0.1,
    "text.parse_math": False,  # a class may be named "$5"
    "image.interpolation_stage": "rgba",
})


@contextlib.contextmanager
def styled() -> Iterator[None]:
    """Apply Tenfold's style within the block."""
    settings: dict[Any, Any] = {**STYLE, "font.family": list(_fonts())}
    with matplotlib.rc_context(settings):
        yield


def png(figure: Figure) -> bytes:
    """The figure as PNG bytes at 150 dpi. The same figure gives the same bytes."""
    return encoded(pixels(figure))


def pixels(figure: Figure) -> np.ndarray:
    """The figure at 150 dpi: uint8 [h, w, 3], or [h, w, 4] if a part of it is transparent."""
    with styled():
        layout = figure.get_layout_engine()
        if layout is not None:  # once: `savefig` would lay the figure out and draw it twice
            layout.execute(figure)
            figure.set_layout_engine("none")
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
    colours = np.asarray(canvas.buffer_rgba())
    return colours if colours[:, :, 3].min() < 255 else np.ascontiguousarray(colours[:, :, :3])


def encoded(picture: np.ndarray) -> bytes:
    """The picture (uint8 [h, w, 3 or 4]) as PNG bytes."""
    target = io.BytesIO()
    Image.fromarray(picture).save(target, "png", dpi=(DPI, DPI))
    return target.getvalue()


def shorten(name: str, width: int) -> str:
    """A name on one line in at most `width` columns; long names lose their middle: "steel_bea…crack_3".

    Characters that no installed font has become "□".
    """
    name = " ".join("".join(" " if unicodedata.category(c) == "Cc" else c for c in name).split())
    name = "".join(c if any(ord(c) in font for font in _fonts().values()) else "□" for c in name)
    if _columns(name) <= width:
        return name
    head, tail = name, name
    while _columns(head) > (width - 1) - (width - 1) // 2:
        head = head[:-1]
    while _columns(tail) > (width - 1) // 2:
        tail = tail[1:]
    return f"{head}…{tail}"


@cache
def _fonts() -> dict[str, frozenset[int]]:
    """The fonts to draw with, in order of preference, and the characters of each."""
    installed = set(font_manager.get_font_names())
    names = ["DejaVu Sans", *(name for name in OTHER_FONTS if name in installed)]
    fonts = {name: font_manager.get_font(font_manager.findfont(name)) for name in names}
    return {name: frozenset(font.get_charmap()) for name, font in fonts.items()}


def _columns(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
