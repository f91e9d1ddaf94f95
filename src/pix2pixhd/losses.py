"""The losses of Pix2PixHD (arXiv 1711.11585, section 3.2), and the enhancement term that is added to them here."""

import torch
from torch import Tensor
from torch.nn.functional import l1_loss, mse_loss

Outputs = list[list[Tensor]]  # of the multi-scale discriminator: [scale][layer]; the last layer holds the scores


def adversarial(outputs: Outputs, real: bool) -> Tensor:
    """Least-squares GAN loss (arXiv 1611.04076), summed over the scales: scores should be 1 if `real`, else 0."""
    return sum(mse_loss(scale[-1], torch.full_like(scale[-1], float(real))) for scale in outputs)


def feature_matching(fake: Outputs, real: Outputs) -> Tensor:
    """Equation 4: L1 between the discriminator's features of the fake and the real image, scores left out.

    Weighted as the original implementation does: 4 / (layers + 1) a layer, averaged over the scales.
    """
    per_layer = [4 / (len(scale) - 1) * l1_loss(fake_features, real_features.detach())
                 for scale, real_scale in zip(fake, real, strict=True)
                 for fake_features, real_features in zip(scale[:-1], real_scale[:-1], strict=True)]
    return sum(per_layer) / len(fake)


def enhancement_loss(fake: Tensor, post: Tensor, pre: Tensor, weight: float) -> Tensor:
    """Mean squared error in which a pixel that enhances by e counts 1 + weight * e times; images in [-1, 1].

    L1 is least for the median, which in tissue that seldom enhances is "it does not": tumours, a hundredth of the
    pixels, would be painted as gland. The square is least for the mean, and the weight says how much worse a missed
    enhancement is than a false one. e is in normalised units (half of the network's) and at least 0.
    """
    weights = 1 + weight * (post - pre).clamp(min=0) / 2
    return (weights * (fake - post) ** 2).mean() / weights.mean()
