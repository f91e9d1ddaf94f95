"""The scanner: signal equation, grey values, enhancement and noise of the simulated volumes."""

from dataclasses import replace

import numpy as np
import pytest

from pre2post.phantom.patient import make_patient
from pre2post.phantom.scanner import acquire
from pre2post.phantom.signal import magnetisation, spoiled_gradient_echo, tissue_signal
from pre2post.phantom.sites import SITES
from pre2post.phantom.tissues import TISSUES


def simulated_steady_state(t1, t2_star, site):
    """Simulate pulse after pulse with perfect spoiling until the signal is constant."""
    longitudinal, angle = 1.0, np.deg2rad(site.flip_angle)
    for _ in range(5000):
        transverse = longitudinal * np.sin(angle)
        longitudinal = 1 + (longitudinal * np.cos(angle) - 1) * np.exp(-site.repetition_time / t1)
    return transverse * np.exp(-site.echo_time / t2_star)


@pytest.mark.parametrize("site", SITES.values(), ids=SITES)
@pytest.mark.parametrize("t1", [250, 1266])
def test_signal_is_the_steady_state_of_a_pulse_train(site, t1):
    assert spoiled_gradient_echo(t1, 40, 1.0, site) == pytest.approx(simulated_steady_state(t1, 40, site), rel=1e-6)


@pytest.mark.parametrize("site", SITES.values(), ids=SITES)
def test_contrast_agent_brightens_blood_much_more_than_fat(site):
    gains = {name: tissue_signal(name, site, 0.5) / tissue_signal(name, site) for name in ("blood", "fat")}
    assert gains["blood"] > 2 > 1.6 > gains["fat"] > 1
    assert tissue_signal("fat", site) > 2 * tissue_signal("gland", site)  # hence fat suppression


@pytest.fixture(scope="module", params=["A", "B"])
def scanned(request):
    site = SITES[request.param]
    patient = make_patient(2026, 7, site.grid(64, 12))
    volumes = acquire(patient, site, [0.0, 2.5, 4.5], np.random.default_rng(1))
    return site, patient, [v.astype(float) for v in volumes]


def test_volumes_have_the_integer_type_of_the_site_and_are_reproducible(scanned):
    site, patient, (pre, _, _) = scanned
    volume = acquire(patient, site, [0.0], np.random.default_rng(1))[0]
    assert volume.dtype == (np.int16 if site.signed else np.uint16)
    assert volume.shape == patient.grid.shape
    assert volume.min() >= 0 and volume.max() < 2**site.bits
    np.testing.assert_array_equal(volume, pre)


def test_grey_levels_before_contrast(scanned):
    """Air is nearly black, fat dark and gland bright; a tumour resembles gland."""
    _, patient, (pre, _, _) = scanned
    share = patient.body.shares
    in_front = np.broadcast_to(patient.grid.axes()[1] < 5, pre.shape)
    gland, fat = pre[share["gland"] > 0.7].mean(), pre[(share["fat"] > 0.85) & in_front].mean()
    assert 0.1 < fat / gland < 0.6
    assert pre[patient.skin > 40].mean() < 0.03 * gland
    assert 0.8 < pre[patient.tumour].mean() / gland < 1.5


def test_tumour_heart_and_vessels_enhance_and_fat_does_not(scanned):
    _, patient, (pre, post1, post2) = scanned
    share = patient.body.shares

    def gain(where, post=post1):
        return post[where].mean() / pre[where].mean()

    assert 1.4 < gain(patient.tumour) < 4
    assert gain(share["blood"] > 0.7) > 2
    assert gain(share["fat"] > 0.9) < 1.15
    assert 1 < gain(share["gland"] > 0.7) < 1.9
    assert gain(share["blood"] > 0.7, post2) < gain(share["blood"] > 0.7)


def test_noise_is_rician(scanned):
    """Without signal, the mean magnitude is sqrt(pi / (4 - pi)) times its standard deviation."""
    site, patient, _ = scanned
    noisy = replace(site, noise=1.0, gain=400.0, bits=16)
    volume = acquire(patient, noisy, [0.0], np.random.default_rng(5))[0].astype(float)
    just_outside = volume[(patient.skin > 6) & (patient.skin < 10)]
    assert len(just_outside) > 300
    assert just_outside.mean() / just_outside.std() == pytest.approx(np.sqrt(np.pi / (4 - np.pi)), rel=0.06)


def test_magnetisation_is_linear_in_the_shares():
    site = SITES["A"]
    patient = make_patient(2026, 3, site.grid(32, 8))
    fat = np.ones(patient.grid.shape)
    total = magnetisation(patient, site, 0.0, fat)
    by_hand = sum(share * tissue_signal(name, site) for name, share in patient.body.shares.items())
    np.testing.assert_allclose(total, by_hand, rtol=1e-12)


def test_labels_are_unique():
    labels = [tissue.label for tissue in TISSUES.values()]
    assert len(set(labels)) == len(labels) and 0 not in labels
