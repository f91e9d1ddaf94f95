"""The multi-scale PatchGAN discriminator of Pix2PixHD (arXiv 1711.11585, section 3.1 and appendix A.2)."""

from typing import TYPE_CHECKING

from torch import Tensor, nn

from pre2post.pix2pixhd.generator import initialise

if TYPE_CHECKING:
    from pre2post.pix2pixhd.params import GanParams

MAX_WIDTH = 512  # filters; doubling per layer stops here, as in the original implementation
KERNEL, PADDING = 4, 2  # the original pads by ceil((4 - 1) / 2), so maps grow by one pixel per layer


class PatchDiscriminator(nn.Module):
    """Score overlapping patches: (N, channels, H, W) to the outputs of all layers, the scores last."""

    def __init__(self, channels: int, width: int, layers: int):
        super().__init__()
        self.layers = nn.ModuleList([nn.Sequential(_convolution(channels, width, stride=2), nn.LeakyReLU(0.2))])
        for layer in range(1, layers + 1):
            before, width = width, min(width * 2, MAX_WIDTH)
            stride = 2 if layer < layers else 1
            self.layers.append(
                nn.Sequential(_convolution(before, width, stride), nn.InstanceNorm2d(width), nn.LeakyReLU(0.2))
            )
        self.layers.append(_convolution(width, 1, stride=1))

    def forward(self, x: Tensor) -> list[Tensor]:
        outputs = []
        for layer in self.layers:
            x = layer(x)
            outputs.append(x)
        return outputs


class MultiscaleDiscriminator(nn.Module):
    """The same discriminator at `scales` resolutions, each half the previous one, with separate weights.

    Input: the condition and the image, concatenated as channels. Output: one list of layer outputs per scale, the
    finest scale first.
    """

    def __init__(self, channels: int = 2, width: int = 64, layers: int = 3, scales: int = 2):
        super().__init__()
        self.architecture = {"channels": channels, "width": width, "layers": layers, "scales": scales}
        self.scales = nn.ModuleList(PatchDiscriminator(channels, width, layers) for _ in range(scales))
        self.halve = nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False)
        self.apply(initialise)

    def forward(self, x: Tensor) -> list[list[Tensor]]:
        outputs = []
        for index, scale in enumerate(self.scales):
            x = self.halve(x) if index else x
            outputs.append(scale(x))
        return outputs


def make_discriminator(settings: "GanParams") -> MultiscaleDiscriminator:
    """Build the discriminator of the gan section of params.yaml, for an image and its condition."""
    return MultiscaleDiscriminator(
        2 * settings.channels,
        settings.discriminator_width,
        settings.discriminator_layers,
        settings.discriminator_scales,
    )


def _convolution(before: int, after: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(before, after, KERNEL, stride=stride, padding=PADDING)
