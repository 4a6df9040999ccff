"""A model as one web page that works offline: the ONNX model, ONNX Runtime for browsers and the page in one file."""

from __future__ import annotations

import base64
import hashlib
import json
import lzma
import tempfile
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from tenfold.counted import counted
from tenfold.decisions.conformal import Sets
from tenfold.decisions.rules import KEY, LEVEL, Rules, guaranteed
from tenfold.errors import RunError
from tenfold.evaluation.metrics import metric
from tenfold.export.formats import Answer, Format, onnx
from tenfold.export.page.packages import DECODER, PACKAGES, SCRIPT, WASM
from tenfold.export.page.packing import pack_model, text_of, unpack_model
from tenfold.export.page.runtime import runtime_files
from tenfold.export.parity import Agreement
from tenfold.export.source import Source
from tenfold.registry import FORMATS
from tenfold.run import Run

DRAWN = 64  # pixels: an image with one channel up to this size can be drawn
DARK = 96  # mean grey level below which drawings are light on black

SCRIPTS = ("unpacking.js", "pixels.js", "decisions.js", "statistics.js", "page.js", "inputs.js")


def page(source: Source, model: bytes) -> str:
    """The page of a model, given as ONNX bytes. Raises MissingExtraError without the runtime, RunError."""
    files, rules = runtime_files(), _rules(source)
    decoder = lzma.decompress(files[DECODER]).decode()
    code, style = "\n".join(map(_text, SCRIPTS)), _text("page.css")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    return environment.from_string(_text("page.html")).render(
        title=source.run.name, verdict=_verdict(source), about=_about(source), meaning=meaning(rules),
        cautions=_cautions(source, rules), card=_card(source.run),
        licences=environment.from_string(_text("licences.txt")).render(packages=PACKAGES),
        facts=_in_script(_facts(source, rules)), drawing=_can_draw(source.facts), ground=_ground(source.facts),
        style=style, style_digest=_digest(style), script=code, digest=_digest(code),
        decoder=decoder, decoder_digest=_digest(decoder),
        runtime=text_of(files[SCRIPT]), wasm=text_of(files[WASM]), model=pack_model(model))


def write(source: Source, path: Path) -> None:
    path.write_text(page(source, onnx.model(_lean(source)).SerializeToString()), encoding="utf-8")


def quantize(source: Source, path: Path, images: np.ndarray) -> None:
    """Write the page with the 8-bit ONNX model inside."""
    with tempfile.TemporaryDirectory(prefix="tenfold-export-") as folder:
        narrow = Path(folder) / "model.onnx"
        onnx.quantize(_lean(source), narrow, images)
        path.write_text(page(source, narrow.read_bytes()), encoding="utf-8")


def restate(source: Source, path: Path) -> None:
    """Write the page again, with the same model and other facts."""
    model = unpack_model(_element(path.read_text(encoding="utf-8"), "model"))
    path.write_text(page(source, onnx.with_facts(model, _lean(source))), encoding="utf-8")


def read(path: Path) -> Answer:
    """Compute the ONNX model inside a page, for the check; the runtime of the browser is tested elsewhere."""
    text = path.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory(prefix="tenfold-export-") as folder:
        inside = Path(folder) / "model.onnx"
        inside.write_bytes(unpack_model(_element(text, "model")))
        answer = onnx.read(inside)
        answer(np.zeros((1, *json.loads(_element(text, "facts"))["shape"]), np.uint8))
    return answer


def _element(text: str, name: str) -> str:
    """The text of a script element of a page."""
    start = text.index(f'id="{name}">') + len(f'id="{name}">')
    return text[start : text.index("</script>", start)]


def _lean(source: Source) -> Source:
    """The same source, whose facts need little room: the page holds the decision rules only once."""
    return replace(source, facts=source.brief)


def _rules(source: Source) -> Rules | None:
    return Rules.of_run(source.run.path, source.facts, source.facts["features"])


def _facts(source: Source, rules: Rules | None) -> dict[str, Any]:
    """What the scripts of the page need to know of the model."""
    facts = {key: source.facts[key] for key in ("classes", "shape", "resize", "pixels", "temperature")}
    return facts if rules is None else {**facts, KEY: script_rules(rules)}


def script_rules(rules: Rules) -> dict[str, Any]:
    """The rules for the scripts: the thresholds of sets and of accepted answers, the rule for unknown images, or None.

    Sets over folds need the answer of each member, which a page does not have: it shows none.
    """
    sets = rules.sets_at(LEVEL)
    return {"set": sets.marginal if isinstance(sets, Sets) else None, "accepted": rules.accepting.threshold,
            "unknown": None if rules.unknowns is None else rules.unknowns.to_dict()}


def _text(name: str) -> str:
    return (resources.files("tenfold.export.page") / name).read_text(encoding="utf-8")


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


def _verdict(source: Source) -> str:
    try:
        test = source.run.metrics()["test"]
        found = f"Test accuracy {metric('accuracy').text(test['accuracy'])} on {counted(test['count'], 'image')}."
    except (RunError, KeyError):
        found = "This model was not scored on a test split."
    if source.facts["precision"] != "int8":
        return found
    change = Agreement(**source.facts["agreement"]).change
    return f"{found} Its layers have 8 bits here, which changed the accuracy by {change}; all else is said of float32."


def _about(source: Source) -> str:
    facts = source.facts
    height, width, channels = facts["shape"]
    scaled = "" if facts["temperature"] == 1 else " They are calibrated on the validation split."
    return (f"It tells {len(facts['classes']):,} classes apart: {', '.join(facts['classes'][:20])}"
            f"{' and more' if len(facts['classes']) > 20 else ''}. Images become {height}×{width} pixels, "
            f"{'grey' if channels == 1 else 'in colour'}. The bars are probabilities.{scaled}")


def meaning(rules: Rules | None) -> str:
    """What the page says beside the bars; empty without rules."""
    if rules is None:
        return ""
    found = []
    sure = guaranteed(rules.fitted)
    if isinstance(rules.sets_at(LEVEL), Sets):
        found.append(f"“Probably” names the classes that may be the true one: for {'' if sure else 'about '}"
                     f"{100 * LEVEL:g} of 100 images, it is among them.")
    if rules.accepting.threshold is not None:
        accuracy = f"{100 * rules.accepting.accuracy:g} %"
        found.append(f"Of the accepted answers, at least {accuracy} are right." if sure else
                     f"Accepted answers should be {accuracy} right or more, but nothing guarantees it.")
    return " ".join([*found, "This holds only for images like those of the training."] if found else [])


def _cautions(source: Source, rules: Rules | None) -> list[str]:
    found = [] if rules is None else [f"{each[0].upper()}{each[1:]}." for each in rules.cautions()]
    return [source.caution, *found] if source.caution else found


def _card(run: Run) -> str:
    path = run.path / "MODEL_CARD.md"
    return path.read_text(encoding="utf-8") if path.is_file() else "This run has no model card."


FORMATS.add("html")(Format(".html", write, read, quantize=quantize, restate=restate, check=runtime_files))
