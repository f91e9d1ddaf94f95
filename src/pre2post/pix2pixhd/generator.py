"""The coarse-to-fine generator of Pix2PixHD (arXiv 1711.11585, section 3.1 and appendix A.1)."""

from torch import Tensor, nn

from pre2post.pix2pixhd.architecture import Architecture
from pre2post.pix2pixhd.rowwise import RowwiseConv2d

INITIAL_STD = 0.02  # of convolution weights, as in the original implementation (after DCGAN, arXiv 1511.06434)


class ResidualBlock(nn.Module):
    """Two reflection-padded 3x3 convolutions around a skip connection, without an activation after the sum."""

    def __init__(self, width: int):
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(width, width, 3),
            nn.InstanceNorm2d(width),
            nn.ReLU(),
            nn.ReflectionPad2d(1),
            nn.Conv2d(width, width, 3),
            nn.InstanceNorm2d(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_block(x)


class GlobalGenerator(nn.Module):
    """G1: down-samplings, residual blocks at the lowest resolution, up-samplings.

    Maps (N, channels, H, W) in [-1, 1] to the same shape; H and W must be multiples of 2 ** downs.
    With `residual` the output is the input plus the predicted change and not bounded; the original bounds it by a tanh.
    """

    def __init__(self, architecture: Architecture):
        super().__init__()
        self.architecture = architecture
        self.model = nn.Sequential(
            *_trunk(architecture, architecture.width), *_image_head(architecture, architecture.width)
        )
        self.apply(initialise)

    def forward(self, x: Tensor) -> Tensor:
        image = self.model(x)
        return x + image if self.architecture.residual else image


class LocalEnhancer(nn.Module):
    """G2: the global generator without its head, inside `enhancers` enhancers, each twice as fine as the last.

    `width` is that of the outermost enhancer; the global part starts with width * 2 ** enhancers.
    H and W must be multiples of 2 ** (downs + enhancers).
    """

    def __init__(self, architecture: Architecture):
        super().__init__()
        self.architecture = architecture
        self.model = nn.Sequential(*_trunk(architecture, architecture.width * 2**architecture.enhancers))
        self.before, self.after = nn.ModuleList(), nn.ModuleList()
        for level in reversed(range(architecture.enhancers)):  # from the innermost, at the lowest resolution, outwards
            inner = architecture.width * 2**level
            self.before.append(nn.Sequential(*_first_layer(architecture.channels, inner), *_down(inner)))
            self.after.append(
                nn.Sequential(
                    *(ResidualBlock(inner * 2) for _ in range(architecture.enhancer_blocks)),
                    *_up(inner, architecture.upsampling),
                )
            )
        self.after[-1].extend(_image_head(architecture, architecture.width))
        self.halve = nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False)
        self.apply(initialise)

    def forward(self, x: Tensor) -> Tensor:
        pyramid = self.pyramid(x)
        features = self.model(pyramid.pop())
        for before, after in zip(self.before, self.after, strict=True):
            features = after(before(pyramid.pop()) + features)
        return x + features if self.architecture.residual else features

    def pyramid(self, x: Tensor) -> list[Tensor]:
        """The image at every resolution, finest first; the last is what the global part sees."""
        levels = [x]
        for _ in self.before:
            levels.append(self.halve(levels[-1]))
        return levels


class CoarseGenerator(nn.Module):
    """The global part of a local enhancer with an image head of its own, to be trained first, at its low resolution.

    It shares the layers of `local`, so what it learns is there at once; the head is dropped afterwards.
    """

    def __init__(self, local: LocalEnhancer):
        super().__init__()
        self.architecture, self.trunk = local.architecture, local.model
        self.head = nn.Sequential(
            *_image_head(self.architecture, self.architecture.width * 2**self.architecture.enhancers)
        ).apply(initialise)

    def forward(self, x: Tensor) -> Tensor:
        image = self.head(self.trunk(x))
        return x + image if self.architecture.residual else image


def make_generator(architecture: Architecture) -> GlobalGenerator | LocalEnhancer:
    """A generator with initial weights. Raises KeyError for an unknown `kind`."""
    return {"global": GlobalGenerator, "local": LocalEnhancer}[architecture.kind](architecture)


def initialise(layer: nn.Module) -> None:
    """Normal weights; biases keep torch's default, as in the original implementation. Weights to be loaded stay."""
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and not layer.weight.is_meta:
        nn.init.normal_(layer.weight, 0.0, INITIAL_STD)


def _trunk(architecture: Architecture, width: int) -> list[nn.Module]:
    """Everything of G1 but its last convolution: (N, channels, H, W) to (N, width, H, W)."""
    layers = _first_layer(architecture.channels, width)
    for level in range(architecture.downs):
        layers += _down(width * 2**level)
    layers += [ResidualBlock(width * 2**architecture.downs) for _ in range(architecture.blocks)]
    for level in reversed(range(architecture.downs)):
        layers += _up(width * 2**level, architecture.upsampling)
    return layers


def _first_layer(channels: int, width: int) -> list[nn.Module]:
    return [nn.ReflectionPad2d(3), nn.Conv2d(channels, width, 7), nn.InstanceNorm2d(width), nn.ReLU()]


def _down(width: int) -> list[nn.Module]:
    """Halves the resolution and doubles the width."""
    return [nn.Conv2d(width, width * 2, 3, stride=2, padding=1), nn.InstanceNorm2d(width * 2), nn.ReLU()]


def _up(width: int, upsampling: str) -> list[nn.Module]:
    """Doubles the resolution and halves the width to `width`.

    "resize" repeats pixels and then convolves: every pixel gets the same number of contributions, so no checkerboard
    is left behind (Odena et al. 2016, doi 10.23915/distill.00003).
    """
    enlarge = {
        "transposed": [nn.ConvTranspose2d(width * 2, width, 3, stride=2, padding=1, output_padding=1)],
        "resize": [nn.Upsample(scale_factor=2), nn.ReflectionPad2d(1), nn.Conv2d(width * 2, width, 3)],
    }
    return [*enlarge[upsampling], nn.InstanceNorm2d(width), nn.ReLU()]


def _image_head(architecture: Architecture, width: int) -> list[nn.Module]:
    return [
        nn.ReflectionPad2d(3),
        RowwiseConv2d(width, architecture.channels, 7),
        nn.Identity() if architecture.residual else nn.Tanh(),
    ]
