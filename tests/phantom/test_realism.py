"""A small cohort is as hard as real breasts, and its cancers are still visible in the subtraction image."""

import numpy as np
import pytest

from pre2post.phantom.case import acquire_case
from pre2post.phantom.realism import (
    THRESHOLDS,
    brighter_area,
    in_units_of_pre,
    pre_level,
    rank_in_subtraction,
    threshold_dice,
)
from pre2post.phantom.roster import make_roster

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def scans():
    """(pre, post1 in units of pre, tumour, breasts, spacing) of the patients that train the default generator."""
    found = []
    for case in [case for case in make_roster(160, 2026) if not case.masked][:24]:
        scan = acquire_case(case, 2026, 64, 12)
        patient = scan.patient
        pre, post = in_units_of_pre(*(volume.astype(float) for volume in scan.volumes[:2]))
        breasts = patient.breasts() & (patient.grid.axes()[1] < 30)
        found.append((pre, post, patient.tumour, breasts, patient.grid.spacing))
    return found


def test_no_single_threshold_segments_the_tumours(scans):
    dice = np.mean([threshold_dice(post, tumour, breasts) for _, post, tumour, breasts, _ in scans], axis=0)
    assert 0.1 < dice.max() <= 0.6


def test_other_tissue_is_as_bright_as_a_lesion(scans):
    """In three real slices, 0.12 to 0.58 lesion areas of the whole slice are brighter than the lesion's mean."""
    assert 0.1 <= np.median([brighter_area(post, tumour) for _, post, tumour, _, _ in scans]) <= 0.6


def test_a_lesion_before_contrast_is_not_the_brightest_structure(scans):
    """In three real slices, its mean is 0.62 to 0.67 of the 99.9th percentile."""
    assert 0.55 <= np.median([pre_level(pre, tumour) for pre, _, tumour, _, _ in scans]) <= 0.75


def test_most_cancers_are_among_the_first_enhancing_components(scans):
    ranks = np.array([rank_in_subtraction(*scan) for scan in scans])
    assert (ranks <= 3).mean() >= 0.8 and (ranks == 1).mean() >= 0.5


def test_measures_of_a_simple_image():
    pre = np.full((3, 20, 20), 0.4)
    tumour, other = np.zeros((2, *pre.shape), bool)
    tumour[1, 2:6, 2:6] = other[1, 10:12, 10:14] = True
    post = pre + 0.6 * tumour + 0.9 * other
    breasts = np.ones(pre.shape, bool)
    dice = threshold_dice(post, tumour, breasts)
    assert dice[THRESHOLDS < 0.95].tolist()[1:] == [1.0] * 4  # the lesion is larger than the brighter spot
    assert dice[THRESHOLDS > 1.05].max() == 0
    assert brighter_area(post, tumour) == pytest.approx(8 / 16)
    assert pre_level(pre, tumour) == pytest.approx(0.4)
    assert rank_in_subtraction(pre, post, tumour, breasts, (3.0, 3.0, 3.0)) == 1  # larger, though less bright
    assert rank_in_subtraction(pre, post - 0.6 * tumour, tumour, breasts, (3.0, 3.0, 3.0)) == np.inf
