"""The weights that a pretrained network starts from: published, from a file, from a run, or none."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tenfold.backend import keras
from tenfold.data.fetch import fetch, verified
from tenfold.data.location import keras_cache
from tenfold.errors import FetchError, ModelFileError, UsageError
from tenfold.foreign import sha256_of
from tenfold.foreign.load import load_weights, without_memory
from tenfold.models import backbone as backbones
from tenfold.models.layers import finalise
from tenfold.progress import SILENT, Watcher
from tenfold.recipe import ModelSection


@dataclass(frozen=True)
class Published:
    """Where Keras publishes the weights of an application: file name, address, hash (MD5 or SHA-256, hex) or None."""

    file: str
    url: str
    digest: str | None

    @property
    def path(self) -> Path:
        """Where Keras keeps the file."""
        return keras_cache().parent / "models" / self.file


def published(name: str) -> Published:
    """What an application would download, found by asking it and not letting it."""
    with without_memory():
        asked = backbones.application(name, imagenet=True)[1]
    if not asked:
        raise ModelFileError(f"model.weights: Keras publishes no ImageNet weights of {name}; set model.weights=none "
                             "or a file")
    return Published(asked["fname"], asked["origin"], asked.get("file_hash") or asked.get("md5_hash"))


def origin(section: ModelSection) -> dict[str, Any]:
    """What `environment.json` says of the weights that a network starts from; nothing is downloaded.

    Raises UsageError or ModelFileError if the backbone or its weights can't be had.
    """
    name, weights = section.options["backbone"], section.options["weights"]
    path = backbones.path_of(name)
    if path is None and name not in backbones.names():
        backbones.sketch(name)  # raises, with the names that there are
    facts: dict[str, Any] = {"backbone": name, "weights": weights}
    if path is not None:
        facts["backbone_sha256"] = sha256_of(path)
    if weights == "none":
        facts["weights"] = "none: trained from scratch"
    elif weights != "imagenet":
        facts["weights_sha256"] = sha256_of(_file(weights))
    elif path is None:
        found = published(name)
        facts |= {"file": found.file, "digest": found.digest}
        if found.digest is None and found.path.is_file():
            facts["weights_sha256"] = sha256_of(found.path)
    return facts


def obtain(section: ModelSection, watcher: Watcher = SILENT) -> None:
    """See to it that the weights are on this machine: downloaded where they are published. Raises FetchError."""
    name = section.options["backbone"]
    if section.options["weights"] == "imagenet" and backbones.path_of(name) is None:
        _published_file(name, watcher)


def initialise(model: keras.Model, section: ModelSection, watcher: Watcher = SILENT) -> None:
    """Put the weights that a recipe names into the backbone of a network that `build` made.

    Those of `keras.applications` are looked for in the Keras cache and downloaded if they are not there.
    Raises ModelFileError, FetchError.
    """
    name, weights = section.options["backbone"], section.options["weights"]
    if weights == "none":
        what = " and stay so: the logits alone are fitted" if section.options["trainable"] == "none" else (
            ": the network is trained from scratch")
        watcher.notice(f"{name}: weights are random (model.weights=none){what}")
        return
    if weights == "imagenet" and backbones.path_of(name) is not None:
        source = backbones.valued(name)
    else:
        source = _empty(name)
        load_weights(source, _published_file(name, watcher) if weights == "imagenet" else _file(weights))
    if backbones.preprocessing(name)[2]:
        backbones.first_kernel_reversed(source)
    # By position: Keras counts the names that it makes up through the life of a process.
    for layer, drawn in zip(backbones.flat(source), backbones.flat(backbones.sketch(name, weights)), strict=True):
        if layer.weights:
            model.get_layer(backbones.PREFIX + drawn.name).set_weights(layer.get_weights())
    finalise(model.layers)


def _empty(name: str) -> keras.Model:
    if backbones.path_of(name) is not None:
        return backbones.valued(name)
    return backbones.application(name, imagenet=True)[0]


def _file(weights: str) -> Path:
    path = Path(weights).expanduser()
    if not path.is_file():
        raise UsageError(f"model.weights: received {weights!r}, and there is no such file; expected imagenet, none or "
                         "a .weights.h5, .h5 or .keras file")
    return path


def _published_file(name: str, watcher: Watcher) -> Path:
    found = published(name)
    if found.path.is_file():
        return verified(found.path, found.url, found.digest) if found.digest else found.path
    if found.digest is None:
        raise FetchError(f"{found.file} is not in the Keras cache, and Keras publishes no hash to check a download by; "
                         f"download {found.url} to {found.path}, or set model.weights=FILE or none")
    return fetch(found.url, found.path, found.digest, watcher)
