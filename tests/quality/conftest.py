import numpy as np
import pytest
from scipy.ndimage import gaussian_filter


@pytest.fixture(autouse=True)
def one_thread():
    """The networks here are too small to share: waiting threads cost more than they bring."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tumour_slices():
    """tumour_slices(n, share, seed) -> normalised slices (n, 64, 64): textured discs, a `share` with a bright tumour.

    The same seed gives the same anatomy whatever the share, so that only the tumours differ.
    """
    y, x = np.mgrid[:64, :64]

    def make(n: int, share: float, seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        slices = np.empty((n, 64, 64), np.float32)
        for i in range(n):
            radius, cx, cy = rng.uniform(18, 28), *rng.uniform(28, 36, 2)
            breast = (x - cx) ** 2 + (y - cy) ** 2 < radius**2
            texture = gaussian_filter(rng.normal(size=(64, 64)), 2)
            image = breast * (rng.uniform(0.2, 0.3) + 0.3 * texture) + rng.normal(0, 0.01, (64, 64))
            tx, ty = cx + rng.uniform(-9, 9), cy + rng.uniform(-9, 9)
            size, bright = rng.uniform(3, 6), rng.uniform(0.3, 0.5)
            tumour = np.exp(-(((x - tx) ** 2 + (y - ty) ** 2) / size**2) ** 2)
            slices[i] = image + (bright * tumour if i < share * n else 0)
        return slices

    return make
