"""The losses of Pix2PixHD (arXiv 1711.11585, section 3.2), and the pixel-wise terms that are added to them here.

Every loss is a mean over the images of a batch, so that means over parts of a batch average to that of the whole.
"""

import torch
from torch import Tensor

Outputs = list[list[Tensor]]  # of the multi-scale discriminator: [scale][layer]; the last layer holds the scores


def adversarial(outputs: Outputs, real: bool) -> Tensor:
    """Least-squares GAN loss (arXiv 1611.04076), summed over the scales: scores should be 1 if `real`, else 0."""
    return sum(_mean((scale[-1] - float(real)) ** 2) for scale in outputs)


def feature_matching(fake: Outputs, real: Outputs) -> Tensor:
    """Equation 4: L1 between the discriminator's features of the fake and the real image, scores left out.

    Weighted as the original implementation does: 4 / (layers + 1) a layer, averaged over the scales.
    """
    per_layer = [
        4 / (len(scale) - 1) * _mean((fake_features - real_features.detach()).abs())
        for scale, real_scale in zip(fake, real, strict=True)
        for fake_features, real_features in zip(scale[:-1], real_scale[:-1], strict=True)
    ]
    return sum(per_layer) / len(fake)


def lesion_weights(lesion: Tensor, weight: float) -> Tensor:
    """(N, 1, H, W): 1 + weight in the annotated lesion (1 in `lesion`), 1 elsewhere."""
    return 1 + weight * lesion


def enhancement_weights(pre: Tensor, post: Tensor, weight: float) -> Tensor:
    """(N, C, H, W): a pixel that enhances by e counts 1 + weight * e times; images in [-1, 1].

    e is in normalised units (half of the network's) and at least 0.
    """
    return 1 + weight * (post - pre).clamp(min=0) / 2


def absolute_error(fake: Tensor, post: Tensor, weights: Tensor) -> Tensor:
    """Weighted L1, the mean over an image's pixels."""
    return _weighted_mean((fake - post).abs(), weights)


def squared_error(fake: Tensor, post: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean squared error over an image's pixels.

    L1 is least for the median, which in tissue that seldom enhances is "it does not": tumours, a hundredth of the
    pixels, would be painted as gland. The square is least for the mean, and weights that grow with the enhancement say
    how much worse a missed one is than a false one.
    """
    return _weighted_mean((fake - post) ** 2, weights)


def _weighted_mean(errors: Tensor, weights: Tensor) -> Tensor:
    axes = (1, 2, 3)
    return ((weights * errors).mean(axes) / weights.mean(axes)).mean()


def _mean(x: Tensor) -> Tensor:
    """At least in float32, whatever the precision of `x`."""
    return x.mean(dtype=torch.promote_types(x.dtype, torch.float32))
