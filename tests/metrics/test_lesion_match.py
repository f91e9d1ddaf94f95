import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pre2post.metrics.lesion_match import any_by_chance, chance_of_finding, match_lesions

SHAPE, SPACING = (6, 9, 10), (1.0, 1.0, 1.0)


def boxes(seed, count):
    """Return a mask of small boxes."""
    rng, mask = np.random.default_rng(seed), np.zeros(SHAPE, bool)
    for _ in range(count):
        start = [rng.integers(0, side - 2) for side in SHAPE]
        mask[tuple(slice(one, one + rng.integers(1, 4)) for one in start)] = True
    return mask


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**31), st.sampled_from([0.1, 0.3, 0.5]))
def test_chance_is_the_share_of_all_places_at_which_the_piece_finds_a_lesion(seed, limit):
    true, predicted = boxes(seed, 2), boxes(seed + 1, 2)
    region = np.zeros(SHAPE, bool)
    region[1:5, 1:8, 2:9] = True
    match = match_lesions(predicted, true, SPACING)
    n_lesions = match.iou.shape[1]
    for piece, found in enumerate(chance_of_finding(match, region, limit), start=1):
        voxels = np.argwhere(match.pieces == piece)
        centre = np.round((voxels - voxels.min(axis=0)).mean(axis=0)).astype(int) + voxels.min(axis=0)
        hits = 0
        for place in np.argwhere(region):
            moved = voxels - centre + place
            moved = moved[((moved >= 0) & (moved < SHAPE)).all(axis=1)]
            for lesion in range(1, n_lesions + 1):
                target = match.lesions == lesion
                shared = target[tuple(moved.T)].sum()
                hits += shared / (len(voxels) + target.sum() - shared) >= limit
        assert found == pytest.approx(hits / region.sum() / n_lesions)


def test_overlap_is_that_of_one_piece_with_one_lesion():
    true, predicted = np.zeros((2, *SHAPE), bool)
    true[0, 0, :4], true[3, 5, 5] = True, True
    predicted[0, 0, 2:6], predicted[5, 8, 9] = True, True
    match = match_lesions(predicted, true, SPACING)
    np.testing.assert_allclose(match.iou, [[2 / 6, 0], [0, 0]])
    assert match.found(1 / 3).tolist() == [1, 0]
    assert match.found(0.34).tolist() == [0, 0]


def test_small_components_are_left_out():
    true, predicted = np.zeros((2, *SHAPE), bool)
    true[0, 0, :4] = predicted[0, 0, :4] = predicted[5, 8, 9] = True
    assert match_lesions(predicted, true, SPACING, smallest_ml=0.002).iou.shape == (1, 1)


def test_empty_masks_find_nothing():
    full, empty = np.ones(SHAPE, bool), np.zeros(SHAPE, bool)
    for predicted, true, pieces in ((full, empty, 1), (empty, full, 0), (empty, empty, 0)):
        match = match_lesions(predicted, true, SPACING)
        assert match.found(0.1).tolist() == chance_of_finding(match, full, 0.1).tolist() == [0] * pieces
    assert chance_of_finding(match_lesions(full, full, SPACING), empty, 0.1).tolist() == [0]


def test_several_pieces_are_independent():
    assert any_by_chance([]) == 0
    assert any_by_chance([0.5, 0.2]) == pytest.approx(0.6)
