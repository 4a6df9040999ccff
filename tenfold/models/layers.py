"""The layers of models: fast ones for training, plain Keras layers for the saved file.

A model function receives a `Layers` object and calls its methods. Only that object decides between fast and plain
layers. Both have the same weights in the same order, so the weights of a fast model fit its plain twin.

The fast layers compute the same as Keras' layers with a better memory layout and fewer passes over memory:

- *layout*: they are `channels_first` and keep PyTorch's `channels_last` memory format between layers;
  Keras' `channels_last` layers lose it on PyTorch.
- *calls*: only the computation runs, without Keras' work around each layer call (`Direct`, `forward`).
- *convolution, activation*: one call each, ReLU in place where nothing else reads its input (`in_place`).
- *batch normalisation*: `torch.nn.functional.batch_norm` instead of several passes in float32.
- *dropout*: 64 random bits serve eight values; PyTorch draws one value at a time on one thread.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F

from tenfold.backend import keras
from tenfold.models import depthwise, masks
from tenfold.models.options import Activation, Initial
from tenfold.models.resizing import Resizing

CHANNELS = {"fast": "channels_first", "plain": "channels_last"}

_ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "relu": F.relu_, "gelu": F.gelu, "silu": F.silu, "elu": F.elu, "tanh": torch.tanh,
}


class Layers:
    """Creates layers: fast ones for the training network, or plain ones for its Keras twin.

    `dtype` is the Keras dtype policy of the fast layers ("float32" or "mixed_bfloat16"); plain layers are always
    float32. Methods named after layers return a Keras layer, to be called on a tensor.
    """

    def __init__(self, fast: bool, dtype: str = "float32") -> None:
        self.fast = fast
        self._format = CHANNELS["fast" if fast else "plain"]
        self._dtype = dtype if fast else "float32"

    @property
    def dtype(self) -> str:
        """The Keras dtype policy of the layers."""
        return self._dtype

    def input(self, shape: tuple[int, int, int]) -> Any:
        """The symbolic input for images of `shape` (height, width, channels): raw pixels, 0–255."""
        height, width, channels = shape
        return keras.Input((channels, height, width) if self.fast else shape, dtype="float32", name="pixels")

    def sides(self, x: Any) -> tuple[int, int]:
        """Height and width of a symbolic tensor of images."""
        return x.shape[2:4] if self.fast else x.shape[1:3]

    def channels(self, x: Any) -> int:
        """The number of channels of a symbolic tensor of images."""
        return x.shape[1 if self.fast else 3]

    def rescale(self) -> Any:
        """Scales pixels from 0–255 to -1–1, in float32 (bfloat16 would lose the last bits of a pixel)."""
        return (Rescaling if self.fast else keras.layers.Rescaling)(1 / 127.5, -1.0, dtype="float32")

    def resize(self, size: int) -> Any:
        """Bilinear resizing of images to `size` × `size`."""
        return (Resizing if self.fast else keras.layers.Resizing)(size, size, data_format=self._format, dtype="float32")

    def conv(self, filters: int, kernel_size: int = 3, *, padding: str = "same", use_bias: bool = True,
             activation: Activation | None = None, initial: Initial = "glorot") -> Any:
        """A 2-D convolution with stride 1, initialised randomly (Glorot, as in Keras) or like the identity (dirac)."""
        kind = Conv2D if self.fast else keras.layers.Conv2D
        start = Dirac() if self.fast and initial == "dirac" else "glorot_uniform"
        return kind(filters, kernel_size, padding=padding, use_bias=use_bias, activation=activation,
                    kernel_initializer=start, data_format=self._format, dtype=self._dtype)

    def whiten(self, kernel_size: int, channels: int) -> Any:
        """A frozen convolution that whitens patches; the fast layer's `adapt` fits it to the training images.

        It maps `channels` channels to 2 × `kernel_size`² × `channels`: each principal component and its negative.
        """
        kind = Whitening if self.fast else keras.layers.Conv2D
        return kind(2 * kernel_size**2 * channels, kernel_size, data_format=self._format, trainable=False,
                    dtype=self._dtype, name="whitening")

    def dense(self, units: int, *, activation: Activation | None = None) -> Any:
        """A fully connected layer."""
        kind = Dense if self.fast else keras.layers.Dense
        return kind(units, activation=activation, dtype=self._dtype)

    def logits(self, classes: int) -> Any:
        """The last layer: one float32 logit per class."""
        return (Dense if self.fast else keras.layers.Dense)(classes, dtype="float32", name="logits")

    def batch_norm(self, momentum: float = 0.9, epsilon: float = 1e-3, *, scale: bool = True) -> Any:
        """Batch normalisation per channel (Ioffe & Szegedy 2015), with or without a learnt scale."""
        kind = BatchNormalization if self.fast else keras.layers.BatchNormalization
        return kind(axis=1 if self.fast else -1, momentum=momentum, epsilon=epsilon, scale=scale, dtype=self._dtype)

    def activation(self, name: Activation) -> Any:
        """An elementwise non-linearity."""
        return (ActivationLayer if self.fast else keras.layers.Activation)(name, dtype=self._dtype)

    def max_pool(self, size: int = 2) -> Any:
        """The maximum of each `size` × `size` window; a remainder smaller than the window is dropped."""
        kind = MaxPooling2D if self.fast else keras.layers.MaxPooling2D
        return kind(size, data_format=self._format, dtype=self._dtype)

    def average_pool(self, size: int = 2) -> Any:
        """The mean of each `size` × `size` window."""
        kind = AveragePooling2D if self.fast else keras.layers.AveragePooling2D
        return kind(size, data_format=self._format, dtype=self._dtype)

    def global_average_pool(self) -> Any:
        """The mean of each channel."""
        return keras.layers.GlobalAveragePooling2D(data_format=self._format, dtype=self._dtype)

    def global_max_pool(self) -> Any:
        """The maximum of each channel."""
        kind = GlobalMaxPooling2D if self.fast else keras.layers.GlobalMaxPooling2D
        return kind(data_format=self._format, dtype=self._dtype)

    def scale(self, factor: float) -> Any:
        """Multiplies all values by a constant."""
        return (Rescaling if self.fast else keras.layers.Rescaling)(factor, dtype=self._dtype)

    def flatten(self) -> Any:
        """Flattens an image in the order height, width, channels, in fast and plain networks."""
        return Flatten(dtype=self._dtype) if self.fast else keras.layers.Flatten()

    def dropout(self, rate: float) -> Any:
        """Sets a fraction `rate` of the values to zero in training (Srivastava et al. 2014)."""
        return (Dropout if self.fast else keras.layers.Dropout)(rate, dtype=self._dtype)


def put(model: keras.Model, values: Sequence[np.ndarray]) -> None:
    """Set all weights of a network and update the values that layers derive from them (Normalization)."""
    model.set_weights(list(values))
    finalise(model.layers)


def forward(model: keras.Model) -> Callable[..., torch.Tensor]:
    """A function that computes a network; for a chain of layers it skips Keras' walk over the graph.

    For a chain, the input must be a tensor that the first layer accepts, on the device of the weights. It is not
    checked.
    """
    layers = model.layers
    follow = all(_follows(before, after) for before, after in itertools.pairwise(layers))
    if not follow or model.inputs != [layers[0].output] or model.outputs != [layers[-1].output]:
        return cast("Callable[..., torch.Tensor]", model)

    def compute(x: torch.Tensor, training: bool = False) -> torch.Tensor:
        for layer in layers[1:]:
            x = layer(x, training=training)
        return x

    return compute


def _follows(before: Any, after: Any) -> bool:
    """Whether the output of `before` is the only argument of `after`."""
    call = after._inbound_nodes[0].arguments
    options = {key for key, value in call.kwargs.items() if value is not None} - {"training"}
    return len(call.args) == 1 and call.args[0] is before.output and not options


def finalise(layers: Iterable[Any]) -> None:
    """Update the values that layers derive from their weights, after the weights were set."""
    for layer in layers:
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()


# ----------------------------------------------------------------------------------------------------
# fast layers: subclasses of Keras' layers with the same names and weights, computed in fewer passes


def _symbolic(x: Any) -> bool:
    """Whether Keras is only tracing shapes: the tensor holds no values, and Keras' `__call__` must handle it."""
    return x.device.type == "meta"


