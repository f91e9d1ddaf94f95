"""Features of a small convolutional network with seeded random weights: a stand-in where no trained weights are given.

Random networks rank generative models much as trained ones do (Lee, Kim and Lee, arXiv 2208.09218). A distance in this
space is comparable only under the same seed, architecture and number of slices, and is no FID.
"""

import numpy as np

from pre2post.features.slices import check_slices

WIDTHS = (8, 12, 16, 16)  # channels at full to eighth resolution: 104 features, so a few hundred slices suffice
SMALLEST = 16  # pixels: two are left at the eighth for the reflecting border
SLOPE = 0.2  # of the leaky ReLU
BIAS = 0.1  # SD of the biases: spreads the kinks of the ReLUs over the grey levels
GAIN = np.sqrt(2 / (1 + SLOPE**2))  # He et al. 2015, equation 12: keeps the variance from layer to layer
BATCH = 16  # slices at a time: fits the processor's cache at 128 pixels


def random_features(slices, seed: int) -> np.ndarray:
    """Features (n, 104) float64 of normalised slices (n, h, w): mean and SD of every channel over the image."""
    import torch

    check_slices(slices, SMALLEST)
    layers = [tuple(torch.from_numpy(array) for array in layer) for layer in _weights(seed)]
    with torch.inference_mode():
        parts = [
            _forward(torch.from_numpy(np.array(slices[start : start + BATCH], np.float32))[:, None], layers).numpy()
            for start in range(0, len(slices), BATCH)
        ]
    return np.concatenate(parts)


def _weights(seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Kernels (out, in, 3, 3) and biases (out,) of each layer, drawn by NumPy: the same on every machine."""
    layers = []
    for layer, (inputs, outputs) in enumerate(zip((1, *WIDTHS), WIDTHS, strict=False)):
        rng = np.random.default_rng([seed, layer])
        kernels = rng.normal(0, GAIN / np.sqrt(9 * inputs), (outputs, inputs, 3, 3))
        layers.append((kernels.astype(np.float32), rng.normal(0, BIAS, outputs).astype(np.float32)))
    return layers


def _forward(x, layers):
    """(n, 1, h, w) float32 tensor to its features (n, 104) float64."""
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
