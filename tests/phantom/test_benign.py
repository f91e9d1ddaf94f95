"""Benign findings: their frequency, their uptake, and that the tumour mask excludes them."""

import numpy as np
import pytest

from pre2post.phantom.benign import FREQUENCY, Benign, draw_benign, paint_benign
from pre2post.phantom.breast import draw_breasts
from pre2post.phantom.grid import make_grid
from pre2post.phantom.patient import make_patient
from pre2post.phantom.signal import tissue_signal
from pre2post.phantom.sites import SITES
from pre2post.phantom.tissues import Composition


def drawn(number: int) -> Benign:
    rng = np.random.default_rng(number)
    return draw_benign(rng, draw_breasts(rng), [])


def test_findings_are_as_frequent_as_published():
    patients = [drawn(number) for number in range(600)]
    for name in ("fibroadenomas", "cysts", "nodes"):
        assert np.mean([bool(getattr(p, name)) for p in patients]) == pytest.approx(FREQUENCY[name], abs=0.06)
    several = [len(p.fibroadenomas) > 1 for p in patients if p.fibroadenomas]
    assert 0.2 < np.mean(several) < 0.6


def test_findings_keep_away_from_the_tumour():
    rng = np.random.default_rng(1)
    breasts = draw_breasts(rng)
    for number in range(50):
        near = draw_benign(np.random.default_rng(number), breasts, [(tuple(breasts[0].gland_centre), 20.0)])
        for nodule in near.fibroadenomas + near.cysts + near.nodes:
            gap = np.sqrt((np.subtract(nodule.centre, breasts[0].gland_centre) ** 2).sum()) - max(nodule.semi_axes)
            assert gap > 20


def test_painted_findings_fill_their_volume_and_only_fibroadenomas_have_uptake():
    grid = make_grid(320, -125, 96, 24)
    findings = next(f for f in map(drawn, range(200)) if f.fibroadenomas and f.cysts)
    body = Composition(grid.shape)
    transfer = paint_benign(body, findings, grid, np.random.default_rng(0), np.ones(grid.shape))
    painted = body.share("benign").sum() * grid.voxel_volume
    expected = sum(4 / 3 * np.pi * np.prod(nodule.semi_axes) for nodule in findings.fibroadenomas)
    assert 0.5 * expected < painted < 1.1 * expected  # they may overlap
    assert transfer[body.share("benign") > 0].min() > 0


@pytest.mark.parametrize("site", SITES.values(), ids=SITES)
def test_signal_before_contrast(site):
    """Water is dark, protein bright, a fibroadenoma like gland; a clip has none."""
    gland = tissue_signal("gland", site)
    assert tissue_signal("cyst", site) < 0.7 * gland < 1.4 * gland < tissue_signal("protein", site)
    assert tissue_signal("benign", site) == pytest.approx(float(gland), rel=0.15)
    assert tissue_signal("clip", site) == 0


def test_benign_findings_are_not_in_the_mask():
    found = 0
    for number in range(1, 16):
        patient = make_patient(2026, number, SITES["A"].grid(48, 10))
        benign = patient.body.share("benign") > 0.5
        found += benign.sum()
        assert not (benign & patient.tumour).any()
    assert found > 0
