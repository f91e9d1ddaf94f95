"""A phantom patient, whose body and breasts are known."""

import numpy as np
import pytest

from pre2post.image.breast_mask import BACK_OF_BREAST


@pytest.fixture(scope="session", params=[("A", 1), ("A", 2), ("B", 3)])
def phantom_patient(request):
    """(pre, spacing, tissue, region in front of the chest wall, tumour) of a phantom patient of one site."""
    from pre2post.phantom.patient import make_patient
    from pre2post.phantom.scanner import acquire
    from pre2post.phantom.sites import SITES
    from pre2post.phantom.torso import draw_torso, wall_distance

    name, number = request.param
    site = SITES[name]
    grid = site.grid(96, 14)
    patient = make_patient(7, number, grid)
    (pre,) = acquire(patient, site, [0.0], np.random.default_rng(number))
    front = wall_distance(draw_torso(np.random.default_rng([7, number, 0])), grid) > 0
    front &= grid.axes()[1] < BACK_OF_BREAST  # the phantom's y is 0 at the skin over the sternum
    return pre, grid.spacing, patient.labels() > 0, front, patient.tumour
