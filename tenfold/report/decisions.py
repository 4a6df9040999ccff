"""Decision rules as sentences and rows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tenfold.counted import are, counted
from tenfold.decisions.abstention import refusal
from tenfold.decisions.conformal import exceeding
from tenfold.decisions.rules import FOLDS, guaranteed
from tenfold.evaluation.metrics import metric

FEATURED = "lac"  # the method of the sets that `tenfold predict` shows
SHOWN = 0.95  # level of the sets in the model card


def sentences(decisions: Mapping[str, Any]) -> list[str]:
    """What the rules do and guarantee, one idea a sentence; empty without rules."""
    if not decisions:
        return []
    fitted, tested = decisions["fitted"], decisions.get("tested")
    found = [_void(fitted["reason"])] if fitted["reason"] else []
    found += _over_folds(decisions) if fitted["split"] == FOLDS else []
    found += _answers(decisions["accepted"], tested, fitted)
    found += _unknown(decisions, tested)
    found += [f"Prediction sets at {100 * each['level']:g} % need {counted(each['needed'], 'calibration image')}; "
              f"there {are(fitted['images'])} {fitted['images']:,}." for each in decisions["refused"]]
    return found


def _void(reason: str) -> str:
    return f"The decision rules guarantee nothing: {reason}."


def _over_folds(decisions: Mapping[str, Any]) -> list[str]:
    """What the sets of the ensemble of a cross-validation guarantee."""
    found = [f"The rules are fitted on {counted(decisions['fitted']['images'], 'image')}, each predicted by the member "
             "that has not seen it."]
    sets = [each for each in (decisions.get("folds") or {}).get("sets", []) if each["method"] == FEATURED]
    return found + [f"A prediction set at {100 * each['level']:g} % holds the true class of at least "
                    f"{math.floor(100 * each['promised'])} % of further images of the same kind, whatever the models; "
                    f"usually of about {100 * each['level']:g} %." for each in sets]


def _answers(rule: Mapping[str, Any], tested: Mapping[str, Any] | None, fitted: Mapping[str, Any]) -> list[str]:
    """How many images are answered, how accurately, and what is guaranteed."""
    accuracy, text = f"{100 * rule['accuracy']:g} %", metric("accuracy").text
    if rule["threshold"] is None:
        return [f"No answer is accepted: {refusal(rule)}."]
    found = []
    if tested and tested["accepted_accuracy"]:
        found.append(f"On {counted(tested['images'], 'test image')}, the model answers {text(tested['accepted'])} of "
                     f"them, and {text(tested['accepted_accuracy'])} of these answers are right. All answers together: "
                     f"{text(tested['accuracy'])}.")
    found.append(f"An answer is accepted if its probability is above {100 * rule['threshold']:.1f} %."
                 if rule["threshold"] else "Every answer is accepted, unless the image is unknown.")
    if guaranteed(fitted):
        found.append(f"Accepted answers to further images of the same kind are at least {accuracy} accurate. This "
                     f"guarantee, fitted on {counted(rule['images'], 'calibration image')}, holds for 95 of 100 "
                     "models.")
    else:
        why = ": the threshold suits each member, not their mean" if fitted["split"] == FOLDS else ""
        found.append(f"Accepted answers should be {accuracy} accurate, but that is not guaranteed{why}.")
    return found


def _unknown(decisions: Mapping[str, Any], tested: Mapping[str, Any] | None) -> list[str]:
    """How unknown images are found."""
    rule = decisions["unknown"]
    if rule is None:
        return [f"No image is called unknown: {decisions['unknown_refused']}."]
    fitted, usual = decisions["fitted"], 1 - rule["false_rejects"]
    low, high = exceeding(fitted["images"], usual)
    found = [f"An image is called unknown if its score ({rule['score']}) is higher than that of {100 * usual:g} % "
             f"of the {counted(fitted['images'], fitted['split'] + ' image')}. Of further images of the classes, "
             f"{100 * low:.1f} to {100 * high:.1f} % are then called unknown."]
    if rule.get("pixels"):
        found.append("The score is raised for pixels unlike those of the training images, as of drawings or noise.")
    if rule["auroc"]:
        others = "; ".join(f"{name} {value:.3f}" for name, value in
                           sorted(rule["auroc"].items(), key=lambda item: -item[1]))
        found.append("The score was chosen because it finds left-out classes best (area under the ROC curve: "
                     f"{others}).")
    if tested and tested["unknown"]:
        found.append(f"It calls {metric('accuracy').text(tested['unknown'])} of the test images unknown, although they "
                     "are all of the classes.")
    return found


def of_card(decisions: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the model card says of the rules: (heading, sentence); empty without rules."""
    if not decisions:
        return []
    fitted = decisions["fitted"]
    images = counted(fitted["images"], "image")
    where = (f"{images}, each predicted by the member that has not seen it" if fitted["split"] == FOLDS else
             f"{images} of the {fitted['split']} split{', which chose nothing else' * guaranteed(fitted)}")
    nothing = f"nothing: {fitted['reason']}" if fitted["reason"] else "nothing"
    found = [("Fitted on", where), ("Guaranteed", "; ".join(_guarantees(decisions)) or nothing)]
    if decisions["accepted"]["threshold"] is None:
        found.append(("Accepted answers", f"none: {refusal(decisions['accepted'])}"))
    if decisions.get("tested"):
        found.append(_on_test(decisions["tested"]))
    missing = ["the accuracy of accepted answers"] if fitted["split"] == FOLDS else []
    return [*found, ("Not guaranteed", "; ".join([
        *missing, "anything about a single image or a single class", "that images of none of the classes are found",
        "anything about images from elsewhere: another camera, other light"]))]


