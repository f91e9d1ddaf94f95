import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix

from pre2post.metrics.enhancement import enhancement_shares

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
