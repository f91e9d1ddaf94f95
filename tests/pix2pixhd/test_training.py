"""The training loop: schedule, resume after a kill, longer trainings, and errors."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pre2post.pix2pixhd.checkpoint import load_generator
from pre2post.pix2pixhd.dataset import PairedSlices
from pre2post.pix2pixhd.infer import infer
from pre2post.pix2pixhd.resume import finish
from pre2post.pix2pixhd.runtime import RuntimeConfig, count_processes, resolve_runtime
from pre2post.pix2pixhd.schedule import learning_rate, training_stage
from pre2post.pix2pixhd.state import TrainingState, disk_needed
from pre2post.pix2pixhd.step import Pix2PixHD
from pre2post.pix2pixhd.train import train

pytestmark = pytest.mark.slow


def test_the_learning_rate_is_constant_then_falls_linearly():
    rates = [learning_rate(1.0, epoch, 200, 0.5) for epoch in range(200)]
    assert rates[:101] == [1.0] * 101
    assert np.allclose(np.diff(rates[100:]), -0.01)
    assert rates[-1] == pytest.approx(0.01)
    assert learning_rate(1.0, 1, 2, 0.0) == 1.0


def test_the_training_stages_follow_each_other():
    assert [training_stage(epoch, 2, 1) for epoch in range(5)] == ["global", "global", "enhancers", "all", "all"]
    assert training_stage(0, 0, 0) == "all"


@pytest.fixture
def folder(tmp_path):
    """The folder of one training, without siblings."""
    return tmp_path / "family" / "training"


@pytest.fixture
def run(pairs, cases):
    """Return a function that trains in a folder and returns the bytes of every checkpoint and the loss history."""

    def run(settings, folder, runtime=RuntimeConfig(), data=pairs):  # noqa: B008
        histories = [[]]
        checkpoints = train(settings, 7, cases, data, folder, runtime, lambda h: histories.append(list(h)))
        return {path.name: path.read_bytes() for path in checkpoints}, histories[-1]

    return run


@pytest.fixture
def kill(monkeypatch):
    """Return a function that lets the training die at a step; `kill(None)` removes that."""
    original = Pix2PixHD.step

    def kill(at):
        calls = iter(range(1000))

        def step(*arguments):
            if next(calls) == at:
                raise KeyboardInterrupt
            return original(*arguments)

        monkeypatch.setattr(Pix2PixHD, "step", original if at is None else step)

    return kill


COARSE_TO_FINE = {"generator": "local", "global_epochs": 1, "fix_global_epochs": 1, "epochs": 4}


@pytest.mark.parametrize(
    ("special", "moments"),
    [
        ({}, (1, 2, 4, 7, 9)),  # before the first state, after it, between two, in the next epochs
        (COARSE_TO_FINE, (1, 4, 7, 9, 14, 20)),
        ({"batch_size": 4}, (1, 2, 3, 5)),
    ],
)
def test_a_killed_training_ends_with_the_same_bytes(special, moments, tiny, run, kill, tmp_path):
    settings = tiny(augment=True, **special)
    runtime = resolve_runtime(settings)
    whole, history = run(settings, tmp_path / "whole" / "training", runtime)
    kept = range(1 + settings.global_epochs, settings.epochs + 1)
    assert list(whole) == [f"epoch_{epoch:04d}.safetensors" for epoch in kept]
    for at in moments:
        kill(at)
        with pytest.raises(KeyboardInterrupt):
            run(settings, tmp_path / str(at) / "training", runtime)
        kill(None)
        assert run(settings, tmp_path / str(at) / "training", runtime) == (whole, history)


def test_a_training_killed_after_its_last_step_still_returns_everything(tiny, run, folder):
    checkpoints, history = run(tiny(), folder)
    assert run(tiny(), folder) == (checkpoints, history)
    assert len(history) == tiny().epochs


def test_training_learns(tiny, run, folder):
    _, history = run(tiny(epochs=12, slices_per_case=0, residual=True), folder)
    assert history[-1]["g_l1"] < 0.6 * history[0]["g_l1"]


def test_all_three_stages_learn(tiny, run, folder):
    settings = tiny(
        generator="local", epochs=9, global_epochs=3, fix_global_epochs=3, slices_per_case=0, lr_decay_fraction=0.0
    )
    _, history = run(settings, folder)
    losses = [row["g_l1"] for row in history]
    assert losses[2] < losses[0]
    assert losses[5] < losses[3]
    assert losses[8] < losses[5]


def test_a_training_without_a_discriminator_resumes_to_the_same_bytes(tiny, run, kill, folder, tmp_path):
    settings = tiny(lambda_gan=0.0)
    whole = run(settings, tmp_path / "whole" / "training")
    kill(at=8)
    with pytest.raises(KeyboardInterrupt):
        run(settings, folder)
    kill(None)
    assert run(settings, folder) == whole
    assert all(row["d_real"] == row["g_fm"] == 0 < row["g_enhancement"] for row in whole[1])


def test_slices_with_neighbours_train_a_generator_that_takes_them(tiny, run, pairs, folder):
    stacks = PairedSlices(np.stack([pairs.pre, pairs.pre**2, pairs.pre**3], 1), pairs.post)
    assert (pairs.neighbours, stacks.neighbours) == (0, 1)
    run(tiny(epochs=1), folder, data=stacks)
    generator = load_generator(folder / "epoch_0001.safetensors")
    assert generator.architecture.neighbours == 1
    assert infer(generator, stacks.pre).shape == pairs.pre.shape


def test_the_lesion_weight_changes_the_training_only_where_there_are_lesions(tiny, run, pairs, tmp_path):
    plain, _ = run(tiny(epochs=1), tmp_path / "plain" / "training")
    weighted, _ = run(tiny(epochs=1, lesion_weight=9.0), tmp_path / "weighted" / "training")
    nothing = replace(pairs, lesion=np.zeros_like(pairs.lesion))
    without, _ = run(tiny(epochs=1, lesion_weight=9.0), tmp_path / "without" / "training", data=nothing)
    assert weighted != plain
    assert without == plain


class TestLonger:
    """A training of another length starts from the state that both have in common."""

    def test_resumes_where_the_learning_rate_first_fell(self, tiny, run, tmp_path, capsys):
        whole = run(tiny(epochs=8), tmp_path / "whole" / "8")
        run(tiny(epochs=4), tmp_path / "family" / "4")
        finish(tmp_path / "family" / "4")
        capsys.readouterr()
        assert run(tiny(epochs=8), tmp_path / "family" / "8") == whole
        printed = capsys.readouterr().out
        assert f"resumes at epoch 4, step 1, from {tmp_path}/family/4/constant_rate.pt" in printed

    def test_resumes_from_a_killed_one(self, tiny, run, kill, tmp_path, capsys):
        whole = run(tiny(epochs=8), tmp_path / "whole" / "8")
        kill(8)  # in the second of six steps of the second epoch: two are lost
        with pytest.raises(KeyboardInterrupt):
            run(tiny(epochs=4), tmp_path / "family" / "4")
        kill(None)
        assert run(tiny(epochs=8), tmp_path / "family" / "8") == whole
        assert "resumes at epoch 2, step 3" in capsys.readouterr().out

    def test_does_not_mix_histories(self, tiny, run, tmp_path, capsys):
        """Epochs with a falling learning rate are not reused if this training's rate is still constant there."""
        whole = run(tiny(epochs=4, lr_decay_fraction=0.0), tmp_path / "whole" / "4")
        run(tiny(epochs=4, lr_decay_fraction=1.0), tmp_path / "family" / "decay")
        capsys.readouterr()
        assert run(tiny(epochs=4, lr_decay_fraction=0.0), tmp_path / "family" / "constant") == whole
        assert "resumes at epoch 2, step 1" in capsys.readouterr().out  # the first epoch is the same in both

    def test_a_shorter_one_takes_no_checkpoint_from_beyond_its_end(self, tiny, run, tmp_path):
        whole = run(tiny(epochs=2, checkpoint_every_epochs=2), tmp_path / "whole" / "2")
        run(tiny(epochs=5, checkpoint_every_epochs=2), tmp_path / "family" / "5")
        finish(tmp_path / "family" / "5")
        assert run(tiny(epochs=2, checkpoint_every_epochs=2), tmp_path / "family" / "2") == whole

    def test_a_finished_one_keeps_one_state_and_the_checkpoints_up_to_it(self, tiny, run, tmp_path):
        for epochs in (4, 6):
            run(tiny(epochs=epochs), tmp_path / str(epochs))
            finish(tmp_path / str(epochs))
        left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*")}
        assert left == {"6/constant_rate.pt", *(f"6/epoch_{epoch:04d}.safetensors" for epoch in (1, 2, 3, 4))}

    def test_one_killed_while_it_keeps_that_state_still_finishes(self, tiny, run, folder, monkeypatch):
        def die(state):
            raise KeyboardInterrupt

        whole = run(tiny(), folder.parents[1] / "whole" / "training")
        with monkeypatch.context() as patch:
            patch.setattr(TrainingState, "keep_as_constant_rate", die)
            with pytest.raises(KeyboardInterrupt):
                run(tiny(), folder)
        assert run(tiny(), folder) == whole
        finish(folder)
        assert (folder / "constant_rate.pt").exists()

    @pytest.mark.parametrize(
        "longer", [{"epochs": 5, "lr_decay_fraction": 0.6}, {"epochs": 3, "lr_decay_fraction": 0.0}]
    )
    def test_one_that_shares_all_of_its_constant_rate_finishes_too(self, longer, tiny, run, tmp_path):
        """The other state is where this rate first falls, or where this training ends."""
        whole = run(tiny(**longer), tmp_path / "whole" / "longer")
        run(tiny(epochs=4), tmp_path / "family" / "4")
        finish(tmp_path / "family" / "4")
        assert run(tiny(**longer), tmp_path / "family" / "longer") == whole
        finish(tmp_path / "family" / "longer")
        assert {path.name for path in (tmp_path / "family").iterdir()} == {"longer"}
        assert (tmp_path / "family" / "longer" / "constant_rate.pt").exists()

    def test_training_again_starts_from_zero(self, tiny, run, tmp_path, capsys):
        whole = run(tiny(), tmp_path / "3")
        finish(tmp_path / "3")
        capsys.readouterr()
        assert run(tiny(), tmp_path / "3") == whole
        assert "resumes" not in capsys.readouterr().out