def _guarantees(decisions: Mapping[str, Any]) -> list[str]:
    """What holds for further images of the same kind."""
    fitted, rule = decisions["fitted"], decisions["accepted"]
    if fitted["split"] == FOLDS:
        return [f"prediction sets at {100 * each['level']:g} % hold the true class of at least "
                f"{math.floor(100 * each['promised'])} % of further images of the same kind"
                for each in (decisions.get("folds") or {}).get("sets", []) if each["method"] == FEATURED]
    if not guaranteed(fitted):
        return []
    levels = " and ".join(f"{100 * each['level']:g} %" for each in decisions["sets"] if each["method"] == FEATURED)
    found = [f"prediction sets at {levels} hold the true class of at least as many further images of the same kind"] \
        if levels else []
    if rule["threshold"] is not None:
        found.insert(0, "accepted answers to further images of the same kind are at least "
                        f"{100 * rule['accuracy']:g} % accurate, for 95 of 100 models")
    if decisions["unknown"]:
        found.append(f"at most {100 * decisions['unknown']['false_rejects']:g} % of further images of the classes are "
                     "called unknown")
    return found


def _on_test(tested: Mapping[str, Any]) -> tuple[str, str]:
    """How the rules did on the test split, with 95 % intervals."""
    text = metric("accuracy").text
    right = tested["accepted_accuracy"]
    found = [f"{text(tested['accepted'])} of the answers are accepted",
             *([f"{text(right)} of these are right"] if right else []), f"{text(tested['accuracy'])} of all are right"]
    found += [f"prediction sets at {100 * SHOWN:g} % hold the true class of {text(each['coverage'])}, with "
              f"{each['size']:.2f} classes in a set" for each in tested["sets"]
              if (each["level"], each["method"], each["by_class"]) == (SHOWN, FEATURED, False)]
    return f"On {counted(tested['images'], 'test image')}", "; ".join(found)


def set_rows(decisions: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """(header, rows) of the prediction sets on the test split: coverage and size of each level and method."""
    header = ["level", "method", "threshold", "coverage", "lowest class", "classes in a set"]
    rows = []
    for each in (decisions.get("tested") or {}).get("sets", []):
        rows.append([f"{100 * each['level']:g} %", each["method"].upper(), "by class" if each["by_class"] else "common",
                     metric("accuracy").text(each["coverage"]), f"{100 * each['lowest']:.1f} %", f"{each['size']:.2f}"])
    return header, rows
