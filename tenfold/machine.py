"""The machine: device, threads, precision and allocator of this process, and facts about the computer.

`configure` changes the process; `current` only reads. Importing this module does not import PyTorch.
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

from tenfold.counted import counted
from tenfold.errors import UsageError

if TYPE_CHECKING:
    import torch

DEVICES = ("cpu", "cuda")
MOST_THREADS = 1024  # a larger number is a typing error, and the system could not start them


@dataclass(frozen=True)
class Machine:
    """The device, threads, precision and allocator of a process; shown by `tenfold doctor`, recorded in every run."""

    device: str  # as PyTorch names it: "cpu" or "cuda"
    gpu: str  # name of the GPU; "none" on the CPU
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
        """The dtype in which the training network computes."""
        import torch

        return torch.bfloat16 if self.precision == "bfloat16" else torch.float32

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


# ----------------------------------------------------------------------------------------------------
# settings of the process


def check(log: Callable[[str], None] = lambda line: None) -> None:
    """Raise UsageError if TENFOLD_DEVICE or TENFOLD_THREADS is invalid on this machine.

    Called before data are loaded, so PyTorch is imported only if TENFOLD_DEVICE is cuda. `log` receives a warning about
    more threads than cores. They are allowed, because results depend on the number of threads and may have to match
    another machine's.
    """
    _device()
    used, available = threads(), cores()
    if used > available:
        log(f"TENFOLD_THREADS: {counted(used, 'thread')} on {counted(available, 'available core')}; "
            f"{available:,} would be faster")


def configure(precision: str = "auto") -> Machine:
    """Configure threads, denormals, GPU convolutions and the allocator of this process; return the settings.

    `precision` is "float32", "bfloat16" or "auto". Raises UsageError like `check`, before PyTorch is imported.
    """
    machine = current(precision)
    import torch

    torch.set_num_threads(machine.threads)
    torch.set_flush_denormal(True)  # values below 1e-38 do not matter to a network and slow the CPU down
    if machine.device == "cuda":
        torch.backends.cudnn.deterministic = True  # the same bits again, as far as cuDNN can
        torch.backends.cudnn.allow_tf32 = False  # float32 means float32
    mallopt = _mallopt()
    if mallopt is None or _keep_memory(mallopt):
        return machine
    return replace(machine, allocator="system default (glibc rejected the settings)")


def current(precision: str = "auto") -> Machine:
    """The settings that `configure` chooses on this machine; changes nothing.

    Raises UsageError like `check`.
    """
    device, used = _device(), threads()
    gpu = "none"
    if device == "cuda":
        import torch

        gpu = torch.cuda.get_device_name()
    allocator = "system default" if _mallopt() is None else "glibc, keeps freed blocks"
    return Machine(device, gpu, used, *choose_precision(precision, device), allocator)


def choose_precision(precision: str = "auto", device: str = "cpu") -> tuple[str, str]:
    """("float32" or "bfloat16", reason): "auto" is bfloat16 if the device has instructions for it."""
    if precision != "auto":
        return precision, "set explicitly"
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
    """TENFOLD_DEVICE, by default "cpu": training on a GPU was tried on one model of GPU only (docs/lab-notes.md)."""
    device = os.environ.get("TENFOLD_DEVICE", "cpu")
    if device not in DEVICES:
        raise UsageError(f"TENFOLD_DEVICE: received {device!r}; expected cpu or cuda: correct or unset it")
    if device == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise UsageError("TENFOLD_DEVICE: received 'cuda', but PyTorch finds no GPU; expected a CUDA GPU: unset "
                             "the variable, or install a PyTorch wheel for CUDA and check `nvidia-smi`")
    return device


def threads() -> int:
    """TENFOLD_THREADS; by default the number of available cores, or OMP_NUM_THREADS if that is smaller.

    Raises UsageError if TENFOLD_THREADS is invalid.
    """
    given = os.environ.get("TENFOLD_THREADS")
    if given is None:
        limit = os.environ.get("OMP_NUM_THREADS", "")  # may also be a list, such as "4,2"
        return min(int(limit), cores()) if limit.isdecimal() and len(limit) <= 4 and int(limit) else cores()
    if not given.isdecimal() or len(given) > 4 or not 1 <= int(given) <= MOST_THREADS:
        raise UsageError(f"TENFOLD_THREADS: received {given!r}; expected a whole number from 1 to {MOST_THREADS:,}: "
                         f"correct it, or unset it to use all {counted(cores(), 'available core')}")
    return int(given)


def _mallopt() -> Callable[[int, int], int] | None:
    """The function that configures glibc's allocator; None without glibc."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        return ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return None


def _keep_memory(mallopt: Callable[[int, int], int]) -> bool:
    """Stop glibc from returning large blocks to the kernel, which would cause page faults in the next step."""
    m_trim_threshold, m_top_pad, m_mmap_max = -1, -2, -4
    return bool(mallopt(m_mmap_max, 0) and mallopt(m_trim_threshold, 2**31 - 1) and mallopt(m_top_pad, 2**26))


# ----------------------------------------------------------------------------------------------------
# facts about the computer


def facts() -> dict[str, Any]:
    """Processor, vector and matrix units, cores, memory in GiB, operating system."""
    return {
        "processor": processor_name(),
        "units": [name for name, present in processor_units().items() if present],
        "cores": os.cpu_count(), "memory_gib": memory_gib(), "system": f"{platform.system()} {platform.machine()}",
    }


def processor_name() -> str:
    """The model name of the processor."""
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def processor_units() -> dict[str, bool]:
    """Unit → whether PyTorch detects it in this processor, for the units that matter for speed."""
    import torch

    probes = {
        "AVX2": "_is_avx2_supported", "AVX-512": "_is_avx512_supported",
        "AVX512-BF16": "_is_avx512_bf16_supported", "AMX-BF16": "_is_amx_tile_supported",
    }
    return {name: bool(getattr(torch.cpu, probe, lambda: False)()) for name, probe in probes.items()}


def has_vnni() -> bool:
    """Whether the processor multiplies 8-bit numbers without the danger of overflow (VNNI); False if unknown."""
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as file:
        return any("vnni" in line for line in file if line.startswith("flags"))
    return False


def cores() -> int:
    """The number of cores available to this process, which may be bound to some of the machine's."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_gib() -> float | None:
    """The machine's memory in GiB; None if the system does not report it."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, ValueError, OSError):
        return None
