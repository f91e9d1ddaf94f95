"""Contrast kinetics: the published arterial input, and the Tofts model against numerical quadrature."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import erf

from pre2post.phantom.kinetics import blood_concentration, plasma_concentration, tissue_concentration


def test_blood_peaks_in_the_first_pass_and_washes_out():
    minutes = np.linspace(0, 6, 3601)
    blood = blood_concentration(minutes)
    assert minutes[blood.argmax()] == pytest.approx(0.17, abs=0.02)
    assert 5 < blood.max() < 7  # figure 3 of Parker et al.: about 6 mM
    assert blood_concentration(np.array([-1.0, 0.0])).tolist() == [0, 0]


def test_the_first_pass_has_the_published_areas():
    """The Gaussians of the input have areas of 0.809 and 0.330 mM min, minus the part before the bolus."""
    washout = quad(lambda t: 1.05 * np.exp(-0.1685 * t) / (1 + np.exp(-38.078 * (t - 0.483))), 0, 2, points=[0.483])[0]
    total = quad(blood_concentration, 0, 2, points=[0.17, 0.365, 0.483])[0]
    later = sum(
        area * (1 + erf(centre / width / np.sqrt(2))) / 2
        for area, centre, width in ((0.809, 0.17046, 0.0563), (0.330, 0.365, 0.132))
    )
    assert total == pytest.approx(later + washout, rel=1e-4)


@pytest.mark.parametrize("transfer, extravascular, plasma", [(0.3, 0.45, 0.05), (0.01, 0.3, 0.0), (0.8, 0.3, 0.08)])
@pytest.mark.parametrize("minutes", [1.5, 4, 7])
def test_tofts_agrees_with_adaptive_quadrature(transfer, extravascular, plasma, minutes):
    expected = (
        plasma * plasma_concentration(minutes)
        + transfer
        * quad(
            lambda s: plasma_concentration(s) * np.exp(-transfer / extravascular * (minutes - s)),
            0,
            minutes,
            points=[0.17, 0.365, 0.483],
            limit=200,
        )[0]
    )
    found = tissue_concentration(minutes, np.array([transfer, 0.0]), extravascular, plasma)
    assert found[0] == pytest.approx(expected, rel=5e-3)
    assert found[1] == pytest.approx(plasma * plasma_concentration(minutes))


def test_there_is_no_contrast_before_the_bolus():
    assert tissue_concentration(0.0, np.array([0.3]), 0.4, 0.1).tolist() == [0.0]
