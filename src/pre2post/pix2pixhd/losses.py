"""The losses of Pix2PixHD (arXiv 1711.11585, section 3.2) and the pixel-wise terms added in this project.

Every loss is a mean over the images of a batch. Weighted by size, the means of parts of a batch give the batch's mean.
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

Outputs = list[list[Tensor]]  # of the multi-scale discriminator: [scale][layer]; the last layer holds the scores


def adversarial(outputs: Outputs, real: bool) -> Tensor:
    """Return the least-squares GAN loss (arXiv 1611.04076), summed over scales. Target score: 1 if `real`, else 0."""
    return total(_mean((scale[-1] - float(real)) ** 2) for scale in outputs)


def feature_matching(fake: Outputs, real: Outputs) -> Tensor:
    """Equation 4: L1 between the discriminator's features of the fake and the real image, without the scores.

    Weighted as in the original implementation: 4 / (layers + 1) per layer, averaged over the scales.
    """
    per_layer = [
        4 / (len(scale) - 1) * _mean((fake_features - real_features.detach()).abs())
        for scale, real_scale in zip(fake, real, strict=True)
        for fake_features, real_features in zip(scale[:-1], real_scale[:-1], strict=True)
    ]
    return total(per_layer) / len(fake)


def lesion_weights(lesion: Tensor, weight: float) -> Tensor:
    """Return pixel weights (N, 1, H, W): 1 + weight in the annotated lesion (1 in `lesion`), 1 elsewhere.

    The optimum of the squared error is then the mean for lesions that are (1 + weight) times as likely. Where a pixel
    has a lesion with probability p, its odds p / (1 - p) count (1 + weight) times. Where p is 0, nothing changes.
    """
    return 1 + weight * lesion


def enhancement_weights(pre: Tensor, post: Tensor, weight: float, span: Sequence[float]) -> Tensor:
    """Return pixel weights (N, C, H, W): 1 + weight * r, where r rises from 0 to 1 over the enhancements in `span`.

    span: in normalised units, half of the network's; images are in [-1, 1]. Below span[0], air, lung and noise keep
    weight 1.

    Weights that depend on the target bias the optimum of the squared error. It is E[w e] / E[w], the mean of the
    enhancement e plus cov(w, e) / E[w]. Tissue that never reaches span[0] has no bias.
    """
    low, high = span
    return 1 + weight * (((post - pre) / 2 - low) / (high - low)).clamp(0, 1)


def absolute_error(fake: Tensor, post: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted L1 loss: the mean over the pixels of each image, then over images."""
    return _weighted_mean((fake - post).abs(), weights)


def squared_error(fake: Tensor, post: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted mean squared error: the mean over the pixels of each image, then over images.

    The optimum of L1 is the median, and the median of tissue that seldom enhances is "no enhancement": tumours, about
    1 % of the pixels, would look like gland. The optimum of the squared error is the mean.
    """
    return _weighted_mean((fake - post) ** 2, weights)


def total(losses: Iterable[Tensor]) -> Tensor:
    """Add tensors in their order; the built-in sum would start with an integer."""
    first, *others = losses
    for loss in others:
        first = first + loss
    return first


def _weighted_mean(errors: Tensor, weights: Tensor) -> Tensor:
    axes = (1, 2, 3)
    return ((weights * errors).mean(axes) / weights.mean(axes)).mean()


def _mean(x: Tensor) -> Tensor:
    """Return the mean in float32 or better, whatever the precision of `x`."""
    return x.mean(dtype=torch.promote_types(x.dtype, torch.float32))
