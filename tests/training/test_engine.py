"""The randomness and one step, against plain PyTorch and Keras."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tenfold import machine
from tenfold.backend import keras
from tenfold.models import build
from tenfold.recipe import Recipe
from tenfold.training import engine, optimizers
from tenfold.training.loader import Loader

CNN = {"name": "cnn", "filters": [8], "dense": [16]}


def trainer(device: str = "cpu", model: dict[str, Any] = CNN, size: int = 8, **train: object) -> engine.Trainer:
    recipe = Recipe.from_dict({"model": model, "train": train})
    with engine.seeded(0):
        network = build(recipe.model, (size, size, 3), 4, fast=True)
    return engine.Trainer(network, optimizers.make(recipe.train), recipe.train, 4, device=device)


def data(count: int = 32, size: int = 8) -> tuple[np.ndarray, np.ndarray]:
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), np.uint8), np.arange(count) % 4


def loader(count: int = 32) -> Loader:
    return Loader(*data(count))


ALL = torch.arange(32)


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd", "rmsprop", "muon"])
def test_every_optimizer_learns_and_decays_kernels_only(name: str) -> None:
    split = loader()
    learner = trainer(optimizer=name, learning_rate={"sgd": 3e-2, "muon": 1e-2}.get(name, 3e-3), weight_decay=1e-2)
    losses = [float(learner.step(split, ALL, seed)[0]) for seed in range(30)]
    assert losses[-1] < 0.7 * losses[0]
    decayed = {v.path.split("/")[-1] for v in learner.model.trainable_variables
               if learner.optimizer._use_weight_decay(v)}
    assert decayed == {"kernel"}


def test_muon_orthogonalises_filters_as_matrices() -> None:
    learner = trainer(optimizer="muon", learning_rate=0.1, momentum=0.0, nesterov=False)
    kernel = next(v for v in learner.model.trainable_variables if len(v.shape) == 4)
    before = kernel.value.detach().clone()
    learner.step(loader(), ALL, 0)
    update = (before - kernel.value.detach()).reshape(-1, kernel.shape[-1])
    singular = torch.linalg.svdvals(update)
    assert float(singular.max() / singular.min()) < 2  # Newton–Schulz brings all singular values near one
    adam = [learner.optimizer._should_use_adamw(v) for v in learner.model.trainable_variables]
    assert adam == [False, True, False, True, True, True]  # convolution, dense; biases and the logits are Adam's


def test_a_step_matches_plain_pytorch() -> None:
    learner = trainer(optimizer="sgd", learning_rate=0.1, momentum=0.0, nesterov=False, label_smoothing=0.1)
    split = loader()
    images, labels = map(torch.from_numpy, data())
    twin = build(Recipe.from_dict({"model": {"name": "cnn", "filters": [8], "dense": [16]}}).model, (8, 8, 3), 4)
    twin.set_weights(learner.model.get_weights())
    logits = twin(images.float(), training=True).log()
    loss = F.cross_entropy(logits, labels, label_smoothing=0.1)
    loss.backward()
    expected = [v.value.detach() - 0.1 * v.value.grad for v in twin.trainable_variables]
    ours, correct = learner.step(split, ALL, 0)
    torch.testing.assert_close(ours, loss.detach())
    assert int(correct) == int((logits.argmax(1) == labels).sum())
    for variable, value in zip(learner.model.trainable_variables, expected, strict=True):
        torch.testing.assert_close(variable.value.detach(), value, atol=1e-6, rtol=1e-4)


def test_class_weights_mean_what_keras_means() -> None:
    split = loader()
    images, labels = map(torch.from_numpy, data())
    weights = np.array([1.0, 2.0, 0.5, 3.0])
    recipe = Recipe.from_dict({"model": {"name": "cnn", "filters": [8], "dense": [16]}})
    plain = build(recipe.model, (8, 8, 3), 4)
    fast = build(recipe.model, (8, 8, 3), 4, fast=True)
    fast.set_weights(plain.get_weights())
    learner = engine.Trainer(fast, keras.optimizers.SGD(0.0), recipe.train, 4, weights)
    plain.compile(optimizer=keras.optimizers.SGD(0.0), loss="sparse_categorical_crossentropy")
    expected = plain.train_on_batch(images.numpy(), labels.numpy(), class_weight=dict(enumerate(weights)))
    assert float(learner.step(split, ALL, 0)[0]) == pytest.approx(float(expected), rel=1e-5)


def test_evaluation_is_cross_entropy_and_accuracy() -> None:
    learner = trainer()
    split = loader(50)
    loss, accuracy = learner.evaluate(split, batch_size=16)
    logits, labels = learner.logits(split, 50), split.labels
    assert loss == pytest.approx(float(F.cross_entropy(logits, labels)), rel=1e-5)
    assert accuracy == float((logits.argmax(1) == labels).double().mean())


def test_batches_cover_all_images_and_their_sizes_differ_by_at_most_one() -> None:
    order = engine.epoch_order(1000, seed=1, epoch=2)
    parts = engine.batches(order, 96)
    assert sorted(torch.cat(list(parts)).tolist()) == list(range(1000))
    assert {len(p) for p in parts} <= {90, 91}
    assert max(len(p) for p in engine.batches(np.arange(97), 96)) == 49


def test_a_derived_seed_depends_only_on_its_key() -> None:
    assert engine.derived_seed(1, 2, 3) == engine.derived_seed(1, 2, 3)
    keys = [(s, e, i) for s in range(4) for e in range(4) for i in range(4)]
    assert len({engine.derived_seed(*key) for key in keys}) == len(keys)
    assert not np.array_equal(engine.epoch_order(50, 0, 1), engine.epoch_order(50, 0, 2))


def test_seeding_restores_the_generators_of_the_caller() -> None:
    np.random.seed(5)
    torch.manual_seed(5)
    expected = np.random.RandomState(5).rand(), torch.Generator().manual_seed(5)
    with engine.seeded(1):
        np.random.rand()
        torch.rand(3)
    assert np.random.rand() == expected[0]
    assert torch.equal(torch.rand(2), torch.rand(2, generator=expected[1]))


def test_all_state_moves_to_the_device_with_the_trainer() -> None:
    recipe = Recipe.from_dict({"model": {"name": "cnn", "filters": [8], "norm": "batch"}})
    model = build(recipe.model, (8, 8, 3), 4, fast=True)
    optimizer = optimizers.make(recipe.train)
    learner = engine.Trainer(model, optimizer, recipe.train, 4, np.ones(4), device="meta")  # holds shapes, no values
    read = optimizer.iterations, optimizer._learning_rate  # by the CPU, in every step
    moved = [v for v in (*model.variables, *optimizer.variables) if all(v is not each for each in read)]
    assert {v._value.device.type for v in moved} == {"meta"}
    assert {v._value.device.type for v in read} == {"cpu"}
    assert [p.requires_grad for p in learner._parameters] == [True] * len(model.trainable_variables)
    assert learner._weights is not None
    assert learner._weights.device.type == "meta"


NEEDS_A_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")


def steps_on(device: str, model: dict[str, Any], size: int, **train: Any) -> tuple[list[float], torch.Tensor]:
    """The losses of three steps, and the logits after them."""
    learner, split = trainer(device, model, size, **train), Loader(*data(size=size), device)
    learner.adapt(split)
    losses = [float(learner.step(split, ALL, seed)[0]) for seed in range(3)]
    return losses, learner.logits(split, 16).cpu()


ON_A_GPU: dict[str, tuple[dict[str, Any], int, dict[str, Any]]] = {
    **{name: ({"name": "cnn", "filters": [8], "norm": "batch"}, 8, {"optimizer": {"name": name, "weight_decay": 0.01}})
       for name in ("adam", "sgd", "rmsprop", "muon")},
    "mlp": ({"name": "mlp", "norm": "batch"}, 8, {}),
    "speednet": ({"name": "speednet", "filters": [8, 16]}, 16, {"optimizer": "normalized-muon", "learning_rate": 0.1}),
    "backbone": ({"name": "pretrained", "backbone": "EfficientNetLite0", "weights": "none"}, 32, {"optimizer": "sgd"}),
}


@NEEDS_A_GPU
@pytest.mark.parametrize("case", ON_A_GPU)
def test_a_gpu_takes_the_same_steps_as_the_cpu(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENFOLD_DEVICE", "cuda")
    machine.configure("float32")
    model, size, train = ON_A_GPU[case]
    expected, got = steps_on("cpu", model, size, **train), steps_on("cuda", model, size, **train)
    assert got[0] == pytest.approx(expected[0], rel=1e-3, abs=1e-4)
    torch.testing.assert_close(got[1], expected[1], rtol=1e-2, atol=1e-3)
