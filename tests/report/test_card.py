"""The model card: metadata that the Hub's own library reads, sections from the run's facts, hostile names inert."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from made_runs import DIGITS, decided, digits, environment, material, run_of

from tenfold.report import Material
from tenfold.report.card import card, code, line
from tenfold.report.decisions import of_card

HOSTILE = ("<script>alert(1)</script>", "a | b", "*bold* [x](y)\nnew", "---")


@pytest.fixture
def made():
    return material(*digits(), DIGITS)


def test_the_hugging_face_hub_library_reads_the_metadata(tmp_path, made):
    import huggingface_hub as hub

    run = run_of(tmp_path, made)
    data = hub.ModelCard(card(run, made, run.status())).data
    assert data.library_name == "keras"
    assert data.pipeline_tag == "image-classification"
    assert data.model_name == run.name
    results = {result.metric_type: result for result in data.eval_results}
    assert set(results) == {"accuracy", "precision", "recall", "f1", "roc_auc"}
    assert results["accuracy"].metric_value == run.metrics()["test"]["accuracy"]["value"]
    assert results["accuracy"].dataset_split == "test"
    assert results["accuracy"].dataset_name == "digits"
    assert results["accuracy"].task_type == "image-classification"


def test_the_metadata_line_by_line(tmp_path, made):
    run = run_of(tmp_path, made)
    lines = card(run, made, run.status()).splitlines()
    accuracy = run.metrics()["test"]["accuracy"]["value"]
    assert lines[:5] == ["---", 'library_name: "keras"', 'pipeline_tag: "image-classification"', "tags:",
                         '  - "image-classification"']
    assert '  - name: "cnn-digits-1"' in lines
    assert '          - type: "accuracy"' in lines
    assert f"            value: {json.dumps(accuracy)}" in lines
    assert lines[lines.index("---", 1) + 2] == "# cnn-digits-1"


def test_the_sections_show_the_facts_of_the_run(tmp_path, made):
    text = card(run := run_of(tmp_path, made), made, run.status())
    for heading in ("## Model Details", "## Uses", "## Bias, Risks, and Limitations", "## Training Details",
                    "## Evaluation", "## Environmental Impact", "## Technical Specifications",
                    "## How to Get Started with the Model"):
        assert f"\n{heading}\n" in text
    assert "The train split is partial: 1,000 of 1,797 images" in text
    assert "Lowest recall on the test split: " in text
    assert "123,456" in text
    assert "A processor, 2 cores" in text
    assert "| Accuracy | " in text
    assert "\n\n\n" not in text
    assert "None" not in text


def test_the_decision_rules_are_stated_with_what_they_keep(tmp_path):
    made = decided(material(*digits(1200), DIGITS, skill=4.0))
    tested, images = made.decisions["tested"], made.decisions["fitted"]["images"]
    text = card(run := run_of(tmp_path, made), made, run.status())
    _, section = text.split("\n## Decision Rules\n")
    rows = dict(re.findall(r"^- \*\*(.*):\*\* (.*)$", section.split("\n## ")[0], re.MULTILINE))
    assert list(rows) == ["Fitted on", "Guaranteed", f"On {tested['images']} test images", "Not guaranteed"]
    assert rows["Fitted on"] == f"{images} images of the validation split, which chose nothing else"
    assert "accepted answers to further images of the same kind are at least 90 % accurate, " in rows["Guaranteed"]
    assert "prediction sets at 90 % and 95 % hold the true class of at least as many" in rows["Guaranteed"]
    covered, = (each["coverage"] for each in tested["sets"]
                if (each["level"], each["method"], each["by_class"]) == (0.95, "lac", False))
    judged = rows[f"On {tested['images']} test images"]
    for entry, words in ((tested["accepted"], "of the answers are accepted"),
                         (tested["accepted_accuracy"], "of these are right"), (covered, "with")):
        value, low, high = (f"{100 * entry[key]:.1f}" for key in ("value", "low", "high"))
        assert re.search(rf"{value} % \\\[{low}, {high}\\\],? {words}", judged)
    assert "images from elsewhere" in rows["Not guaranteed"]
    assert "## Decision Rules" not in card(run, replace(made, decisions={}), run.status())


def test_rules_without_calibration_images_or_over_folds_are_stated_as_weaker():
    made = decided(material(*digits(1200), DIGITS, skill=4.0)).decisions
    void = dict(of_card({**made, "fitted": {"split": "validation", "images": 1, "reason": "it is void"}}))
    assert (void["Fitted on"], void["Guaranteed"]) == ("1 image of the validation split", "nothing: it is void")
    assert void["Not guaranteed"].startswith("anything about a single image")
    sets = [{"level": 0.95, "method": "lac", "promised": 0.876}]
    folds = dict(of_card({**made, "fitted": {"split": "folds", "images": 60, "reason": ""}, "folds": {"sets": sets},
                          "accepted": {**made["accepted"], "threshold": None}}))
    assert folds["Guaranteed"].startswith("prediction sets at 95 % hold the true class of at least 87 % of further ")
    assert folds["Accepted answers"].startswith("none: ")
    assert folds["Not guaranteed"].startswith("the accuracy of accepted answers; ")
    assert of_card({}) == []


def test_a_run_that_was_not_scored_has_a_card_without_results(tmp_path):
    made = Material(classes=DIGITS)
    text = card(run := run_of(tmp_path, made, status="diverged"), made, run.status())
    assert "model-index" not in text
    assert "The run has not been scored." in text
    assert "its status is “diverged”" in text


def test_hostile_names_stay_text(tmp_path):
    images, labels = digits(60)
    made = material(images, labels % 4, HOSTILE)
    run = run_of(tmp_path, made)
    tree = environment(HOSTILE, 30)
    tree["dataset"]["name"] = '"\n- evil: true'
    tree["dataset"]["uri"] = "x\n```\n<script>"
    made.metrics["a | b-test"] = made.metrics["test"]
    run.write_json("environment.json", tree)
    text = card(run, made, run.status())
    assert "<script" not in text.replace("'x ` ` ` <script>'", "")  # in its fence
    assert text.count("\n```") == 6
    assert r"| a \| b-test |" in text
    assert "\n- evil" not in text
    assert r"| a \| b |" in text
    assert line("*a*\n<b>") == r"\*a\* &lt;b&gt;"
    assert code("a`b") == "`` a`b ``"
