import pytest


@pytest.fixture(autouse=True)
def quiet(one_thread):
    """Run every test here on one thread."""