def test_run_settings_and_disk_are_printed_before(tiny, run, folder, capsys):
    settings = tiny(epochs=4, checkpoint_every_epochs=2)
    run(settings, folder)
    printed = capsys.readouterr().out
    assert "trains on cpu, float32, channels first, not compiled, batch 1" in printed
    assert "VGG19 perceptual loss: off, gan.vgg_weights names no weights file" in printed
    on_disk = sum(path.stat().st_size for path in folder.iterdir())
    predicted = disk_needed(Pix2PixHD(settings, RuntimeConfig()), settings.epochs, settings.checkpoint_every_epochs)
    assert 0.5 * on_disk < predicted <= on_disk  # headers are large compared with networks this small
    assert "GB for checkpoints and state" in printed


def test_non_finite_losses_stop_with_the_step_and_the_last_checkpoint(tiny, run, refused, folder, monkeypatch):
    original, calls = Pix2PixHD.step, iter(range(100))

    def diverge(model, pre, post, *rest):
        return original(model, pre, post * (float("nan") if next(calls) == 8 else 1), *rest)

    monkeypatch.setattr(Pix2PixHD, "step", diverge)
    settings = tiny(resume_every_steps=100)
    refused(
        lambda: run(settings, folder),
        "diverged",
        "in epoch 2, step 3",
        "g_l1 nan",
        "d_fake 0.",
        f"the last good checkpoint is {folder}/epoch_0001.safetensors",
    )
    monkeypatch.setattr(Pix2PixHD, "step", original)
    assert run(settings, folder) == run(settings, folder.parents[1] / "whole" / "training")


