"""The batches of an epoch: slices, order, augmentation, shards of processes, and loading."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pre2post.pix2pixhd.dataset import PairedSlices, load_batches
from pre2post.pix2pixhd.sampling import Batch, epoch_batches

CASES = ["a"] * 4 + ["b"] * 4 + ["c"] * 4


@given(st.integers(0, 99), st.integers(0, 9), st.integers(0, 5), st.integers(1, 5))
def test_an_epoch_draws_the_same_number_per_patient_and_no_slice_twice(seed, epoch, per_case, batch_size):
    batches = epoch_batches(CASES, seed, epoch, per_case, batch_size, flip=True)
    shown = np.concatenate([batch.slices for batch in batches])
    assert len(set(shown)) == len(shown) == 3 * (min(per_case, 4) or 4)
    assert all(len(batch.slices) == batch_size for batch in batches[:-1])
    again = epoch_batches(CASES, seed, epoch, per_case, batch_size, flip=True)
    assert all(
        np.array_equal(a.slices, b.slices) and np.array_equal(a.flips, b.flips)
        for a, b in zip(batches, again, strict=True)
    )


@given(st.integers(0, 99), st.integers(1, 4), st.floats(0, 1))
def test_a_fraction_of_the_slices_shows_the_lesion_as_far_as_there_are_enough(seed, per_case, fraction):
    shows = np.array([True, False, False, False] + [True] * 4 + [False] * 4)
    (batch,) = epoch_batches(CASES, seed, 0, per_case, 12, False, False, shows, fraction)
    wanted = round(fraction * per_case)
    for case, available in (("a", 1), ("b", 4), ("c", 0)):
        own = [index for index in batch.slices if CASES[index] == case]
        assert len(own) == len(set(own)) == per_case
        assert shows[own].sum() >= min(wanted, available)


def test_epochs_differ_and_flips_can_be_off():
    first, second = (epoch_batches(CASES, 1, epoch, 0, 12, flip=False)[0] for epoch in (0, 1))
    assert not np.array_equal(first.slices, second.slices)
    assert not first.flips.any()


@given(st.integers(1, 9), st.integers(1, 5))
def test_the_shards_of_a_batch_add_up_to_it(size, processes):
    batch = Batch(np.arange(size) + 7, np.arange(size) % 2 == 0, np.arange(size * 6.0).reshape(size, 2, 3))
    shards = [batch.shard(rank, processes) for rank in range(processes)]
    assert sum(shard.share for shard in shards) == pytest.approx(1)
    counted = [shard for shard in shards if shard.share]
    assert sorted(np.concatenate([shard.slices for shard in counted])) == list(batch.slices)
    for shard in shards:
        assert len(shard.slices) == len(shard.flips) == len(shard.moves) > 0
        assert all(
            batch.flips[batch.slices == number] == flip for number, flip in zip(shard.slices, shard.flips, strict=True)
        )


def loaded(pairs, batches):
    return list(load_batches(pairs, batches, "cpu"))


def test_a_move_applies_equally_to_pre_post_and_lesion():
    slices = np.zeros((12, 64, 64), np.float32)
    slices[:, 24:40, 24:40] = 1
    batches = epoch_batches(CASES, 3, 0, 0, 12, flip=True, augment=True)
    pre, post, lesion = loaded(PairedSlices(slices, slices, slices.astype(np.uint8)), batches)[0]
    assert torch.equal(pre, post)
    torch.testing.assert_close(lesion, (pre + 1) / 2, rtol=0, atol=0.3)  # another kernel, so other edges
    areas = lesion.sum((1, 2, 3)) / 16**2
    expected = 1 / np.abs(np.linalg.det(batches[0].moves[:, :, :2]))  # the maps are from output to input
    np.testing.assert_allclose(areas, expected, rtol=0.05)
    assert len(set(areas.tolist())) > 1


def test_moved_images_keep_most_of_their_fine_detail_and_some_are_not_moved():
    """Power above 0.4 cycles per pixel of white noise, which bilinear moves reduce to a third."""
    noise = np.random.default_rng(0).standard_normal((96, 64, 64)).astype(np.float32)
    batch = epoch_batches([str(index) for index in range(96)], 3, 0, 0, 96, flip=False, augment=True)[0]
    moved = (loaded(PairedSlices(noise, noise), [batch])[0][0] + 1) / 2
    still = (batch.moves == np.eye(2, 3)).all(axis=(1, 2))
    kept = fine_power(moved[:, 0]) / fine_power(torch.from_numpy(noise[batch.slices]))
    assert still.mean() == pytest.approx(0.3, abs=0.12)
    np.testing.assert_allclose(kept[still], 1, rtol=1e-3)
    assert 0.5 < kept[~still].mean() < 0.8
    assert kept.mean() > 0.65


def fine_power(images):
    """Return the power (n,) above 0.4 cycles per pixel in the middle of images (n, 64, 64)."""
    middle, window = images[:, 12:52, 12:52].numpy(), np.hanning(40)
    frequency = np.fft.fftfreq(40)
    fine = np.hypot(frequency[:, None], frequency) > 0.4
    return (np.abs(np.fft.fft2(middle * window[:, None] * window)) ** 2)[:, fine].mean(axis=1)


def test_the_identity_move_changes_nothing(pairs):
    stay = np.tile(np.eye(2, 3, dtype=np.float32), (3, 1, 1))
    moved_or_not = ([Batch(np.arange(3), np.zeros(3, bool), moves)] for moves in (None, stay))
    (still, *_), (moved, *_) = (loaded(pairs, batches)[0] for batches in moved_or_not)
    torch.testing.assert_close(moved, still, rtol=0, atol=1e-5)


def test_batches_arrive_in_order_flipped_and_in_the_networks_range(pairs):
    batches = epoch_batches(CASES, 1, 0, 0, 2, flip=True)
    for batch, (pre, post, lesion) in zip(batches, loaded(PairedSlices(pairs.pre, pairs.post), batches), strict=True):
        expected = np.stack(
            [
                np.fliplr(pairs.pre[i]) if flip else pairs.pre[i]
                for i, flip in zip(batch.slices, batch.flips, strict=True)
            ]
        )
        np.testing.assert_array_equal(pre[:, 0], expected * 2 - 1)
        np.testing.assert_array_equal(post[:, 0], expected**2 * 2 - 1)
        assert lesion is None


def test_a_file_that_cannot_be_read_stops_the_loading(pairs):
    with pytest.raises(IndexError):
        loaded(pairs, [Batch(np.array([99]), np.array([False]))])
