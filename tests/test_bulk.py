"""Bulk prediction: the same answers as one by one, in parquet files, continued after a stop, never mixed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from PIL import Image
from pyarrow import parquet
from typer.testing import CliRunner
from watchers import Listen

from tenfold import bulk, jobs
from tenfold.bulk import predict_all
from tenfold.cli import app
from tenfold.errors import DataError, UsageError
from tenfold.prediction import predict
from tenfold.recipe import Recipe
from tenfold.run import Run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    recipe = Recipe.load("mlp", {"train.epochs": 1, "train.precision": "float32"})
    return jobs.train(recipe, "digits", runs=tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven images in a tree, one of them damaged."""
    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for number in range(7):
        path = folder / ("a" if number < 4 else "b") / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (9, 9), np.uint8)).save(path)
    (folder / "a" / "2.png").write_bytes(b"no image")
    return folder


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "BLOCK", 3)


def table(folder: Path) -> pyarrow.Table:
    return pyarrow.concat_tables([parquet.read_table(path) for path in sorted(folder.glob("part-*.parquet"))])


def test_the_predictions_are_those_of_predict(run: Run, photos: Path, tmp_path: Path) -> None:
    found = predict_all(run, [photos], tmp_path / "out", runtime="fast")
    assert (found.images, found.unread) == (7, 1)
    expected, made = predict(run, photos, runtime="fast"), table(tmp_path / "out")
    assert made["path"].to_pylist() == [each.name for each in expected]
    assert made["label"].to_pylist() == [each.label for each in expected]
    assert made["probability"].to_pylist() == [
        None if each.label is None else pytest.approx(each.probabilities[each.label], abs=1e-6) for each in expected]
    assert [bool(error) for error in made["error"].to_pylist()] == [False, False, True, False, False, False, False]
    assert len(list((tmp_path / "out").glob("part-*.parquet"))) == 3


def test_an_interrupted_prediction_predicts_only_the_rest(run: Run, photos: Path, tmp_path: Path) -> None:
    whole = table(predict_all(run, [photos], tmp_path / "whole", runtime="fast").path)
    predict_all(run, [photos], tmp_path / "out", runtime="fast")
    (tmp_path / "out" / "part-000001.parquet").unlink()
    kept, listen = (tmp_path / "out" / "part-000000.parquet").stat().st_mtime_ns, Listen()
    predict_all(run, [photos], tmp_path / "out", runtime="fast", watcher=listen)
    assert "2 of 3 blocks are already predicted" in listen.said
    assert (tmp_path / "out" / "part-000000.parquet").stat().st_mtime_ns == kept
    assert table(tmp_path / "out").equals(whole)


def test_images_in_parquet_files_are_predicted_by_row_group(run: Run, photos: Path, tmp_path: Path) -> None:
    files = sorted(photos.rglob("*.png"))
    cells = [{"bytes": path.read_bytes(), "path": path.name} for path in files]
    parquet.write_table(pyarrow.table({"image": cells}), tmp_path / "images.parquet", row_group_size=4)
    found = predict_all(run, [tmp_path / "images.parquet"], tmp_path / "out", runtime="fast")
    assert (found.images, found.unread) == (7, 1)
    made = table(found.path)
    assert made["label"].to_pylist() == [each.label for each in predict(run, photos, runtime="fast")]
    assert made["path"].to_pylist()[4] == f"{tmp_path / 'images.parquet'} row 5"
    parquet.write_table(pyarrow.table({"image": cells[::-1]}), tmp_path / "images.parquet", row_group_size=4)
    with pytest.raises(UsageError, match="holds predictions of other images"):
        predict_all(run, [tmp_path / "images.parquet"], tmp_path / "out", runtime="fast")


