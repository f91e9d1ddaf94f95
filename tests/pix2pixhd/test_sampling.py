"""Which slices an epoch shows, in which order, how moved, how shared out, and how they reach the device."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pre2post.pix2pixhd.dataset import PairedSlices, load_batches
from pre2post.pix2pixhd.sampling import Batch, epoch_batches

CASES = ["a"] * 4 + ["b"] * 4 + ["c"] * 4


@given(st.integers(0, 99), st.integers(0, 9), st.integers(0, 5), st.integers(1, 5))
def test_an_epoch_shows_each_patient_its_share_and_no_slice_twice(seed, epoch, per_case, batch_size):
    plan = epoch_batches(CASES, seed, epoch, per_case, batch_size, flip=True)
    shown = np.concatenate([batch.slices for batch in plan])
    assert len(set(shown)) == len(shown) == 3 * (min(per_case, 4) or 4)
    assert all(len(batch.slices) == batch_size for batch in plan[:-1])
    again = epoch_batches(CASES, seed, epoch, per_case, batch_size, flip=True)
    assert all(
        np.array_equal(a.slices, b.slices) and np.array_equal(a.flips, b.flips)
        for a, b in zip(plan, again, strict=True)
    )


def test_epochs_differ_and_flips_can_be_off():
    first, second = (epoch_batches(CASES, 1, epoch, 0, 12, flip=False)[0] for epoch in (0, 1))
    assert not np.array_equal(first.slices, second.slices)
    assert not first.flips.any()


@given(st.integers(1, 9), st.integers(1, 5))
def test_the_parts_of_a_batch_make_it_up(size, processes):
    batch = Batch(np.arange(size) + 7, np.arange(size) % 2 == 0, np.arange(size * 6.0).reshape(size, 2, 3))
    parts = [batch.part(rank, processes) for rank in range(processes)]
    assert sum(part.share for part in parts) == pytest.approx(1)
    counted = [part for part in parts if part.share]
    assert sorted(np.concatenate([part.slices for part in counted])) == list(batch.slices)
    for part in parts:
        assert len(part.slices) == len(part.flips) == len(part.moves) > 0
        assert all(
            batch.flips[batch.slices == number] == flip for number, flip in zip(part.slices, part.flips, strict=True)
        )


def loaded(pairs, plan):
    return list(load_batches(pairs, plan, "cpu"))


def test_a_move_carries_pre_post_and_lesion_alike_and_keeps_them_whole():
    slices = np.zeros((12, 64, 64), np.float32)
    slices[:, 24:40, 24:40] = 1
    plan = epoch_batches(CASES, 3, 0, 0, 12, flip=True, augment=True)
    pre, post, lesion = loaded(PairedSlices(slices, slices, slices.astype(np.uint8)), plan)[0]
    assert torch.equal(pre, post)
    torch.testing.assert_close(lesion, (pre + 1) / 2)
    areas = lesion.sum((1, 2, 3)) / 16**2
    expected = 1 / np.abs(np.linalg.det(plan[0].moves[:, :, :2]))  # the maps lead from output to input
    np.testing.assert_allclose(areas, expected, rtol=0.05)
    assert len(set(areas.tolist())) > 1


def test_the_identity_move_changes_nothing(pairs):
    stay = np.tile(np.eye(2, 3, dtype=np.float32), (3, 1, 1))
    plans = ([Batch(np.arange(3), np.zeros(3, bool), moves)] for moves in (None, stay))
    (still, *_), (moved, *_) = (loaded(pairs, plan)[0] for plan in plans)
    torch.testing.assert_close(moved, still, rtol=0, atol=1e-5)


def test_batches_arrive_in_order_mirrored_in_the_networks_range(pairs):
    plan = epoch_batches(CASES, 1, 0, 0, 2, flip=True)
    for batch, (pre, post, lesion) in zip(plan, loaded(PairedSlices(pairs.pre, pairs.post), plan), strict=True):
        expected = np.stack(
            [
                np.fliplr(pairs.pre[i]) if flip else pairs.pre[i]
                for i, flip in zip(batch.slices, batch.flips, strict=True)
            ]
        )
        np.testing.assert_array_equal(pre[:, 0], expected * 2 - 1)
        assert post.shape == pre.shape
        assert lesion is None


def test_a_file_that_cannot_be_read_stops_the_loading(pairs):
    with pytest.raises(IndexError):
        loaded(pairs, [Batch(np.array([99]), np.array([False]))])
