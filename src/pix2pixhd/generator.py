"""The coarse-to-fine generator of Pix2PixHD (arXiv 1711.11585, section 3.1 and appendix A.1)."""

import torch
from torch import Tensor, nn

INITIAL_STD = 0.02  # of convolution weights, as in the original implementation (after DCGAN, arXiv 1511.06434)


class ResidualBlock(nn.Module):
    """Two reflection-padded 3x3 convolutions around a skip connection, without an activation after the sum."""

    def __init__(self, width: int):
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), nn.InstanceNorm2d(width), nn.ReLU(),
            nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), nn.InstanceNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_block(x)


class GlobalGenerator(nn.Module):
    """G1: down-samplings, residual blocks at the lowest resolution, up-samplings.

    Maps (N, channels, H, W) in [-1, 1] to the same shape; H and W must be multiples of 2 ** downs.
    With `residual` the output is the input plus the predicted change and not bounded; the original bounds it by a tanh.
    """

    def __init__(self, channels: int = 1, width: int = 64, downs: int = 4, blocks: int = 9, residual: bool = False):
        super().__init__()
        self.residual = residual
        self.model = nn.Sequential(*_trunk(channels, width, downs, blocks), *_image_head(width, channels, residual))
        self.apply(_initialise)

    def forward(self, x: Tensor) -> Tensor:
        image = self.model(x)
        return x + image if self.residual else image


class LocalEnhancer(nn.Module):
    """G2: the global generator without its head, inside `enhancers` enhancers, each twice as fine as the last.

    `width` is that of the outermost enhancer; the global part starts with width * 2 ** enhancers.
    H and W must be multiples of 2 ** (downs + enhancers).
    """

    def __init__(self, channels: int = 1, width: int = 32, downs: int = 4, blocks: int = 9, residual: bool = False,
                 enhancers: int = 1, enhancer_blocks: int = 3):
        super().__init__()
        self.residual = residual
        self.model = nn.Sequential(*_trunk(channels, width * 2**enhancers, downs, blocks))
        self.before, self.after = nn.ModuleList(), nn.ModuleList()
        for level in reversed(range(enhancers)):  # from the innermost, at the lowest resolution, outwards
            inner = width * 2**level
            self.before.append(nn.Sequential(*_first_layer(channels, inner), *_down(inner)))
            self.after.append(nn.Sequential(*(ResidualBlock(inner * 2) for _ in range(enhancer_blocks)), *_up(inner)))
        self.after[-1].extend(_image_head(width, channels, residual))
        self.halve = nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False)
        self.apply(_initialise)

    def forward(self, x: Tensor) -> Tensor:
        pyramid = [x]
        for _ in self.before:
            pyramid.append(self.halve(pyramid[-1]))
        features = self.model(pyramid.pop())
        for before, after in zip(self.before, self.after, strict=True):
            features = after(before(pyramid.pop()) + features)
        return x + features if self.residual else features


def make_generator(kind: str, width: int, downs: int, blocks: int, residual: bool, channels: int = 1) -> nn.Module:
    """A generator by the names that params.yaml and checkpoints use; `kind` is global or local."""
    network = {"global": GlobalGenerator, "local": LocalEnhancer}[kind]
    return network(channels=channels, width=width, downs=downs, blocks=blocks, residual=residual)


def size_multiple(kind: str, downs: int) -> int:
    """Height and width of the input must be multiples of this."""
    return 2 ** (downs + (kind == "local"))


def _trunk(channels: int, width: int, downs: int, blocks: int) -> list[nn.Module]:
    """Everything of G1 but its last convolution: (N, channels, H, W) to (N, width, H, W)."""
    layers = _first_layer(channels, width)
    for level in range(downs):
        layers += _down(width * 2**level)
    layers += [ResidualBlock(width * 2**downs) for _ in range(blocks)]
    for level in reversed(range(downs)):
        layers += _up(width * 2**level)
    return layers


def _first_layer(channels: int, width: int) -> list[nn.Module]:
    return [nn.ReflectionPad2d(3), nn.Conv2d(channels, width, 7), nn.InstanceNorm2d(width), nn.ReLU()]


def _down(width: int) -> list[nn.Module]:
    """Halves the resolution and doubles the width."""
    return [nn.Conv2d(width, width * 2, 3, stride=2, padding=1), nn.InstanceNorm2d(width * 2), nn.ReLU()]


def _up(width: int) -> list[nn.Module]:
    """Doubles the resolution and halves the width to `width`."""
    return [nn.ConvTranspose2d(width * 2, width, 3, stride=2, padding=1, output_padding=1),
            nn.InstanceNorm2d(width), nn.ReLU()]


def _image_head(width: int, channels: int, residual: bool) -> list[nn.Module]:
    return [nn.ReflectionPad2d(3), nn.Conv2d(width, channels, 7), nn.Identity() if residual else nn.Tanh()]


def _initialise(layer: nn.Module) -> None:
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(layer.weight, 0.0, INITIAL_STD)
        torch.nn.init.zeros_(layer.bias)
