"""Motion between phases: its size, a shift in k-space, and the phase that stays in place."""

import numpy as np
import pytest

from pre2post.phantom import case as phantom_case
from pre2post.phantom.case import acquire_case
from pre2post.phantom.grid import make_grid
from pre2post.phantom.motion import REST, Motion, draw_motion, move
from pre2post.phantom.roster import make_roster

GRID = make_grid(320, -125, 64, 4)


def blob(x, y):
    """A smooth spot at (x, y) in mm."""
    ax, ay, az = GRID.axes()
    return np.exp(-((ax - x) ** 2 + (ay - y) ** 2) / 200) + 0 * az


def test_a_shift_moves_the_image_by_its_millimetres():
    moved = move(blob(20, -30), Motion((2.5, -1.5), 0.0, (0.0, 0.0)), GRID)
    np.testing.assert_allclose(moved, blob(22.5, -31.5), atol=1e-3)


def test_the_breasts_move_on_their_own_and_the_back_stays():
    motion = Motion((0.0, 0.0), 2.0, (0.0, 3.0))
    assert np.abs(motion.along_x(GRID)[0, GRID.axes()[1].ravel() > 20]).max() == 0
    np.testing.assert_allclose(motion.along_y(GRID)[0, 0, GRID.axes()[0].ravel() < -40], 0, atol=0.1)
    np.testing.assert_allclose(move(blob(72, -60), motion, GRID), blob(74, -57), atol=0.06)
    assert move(blob(0, 0), REST, GRID) is not None


def test_drawn_motions_are_1_to_3_mm():
    distances = [draw_motion(np.random.default_rng(number)).distance for number in range(200)]
    assert 1.0 <= min(distances) < 1.2 and 2.8 < max(distances) <= 3.0 + 1e-9


def test_the_tumour_is_annotated_on_the_first_phase_after_contrast(monkeypatch):
    """That phase is the same if the patient keeps still; the others are not."""
    case = make_roster(160, 2026)[6]
    moving = acquire_case(case, 2026, 32, 8, noisy=False).volumes
    monkeypatch.setattr(phantom_case, "draw_motion", lambda rng: draw_motion(rng) and REST)
    still = acquire_case(case, 2026, 32, 8, noisy=False).volumes
    np.testing.assert_array_equal(moving[1], still[1])
    for phase in (0, 2):
        assert np.abs(moving[phase] - still[phase]).max() > 0.05 * still[phase].max()


def test_the_noise_free_case_differs_from_the_noisy_one_by_noise_alone():
    case = make_roster(160, 2026)[6]
    noisy, clean = (acquire_case(case, 2026, 64, 12, noisy=noisy) for noisy in (True, False))
    assert clean.volumes[1].dtype == np.float64 and clean.plain is None
    assert noisy.facts == clean.facts
    np.testing.assert_array_equal(noisy.patient.tumour, clean.patient.tumour)
    for with_noise, without in zip(noisy.volumes, clean.volumes, strict=True):
        body = noisy.patient.skin < -5
        difference = with_noise[body] - without[body]
        assert 1 < difference.std() < 0.2 * without[body].max()
        assert np.corrcoef(with_noise[body], without[body])[0, 1] > 0.9


@pytest.mark.parametrize("repeat", [0, 1])
def test_the_noise_free_volume_is_reproducible(repeat):
    case = make_roster(160, 2026)[repeat]
    first, again = (acquire_case(case, 2026, 32, 8, noisy=False).volumes for _ in range(2))
    np.testing.assert_array_equal(first, again)
