"""One training step as the original implementation of Pix2PixHD takes it: what ours is compared with."""

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss, mse_loss

from pre2post.pix2pixhd.architecture import Architecture
from pre2post.pix2pixhd.discriminator import MultiscaleDiscriminator
from pre2post.pix2pixhd.generator import make_generator


class OriginalPix2PixHD:
    """The algorithm in plain PyTorch, with the networks of this project: float32, contiguous, not compiled.

    The fake image passes the discriminator twice, without a gradient to the generator for the one loss and with it for
    the other; loss_G.backward() computes the discriminator's gradients as well, which zero_grad() then throws away;
    Adam is a loop over the weights, as it was in the PyTorch of 2017. Only published losses, without VGG19.
    """

    def __init__(self, settings, device: str):
        self.settings = settings
        self.generator = _plain(make_generator(Architecture.from_settings(settings))).to(device)
        self.discriminator = _plain(
            MultiscaleDiscriminator(
                2 * settings.channels,
                settings.discriminator_width,
                settings.discriminator_layers,
                settings.discriminator_scales,
            )
        ).to(device)
        self.g_optimiser, self.d_optimiser = (
            torch.optim.Adam(
                network.parameters(), settings.learning_rate, (settings.beta1, 0.999), foreach=False, fused=False
            )
            for network in (self.generator, self.discriminator)
        )

    def step(self, pre: Tensor, post: Tensor) -> dict[str, Tensor]:
        """Improves both networks on a batch (N, C, H, W) in [-1, 1]; returns the losses."""
        fake = self.generator(pre)
        detached_features = self.discriminator(torch.cat([pre, fake.detach()], 1))
        real_features = self.discriminator(torch.cat([pre, post], 1))
        fake_features = self.discriminator(torch.cat([pre, fake], 1))
        d_fake, d_real, g_gan = _gan(detached_features, 0.0), _gan(real_features, 1.0), _gan(fake_features, 1.0)
        g_fm = self._feature_matching(fake_features, real_features)

        self.g_optimiser.zero_grad()
        (g_gan + g_fm).backward()
        self.g_optimiser.step()

        self.d_optimiser.zero_grad()
        ((d_fake + d_real) / 2).backward()
        self.d_optimiser.step()
        return {"g_gan": g_gan.detach(), "g_fm": g_fm.detach(), "d_fake": d_fake.detach(), "d_real": d_real.detach()}

    def _feature_matching(self, fake: list[list[Tensor]], real: list[list[Tensor]]) -> Tensor:
        loss = 0
        for scale, real_scale in zip(fake, real, strict=True):
            for features, real_features in zip(scale[:-1], real_scale[:-1], strict=True):
                loss += 4 / (len(scale) - 1) / len(fake) * l1_loss(features, real_features.detach())
        return self.settings.lambda_fm * loss


def _plain(network: nn.Module) -> nn.Module:
    """The network with torch's own convolutions, where this project has a faster form with the same weights."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            layer.__class__ = nn.Conv2d
    return network


def _gan(outputs: list[list[Tensor]], target: float) -> Tensor:
    return sum(mse_loss(scale[-1], torch.full_like(scale[-1], target)) for scale in outputs)