def test_a_damaged_state_is_refused(tiny, run, refused, folder):
    folder.mkdir(parents=True)
    (folder / "state.pt").write_bytes(b"not a state")
    refused(lambda: run(tiny(), folder), "saved training state cannot be used", "state.pt", "delete its folder")


def test_a_damaged_state_of_another_length_is_refused_too(tiny, run, refused, tmp_path):
    (tmp_path / "9").mkdir()
    (tmp_path / "9" / "constant_rate.pt").write_bytes(b"not a state")
    refused(lambda: run(tiny(), tmp_path / "3"), "cannot be used", "9/constant_rate.pt")


@pytest.mark.parametrize("change", [{"processes": 2}, {"precision": "bfloat16"}, {"batch_size": 2}, {"device": "cuda"}])
def test_a_state_with_another_runtime_is_refused(change, tiny, run, kill, refused, folder):
    kill(3)
    with pytest.raises(KeyboardInterrupt):
        run(tiny(), folder)
    kill(None)
    saved = torch.load(folder / "state.pt", weights_only=True)
    torch.save(saved | {"runtime": saved["runtime"] | change}, folder / "state.pt")
    name, value = next(iter(change.items()))
    refused(lambda: run(tiny(), folder), "different run settings", f"found: {name} {value}")


def test_a_state_of_other_networks_is_refused(tiny, run, kill, refused, folder):
    kill(3)
    with pytest.raises(KeyboardInterrupt):
        run(tiny(), folder)
    kill(None)
    refused(lambda: run(tiny(width=8), folder), "cannot be used")


