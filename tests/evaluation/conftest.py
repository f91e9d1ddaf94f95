import pytest


@pytest.fixture(autouse=True)
def quiet(one_thread):
    """For every test here."""
