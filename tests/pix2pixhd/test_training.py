"""Sampling, schedule, checkpoints, and that a killed training ends with the same bytes."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import InputError
from pix2pixhd import train as train_module
from pix2pixhd.checkpoint import architecture, load_generator, read_architecture, save_generator
from pix2pixhd.generator import make_generator
from pix2pixhd.sampling import Batch, epoch_batches
from pix2pixhd.schedule import learning_rate
from pix2pixhd.train import check_size, train
from pix2pixhd.translate import translate

SETTINGS = SimpleNamespace(generator="global", width=4, downs=2, blocks=1, residual=True, discriminator_width=4,
                           discriminator_scales=2, discriminator_layers=2, lambda_fm=10.0, lambda_l1=10.0,
                           lambda_enhancement=1.0, enhancement_weight=5.0, epochs=3, decay_share=0.5, slices_per_case=2,
                           batch_size=1, learning_rate=0.002, beta1=0.5, flip=True, augment=True, ema=0.9,
                           save_every=1, state_every=2, threads=1)
CASES = ["a"] * 4 + ["b"] * 4 + ["c"] * 4


@pytest.fixture(scope="module")
def slices():
    random = np.random.default_rng(0)
    pre = np.kron(random.random((12, 4, 4)), np.ones((8, 8))).astype(np.float32)  # patches that a generator can see
    return pre, pre**2


@given(st.integers(0, 99), st.integers(0, 9), st.integers(0, 5), st.integers(1, 5))
def test_an_epoch_shows_each_patient_its_share_and_no_slice_twice(seed, epoch, per_case, batch_size):
    batches = epoch_batches(CASES, seed, epoch, per_case, batch_size, flip=True)
    shown = np.concatenate([batch.slices for batch in batches])
    assert len(set(shown)) == len(shown) == 3 * (min(per_case, 4) or 4)
    assert all(len(batch.slices) == batch_size for batch in batches[:-1])
    again = epoch_batches(CASES, seed, epoch, per_case, batch_size, flip=True)
    assert all(np.array_equal(a.slices, b.slices) and np.array_equal(a.flips, b.flips)
               for a, b in zip(batches, again, strict=True))


def test_epochs_differ_and_flips_can_be_off():
    first, second = (epoch_batches(CASES, 1, epoch, 0, 12, flip=False)[0] for epoch in (0, 1))
    assert not np.array_equal(first.slices, second.slices)
    assert not first.flips.any()


def test_a_move_carries_pre_and_post_alike_and_keeps_them_whole():
    slices = np.zeros((12, 64, 64), np.float32)
    slices[:, 24:40, 24:40] = 1
    batch = epoch_batches(CASES, 3, 0, 0, 12, flip=True, augment=True)[0]
    moved = (train_module.to_network(slices, batch, torch.device("cpu")) + 1) / 2
    assert torch.equal(moved, (train_module.to_network(slices, batch, torch.device("cpu")) + 1) / 2)
    areas = moved.sum((1, 2, 3)) / 16**2
    expected = 1 / np.abs(np.linalg.det(batch.moves[:, :, :2]))  # the maps lead from output to input
    np.testing.assert_allclose(areas, expected, rtol=0.05)
    assert len(set(areas.tolist())) > 1


def test_the_identity_move_changes_nothing(slices):
    stay = np.tile(np.eye(2, 3, dtype=np.float32), (3, 1, 1))
    still, moved = (train_module.to_network(slices[0], Batch(np.arange(3), np.zeros(3, bool), moves),
                                            torch.device("cpu")) for moves in (None, stay))
    torch.testing.assert_close(moved, still, rtol=0, atol=1e-5)


def test_the_learning_rate_is_constant_then_falls_linearly():
    rates = [learning_rate(1.0, epoch, 200, 0.5) for epoch in range(200)]
    assert rates[:101] == [1.0] * 101
    assert np.allclose(np.diff(rates[100:]), -0.01)
    assert rates[-1] == pytest.approx(0.01)
    assert learning_rate(1.0, 1, 2, 0.0) == 1.0


def run(slices, folder):
    histories = []
    checkpoints = train(SETTINGS, 7, CASES, *slices, folder, lambda history: histories.append(list(history)))
    return {path.name: path.read_bytes() for path in checkpoints}, histories[-1]


def test_a_killed_training_ends_with_the_same_bytes(slices, tmp_path, monkeypatch):
    whole, history = run(slices, tmp_path / "whole")
    assert list(whole) == ["epoch_0001.safetensors", "epoch_0002.safetensors", "epoch_0003.safetensors"]

    original = train_module.Pix2PixHD.step
    for killed_at in (1, 4, 7, 9):  # before the first state, between two, at an epoch's end, in the next epoch
        calls = iter(range(100))

        def die(model, pre, post, calls=calls, killed_at=killed_at):
            if next(calls) == killed_at:
                raise KeyboardInterrupt
            return original(model, pre, post)

        monkeypatch.setattr(train_module.Pix2PixHD, "step", die)
        with pytest.raises(KeyboardInterrupt):
            run(slices, tmp_path / str(killed_at))
        monkeypatch.setattr(train_module.Pix2PixHD, "step", original)
        resumed, resumed_history = run(slices, tmp_path / str(killed_at))
        assert resumed == whole
        assert resumed_history == history


def test_a_training_killed_after_its_last_step_still_tells_everything(slices, tmp_path):
    checkpoints, history = run(slices, tmp_path)
    assert run(slices, tmp_path) == (checkpoints, history)
    assert len(history) == SETTINGS.epochs


def test_training_learns(slices, tmp_path):
    settings = SimpleNamespace(**{**vars(SETTINGS), "epochs": 12, "slices_per_case": 0})
    histories = []
    train(settings, 7, CASES, *slices, tmp_path, histories.append)
    assert histories[-1][-1]["g_l1"] < 0.6 * histories[-1][0]["g_l1"]


def test_non_finite_losses_stop_with_a_message(slices, tmp_path):
    pre, post = slices
    with pytest.raises(InputError, match=r"diverged.*not finite in epoch 1"):
        train(SETTINGS, 7, CASES, pre, np.full_like(post, np.nan), tmp_path, lambda history: None)


def test_a_damaged_state_is_refused(slices, tmp_path):
    (tmp_path / "state.pt").write_bytes(b"not a state")
    with pytest.raises(InputError, match="saved training state cannot be used"):
        run(slices, tmp_path)


@pytest.mark.parametrize("kind", ["global", "local"])
def test_a_checkpoint_gives_the_generator_back(kind, tmp_path):
    settings = SimpleNamespace(generator=kind, width=4, downs=2, blocks=1, residual=True)
    generator = make_generator(kind, 4, 2, 1, True)
    save_generator(generator, architecture(settings), tmp_path / "g.safetensors")
    image = torch.rand(1, 1, 32, 32)
    assert torch.equal(load_generator(tmp_path / "g.safetensors")(image), generator(image))
    assert read_architecture(tmp_path / "g.safetensors")["kind"] == kind


def test_damaged_and_foreign_weights_are_refused(tmp_path):
    from safetensors.torch import save_file

    with pytest.raises(InputError, match="missing"):
        load_generator(tmp_path / "absent.safetensors")
    whole = tmp_path / "whole.safetensors"
    save_generator(make_generator("global", 4, 2, 1, True),
                   {"kind": "global", "width": 4, "downs": 2, "blocks": 1, "residual": True}, whole)
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(whole.read_bytes()[:-100])
    with pytest.raises(InputError, match="cannot be read"):
        load_generator(cut)
    save_file({"x": torch.zeros(1)}, tmp_path / "foreign.safetensors")
    with pytest.raises(InputError, match="not the weights"):
        load_generator(tmp_path / "foreign.safetensors")
    save_file({"x": torch.zeros(1)}, tmp_path / "keys.safetensors", metadata={"pix2pixhd": json.dumps(
        {"kind": "global", "width": 4, "downs": 2, "blocks": 1, "residual": True})})
    with pytest.raises(InputError, match="not the weights"):
        load_generator(tmp_path / "keys.safetensors")


def test_translate_does_not_depend_on_the_batch_size_and_keeps_the_scale():
    generator = make_generator("global", 4, 2, 1, True)
    slices = np.random.default_rng(0).random((5, 32, 32), np.float32) * 3
    np.testing.assert_allclose(translate(generator, slices, 2), translate(generator, slices, 5), atol=1e-5)
    torch.nn.init.zeros_(generator.model[-2].weight)
    np.testing.assert_allclose(translate(generator, slices), slices, atol=1e-6)


def test_a_size_the_generator_cannot_halve_is_refused():
    check_size(128, 8)
    with pytest.raises(InputError, match="multiple of 8"):
        check_size(100, 8)
