"""Data-parallel training: one process per device, started here or by torchrun, on one machine or several."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from pre2post.core.errors import InputError

PR_SET_PDEATHSIG = 1  # from linux/prctl.h


@dataclass(frozen=True)
class Group:
    """The processes of a training, by default one. Only the main process writes files and prints."""

    rank: int = 0
    processes: int = 1

    @property
    def is_main_process(self) -> bool:
        return self.rank == 0

    def all_reduce(self, tensors: Sequence[Tensor]) -> Callable[[], None]:
        """Start to sum each tensor over the processes, in place. Call the result to wait for the end."""
        if self.processes == 1:
            return lambda: None
        flat = torch.cat([tensor.flatten() for tensor in tensors])  # one message instead of hundreds
        work = dist.all_reduce(flat, async_op=True)

        def finish() -> None:
            work.wait()
            parts = flat.split([tensor.numel() for tensor in tensors])
            for tensor, part in zip(tensors, parts, strict=True):
                tensor.copy_(part.view_as(tensor))

        return finish

    def check_equal(self, value: tuple[int, ...], name: str) -> None:
        """Raise InputError if `value` differs between the processes."""
        values: list[tuple[int, ...] | None] = [None] * self.processes
        if self.processes > 1:
            dist.all_gather_object(values, value)
            if len(set(values)) > 1:
                raise InputError(
                    f"the processes disagree about {name}",
                    found=values,
                    expected="one value",
                    hint="let every machine see the same folder",
                )


def started_by_torchrun() -> bool:
    return "TORCHELASTIC_RUN_ID" in os.environ


def launch(processes: int, script: str, *arguments: str) -> None:
    """Run a Python script in several processes of this machine. If one fails, end the others and this one too."""
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        monitor_interval=0.1,
    )
    try:
        elastic_launch(config, sys.executable)(script, *arguments)
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        sys.exit(
            f"error: process {rank} of {processes} ended with exit code {failure.exitcode}, so all were ended; its "
            "message is above; what to do: correct the cause and run the command again, which resumes the training"
        )


@contextmanager
def join() -> Iterator[Group]:
    """Yield the Group described by torchrun's environment, or a group of this process only."""
    if not started_by_torchrun():
        yield Group()
        return
    _end_with_parent()
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    yield Group(dist.get_rank(), dist.get_world_size())
    dist.destroy_process_group()  # not after an error: the others may be waiting for this process


def _end_with_parent() -> None:
    """Let Linux kill this process if its parent is killed; otherwise it would train on unnoticed."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
