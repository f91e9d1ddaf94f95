"""How a training runs on this machine: device, precision, memory layout, compilation, processes, allocator."""

import ctypes
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from pre2post.core.errors import InputError

if TYPE_CHECKING:
    from pre2post.pix2pixhd.params import GanParams

MIN_WIDTH = 32  # filters of the first layer; narrower networks spend little time in convolutions, and their training
# takes minutes, about as long as compilation
MIN_BATCH = 4  # slices per process, from which bfloat16 makes narrow networks faster, too: by a third
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # from malloc.h of glibc
NEVER = -1  # disables trimming; see the manual page of mallopt


@dataclass(frozen=True)
class RuntimeConfig:
    """The resolved settings of a run. A training resumes only with the config that it began with.

    device: "cuda" or "cpu". batch_size: slices per step, summed over all processes.
    """

    device: str = "cpu"
    precision: str = "float32"
    channels_last: bool = False
    compile: bool = False
    processes: int = 1
    batch_size: int = 1

    @property
    def dtype(self) -> torch.dtype:
        """The type of the networks' activations; weights, losses and optimisers always use float32."""
        return getattr(torch, self.precision)

    @property
    def memory_format(self) -> torch.memory_format:
        return torch.channels_last if self.channels_last else torch.contiguous_format

    def __str__(self) -> str:
        words = [
            f"{self.processes} x {self.device}" if self.processes > 1 else self.device,
            self.precision,
            "channels last" if self.channels_last else "channels first",
            "compiled" if self.compile else "not compiled",
            f"batch {self.batch_size}",
        ]
        return ", ".join(words)


def count_processes(settings: "GanParams") -> int:
    """Return the number of processes for gan.devices; "auto": one per GPU, but at most one per slice of a batch.

    Raises InputError if there are GPUs, but fewer than gan.devices.
    """
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    devices, batch_size = settings.devices, settings.batch_size
    if isinstance(devices, int):
        if 0 < gpus < devices:
            raise InputError(
                "there are not enough GPUs",
                found=gpus,
                expected=f"gan.devices {devices}",
                hint="lower gan.devices, or allow more GPUs with CUDA_VISIBLE_DEVICES",
            )
        return devices
    return max(1, min(gpus, batch_size) if isinstance(batch_size, int) else gpus)


def resolve_runtime(settings: "GanParams", processes: int = 1) -> RuntimeConfig:
    """Replace every "auto" in the gan section of params.yaml by a value for this machine.

    Raises InputError if a batch has fewer slices than there are processes.
    """
    gpu = torch.cuda.is_available()
    batch_size = settings.batch_size if isinstance(settings.batch_size, int) else processes
    if batch_size < processes:
        raise InputError(
            "a batch has fewer slices than there are processes",
            found=f"gan.batch_size {batch_size}",
            expected=f"at least {processes}",
            hint="raise gan.batch_size, or lower gan.devices",
        )
    precision: str = settings.precision
    if precision == "auto":
        fast = _gpu_has_bfloat16() if gpu else _bfloat16_is_faster(settings.width, batch_size // processes)
        precision = "bfloat16" if fast else "float32"
    layout, compiled = settings.channels_last, settings.compile
    return RuntimeConfig(
        "cuda" if gpu else "cpu",
        precision,
        layout if isinstance(layout, bool) else gpu and precision == "bfloat16",
        compiled if isinstance(compiled, bool) else gpu and settings.width >= MIN_WIDTH,
        processes,
        batch_size,
    )


def keep_freed_memory() -> None:
    """Make glibc's malloc keep freed memory for the next step; do nothing with other C libraries.

    By default every large tensor gets new pages, which the system clears each time: a third of a training step on a
    CPU.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return
    mallopt(M_MMAP_MAX, 0)
    mallopt(M_TRIM_THRESHOLD, NEVER)


def _gpu_has_bfloat16() -> bool:
    return torch.cuda.get_device_capability() >= (8, 0)  # Ampere; older GPUs emulate it


def _bfloat16_is_faster(width: int, batch: int) -> bool:
    """Return whether a CPU has instructions for bfloat16, and the network or its batch is large enough to benefit."""
    able = torch.cpu.get_capabilities()
    return (width >= MIN_WIDTH or batch >= MIN_BATCH) and bool(able.get("avx512_bf16") or able.get("amx_bf16"))
