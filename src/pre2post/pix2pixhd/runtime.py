"""How a training runs on the machine at hand: device, precision, memory layout, compilation, processes."""

from dataclasses import dataclass

import torch

from pre2post.core.errors import InputError

AUTO = "auto"
WIDE = 32  # filters of the first layer; narrower networks spend their time elsewhere than in convolutions, and train
# for minutes, which compiling would take too


@dataclass(frozen=True)
class RuntimeConfig:
    """Everything is decided here. A training only ever carries on under the very execution it began with.

    batch_size: slices a step, over all processes. device: "cuda" or "cpu".
    """

    device: str = "cpu"
    precision: str = "float32"
    channels_last: bool = False
    compile: bool = False
    processes: int = 1
    batch_size: int = 1

    @property
    def dtype(self) -> torch.dtype:
        """Of the networks' activations; weights, losses and optimisers are float32 always."""
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


def count_processes(settings) -> int:
    """Processes to start for gan.devices: as said, or one a GPU, but never more than there are slices in a batch.

    Raises InputError when there are GPUs, but fewer than gan.devices.
    """
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if settings.devices != AUTO:
        if 0 < gpus < settings.devices:
            raise InputError(
                "there are not enough GPUs",
                found=gpus,
                expected=f"gan.devices {settings.devices}",
                hint="lower gan.devices, or free more GPUs with CUDA_VISIBLE_DEVICES",
            )
        return settings.devices
    return max(1, gpus if settings.batch_size == AUTO else min(gpus, settings.batch_size))


def resolve_runtime(settings, processes: int = 1) -> RuntimeConfig:
    """Decides what the gan section of params.yaml leaves to "auto".

    Raises InputError when a batch has fewer slices than there are processes.
    """
    gpu = torch.cuda.is_available()
    batch_size = processes if settings.batch_size == AUTO else settings.batch_size
    if batch_size < processes:
        raise InputError(
            "a batch has fewer slices than there are processes",
            found=f"gan.batch_size {batch_size}",
            expected=f"at least {processes}",
            hint="raise gan.batch_size, or use fewer gan.devices",
        )
    precision = settings.precision
    if precision == AUTO:
        precision = "bfloat16" if (_gpu_has_bfloat16() if gpu else _bfloat16_pays(settings.width)) else "float32"
    layout, compiled = settings.channels_last, settings.compile
    return RuntimeConfig(
        "cuda" if gpu else "cpu",
        precision,
        gpu and precision == "bfloat16" if layout == AUTO else layout,
        gpu and settings.width >= WIDE if compiled == AUTO else compiled,
        processes,
        batch_size,
    )


def _gpu_has_bfloat16() -> bool:
    return torch.cuda.get_device_capability() >= (8, 0)  # Ampere; older ones only imitate it


def _bfloat16_pays(width: int) -> bool:
    """On a CPU: with instructions for it, and a network wide enough."""
    able = torch.cpu.get_capabilities()
    return width >= WIDE and bool(able.get("avx512_bf16") or able.get("amx_bf16"))
