"""A model as one web page that works offline: the ONNX model, ONNX Runtime for browsers and the page in one file."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import tempfile
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from tenfold.errors import RunError
from tenfold.evaluation.metrics import metric
from tenfold.export.formats import Answer, Format, onnx
from tenfold.export.page.runtime import VERSION, runtime_files
from tenfold.export.source import Source
from tenfold.registry import FORMATS
from tenfold.run import Run

DRAWN = 64  # pixels: an image with one channel up to this size can be drawn
DARK = 96  # mean grey level below which drawings are light on black

LICENCES = f"""ONNX Runtime Web {VERSION}
Copyright (c) Microsoft Corporation. All rights reserved.

MIT License

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without
limitation the rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the
Software, and to permit persons to whom the Software is furnished to do so, subject to the following
conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions
of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED
TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL
THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF
CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER
DEALINGS IN THE SOFTWARE.

The page itself comes from Tenfold, under the Apache License, Version 2.0.
"""


def page(source: Source, model: bytes) -> str:
    """The page of a model, given as ONNX bytes. Raises MissingExtraError without the runtime."""
    script, wasm = runtime_files()
    code = "\n".join(_text(name) for name in ("pixels.js", "page.js"))
    style = _text("page.css")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(_text("page.html")).render(
        title=source.run.name, verdict=_verdict(source.run), about=_about(source), caution=source.caution,
        card=_card(source.run), licences=LICENCES, facts=_in_script(source.brief),
        drawing=_can_draw(source.facts), ground=_ground(source.facts),
        style=style, style_digest=_digest(style), script=code, digest=_digest(code),
        runtime=_packed(script), wasm=_packed(wasm), model=_packed(model))


def write(source: Source, path: Path) -> None:
    path.write_text(page(source, onnx.model(source).SerializeToString()), encoding="utf-8")


def quantize(source: Source, path: Path, images: np.ndarray) -> None:
    """Write the page with the 8-bit ONNX model inside."""
    with tempfile.TemporaryDirectory(prefix="tenfold-export-") as folder:
        narrow = Path(folder) / "model.onnx"
        onnx.quantize(source, narrow, images)
        path.write_text(page(source, narrow.read_bytes()), encoding="utf-8")


def read(path: Path) -> Answer:
    """Compute the ONNX model inside a page, for the check; the runtime of the browser is tested elsewhere."""
    text = path.read_text(encoding="utf-8")
    start = text.index('id="model">') + len('id="model">')
    content = gzip.decompress(base64.b64decode(text[start : text.index("</script>", start)]))
    inside = path.with_suffix(".onnx")
    try:
        inside.write_bytes(content)
        answer = onnx.read(inside)
        answer(np.zeros((1, *_shape(text)), np.uint8))
    finally:
        inside.unlink(missing_ok=True)
    return answer


def _shape(text: str) -> tuple[int, int, int]:
    start = text.index('id="facts">') + len('id="facts">')
    height, width, channels = json.loads(text[start : text.index("</script>", start)])["shape"]
    return height, width, channels


def _text(name: str) -> str:
    return (resources.files("tenfold.export.page") / name).read_text(encoding="utf-8")


def _packed(content: bytes) -> str:
    return base64.b64encode(gzip.compress(content, 9, mtime=0)).decode()


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _in_script(facts: dict[str, Any]) -> str:
    """JSON that can stand in a script element: a class may be named "</script>"."""
    return json.dumps(facts, ensure_ascii=True).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _can_draw(facts: dict[str, Any]) -> bool:
    return facts["shape"][2] == 1 and max(facts["shape"]) <= DRAWN


def _ground(facts: dict[str, Any]) -> str:
    """The colour to draw on: black if the training images are dark, as those of MNIST are."""
    ranges = facts.get("pixels")
    return "#000" if ranges and sum(ranges["mean"]) / 2 < DARK else "#fff"


def _verdict(run: Run) -> str:
    try:
        test = run.metrics()["test"]
    except (RunError, KeyError):
        return "This model was not scored on a test split."
    return f"Test accuracy {metric('accuracy').text(test['accuracy'])} on {test['count']:,} images."


def _about(source: Source) -> str:
    facts = source.facts
    height, width, channels = facts["shape"]
    scaled = "" if facts["temperature"] == 1 else " They are calibrated on the validation split."
    return (f"It tells {len(facts['classes']):,} classes apart: {', '.join(facts['classes'][:20])}"
            f"{' and more' if len(facts['classes']) > 20 else ''}. Images become {height}×{width} pixels, "
            f"{'grey' if channels == 1 else 'in colour'}. The bars are probabilities.{scaled}")


def _card(run: Run) -> str:
    path = run.path / "MODEL_CARD.md"
    return path.read_text(encoding="utf-8") if path.is_file() else "This run has no model card."


FORMATS.add("html")(Format(".html", write, read, quantize=quantize, check=runtime_files))