def test_auto_is_resolved(tiny, refused, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    assert resolve_runtime(tiny(batch_size="auto")) == RuntimeConfig()
    assert resolve_runtime(tiny(width=64)).precision == "bfloat16"
    assert resolve_runtime(tiny(batch_size=4)).precision == "bfloat16"
    assert resolve_runtime(tiny(batch_size=4), 2).precision == "float32"
    assert resolve_runtime(tiny(width=64, precision="float32")).precision == "float32"
    assert resolve_runtime(tiny(batch_size="auto"), 3).batch_size == 3
    assert count_processes(tiny()) == 1
    assert count_processes(tiny(devices=2)) == 2
    refused(lambda: resolve_runtime(tiny(batch_size=1), 2), "gan.batch_size 1", "at least 2")
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    assert resolve_runtime(tiny(width=64)).precision == "float32"


def test_auto_is_resolved_with_gpus(tiny, refused, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (9, 0))
    assert resolve_runtime(tiny(width=64)) == RuntimeConfig("cuda", "bfloat16", channels_last=True, compile=True)
    assert resolve_runtime(tiny()) == RuntimeConfig("cuda", "bfloat16", channels_last=True)
    assert resolve_runtime(tiny(precision="float32", compile=False)) == RuntimeConfig("cuda")
    assert count_processes(tiny(batch_size=2)) == 2
    assert count_processes(tiny(batch_size="auto")) == 4
    refused(lambda: count_processes(tiny(devices=8)), "not enough GPUs", "found: 4")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (7, 5))
    assert resolve_runtime(tiny()).precision == "float32"


def test_slices_are_read_from_memory_maps(tiny, run, pairs, tmp_path):
    mapped = {}
    for name in ("pre", "post"):
        np.save(tmp_path / f"{name}.npy", getattr(pairs, name))
        mapped[name] = np.load(tmp_path / f"{name}.npy", mmap_mode="r")
    assert run(tiny(epochs=1), tmp_path / "a" / "1", data=PairedSlices(**mapped)) == run(
        tiny(epochs=1), tmp_path / "b" / "1"
    )