def test_predictions_of_others_are_not_mixed(run: Run, photos: Path, tmp_path: Path) -> None:
    predict_all(run, [photos], tmp_path / "out", runtime="fast")
    with pytest.raises(UsageError, match="holds predictions of other images"):
        predict_all(run, [photos / "b"], tmp_path / "out", runtime="fast")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").touch()
    with pytest.raises(UsageError, match="holds other files"):
        predict_all(run, [photos], tmp_path / "other")
    with pytest.raises(UsageError, match="no such file"):
        predict_all(run, [tmp_path / "nothing"], tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_plan_that_a_killed_process_did_not_finish_is_no_hindrance(run: Run, photos: Path, tmp_path: Path) -> None:
    (tmp_path / ".1-plan.json").touch()
    assert predict_all(run, [photos], tmp_path, runtime="fast").images == 7


def test_predictions_of_another_model_in_the_same_folder_are_not_mixed(run: Run, photos: Path, tmp_path: Path) -> None:
    model = jobs.export(run, "openvino", tmp_path / "model.openvino").path
    predict_all(model, [photos], tmp_path / "out")
    model.with_name("model.openvino.json").unlink()
    (model / "model.xml").write_text((model / "model.xml").read_text() + "<!-- another -->")
    with pytest.raises(UsageError, match="holds predictions of another model"):
        predict_all(model, [photos], tmp_path / "out")


def test_tables_are_predicted_row_by_row(run: Run, photos: Path, tmp_path: Path) -> None:
    """Tables of paths, of pixels and of encoded images, one by one and in bulk."""
    rng = np.random.default_rng(1)
    files = sorted(photos.rglob("*.png"))
    paths = photos / "paths.csv"
    names = [str(file.relative_to(photos).with_suffix("")) for file in files]
    paths.write_text("\n".join(["id", *names, "a/none"]))
    pixels = tmp_path / "pixels.csv"
    rows = [",".join(map(str, row)) for row in rng.integers(0, 256, (7, 64))]
    pixels.write_text("\n".join([",".join(f"pixel{i}" for i in range(64)), *rows]) + "\n")
    (tmp_path / "shards").mkdir()
    for name in ("0", "1"):
        parquet.write_table(pyarrow.table({"image": [file.read_bytes() for file in files]}),
                            tmp_path / "shards" / f"{name}.parquet", row_group_size=3)
    try:
        for given, count, unread in ((paths, 8, 2), (pixels, 7, 0), (tmp_path / "shards", 14, 2)):
            single = predict(run, given, runtime="fast")
            assert (len(single), sum(bool(each.error) for each in single)) == (count, unread)
            out = tmp_path / f"out-{given.name}"
            found = predict_all(run, [given], out, runtime="fast")
            assert (found.images, found.unread) == (count, unread)
            assert table(out)["path"].to_pylist() == [each.name for each in single]
            assert table(out)["label"].to_pylist() == [each.label for each in single]
    finally:
        paths.unlink()


def test_a_table_without_images_is_refused(run: Run, tmp_path: Path) -> None:
    parquet.write_table(pyarrow.table({"picture": [1, 2]}), tmp_path / "x.parquet")
    with pytest.raises(DataError, match="received the columns picture"):
        predict_all(run, [tmp_path / "x.parquet"], tmp_path / "out")


def test_the_command_tells_what_it_did(run: Run, photos: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["predict", str(run.path), str(photos), "--out", str(tmp_path / "out"), "--json"])
    assert done.exit_code == 1  # an image can't be read
    assert json.loads(done.stdout) == {"path": str(tmp_path / "out"), "images": 7, "unread": 1}
    refused = CliRunner().invoke(app, ["predict", str(run.path), str(photos), "--on", "ray"])
    assert refused.exit_code == 2
    assert "received --on without --out" in refused.output
    for ignored in (["--level", "0.95"], ["--csv"]):
        refused = CliRunner().invoke(app, ["predict", str(run.path), str(photos), "--out", "nowhere", *ignored])
        assert refused.exit_code == 2
        assert f"received --out and {ignored[0]}" in refused.output


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_names_that_are_no_text_are_predicted_too(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.new("L", (8, 8), 200).save(folder / os.fsdecode(b"bad\xff.png"), "PNG")
    predict_all(run.path, [folder], tmp_path / "out")
    assert table(tmp_path / "out")["path"].to_pylist() == [str(folder / "bad?.png")]
