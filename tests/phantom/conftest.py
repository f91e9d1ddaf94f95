"""A small phantom cohort, written once for all tests of the phantom."""

import pytest

from pre2post.phantom.cohort import write_cohort

SMALL = {"cases": 10, "seed": 2026, "matrix": 32, "slices": 8}


@pytest.fixture(scope="session")
def cohort(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantom") / "data"
    write_cohort(folder, **SMALL, workers=1)
    return folder
