"""Two processes on one machine, over gloo: the same gradients as one, one voice, and an end when one dies."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pix2pixhd.execution import Execution
from pix2pixhd.parallel import Group
from pix2pixhd.sampling import Batch
from pix2pixhd.step import Pix2PixHD

SOURCES = Path(__file__).parents[2] / "src"

WORKER = """
import sys
from types import SimpleNamespace
import numpy as np
import torch
from pix2pixhd.execution import Execution
from pix2pixhd.parallel import join
from pix2pixhd.sampling import Batch
from pix2pixhd.step import Pix2PixHD

folder = sys.argv[1]
torch.set_num_threads(1)
with join() as group:
    content = torch.load(f"{folder}/input.pt", weights_only=True)
    model = Pix2PixHD(SimpleNamespace(**content["settings"]), Execution(processes=group.processes), group)
    model.load_state_dict(content["model"])
    for network in (model.generator, model.discriminator, model.average):
        network.double()
    gradients = []
    model.g_optimiser = SimpleNamespace(step=lambda: gradients.extend(weight.grad for weight in model.trained))
    model.d_optimiser = SimpleNamespace(step=lambda: gradients.extend(weight.grad for weight in model.judges))
    images = content["images"]
    batch = Batch(np.arange(images.shape[1]), np.zeros(images.shape[1], bool)).part(group.rank, group.processes)
    losses = model.step(*images[:, batch.slices], share=batch.share)
    torch.save({"gradients": gradients, "losses": losses}, f"{folder}/output_{group.rank}.pt")
"""

FAILING = """
import sys, time
from pipeline.errors import InputError, run_stage
from pix2pixhd.parallel import join

def main():
    with join() as group:
        if group.rank == 1:
            raise InputError("the slices cannot be read", file="train_pre.npy")
        time.sleep(100)

run_stage(main)
"""


def run_in_two(tmp_path, script, *arguments, timeout=120):
    """Runs a script through `launch` in two processes; returns exit code and both streams."""
    (tmp_path / "worker.py").write_text(script)
    words = [str(tmp_path / "worker.py"), *map(str, arguments)]
    code = f"from pix2pixhd.parallel import launch; launch(2, *{words!r})"
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(SOURCES)}, text=True,
                          capture_output=True, timeout=timeout)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("size", [4, 3, 1])  # equal parts, unequal ones, and one process without a slice of its own
def test_gradients_of_two_processes_equal_those_of_one_with_the_joint_batch(size, tiny, tmp_path):
    torch.manual_seed(1)
    settings = tiny(batch_size=size)
    model = Pix2PixHD(settings, Execution())
    images = torch.rand(2, size, 1, 32, 32, dtype=torch.float64) * 2 - 1
    content = {"settings": settings.model_dump(), "model": model.state_dict(), "images": images}
    torch.save(content, tmp_path / "input.pt")

    code, printed = run_in_two(tmp_path, WORKER, tmp_path)
    assert code == 0, printed

    for network in (model.generator, model.discriminator, model.average):
        network.double()
    expected = []
    model.g_optimiser.step = lambda: expected.extend(weight.grad for weight in model.trained)
    model.d_optimiser.step = lambda: expected.extend(weight.grad for weight in model.judges)
    losses = model.step(*images)
    for rank in (0, 1):
        found = torch.load(tmp_path / f"output_{rank}.pt", weights_only=True)
        torch.testing.assert_close(found["gradients"], expected, rtol=1e-6, atol=1e-11)
        torch.testing.assert_close(found["losses"], losses)


def test_a_dying_process_ends_all_with_its_message(tmp_path):
    code, printed = run_in_two(tmp_path, FAILING, timeout=60)
    assert code == 1
    assert "error: file train_pre.npy: the slices cannot be read" in printed
    assert "error: process 1 of 2 ended with exit code 1, so all were ended" in printed
    assert "Traceback" not in printed


def test_a_process_alone_has_nothing_to_share():
    tensor = torch.ones(3)
    Group().add_up([tensor])()
    assert tensor.tolist() == [1, 1, 1]
    Group().check_equal((1,), "anything")
    assert Batch(torch.arange(4).numpy(), torch.zeros(4, dtype=bool).numpy()).part(0, 1).share == 1
