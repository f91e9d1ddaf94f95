"""Two processes on one machine over gloo: the gradients of one process, and a common end if one fails."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from repository import ROOT

from pre2post.pix2pixhd.distributed import Group
from pre2post.pix2pixhd.runtime import RuntimeConfig
from pre2post.pix2pixhd.sampling import Batch
from pre2post.pix2pixhd.step import Pix2PixHD

pytestmark = pytest.mark.slow

ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT / "src")}

WORKER = """
import sys
from types import SimpleNamespace
import numpy as np
import torch
from pre2post.pix2pixhd.runtime import RuntimeConfig
from pre2post.pix2pixhd.distributed import join
from pre2post.pix2pixhd.sampling import Batch
from pre2post.pix2pixhd.step import Pix2PixHD

folder = sys.argv[1]
torch.set_num_threads(1)
with join() as group:
    content = torch.load(f"{folder}/input.pt", weights_only=True)
    model = Pix2PixHD(SimpleNamespace(**content["settings"]), RuntimeConfig(processes=group.processes), group)
    model.load_state_dict(content["model"])
    for network in (model.generator, model.discriminator, model.ema):
        network.double()
    gradients, losses = [], []
    model.g_optimiser = SimpleNamespace(step=lambda: gradients.extend(weight.grad for weight in model.g_params))
    model.d_optimiser = SimpleNamespace(step=lambda: gradients.extend(weight.grad for weight in model.d_params))
    for images in content["batches"]:
        batch = Batch(np.arange(images.shape[1]), np.zeros(images.shape[1], bool)).shard(group.rank, group.processes)
        losses.append(model.step(*images[:, batch.slices], share=batch.share))
    torch.save({"gradients": gradients, "losses": losses}, f"{folder}/output_{group.rank}.pt")
"""

FAILING = """
import sys, time
from pre2post.core.errors import InputError, run_stage
from pre2post.pix2pixhd.distributed import join

def main():
    with join() as group:
        if group.rank == 1:
            raise InputError("the slices cannot be read", file="train_pre.npy")
        time.sleep(100)

run_stage(main)
"""


WAITING = """
import os, sys, time
from pathlib import Path
from pre2post.pix2pixhd.distributed import join

with join() as group:
    (Path(sys.argv[1]) / f"{group.rank}.pid").write_text(str(os.getpid()))
    time.sleep(100)
"""


def command_for_two(tmp_path, script, *arguments):
    """Return the command that runs a script with `launch` in two processes."""
    (tmp_path / "worker.py").write_text(script)
    words = [str(tmp_path / "worker.py"), *map(str, arguments)]
    return [sys.executable, "-c", f"from pre2post.pix2pixhd.distributed import launch; launch(2, *{words!r})"]


def run_in_two(tmp_path, script, *arguments, timeout=120):
    """Run a script with `launch` in two processes; return its exit code and both streams."""
    done = subprocess.run(
        command_for_two(tmp_path, script, *arguments), env=ENVIRONMENT, text=True, capture_output=True, timeout=timeout
    )
    return done.returncode, done.stdout + done.stderr


def test_gradients_of_two_processes_equal_those_of_one_with_the_joint_batch(tiny, tmp_path):
    torch.manual_seed(1)
    settings = tiny()
    model = Pix2PixHD(settings, RuntimeConfig())
    # Equal shards, unequal ones, and one process without a slice.
    batches = [torch.rand(2, size, 1, 32, 32, dtype=torch.float64) * 2 - 1 for size in (4, 3, 1)]
    content = {"settings": settings.model_dump(), "model": model.state_dict(), "batches": batches}
    torch.save(content, tmp_path / "input.pt")

    code, printed = run_in_two(tmp_path, WORKER, tmp_path)
    assert code == 0, printed

    for network in (model.generator, model.discriminator, model.ema):
        network.double()
    expected = []
    model.g_optimiser.step = lambda: expected.extend(weight.grad for weight in model.g_params)
    model.d_optimiser.step = lambda: expected.extend(weight.grad for weight in model.d_params)
    losses = [model.step(*images) for images in batches]
    for rank in (0, 1):
        found = torch.load(tmp_path / f"output_{rank}.pt", weights_only=True)
        torch.testing.assert_close(found["gradients"], expected, rtol=1e-6, atol=1e-11)
        torch.testing.assert_close(found["losses"], losses)


def test_a_failing_process_ends_all_with_its_message(tmp_path):
    code, printed = run_in_two(tmp_path, FAILING, timeout=60)
    assert code == 1
    assert "error: file train_pre.npy: the slices cannot be read" in printed
    assert "error: process 1 of 2 ended with exit code 1, so all were ended" in printed
    assert "Traceback" not in printed


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent was killed")
def test_no_process_outlives_a_killed_parent(tmp_path):
    parent = subprocess.Popen(command_for_two(tmp_path, WAITING, tmp_path), env=ENVIRONMENT, stderr=subprocess.DEVNULL)
    files, deadline = [tmp_path / f"{rank}.pid" for rank in (0, 1)], time.monotonic() + 60
    while not all(file.exists() and file.read_text() for file in files):
        assert time.monotonic() < deadline and parent.poll() is None
        time.sleep(0.05)
    parent.kill()
    parent.wait()
    commands = [Path("/proc") / file.read_text() / "cmdline" for file in files]
    while any(command.exists() and command.read_text() for command in commands):  # of the dead it is empty
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_single_process_reduces_to_its_own_values():
    tensor = torch.ones(3)
    Group().all_reduce([tensor])()
    assert tensor.tolist() == [1, 1, 1]
    Group().check_equal((1,), "anything")
    assert Batch(torch.arange(4).numpy(), torch.zeros(4, dtype=bool).numpy()).shard(0, 1).share == 1
