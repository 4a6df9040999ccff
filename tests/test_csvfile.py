"""CSV that comes back as it was, and that no spreadsheet executes."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
from made_runs import environment
from pyarrow import csv as pyarrow_csv

from tenfold import csvfile, terminal
from tenfold.evaluation.predictions import write_predictions
from tenfold.run import Run

AWKWARD = ["cat.png", "a,b", 'say "cat"', "two\nlines", "two\rlines", "two\r\nlines", " space ", "猫", "", "it's"]
FORMULAS = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "=\"a\"&\"b\"", "--1", "-"]
NUMBERS = ["-1", "-1.5e-3", "+7", 3, -3, -0.25, np.float32(-0.1), 1e300]


def read(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("value", AWKWARD, ids=repr)
def test_a_text_is_read_back_unchanged(value: str) -> None:
    assert read(csvfile.text([{"path": value, "label": "x"}])) == [["path", "label"], [value, "x"]]


@pytest.mark.parametrize("value", [each for each in AWKWARD if each], ids=repr)
def test_another_reader_sees_the_same_number_of_rows(value: str) -> None:
    content = csvfile.text([{"path": value, "label": "x"}, {"path": "b", "label": "y"}]).encode()
    table = pyarrow_csv.read_csv(pyarrow.BufferReader(content),
                                 parse_options=pyarrow_csv.ParseOptions(newlines_in_values=True))
    assert table.to_pydict() == {"path": [value, "b"], "label": ["x", "y"]}


@pytest.mark.parametrize("value", FORMULAS, ids=repr)
def test_a_formula_becomes_text(value: str) -> None:
    assert read(csvfile.text([{"path": value, value: 1}])) == [["path", f"'{value}"], [f"'{value}", "1"]]


@pytest.mark.parametrize("value", NUMBERS, ids=repr)
def test_a_number_stays_a_number(value: Any) -> None:
    found = read(csvfile.text([{"value": value}]))[1][0]
    assert found == str(value)
    assert type(value)(found) == value


def test_missing_values_are_empty_cells() -> None:
    assert csvfile.text([{"a": 1, "b": None}, {"a": 2, "c": True}]) == "a,b,c\n1,,\n2,,True\n"


def test_a_table_may_be_written_in_parts() -> None:
    parts = [csvfile.text([row], ("a", "b"), header=header) for row, header in (({"b": 1}, True), ({"a": 2}, False))]
    assert "".join(parts) == csvfile.text([{"b": 1}, {"a": 2}], ("a", "b")) == "a,b\n,1\n2,\n"


def test_no_rows_give_an_empty_header() -> None:
    assert csvfile.text([]) == "\n"


def test_printed_predictions_are_safe_csv(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.print_csv([{"path": "=a\rb.png", "p_cat": 0.25}], ("path", "p_cat"))
    assert read(capsys.readouterr().out) == [["path", "p_cat"], ["'=a\rb.png", "0.25"]]


def test_written_predictions_are_safe_csv(tmp_path: Path) -> None:
    classes = ("=cat", "d\rog", "-1")
    run = Run.create(tmp_path, "x")
    run.write_json("environment.json", environment(classes, 3))
    p = np.eye(3, dtype=np.float32)
    write_predictions(run, "test", np.arange(3), p, classes, csv=True)
    assert read((run.path / "predictions" / "test.csv").read_bytes().decode()) == [
        ["index", "label", "p_=cat", "p_d\rog", "p_-1"],
        ["0", "'=cat", "1", "0", "0"], ["1", "d\rog", "0", "1", "0"], ["2", "-1", "0", "0", "1"]]
    assert run.predictions("test")["label"].to_pylist() == list(classes)
