import pytest
from matplotlib import pyplot as plt


@pytest.fixture(autouse=True)
def close_figures():
    """Close the figures of every test here."""
    yield
    plt.close("all")
