"""The model card of a run in the format of the Hugging Face Hub: YAML for programs, sections for people.

Format: https://huggingface.co/docs/hub/model-cards and https://github.com/huggingface/hub-docs/blob/main/modelcard.md.
It contains only facts that the run records.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

import jinja2

from tenfold.counted import counted
from tenfold.evaluation.confusion import confused_pairs, confusion_of
from tenfold.evaluation.metrics import metric
from tenfold.report import decisions, facts
from tenfold.report.cautions import cautions
from tenfold.report.material import Material
from tenfold.run import Run

# Tenfold's metrics and their names on the Hub (https://huggingface.co/metrics).
HUB_METRICS = {"accuracy": "accuracy", "precision_macro": "precision", "recall_macro": "recall", "f1_macro": "f1",
               "roc_auc": "roc_auc"}
WEAKEST_CLASSES, PAIRS = 3, 3


def card(run: Run, material: Material, status: Mapping[str, Any]) -> str:
    """The text of `MODEL_CARD.md` for a run with this status. On the Hub it is the model's `README.md`."""
    recipe, environment = run.recipe(), run.environment() if run.has("environment.json") else {}
    dataset = environment.get("dataset", {})
    splits, metric_rows = facts.metric_rows(material.metrics)
    class_split, class_columns, class_rows = facts.class_rows(material.metrics)
    settings = facts.settings(recipe)
    parameters = environment.get("model", {}).get("parameters")
    seconds = facts.training_seconds(material.history, material.ensemble)
    machine, versions = environment.get("machine", {}), environment.get("versions", {})
    name = dataset.get("name", recipe.data.source)
    content = {
        "front": _yaml(_front(run, str(name), material.metrics)), "title": run.name,
        "recipe_name": recipe.name, "dataset": name, "headline": facts.headline(material.metrics),
        "cautions": cautions(status, dataset.get("splits", {}), material.metrics, material.inspection),
        "model": dict(settings)["model"], "parameters": "–" if parameters is None else f"{parameters:,}",
        "shape": dataset.get("shape", ["?"]), "classes": material.classes,
        "limitations": _limitations(material), "path": shlex.quote(str(run.path)), "settings": settings,
        "split_rows": facts.split_rows(dataset.get("splits", {})), "repeat": facts.repeat(run, environment),
        "cards": facts.cards(material, environment), "splits": splits,
        "metric_rows": metric_rows, "class_split": class_split, "class_columns": class_columns,
        "class_rows": class_rows, "undefined": facts.undefined(material.metrics),
        "decisions": decisions.of_card(material.decisions), "scored": facts.scored(material.metrics),
        "hardware": f"{machine.get('processor', 'unknown')}, {_cores(machine)}",
        "hours": f"{seconds / 3600:.3f}",
        "software": ", ".join(f"{key} {value}" for key, value in versions.items()) or "unknown",
    }
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("tenfold.report"), undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, autoescape=False)
    templates.filters |= {"line": line, "code": code, "command": command}
    return re.sub(r"\n{3,}", "\n\n", templates.get_template("card.md").render(content))


def command(text: str) -> str:
    """A command for a fenced code block: on one line, with fences broken up."""
    return " ".join(text.split()).replace("```", "` ` `")


def _front(run: Run, dataset: str, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata by which the Hub finds models, with the results."""
    scored = next((split for split in ("test", "validation") if split in metrics), None)
    values = metrics.get(scored, {}) if scored else {}
    known = {ours: theirs for ours, theirs in HUB_METRICS.items() if values.get(ours, {}).get("value") is not None}
    front: dict[str, Any] = {"library_name": "keras", "pipeline_tag": "image-classification",
                             "tags": ["image-classification", "tenfold"]}
    if known:
        results = [{"type": theirs, "value": values[ours]["value"], "name": f"{metric(ours).title} ({scored})"}
                   for ours, theirs in known.items()]
        front["metrics"] = list(known.values())
        front["model-index"] = [{"name": run.name, "results": [{
            "task": {"type": "image-classification", "name": "Image Classification"},
            "dataset": {"type": dataset, "name": dataset, "split": scored}, "metrics": results}]}]
    return front


def _cores(machine: Mapping[str, Any]) -> str:
    return counted(machine["cores"], "core") if "cores" in machine else "? cores"


def _limitations(material: Material) -> list[str]:
    """Sentences on the weaknesses of the model, from its metrics."""
    found = []
    for split in ("test", "validation"):
        table = material.metrics.get(split, {}).get("per_class") or {}
        values = {name: facts.of_class(row, "recall")["value"] for name, row in table.items()}
        recalls = sorted((value, name) for name, value in values.items() if value is not None)
        if recalls:
            worst = ", ".join(f"{name} ({100 * recall:.1f} %)" for recall, name in recalls[:WEAKEST_CLASSES])
            found.append(f"Lowest recall on the {split} split: {worst}.")
            break
    matrix = confusion_of(material.metrics)
    pairs = confused_pairs(matrix[1])[:PAIRS] if matrix else []
    if matrix and pairs:
        named = "; ".join(f"{material.classes[p.true]} predicted as {material.classes[p.predicted]} "
                          f"({counted(p.count, 'image')}, {100 * p.fraction:.1f} %)" for p in pairs)
        found.append(f"Most confused on the {matrix[0]} split: {named}.")
    elsewhere = [f"Accuracy on other data, {name} ({counted(scored['count'], 'image')} of {scored['data']['uri']}): "
                 f"{metric('accuracy').text(scored['accuracy'])}."
                 for name, scored in material.metrics.items() if "data" in scored]
    return [*found, *(elsewhere or ["Accuracy on images from another camera, place or time was not measured."])]


# ----------------------------------------------------------------------------------------------------
# text


def line(text: str) -> str:
    """Text as one line of Markdown, with all markup escaped; also safe in tables."""
    plain = re.sub(r"([\\`*_\[\]|{}#$~&])", r"\\\1", " ".join(str(text).split()))
    return plain.replace("<", "&lt;").replace(">", "&gt;")


def code(text: str) -> str:
    """Text as inline Markdown code."""
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    pad = " " if "`" in text else ""
    return f"{fence}{pad}{' '.join(text.split())}{pad}{fence}"


def _yaml(tree: Mapping[str, Any]) -> str:
    """A tree of mappings, lists and plain values as YAML. Strings are quoted as JSON, which is valid YAML."""
    return "".join(f"{text}\n" for text in _lines(tree))


def _lines(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, below in value.items():
            if isinstance(below, (Mapping, list)):
                yield f"{key}:"
                yield from (f"  {text}" for text in _lines(below))
            else:
                yield f"{key}: {json.dumps(below, ensure_ascii=False)}"
    elif isinstance(value, list):
        for below in value:
            first, *rest = _lines(below)
            yield f"- {first}"
            yield from (f"  {text}" for text in rest)
    else:
        yield json.dumps(value, ensure_ascii=False)
