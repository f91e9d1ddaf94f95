"""Trainings killed, the generator's also made longer and run in two processes, through real DVC commands."""

import os
import random
import signal
import subprocess
import time

import pytest

from pre2post.core.files import read_table

# Long enough to be killed several times on a fast machine, and writing its state most of the time.
LONG = {"gan.epochs": 30, "gan.checkpoint_every_epochs": 10, "gan.resume_every_steps": 1}


@pytest.fixture
def clone(reproduced):
    """The clone of the tiny study, put back afterwards."""
    yield reproduced
    reproduced.run("dvc", "exp", "remove", "--all-commits", "--queue")
    reproduced.restore()


def checkpoints(clone):
    return {path.name: path.read_bytes() for path in (clone.path / "artifacts" / "gan").iterdir()}


def states(clone):
    return {path.stat().st_ino for path in clone.path.glob(".resume/train_*/**/state.pt")}


def kill_while_training(clone, *command, after):
    """Starts a command and kills it with all its children some seconds after the training has saved a new state."""
    before = states(clone)
    training = subprocess.Popen(
        command,
        cwd=clone.path,
        env=clone.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while not states(clone) - before:
        assert time.monotonic() < deadline and training.poll() is None, "the training saved no state"
        time.sleep(0.01)
    time.sleep(after)
    os.killpg(training.pid, signal.SIGKILL)
    training.wait()


def test_a_training_killed_again_and_again_ends_with_the_same_bytes(clone):
    clone.set_params(**LONG)
    command = ("dvc", "repro", "-f", "-s", "train_gan")
    clone.run(*command)
    whole = checkpoints(clone)
    moments = random.Random(2026)
    for _ in range(3):
        kill_while_training(clone, *command, after=moments.uniform(0, 0.3))
    assert "resumes at epoch" in clone.run(*command)
    assert checkpoints(clone) == whole
    assert not list(clone.path.glob(".resume/**/state.pt"))


def test_a_segmenters_training_killed_again_and_again_ends_with_the_same_bytes(clone):
    def trained():
        folder = clone.path / "artifacts/segmenters/pre_0"
        return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    clone.set_params(
        **{
            "segmentation.epochs": 3,
            "segmentation.num_iterations_per_epoch": 40,
            "segmentation.resume_every_seconds": 0,
        }
    )
    command = ("dvc", "repro", "-f", "-s", "train_segmentation@pre-0")
    clone.run(*command)
    whole, moments = trained(), random.Random(2026)
    for _ in range(2):
        kill_while_training(clone, *command, after=moments.uniform(0, 0.5))
    assert "resumes from" in clone.run(*command)
    assert trained() == whole
    assert not list(clone.path.glob(".resume/**/state.pt"))


def test_a_killed_experiment_in_a_temporary_copy_carries_on(clone):
    changes = [word for name, value in LONG.items() for word in ("-S", f"{name}={value}")]
    command = ("dvc", "exp", "run", "--temp", "-n", "moved", *changes, "-S", "gan.flip=false", "train_gan")
    kill_while_training(clone, *command, after=0.1)
    assert "resumes at epoch" in clone.run(*command)


def test_a_longer_training_goes_on_from_the_shorter_one(clone):
    clone.run("dvc", "exp", "run", "-f", "-S", "gan.epochs=2", "-S", "gan.ema=0.5", "train_gan")
    printed = clone.run("dvc", "exp", "run", "-S", "gan.epochs=4", "-S", "gan.ema=0.5", "train_gan")
    assert "resumes at epoch 3, step 1" in printed
    assert "2_epochs_decay_0.5/constant_rate.pt; up to this step the learning rates are the same" in printed
    assert len(checkpoints(clone)) == len(read_table(clone.path / "plots" / "gan_losses.csv")) == 4


def test_two_processes_train_and_only_one_speaks(clone):
    printed = clone.run(
        "dvc", "exp", "run", "-S", "gan.devices=2", "-S", "gan.batch_size=2", "-S", "gan.epochs=1", "train_gan"
    )
    assert printed.count("trains on 2 x cpu, float32, channels first, not compiled, batch 2") == 1
    assert list(checkpoints(clone)) == ["epoch_0001.safetensors"]


def test_more_processes_than_slices_in_a_batch_end_in_a_message(clone):
    clone.set_params(**{"gan.devices": 2, "gan.batch_size": 1})
    printed = clone.run("python", "src/train_gan.py", expect=1)
    assert "error: a batch has fewer slices than there are processes; found: gan.batch_size 1" in printed
    assert "Traceback" not in printed
