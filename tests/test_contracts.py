"""What every registered data set, model, optimizer, augmentation, metric, plot and recipe must keep to."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tenfold.data import open_dataset
from tenfold.data.splits import prepare
from tenfold.errors import TenfoldError
from tenfold.models import build
from tenfold.recipe import DataSection, ModelSection, Recipe, options_of, shipped
from tenfold.registry import AUGMENTATIONS, DATASETS, FINDINGS, METRICS, MODELS, OPTIMIZERS, PLOTS, RUNTIMES, Registry
from tenfold.training import engine, optimizers
from tenfold.training.augment import Batch, augmented
from tenfold.training.loader import Loader

OFFLINE = ("digits", "shapes:train=300,test=100")
SHAPES = [(8, 8, 1), (8, 8, 3), (28, 28, 1), (32, 32, 3), (17, 23, 3)]


@pytest.mark.parametrize("registry", [DATASETS, MODELS, OPTIMIZERS, AUGMENTATIONS, METRICS, PLOTS, RUNTIMES],
                         ids=lambda r: r.kind)
def test_everything_registered_has_a_plain_name(registry: Registry) -> None:
    assert registry.names()
    for name in registry.names():
        assert name == name.lower()
        assert " " not in name


@pytest.mark.parametrize("registry", [METRICS, PLOTS, FINDINGS], ids=lambda r: r.kind)
def test_the_order_does_not_depend_on_what_was_imported_first(registry: Registry, monkeypatch: pytest.MonkeyPatch,
                                                              ) -> None:
    names = registry.names()
    by_module: dict[str, list[str]] = {}
    for name in names:
        by_module.setdefault(registry._modules[name], []).append(name)
    last_first = [name for module in reversed(by_module) for name in by_module[module]]
    assert last_first != names or len(by_module) == 1
    monkeypatch.setattr(registry, "_entries", {name: registry._entries[name] for name in last_first})
    monkeypatch.setattr(registry, "_complete", False)
    assert registry.names() == names


@pytest.mark.parametrize("name", DATASETS.names())
def test_a_data_set_opens_or_gives_the_reason(name: str, tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENFOLD_DATA", str(tmp_path))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    if name in ("digits", "shapes"):
        assert len(open_dataset(name).train) > 1000
        return
    with pytest.raises(TenfoldError, match=r"^[^\n]*$") as caught:
        open_dataset(name)
    assert name[:5] in str(caught.value).lower()


@pytest.mark.parametrize("uri", OFFLINE)
def test_a_data_set_is_the_same_every_time(uri: str) -> None:
    first, second = open_dataset(uri), open_dataset(uri)
    assert first.fingerprint() == second.fingerprint()
    assert first.fingerprint() != prepare(first, DataSection(seed=1)).fingerprint()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", [name for name in MODELS.names() if name != "keras"])  # that needs a file
def test_a_model_takes_every_shape_and_gives_probabilities(name: str, shape: tuple[int, int, int]) -> None:
    model = build(Recipe.from_dict({"model": {"name": name}}).model, shape, 7)
    images = torch.randint(0, 256, (3, *shape)).float()
    with torch.no_grad():
        p = model(images, training=False)
    assert tuple(p.shape) == (3, 7)
    torch.testing.assert_close(p.sum(1), torch.ones(3))


@pytest.mark.parametrize(("registry", "name"), [
    (registry, name) for registry in (MODELS, OPTIMIZERS, AUGMENTATIONS) for name in registry.names()])
def test_options_all_have_defaults(registry: Registry, name: str) -> None:
    options_of(registry.get(name))()


@pytest.mark.parametrize("name", OPTIMIZERS.names())
def test_an_optimizer_learns_and_has_the_stated_number_of_variables(name: str) -> None:
    recipe = Recipe.from_dict({"model": {"name": "cnn", "filters": [4, 6], "dense": [10], "norm": "batch"},
                               "train": {"optimizer": name, "learning_rate": 1e-3}})
    with engine.seeded(0):
        model = build(recipe.model, (8, 8, 3), 5, fast=True)
    optimizer = optimizers.make(recipe.train)
    learner = engine.Trainer(model, optimizer, recipe.train, 5)
    rng = np.random.default_rng(0)
    split = Loader(rng.integers(0, 256, (20, 8, 8, 3), np.uint8), np.arange(20) % 5)
    before = [variable.numpy() for variable in model.trainable_variables]
    losses = [float(learner.step(split, torch.arange(20), seed)[0]) for seed in range(5)]
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]
    for variable, old in zip(model.trainable_variables, before, strict=True):
        assert not np.array_equal(variable.numpy(), old), variable.path
    kept = [variable for variable in optimizer.variables if variable.ndim]  # all but counters and rates
    of_each = [sum(variable.path.replace("/", "_") in other.path.replace("/", "_") for other in kept)
               for variable in model.trainable_variables]
    assert sum(of_each) == len(kept)
    assert max(of_each) == optimizers.slots(recipe.train.optimizer)


def test_adam_and_adamw_are_the_same_optimizer() -> None:
    assert OPTIMIZERS.get("adam") is OPTIMIZERS.get("adamw")


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", AUGMENTATIONS.names())
def test_an_augmentation_keeps_shape_range_and_seed(name: str, shape: tuple[int, int, int]) -> None:
    options = options_of(AUGMENTATIONS.get(name))().model_dump()
    images = torch.randint(0, 256, (16, *shape)).permute(0, 3, 1, 2).float()
    labels = torch.arange(16) % 5
    results = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        before = images.clone()
        batch = augmented(Batch(images, labels, 5, torch.arange(16)), {name: options})
        results.append((batch.images, batch.targets))
        assert torch.equal(images, before), "the batch itself was changed"
    (changed, targets), (again, _), (other, _) = results
    assert changed.shape == images.shape
    assert changed.dtype == torch.float32
    assert 0 <= float(changed.min()) <= float(changed.max()) <= 255 + 1e-3
    assert torch.equal(changed, again)
    assert not torch.equal(changed, other)
    mass = targets.sum(1) if targets.is_floating_point() else torch.ones(16)
    torch.testing.assert_close(mass, torch.ones(16))


@pytest.mark.parametrize("uri", ["digits", "shapes:train=200,test=50"])
@pytest.mark.parametrize("name", shipped())
def test_a_recipe_builds_on_any_data_set_or_gives_the_reason(name: str, uri: str) -> None:
    recipe = Recipe.load(name, {"data.source": uri})
    if recipe.data.classes:  # a subset of classes that another data set does not have
        with pytest.raises(TenfoldError, match=r"^data.classes: unknown class [^\n]*$"):
            prepare(open_dataset(uri), recipe.data)
        return
    dataset = prepare(open_dataset(uri), recipe.data)
    model = build(recipe.model, dataset.shape, len(dataset.classes), fast=True)
    height, width, channels = dataset.shape
    assert model.output_shape == (None, len(dataset.classes))
    assert model.input_shape == (None, channels, height, width)


def test_models_refuse_images_below_eight_pixels() -> None:
    with pytest.raises(TenfoldError, match="8×8"):
        build(ModelSection(name="mlp"), (7, 9, 3), 2)


@pytest.mark.parametrize("name", METRICS.names())
def test_a_metric_is_finite_on_ordinary_predictions(name: str) -> None:
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(7), 100)
    assert np.isfinite(METRICS.get(name)(rng.integers(0, 7, 100), p))
