import pytest


@pytest.fixture(autouse=True)
def quiet(one_thread):
    """Use one thread in every test of this folder."""
