"""Features of a small convolutional network with seeded random weights, for use without trained weights.

Random networks rank generative models similarly to trained ones (Lee, Kim and Lee, arXiv 2208.09218). Distances of
these features are comparable only for the same seed, architecture and number of slices, and are not FID.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pre2post.features.input_slices import check_slices

if TYPE_CHECKING:
    from torch import Tensor

WIDTHS = (
    8,
    12,
    16,
    16,
)  # channels at full to eighth resolution: 104 features, for which a few hundred slices are enough
SMALLEST = 16  # pixels; at eighth resolution reflection padding needs two
SLOPE = 0.2  # of the leaky ReLU
BIAS = 0.1  # SD of the biases, which places the kinks of the ReLUs at different grey levels
GAIN = np.sqrt(2 / (1 + SLOPE**2))  # He et al. 2015, equation 12: preserves the variance between layers
BATCH = 16  # slices; fits the processor's cache at 128 pixels


def random_features(slices: np.ndarray, seed: int) -> np.ndarray:
    """Return features (n, 104) float64 of normalised slices (n, h, w): mean and SD of every channel over the image."""
    import torch

    check_slices(slices, SMALLEST)
    layers = [(torch.from_numpy(kernels), torch.from_numpy(biases)) for kernels, biases in _weights(seed)]
    with torch.inference_mode():
        parts = [
            _forward(torch.from_numpy(np.array(slices[start : start + BATCH], np.float32))[:, None], layers).numpy()
            for start in range(0, len(slices), BATCH)
        ]
    return np.concatenate(parts)


def _weights(seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Draw kernels (out, in, 3, 3) and biases (out,) of each layer with NumPy: the same on every machine."""
    layers = []
    for layer, (inputs, outputs) in enumerate(zip((1, *WIDTHS), WIDTHS, strict=False)):
        rng = np.random.default_rng([seed, layer])
        kernels = rng.normal(0, GAIN / np.sqrt(9 * inputs), (outputs, inputs, 3, 3))
        layers.append((kernels.astype(np.float32), rng.normal(0, BIAS, outputs).astype(np.float32)))
    return layers


def _forward(x: "Tensor", layers: "Sequence[tuple[Tensor, Tensor]]") -> "Tensor":
    """Compute the features (n, 104) float64 of images (n, 1, h, w) float32."""
    import torch
    from torch.nn import functional

    features = []
    for index, (kernels, bias) in enumerate(layers):
        x = functional.avg_pool2d(x, 2) if index else x
        x = functional.conv2d(functional.pad(x, (1, 1, 1, 1), mode="reflect"), kernels, bias)
        x = functional.leaky_relu_(x, SLOPE)
        mean = x.mean(dim=(2, 3))
        sd = (x - mean[:, :, None, None]).square_().mean(dim=(2, 3)).sqrt_()  # ten times as fast as torch.std_mean
        features += [mean, sd]
    return torch.cat(features, dim=1).double()
