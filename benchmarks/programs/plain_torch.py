"""Networks A and B in plain PyTorch, as well as its own means allow: the yardstick. Needs torch only.

channels_last, autocast to bfloat16 where asked, and glibc kept from handing freed blocks back to the kernel.
A is a small ResNet-less network of the shape of airbench94 (Jordan 2024), trained by SGD with momentum; B is a
textbook ConvNet, trained by Adam. Random pixels; forward, cross-entropy, backward, update.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import sys
import time
from collections.abc import Callable

if sys.platform.startswith("linux"):  # before the first large allocation
    for option, value in ((-4, 0), (-1, 2**31 - 1), (-2, 2**28)):  # M_MMAP_MAX, M_TRIM_THRESHOLD, M_TOP_PAD
        ctypes.CDLL("libc.so.6").mallopt(option, value)

import torch
from torch import nn


def network_a() -> nn.Sequential:
    """A 2×2 convolution, three blocks of two normalised 3×3 convolutions, a pooling, a linear layer."""
    layers: list[nn.Module] = [nn.Conv2d(3, 24, 2), nn.GELU()]
    width = 24
    for filters in (64, 256, 256):
        layers += [nn.Conv2d(width, filters, 3, padding=1, bias=False), nn.MaxPool2d(2)]
        layers += [nn.BatchNorm2d(filters), nn.GELU()]
        layers += [nn.Conv2d(filters, filters, 3, padding=1, bias=False), nn.BatchNorm2d(filters), nn.GELU()]
        width = filters
    return nn.Sequential(*layers, nn.MaxPool2d(3), nn.Flatten(), nn.Linear(width, 10))


def network_b() -> nn.Sequential:
    """Three blocks of two 3×3 convolutions with dropout, a hidden layer of 512."""
    layers: list[nn.Module] = []
    width = 3
    for filters in (32, 64, 128):
        layers += [nn.Conv2d(width, filters, 3, padding=1), nn.ReLU()]
        layers += [nn.Conv2d(filters, filters, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25)]
        width = filters
    hidden = [nn.Linear(4 * 4 * width, 512), nn.ReLU(), nn.Dropout(0.5)]
    return nn.Sequential(*layers, nn.Flatten(), *hidden, nn.Linear(512, 10))


def stepper(name: str, batch: int, dtype: torch.dtype) -> Callable[[], None]:
    """A function that does one training step."""
    network = (network_a() if name == "A" else network_b()).to(memory_format=torch.channels_last)
    images = torch.rand(batch, 3, 32, 32).to(memory_format=torch.channels_last)
    labels = torch.randint(10, (batch,))
    optimizer: torch.optim.Optimizer = (
        torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9) if name == "A"
        else torch.optim.Adam(network.parameters(), lr=1e-3, fused=True))

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=dtype, enabled=dtype is not torch.float32):
            logits = network(images)
        nn.functional.cross_entropy(logits.float(), labels).backward()
        optimizer.step()

    return step


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("network", choices=("A", "B"))
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="bfloat16")
    arguments = parser.parse_args()
    step = stepper(arguments.network, arguments.batch, getattr(torch, arguments.dtype))
    for _ in range(3):
        step()
    started = time.perf_counter()
    for _ in range(arguments.steps):
        step()
    seconds = time.perf_counter() - started
    print(json.dumps({"images_per_second": round(arguments.batch * arguments.steps / seconds, 1),
                      "threads": torch.get_num_threads(), "versions": {"torch": torch.__version__}}))


if __name__ == "__main__":
    main()
