import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix

from pre2post.metrics.enhancement import SMALLEST_ML, enhancement_shares, enhancing_pieces

EVERYWHERE, NOWHERE = np.ones((2, 5, 4), bool), np.zeros((2, 5, 4), bool)


def volumes(seed, kind=np.float32):
    rng = np.random.default_rng(seed)
    return [(100 * rng.random((2, 5, 4))).astype(kind) for _ in range(3)]


def test_by_hand():
    """Ten voxels: three enhance in the real volume, of which one is missed; two enhance falsely."""
    pre = np.zeros((1, 1, 10))
    real, synthetic = pre.copy(), pre.copy()
    real[0, 0, [0, 1, 2]] = 0.5
    synthetic[0, 0, [0, 1, 5, 6]] = 0.3
    breast, lesion = np.ones(pre.shape, bool), np.zeros(pre.shape, bool)
    assert enhancement_shares(pre, real, synthetic, breast, lesion, 0.1) == pytest.approx(
        {"false": 0.2, "missed": 0.1, "real": 0.3}
    )


def test_the_lesion_and_the_outside_of_the_breast_do_not_count():
    pre = np.zeros((1, 1, 10))
    real, synthetic = pre.copy(), pre.copy()
    real[0, 0, [0, 2]] = synthetic[0, 0, [1, 3, 9]] = 1
    breast, lesion = np.zeros(pre.shape, bool), np.zeros(pre.shape, bool)
    breast[..., :6] = lesion[..., :2] = True  # 0 and 1 are lesion, 9 is outside the breast
    assert enhancement_shares(pre, real, synthetic, breast, lesion, 0.5) == pytest.approx(
        {"false": 0.25, "missed": 0.25, "real": 0.25}
    )


def test_a_voxel_enhances_when_it_reaches_the_threshold():
    pre, real = np.zeros((1, 2, 2)), np.array([[[0.25, 0.2499], [0.25, -1.0]]])
    found = enhancement_shares(pre, real, pre, np.ones(pre.shape), np.zeros(pre.shape), 0.25)
    assert found == {"false": 0, "missed": 0.5, "real": 0.5}


@given(st.integers(0, 2**31), st.floats(1, 60))
def test_equals_the_confusion_matrix_of_scikit_learn(seed, threshold):
    pre, real, synthetic = volumes(seed)
    change_real, change = ((post.astype(float) - pre >= threshold).ravel() for post in (real, synthetic))
    (_, false), (missed, _) = confusion_matrix(change_real, change, labels=[False, True])
    assert enhancement_shares(pre, real, synthetic, EVERYWHERE, NOWHERE, threshold) == pytest.approx(
        {"false": false / 40, "missed": missed / 40, "real": change_real.mean()}
    )


@given(st.integers(0, 2**31))
def test_false_and_missed_are_swapped_with_the_volumes(seed):
    pre, real, synthetic = volumes(seed)
    found = enhancement_shares(pre, real, synthetic, EVERYWHERE, NOWHERE, 10)
    turned = enhancement_shares(pre, synthetic, real, EVERYWHERE, NOWHERE, 10)
    assert (turned["false"], turned["missed"]) == (found["missed"], found["false"])
    assert turned["real"] == pytest.approx(found["real"] + found["false"] - found["missed"])


def test_the_real_volume_has_no_false_and_no_missed_enhancement():
    pre, real, _ = volumes(1)
    found = enhancement_shares(pre, real, real, EVERYWHERE, NOWHERE, 10)
    assert (found["false"], found["missed"]) == (0, 0) and found["real"] > 0


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int16])
def test_integers_do_not_wrap(kind):
    """In 8 bits a decrease by one grey level would be an increase of 255."""
    given_ = volumes(3, kind)
    assert enhancement_shares(*given_, EVERYWHERE, NOWHERE, 20) == enhancement_shares(
        *(volume.astype(float) for volume in given_), EVERYWHERE, NOWHERE, 20
    )


def test_refuses_bad_volumes_and_masks(refused):
    pre, real, synthetic = volumes(0)
    refused(lambda: enhancement_shares(pre, real, synthetic, EVERYWHERE, EVERYWHERE, 1), "no breast outside the lesion")
    refused(lambda: enhancement_shares(pre, real, synthetic, NOWHERE, NOWHERE, 1), "no breast outside the lesion")
    refused(lambda: enhancement_shares(pre, real[:1], synthetic, EVERYWHERE, NOWHERE, 1), "different shapes")
    refused(
        lambda: enhancement_shares(pre, real, synthetic, EVERYWHERE[:1], NOWHERE[:1], 1), "another shape", "(1, 5, 4)"
    )
    synthetic[0, 0, 0] = np.nan
    refused(lambda: enhancement_shares(pre, real, synthetic, EVERYWHERE, NOWHERE, 1), "not finite")


SPACING = (5.0, 5.0, 5.0)  # a voxel is 0.125 ml


def block(*places):
    """Return a volume whose 3 x 6 x 6 voxels from each corner (z, y, x) enhance by 1."""
    volume = np.zeros((8, 40, 40))
    for z, y, x in places:
        volume[z : z + 3, y : y + 6, x : x + 6] = 1.0
    return volume


def pieces(real, synthetic, breast=None, lesion=None):
    pre = np.zeros(real.shape)
    breast, lesion = (
        np.full(real.shape, fill) if mask is None else mask for mask, fill in ((breast, True), (lesion, False))
    )
    return enhancing_pieces(pre, real, synthetic, breast, lesion, 0.5, SPACING)


def test_pieces_are_false_or_missed_if_the_other_volume_does_not_enhance_there():
    here, there, elsewhere = (0, 2, 2), (0, 20, 20), (4, 30, 2)
    assert pieces(block(here, elsewhere), block(here, there)) == {"pieces": 2, "false_pieces": 1, "missed_pieces": 1}
    assert pieces(block(here), block(here)) == {"pieces": 1, "false_pieces": 0, "missed_pieces": 0}


def test_pieces_of_the_lesion_can_be_missed_but_not_false():
    lesion = block((0, 2, 2)) > 0
    assert pieces(block((0, 2, 2)), block(), lesion=lesion) == {"pieces": 0, "false_pieces": 0, "missed_pieces": 1}
    assert (
        pieces(block(), block((0, 2, 2)), lesion=lesion | np.roll(lesion, 1, 1) | np.roll(lesion, -1, 1))[
            "false_pieces"
        ]
        == 0
    )


def test_small_pieces_noise_and_the_outside_of_the_breast_do_not_count():
    small = np.zeros((8, 40, 40))
    small[4, 10:12, 10] = 50.0  # bright, but still below SMALLEST_ML after smoothing
    assert SMALLEST_ML > 2 * 0.125
    noise = np.random.default_rng(0).normal(0, 0.4, small.shape)
    breast = np.zeros(small.shape, bool)
    breast[..., 20:] = True
    assert pieces(block(), noise)["pieces"] == 0
    assert pieces(block(), block((0, 2, 2)), breast=breast)["pieces"] == 0
