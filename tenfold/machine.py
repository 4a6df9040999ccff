"""The machine: device, threads, precision and allocator of this process, and what the computer is.

`configure` changes the process, `current` only tells. Importing this module does not import PyTorch.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from tenfold.errors import UsageError

if TYPE_CHECKING:
    import torch

DEVICES = ("cpu", "cuda")
MOST_THREADS = 1024  # more are a slip of the finger, and systems refuse to start them


@dataclass(frozen=True)
class Machine:
    """What a process computes with, and why: shown by `tenfold doctor`, recorded in every run."""

    device: str  # as PyTorch names it: "cpu" or "cuda"
    gpu: str  # its name; "none" where it is not the device
    threads: int
    precision: str
    precision_reason: str
    allocator: str

    @property
    def dtype_policy(self) -> str:
        """The Keras dtype policy of the training network."""
        return "mixed_bfloat16" if self.precision == "bfloat16" else "float32"

    @property
    def dtype(self) -> torch.dtype:
        """What the training network computes in."""
        import torch

        return torch.bfloat16 if self.precision == "bfloat16" else torch.float32

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


# ----------------------------------------------------------------------------------------------------
# what a process computes with


def check(log: Callable[[str], None] = lambda line: None) -> None:
    """Raise UsageError if TENFOLD_DEVICE or TENFOLD_THREADS is nothing that can be used here.

    Called before data are loaded: PyTorch is imported only where a GPU is asked for. `log` is told of more threads
    than cores, which are allowed: results depend on the number of threads, and may have to be those of another machine.
    """
    _device()
    threads, there = _threads(), cores()
    if threads > there:
        log(f"TENFOLD_THREADS is {threads:,}, and this process may use {there:,} cores: that is slower than {there:,}")


def configure(precision: str = "auto") -> Machine:
    """Set this process up to compute: threads, denormals, convolutions on a GPU, allocator. Returns what was chosen.

    `precision` is "float32", "bfloat16" or "auto". Raises UsageError as `check` does, before PyTorch is imported.
    """
    machine = current(precision)
    import torch

    torch.set_num_threads(machine.threads)
    torch.set_flush_denormal(True)  # values below 1e-38 are zero for a network and slow for a processor
    if machine.device == "cuda":
        torch.backends.cudnn.benchmark = True  # try the ways to convolve once for each size, keep the fastest
    mallopt = _mallopt()
    if mallopt is None or _keep_memory(mallopt):
        return machine
    return replace(machine, allocator="as the system has it (glibc refused)")


def current(precision: str = "auto") -> Machine:
    """What `configure` chooses here, which after it is what the process computes with; changes nothing.

    Raises UsageError as `check` does.
    """
    device, threads = _device(), _threads()
    gpu = "none"
    if device == "cuda":
        import torch

        gpu = torch.cuda.get_device_name()
    allocator = "as the system has it" if _mallopt() is None else "glibc, keeps freed blocks"
    return Machine(device, gpu, threads, *choose_precision(precision, device), allocator)


def choose_precision(precision: str = "auto", device: str = "cpu") -> tuple[str, str]:
    """("float32" or "bfloat16", why): bfloat16 where the device multiplies in it."""
    if precision != "auto":
        return precision, "asked for"
    if device == "cuda":
        import torch

        if torch.cuda.is_bf16_supported(including_emulation=False):
            return "bfloat16", "the GPU computes in bfloat16"
        return "float32", "the GPU does not compute in bfloat16"
    units = processor_units()
    if units["AMX-BF16"]:
        return "bfloat16", "the processor has AMX-BF16"
    if units["AVX512-BF16"]:
        return "bfloat16", "the processor has AVX512-BF16"
    return "float32", "the processor has neither AMX-BF16 nor AVX512-BF16"


def _device() -> str:
    """"cuda" where TENFOLD_DEVICE asks for it, else "cpu".

    A GPU is not chosen by itself before trainings on one have been measured (docs/performance.md).
    """
    asked = os.environ.get("TENFOLD_DEVICE", "cpu")
    if asked not in DEVICES:
        raise UsageError(f"TENFOLD_DEVICE: received {asked!r}; expected cpu or cuda; or unset it")
    if asked == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise UsageError("TENFOLD_DEVICE: received 'cuda', and this PyTorch finds no GPU it can use; expected one: "
                             "unset the variable, or install a PyTorch wheel for CUDA and look at `nvidia-smi`")
    return asked


def _threads() -> int:
    asked = os.environ.get("TENFOLD_THREADS")
    if asked is None:
        return cores()
    if not asked.isdecimal() or len(asked) > 4 or not 1 <= int(asked) <= MOST_THREADS:
        raise UsageError(f"TENFOLD_THREADS: received {asked!r}; expected a whole number of threads from 1 to "
                         f"{MOST_THREADS:,}: unset it to use the {cores():,} cores that this process may use")
    return int(asked)


def _mallopt() -> Callable[[int, int], int] | None:
    """What sets glibc's allocator up; None where memory is not glibc's."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        return ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return None


def _keep_memory(mallopt: Callable[[int, int], int]) -> bool:
    """Keep glibc from handing large blocks back to the kernel, to be page-faulted in again next step."""
    m_trim_threshold, m_top_pad, m_mmap_max = -1, -2, -4
    return bool(mallopt(m_mmap_max, 0) and mallopt(m_trim_threshold, 2**31 - 1) and mallopt(m_top_pad, 2**26))


# ----------------------------------------------------------------------------------------------------
# what this computer is


def facts() -> dict[str, Any]:
    """The processor, its units, cores, memory in GiB, operating system."""
    return {
        "processor": processor_name(),
        "units": [name for name, present in processor_units().items() if present],
        "cores": os.cpu_count(), "memory_gib": memory_gib(), "system": f"{platform.system()} {platform.machine()}",
    }


def processor_name() -> str:
    """The processor's own name for itself."""
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def processor_units() -> dict[str, bool]:
    """Which of the units that matter for speed this processor has, as PyTorch sees it."""
    import torch

    probes = {
        "AVX2": "_is_avx2_supported", "AVX-512": "_is_avx512_supported",
        "AVX512-BF16": "_is_avx512_bf16_supported", "AMX-BF16": "_is_amx_tile_supported",
    }
    return {name: bool(getattr(torch.cpu, probe, lambda: False)()) for name, probe in probes.items()}


def cores() -> int:
    """The cores that this process may use: fewer than the machine's where it is bound to some of them."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_gib() -> float | None:
    """The machine's memory in GiB, where the system tells."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, ValueError, OSError):
        return None
