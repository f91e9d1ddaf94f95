"""The coarse-to-fine generator of Pix2PixHD (arXiv 1711.11585, section 3.1 and appendix A.1)."""

from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from pre2post.pix2pixhd.architecture import Architecture

INITIAL_STD = 0.02  # of convolution weights, as in the original implementation (after DCGAN, arXiv 1511.06434)


class RowwiseConv2d(nn.Conv2d):
    """nn.Conv2d without padding or stride, faster on a CPU for very few filters; the result is equal up to rounding.

    A CPU computes 16 filters at once, even if one is needed. Here each row of the kernel becomes a filter, and the maps
    are shifted and added. The last layer of a generator then takes a third to a half of the time.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu":
            return super().forward(x)
        filters, channels, rows, columns = self.weight.shape
        kernels = self.weight.transpose(1, 2).reshape(filters * rows, channels, 1, columns)
        maps = conv2d(x, kernels).unflatten(1, (filters, rows))
        height = x.shape[2] - rows + 1
        total = maps[:, :, 0, :height]
        for row in range(1, rows):
            total = total + maps[:, :, row, row : row + height]
        return total if self.bias is None else total + self.bias[:, None, None].to(total.dtype)


class ResidualBlock(nn.Module):
    """Two reflection-padded 3 x 3 convolutions with a skip connection, and no activation after the sum."""

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
    """G1: down-sampling, residual blocks at the lowest resolution, up-sampling.

    Map (N, input channels, H, W) in [-1, 1] to (N, channels, H, W); H and W must be multiples of 2 ** downs.
    With `residual` the output is the input plus the predicted change, unbounded; the original bounds it by a tanh.
    """

    def __init__(self, architecture: Architecture):
        super().__init__()
        self.architecture = architecture
        self.model = nn.Sequential(
            *_trunk(architecture, architecture.width), *_image_head(architecture, architecture.width)
        )
        self.apply(initialise)

    def forward(self, x: Tensor) -> Tensor:
        return add_change(x, self.model(x), self.architecture)


class LocalEnhancer(nn.Module):
    """G2: the global generator without its head, inside `enhancers` enhancers, each at twice the resolution.

    `width` is the width of the outermost enhancer; the global part starts with width * 2 ** enhancers.
    H and W must be multiples of 2 ** (downs + enhancers).
    """

    def __init__(self, architecture: Architecture):
        super().__init__()
        self.architecture = architecture
        self.model = nn.Sequential(*_trunk(architecture, architecture.width * 2**architecture.enhancers))
        self.before, self.after = nn.ModuleList(), nn.ModuleList()
        for level in reversed(range(architecture.enhancers)):  # from the innermost, at the lowest resolution, outwards
            inner = architecture.width * 2**level
            self.before.append(nn.Sequential(*_first_layer(architecture.input_channels, inner), *_down(inner)))
            after: list[nn.Module] = [ResidualBlock(inner * 2) for _ in range(architecture.enhancer_blocks)]
            after += _up(inner, architecture.upsampling)
            after += _image_head(architecture, architecture.width) if level == 0 else []
            self.after.append(nn.Sequential(*after))
        self.halve = nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False)
        self.apply(initialise)

    def forward(self, x: Tensor) -> Tensor:
        pyramid = self.pyramid(x)
        features = self.model(pyramid.pop())
        for before, after in zip(self.before, self.after, strict=True):
            features = after(before(pyramid.pop()) + features)
        return add_change(x, features, self.architecture)

    def pyramid(self, x: Tensor) -> list[Tensor]:
        """Return the image at every resolution, finest first; the last one is the input of the global part."""
        levels = [x]
        for _ in self.before:
            levels.append(self.halve(levels[-1]))
        return levels


class CoarseGenerator(nn.Module):
    """The global part of a local enhancer with a separate image head, to be trained first, at its low resolution.

    It shares its layers with `local`. The head is dropped after that training stage.
    """

    def __init__(self, local: LocalEnhancer):
        super().__init__()
        self.architecture, self.trunk = local.architecture, local.model
        self.head = nn.Sequential(
            *_image_head(self.architecture, self.architecture.width * 2**self.architecture.enhancers)
        ).apply(initialise)

    def forward(self, x: Tensor) -> Tensor:
        return add_change(x, self.head(self.trunk(x)), self.architecture)


Generator: TypeAlias = GlobalGenerator | LocalEnhancer


def make_generator(architecture: Architecture) -> Generator:
    """Build a generator with initial weights. Raises KeyError for an unknown `kind`."""
    kinds: dict[str, type[GlobalGenerator] | type[LocalEnhancer]] = {"global": GlobalGenerator, "local": LocalEnhancer}
    return kinds[architecture.kind](architecture)


def network_input(slices: Tensor, channels: int) -> Tensor:
    """Return the input of a generator: the slice in each of its channels, then the neighbours.

    slices: (N, 1 + 2 * neighbours, H, W) in [-1, 1], the slice itself first, see neighbours.with_neighbours.
    """
    return torch.cat([slices[:, :1].expand(-1, channels, -1, -1), slices[:, 1:]], 1)


def add_change(x: Tensor, output: Tensor, architecture: Architecture) -> Tensor:
    """Return the image of a generator: its output, added to the input's image if the architecture is residual."""
    return x[:, : architecture.channels] + output if architecture.residual else output


def initialise(layer: nn.Module) -> None:
    """Draw normal weights. Biases keep torch's default, as in the original implementation; skip meta tensors."""
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and not layer.weight.is_meta:
        nn.init.normal_(layer.weight, 0.0, INITIAL_STD)


def _trunk(architecture: Architecture, width: int) -> list[nn.Module]:
    """Return all layers of G1 except its last convolution: (N, channels, H, W) to (N, width, H, W)."""
    layers = _first_layer(architecture.input_channels, width)
    for level in range(architecture.downs):
        layers += _down(width * 2**level)
    layers += [ResidualBlock(width * 2**architecture.downs) for _ in range(architecture.blocks)]
    for level in reversed(range(architecture.downs)):
        layers += _up(width * 2**level, architecture.upsampling)
    return layers


def _first_layer(channels: int, width: int) -> list[nn.Module]:
    return [nn.ReflectionPad2d(3), nn.Conv2d(channels, width, 7), nn.InstanceNorm2d(width), nn.ReLU()]


def _down(width: int) -> list[nn.Module]:
    """Return layers that halve the resolution and double the width."""
    return [nn.Conv2d(width, width * 2, 3, stride=2, padding=1), nn.InstanceNorm2d(width * 2), nn.ReLU()]


def _up(width: int, upsampling: str) -> list[nn.Module]:
    """Return layers that double the resolution and halve the width to `width`.

    "resize" repeats pixels and then convolves. Every pixel gets the same number of contributions, which avoids
    checkerboard artifacts (Odena et al. 2016, doi 10.23915/distill.00003).
    """
    enlarge: dict[str, list[nn.Module]] = {
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