def _cast(variable: Any, x: torch.Tensor) -> torch.Tensor:
    """The variable's tensor in the dtype of `x`; the cast is differentiable."""
    return variable._value.to(x.dtype)


class Direct:
    """Makes a built layer run only its `call`, after casting the input to the dtype in which it computes.

    Keras' `__call__` also handles masks, name scopes, casts of variables and checks of the input. In a small network
    it takes longer than some of the layers.
    """

    def __call__(self, x: Any, *args: Any, training: bool | None = None, **options: Any) -> Any:
        layer: Any = self
        if args or options or not isinstance(x, torch.Tensor) or _symbolic(x) or not layer.built:
            given = {} if training is None else {"training": training}
            return super().__call__(x, *args, **given, **options)  # type: ignore[misc]
        return layer.call(x.to(getattr(torch, layer.compute_dtype)), training)


class Rescaling(Direct, keras.layers.Rescaling):
    def call(self, x: torch.Tensor, training: bool | None = None) -> torch.Tensor:
        return x.mul(self.scale).add_(self.offset)


class Convolution(Direct):
    """What convolutions share: padding, and the kernel [out, in / groups, height, width] that PyTorch takes."""

    def call(self, x: torch.Tensor, training: bool | None = None) -> torch.Tensor:
        layer: Any = self
        return activate(layer, self.convolve(x, layer.torch_kernel(), layer.bias._value if layer.use_bias else None))

    def convolve(self, x: torch.Tensor, kernel: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        """The convolution with this kernel and bias, without activation."""
        x, layer = channels_last(x), cast("Any", self)
        rows, columns = self.zeros(x.shape[2:])
        if rows[0] != rows[1] or columns[0] != columns[1]:
            x, rows, columns = F.pad(x, [*columns, *rows]), (0, 0), (0, 0)
        weights = kernel.to(x.dtype), None if bias is None else bias.to(x.dtype)
        groups = x.shape[1] // kernel.shape[1]
        return depthwise.convolve(x, *weights, layer.strides, (rows[0], columns[0]), layer.dilation_rate, groups)

    def zeros(self, sides: Sequence[int]) -> list[tuple[int, int]]:
        """The zeros before and after the rows and the columns of images with these sides (height, width)."""
        layer: Any = self
        if layer.padding != "same":
            return [(0, 0), (0, 0)]
        return list(map(_zeros, sides, layer.kernel_size, layer.strides, layer.dilation_rate))


class Conv2D(Convolution, keras.layers.Conv2D):
    def torch_kernel(self) -> torch.Tensor:
        return self._kernel._value.permute(3, 2, 0, 1)  # Keras: height, width, in, out


class DepthwiseConv2D(Convolution, keras.layers.DepthwiseConv2D):
    def torch_kernel(self) -> torch.Tensor:
        return self.kernel._value.flatten(2).permute(2, 0, 1)[:, None]  # Keras: height, width, in, multiplier


def channels_last(x: torch.Tensor) -> torch.Tensor:
    """Give images of one channel the strides of `channels_last`; their order in memory is the same either way.

    PyTorch decides by the strides. Otherwise it treats these images and all later feature maps as channels-first, and
    max pooling takes ten times as long.
    """
    if x.shape[1] != 1 or x.stride(1) == 1:
        return x
    return x.flatten(1).view(len(x), *x.shape[2:], 1).permute(0, 3, 1, 2)


def _zeros(side: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """The padding before and after `side` pixels for Keras' "same", whose output has ceil(side / stride) pixels."""
    count = max((-(-side // stride) - 1) * stride + (kernel - 1) * dilation + 1 - side, 0)
    return count // 2, count - count // 2


class Dirac(keras.initializers.GlorotUniform):
    """Glorot-uniform, except that filter i passes channel i through unchanged, for every input channel.

    Zagoruyko & Komodakis 2017 ("DiracNets"); for some filters only, as here: Jordan 2024, "94% on CIFAR-10 in 3.29
    seconds".
    """

    def __call__(self, shape: tuple[int, ...], dtype: Any = None, **options: Any) -> Any:
        kernel = super().__call__(shape, dtype, **options)
        height, width, inputs, filters = shape
        passed = min(inputs, filters)
        with torch.no_grad():
            kernel[..., :passed] = 0
            kernel[height // 2, width // 2, range(passed), range(passed)] = 1
        return kernel


class Whitening(Conv2D):
    """A convolution from patches to uncorrelated values of unit variance, and their negatives.

    Page 2019 ("How to train your ResNet 8"): a first layer that need not be learnt. `adapt` sets kernel and bias so
    that the mean patch gives 0. `EPSILON` limits the amplification of components with very small variance.
    """

    EPSILON = 5e-4  # of the mean variance of a patch's values

    def adapt(self, batches: Iterable[torch.Tensor]) -> None:
        """Fit the layer to all patches of its input batches, float [n, channels, height, width]."""
        size, count, total, products = self.kernel_size[0], 0, torch.zeros(()), torch.zeros(())
        for x in batches:
            patches = F.unfold(x.double(), size).transpose(1, 2).flatten(0, 1)
            count, total, products = count + len(patches), total + patches.sum(0), products + patches.T @ patches
        channels = len(total) // size**2
        mean = total / count
        # On the CPU, because the signs of the components, which are arbitrary, would differ between devices.
        variances, components = torch.linalg.eigh((products / count - mean.outer(mean)).float().cpu())
        variances, components, mean = variances.to(mean.device), components.to(mean.device), mean.float()
        scale = (variances + self.EPSILON * variances.mean()).clamp_min(1e-12).rsqrt()
        filters = (components * scale).T.flip(0)  # [component, channels × height × width], greatest variance first
        filters = torch.cat([filters, -filters])
        kernel = filters.view(-1, channels, size, size).permute(2, 3, 1, 0)
        self.kernel.assign(kernel)
        self.bias.assign(-filters @ mean)


class Dense(Direct, keras.layers.Dense):
    def call(self, x: torch.Tensor, training: bool | None = None) -> torch.Tensor:
        y = torch.addmm(_cast(self.bias, x), x, _cast(self._kernel, x))
        return activate(self, y)


def activate(layer: Any, y: torch.Tensor) -> torch.Tensor:
    """The activation of a layer, a function or another layer; ReLU works in place."""
    name = getattr(layer.activation, "__name__", "")
    return y if name == "linear" else _ACTIVATIONS.get(name, layer.activation)(y)


class ActivationLayer(Direct, keras.layers.Activation):
    in_place = False  # only `tenfold.models.in_place` knows whether anything else reads the input

    def call(self, x: torch.Tensor, training: bool | None = None) -> torch.Tensor:
        name = self.activation.__name__
        return F.relu(x) if name == "relu" and not self.in_place else _ACTIVATIONS[name](x)


class ReLU6(Direct, keras.layers.ReLU):
    def call(self, x: torch.Tensor, training: bool | None = None) -> torch.Tensor:
        return F.relu6(x)


class BatchNormalization(Direct, keras.layers.BatchNormalization):
    def call(self, x: torch.Tensor, training: bool | None = None, mask: Any = None) -> torch.Tensor:
        mean, variance = self.moving_mean._value, self.moving_variance._value
        gamma, beta = self.gamma._value if self.scale else None, self.beta._value
        if not training or not self.trainable or _symbolic(x):
            return F.batch_norm(x, mean, variance, gamma, beta, training=False, eps=self.epsilon)
        batch_mean, batch_variance = torch.zeros_like(mean), torch.ones_like(variance)
        if x.numel() == x.shape[1]:  # a single value per channel equals its mean; PyTorch rejects it
            x = torch.cat([x, x])
            return self.call(x, training)[:1]
        if gamma is None and x.is_cuda:  # without it, PyTorch gives no gradient of beta on a GPU
            gamma = torch.ones_like(beta)
        y = F.batch_norm(x, batch_mean, batch_variance, gamma, beta, training=True, momentum=1.0, eps=self.epsilon)
        with torch.no_grad():  # PyTorch's running variance is unbiased, Keras' is biased
            count = x.numel() // x.shape[1]
            mean.lerp_(batch_mean, 1 - self.momentum)
            variance.lerp_(batch_variance * ((count - 1) / count), 1 - self.momentum)
        return y


class MaxPooling2D(Direct, keras.layers.MaxPooling2D):
    def call(self, x: torch.Tensor, training: bool | None = None) -> torch.Tensor:
        if min(x.shape[2:]) < self.pool_size[0]:
            return x  # models omit this pooling for images this small
        return F.max_pool2d(x, self.pool_size)


class AveragePooling2D(Direct, keras.layers.AveragePooling2D):
    def call(self, x: torch.Tensor, training: bool | None = None) -> torch.Tensor:
        return F.avg_pool2d(x, self.pool_size)


class GlobalMaxPooling2D(Direct, keras.layers.GlobalMaxPooling2D):
    def call(self, x: torch.Tensor, training: bool | None = None) -> torch.Tensor:
        return F.max_pool2d(x, x.shape[2:]).flatten(1)  # amax would split the gradient among equal values


class Flatten(Direct, keras.layers.Flatten):
    """Flattens channels-first images in channels-last order: this is Keras' order and needs no copy."""

    def call(self, x: torch.Tensor, training: bool | None = None) -> torch.Tensor:
        return (x.permute(0, 2, 3, 1) if x.ndim == 4 else x).flatten(1)

    def compute_output_spec(self, inputs: Any, training: bool | None = None) -> Any:
        return keras.KerasTensor((inputs.shape[0], int(np.prod(inputs.shape[1:]))), dtype=self.compute_dtype)


class Dropout(Direct, keras.layers.Dropout):
    """Drops values with probability p = round(256 × rate) / 256, from 1/256 to 255/256; others are scaled by 1/(1 - p).

    Random bits come from numpy's SFC64, seeded by PyTorch's generator, so a step with the same PyTorch seed has the
    same masks.
    """

    def call(self, x: torch.Tensor, training: bool | None = None) -> torch.Tensor:
        if not training or self.rate == 0:
            return x
        threshold = min(max(round(256 * self.rate), 1), 255)
        if x.device.type != "cpu":
            return F.dropout(x, threshold / 256)
        return x * masks.dropout_mask(x, threshold)
