"""Names that tell models apart whose recipes share one."""

from __future__ import annotations

from tenfold.comparison.names import MAX_DETAIL, names_of


def names(*differing):
    return names_of([{"name": "mlp", "train.epochs": 15, **keys} for keys in differing])


def test_a_unique_name_is_unchanged():
    assert names_of([{"name": "a", "x": 1}, {"name": "b", "x": 2}]) == ["a", "b"]


def test_equal_names_get_the_settings_that_differ():
    assert names({}, {"train.epochs": 20}) == ["mlp (epochs 15)", "mlp (epochs 20)"]
    assert names({"train.augment": {}}, {"train.augment.mixup.alpha": 0.4}) == ["mlp (no augment)", "mlp (mixup 0.4)"]
    assert names({"train.augment.mirror": {}}, {"train.augment": {}}) == ["mlp (mirror)", "mlp (no augment)"]
    assert names({"model.name": "mlp", "model.dropout": 0.0}, {"model.name": "cnn"}) == [
        "mlp (mlp, dropout 0)", "mlp (cnn)"]
    assert names({"train.optimizer": "adam", "train.nesterov": True},
                 {"train.optimizer": "sgd", "train.nesterov": False}) == [
        "mlp (optimizer adam, nesterov)", "mlp (optimizer sgd, no nesterov)"]
    assert names({"train.early_stopping": "none"}, {"train.early_stopping.monitor": "val_loss",
                                                    "train.early_stopping.patience": 3}) == [
        "mlp (no early stopping)", "mlp (early stopping)"]
    assert names({"model.hidden": [64, 32]}, {"model.hidden": [8]}) == ["mlp (hidden 64/32)", "mlp (hidden 8)"]
    assert names({"data": "cafe"}, {"data": "beef"}) == ["mlp (data cafe)", "mlp (data beef)"]


def test_many_differences_are_shortened_and_numbered_if_still_equal():
    many = [{f"train.some_long_key_{i}": 1 for i in range(9)} | {"train.z": z} for z in (1, 2)]
    cut = names(*many, {"train.epochs": 1})
    assert cut[0].endswith("…) #1")
    assert cut[1].endswith("#2")
    assert all(len(name) <= MAX_DETAIL + len("mlp () #1") for name in cut)
    assert len(set(cut)) == 3
