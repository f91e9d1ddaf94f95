"""One variant of the training step in a process of its own, so that memory is its own and compilers do not meet."""

import multiprocessing
import time
from dataclasses import dataclass

from pre2post.core.device import best_device
from pre2post.pix2pixhd.runtime import RuntimeConfig


@dataclass(frozen=True)
class Variant:
    """What is measured: the original step, or ours (`runtime` is not None) with a runtime config."""

    name: str
    runtime: RuntimeConfig | None


class Contender:
    """A variant under measurement. It only works when it is told to, so that variants can take turns."""

    def __init__(self, variant: Variant, settings, size: int, threads: int, warm_up: int):
        self.variant, self.times, self.error = variant, [], None
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        self.process = context.Process(
            target=_work, daemon=True, args=(other, variant, settings, size, threads, warm_up)
        )
        self.process.start()
        other.close()
        self.first = self._receive()

    def measure(self, steps: int) -> None:
        """Take so many steps and record the mean milliseconds per step."""
        if self.error is None:
            self.pipe.send(steps)
            if (seconds := self._receive()) is not None:
                self.times.append(1000 * seconds / steps)

    def end(self) -> dict:
        """The process's last words: FLOPs of a step and peak memory in bytes; empty after an error."""
        if self.error is None:
            self.pipe.send(0)
        last = self._receive() if self.error is None else None
        self.process.join()
        return last or {}

    def _receive(self):
        try:
            kind, content = self.pipe.recv()
        except (EOFError, OSError):
            kind, content = "error", "the process was killed, perhaps for want of memory"
        if kind == "error":
            self.error = content
            return None
        return content


def _work(pipe, variant: Variant, settings, size: int, threads: int, warm_up: int) -> None:
    try:
        _serve(pipe, variant, settings, size, threads, warm_up)
    except Exception as error:  # a variant that cannot run here must not keep the others from being measured
        pipe.send(("error", f"{type(error).__name__}: {' '.join(str(error).split())[:150]}"))


def _serve(pipe, variant: Variant, settings, size: int, threads: int, warm_up: int) -> None:
    import torch

    torch.set_num_threads(threads)
    device = best_device()
    torch.manual_seed(0)
    model = _build(variant, settings, device)
    shape = (variant.runtime.batch_size if variant.runtime else settings.batch_size, settings.channels, size, size)
    pre, post = (torch.rand(shape, device=device) * 2 - 1 for _ in range(2))
    losses = model.step(pre, post)
    pipe.send(("first", {name: float(losses[name]) for name in ("g_gan", "g_fm", "d_fake", "d_real")}))
    _steps(model, pre, post, warm_up)
    while steps := pipe.recv():
        pipe.send(("seconds", _steps(model, pre, post, steps)))
    peak = _peak_memory(device)  # before the FLOPs are counted, which takes memory
    pipe.send(("last", {"bytes": peak, "flops": _count_flops(model, pre, post)}))


def _build(variant: Variant, settings, device: str):
    if variant.runtime is None:
        from original_step import OriginalPix2PixHD

        return OriginalPix2PixHD(settings, device)
    from pre2post.pix2pixhd.runtime import keep_freed_memory
    from pre2post.pix2pixhd.step import Pix2PixHD

    keep_freed_memory()  # as a training does
    return Pix2PixHD(settings, variant.runtime)


def _steps(model, pre, post, steps: int) -> float:
    """Seconds for that many steps, with all that they put on the GPU."""
    import torch

    synchronise = torch.cuda.synchronize if pre.is_cuda else lambda: None
    synchronise()
    start = time.perf_counter()
    for _ in range(steps):
        model.step(pre, post)
    synchronise()
    return time.perf_counter() - start


def _peak_memory(device: str) -> int:
    import resource

    import torch

    return (
        torch.cuda.max_memory_allocated()
        if device == "cuda"
        else 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    )


def _count_flops(model, pre, post) -> int | None:
    """Of convolutions and matrix products, forwards and backwards, two a multiplication; None when compiled."""
    from torch.utils.flop_counter import FlopCounterMode

    runtime = getattr(model, "runtime", None)
    if runtime is not None and runtime.compile:
        return None
    with FlopCounterMode(display=False) as counter:
        model.step(pre, post)
    return counter.get_total_flops()
