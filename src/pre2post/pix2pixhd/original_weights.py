"""Read weights of the original Pix2PixHD implementation (NVIDIA/pix2pixHD) into the networks of this package.

The layers are the same, including the biases without effect before each normalisation. Only some names differ:

    original                       here
    model.<k>                      model.<k>                      global generator, or global part of a local one
    model<n>_1.<k>                 before.<n - 1>.<k>             enhancer n, from 1, the innermost
    model<n>_2.<k>                 after.<n - 1>.<k>
    scale<i>_layer<j>.0            scales.<last - i>.layers.<j>   the original counts its scales from the coarsest
    layer<i>.<0, 2, 5, 8, ...>     scales.<last - i>.layers.<j>   the same, trained without feature matching

Keys and shapes determine the architecture. Any other difference is an error.
"""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from itertools import count, takewhile
from pathlib import Path

import torch
from torch import Tensor

from pre2post.core.errors import InputError
from pre2post.pix2pixhd.architecture import Architecture
from pre2post.pix2pixhd.checkpoint import save_discriminator, save_generator
from pre2post.pix2pixhd.discriminator import MultiscaleDiscriminator
from pre2post.pix2pixhd.generator import Generator, make_generator
from pre2post.pix2pixhd.state_dict import read_state_dict

HINT = (
    "use a Pix2PixHD generator or discriminator with instance normalisation (without weights or running statistics) "
    "and 1 or 3 channels per image, as the original saves it in <epoch>_net_G.pth"
)
Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Original:
    """A network with the original's weights, in evaluation mode, and the SHA-256 of their file."""

    network: Generator | MultiscaleDiscriminator
    sha256: str

    def save(self, path: Path, trained_on: Collection[str] | None = None) -> None:
        """Write a weights file for load_generator or load_discriminator; trained_on as in save_generator."""
        if isinstance(self.network, MultiscaleDiscriminator):
            save_discriminator(self.network, path, trained_on)
        else:
            save_generator(self.network, path, trained_on)

    def __str__(self) -> str:
        if isinstance(self.network, MultiscaleDiscriminator):
            kind, facts = "discriminator", self.network.architecture
        else:
            architecture = self.network.architecture
            names = ["channels", "width", "downs", "blocks"]
            names += ["enhancers", "enhancer_blocks"] if architecture.kind == "local" else []
            kind, facts = f"{architecture.kind} generator", {name: getattr(architecture, name) for name in names}
        words = ", ".join(f"{name} {value}" for name, value in facts.items())
        return f"{kind}: {words}; {sum(weight.numel() for weight in self.network.parameters()):,} parameters"


def read_original(path: Path) -> Original:
    """Read a network from a file of the original implementation, without running code in it.

    Raises InputError, naming the first key that differs, if the file holds anything else.
    """
    weights, sha256 = read_state_dict(path)
    try:
        network, rename = _network({key: tuple(weight.shape) for key, weight in weights.items()})
        # One by one, so that memory never holds all weights twice when they need conversion.
        own = {name: _float32(rename(name), weights.pop(rename(name))) for name in network.state_dict()}
    except _Mismatch as mismatch:
        key, found, expected = mismatch.args
        raise InputError(
            f"the first key that differs is {key!r}", file=path, found=found, expected=expected, hint=HINT
        ) from None
    network.load_state_dict(own, assign=True)
    return Original(network.eval().requires_grad_(False), sha256)


class _Mismatch(Exception):
    """Its arguments: a key, the value found and the value expected."""


def _network(shapes: Shapes) -> tuple[Generator | MultiscaleDiscriminator, Callable[[str], str]]:
    """Build a network on the meta device, and a function from its weights' names to the original's."""
    network: Generator | MultiscaleDiscriminator
    rename: Callable[[str], str]
    with torch.device("meta"):  # no time for initial weights that are replaced at once
        if any(key.startswith("model") for key in shapes):
            network, rename = make_generator(_generator_architecture(shapes)), _generator_key
        else:
            separate = "layer0.0.weight" not in shapes
            architecture = _discriminator_architecture(shapes, separate)
            network = MultiscaleDiscriminator(**architecture)
            rename = partial(_discriminator_key, coarsest=architecture["scales"] - 1, separate=separate)
    _compare({rename(name): tuple(weight.shape) for name, weight in network.state_dict().items()}, shapes)
    return network, rename


def _generator_architecture(shapes: Shapes) -> Architecture:
    """Count layers. Every part is assumed at least once, so that _compare can name the first missing key."""
    enhancers = _count(shapes, "model{}_1.", 1)
    width, channels = _first_layer(shapes, f"model{enhancers}_1.1.weight" if enhancers else "model.1.weight", (1, 3))
    # The convolutions outside the blocks: the first, each down- and up-sampling, and without enhancers the last.
    convolutions = sum(len(shape) == 4 for key, shape in shapes.items() if re.fullmatch(r"model\.\d+\.weight", key))
    downs, blocks = (convolutions - (not enhancers)) // 2, _blocks(shapes, "model")
    if not enhancers:
        return Architecture("global", channels, width, downs, blocks)
    return Architecture("local", channels, width, downs, blocks, enhancers, _blocks(shapes, "model1_2"))


def _discriminator_architecture(shapes: Shapes, separate: bool) -> dict[str, int]:
    width, channels = _first_layer(shapes, "scale0_layer0.0.weight" if separate else "layer0.0.weight", (2, 6))
    layers = _count(shapes, "scale0_layer{}.") - 2 if separate else _count(shapes, "layer0.{}.", 2, 3) - 1
    return {
        "channels": channels,
        "width": width,
        "layers": max(1, layers),
        "scales": _count(shapes, "scale{}_layer0." if separate else "layer{}.0."),
    }


def _count(shapes: Shapes, prefix: str, start: int = 0, step: int = 1) -> int:
    """Count the numbers start, start + step, ... for which a key begins with `prefix`, up to the first gap."""
    return len(
        list(takewhile(lambda number: any(key.startswith(prefix.format(number)) for key in shapes), count(start, step)))
    )


def _blocks(shapes: Shapes, part: str) -> int:
    found = {match[1] for key in shapes if (match := re.match(rf"{part}\.(\d+)\.conv_block\.", key))}
    return max(1, len(found))


def _first_layer(shapes: Shapes, key: str, channels: tuple[int, int]) -> tuple[int, int]:
    """Return filters and input channels of the first convolution; `channels` are the two permitted numbers."""
    shape = shapes.get(key, ())
    if len(shape) != 4 or shape[0] == 0 or shape[1] not in channels:
        expected = f"filters x channels x height x width, with {channels[0]} or {channels[1]} channels"
        raise _Mismatch(key, _in_words(shapes.get(key)), expected)
    return shape[0], shape[1]


def _generator_key(name: str) -> str:
    """Return the original's name of a weight."""
    part, number, *layer = name.split(".")
    if part == "model":
        return name
    return ".".join([f"model{int(number) + 1}_{1 if part == 'before' else 2}", *layer])


def _discriminator_key(name: str, coarsest: int, separate: bool) -> str:
    """Return the original's name of a weight; layers are `separate` for feature matching, else in one sequence."""
    _, scale, _, layer, *_, kind = name.split(".")
    original_scale = coarsest - int(scale)
    if separate:
        return f"scale{original_scale}_layer{int(layer)}.0.{kind}"
    return f"layer{original_scale}.{max(0, 3 * int(layer) - 1)}.{kind}"


def _compare(expected: Shapes, found: Shapes) -> None:
    """Raise _Mismatch for the first key that is missing or has another shape, else for the first surplus key."""
    for key, shape in expected.items():
        if found.get(key) != shape:
            raise _Mismatch(key, _in_words(found.get(key)), _in_words(shape))
    for key in found:
        if key not in expected:
            raise _Mismatch(key, "one key too many", "only keys of the network that the others describe")


def _in_words(shape: tuple[int, ...] | None) -> str:
    return "no such key" if shape is None else f"shape {' x '.join(map(str, shape)) or '()'}"


def _float32(key: str, weight: Tensor) -> Tensor:
    """Convert to float32, the type of all networks here: exact from half and bfloat16, rounded from float64."""
    if not weight.is_floating_point():
        raise _Mismatch(key, f"numbers of type {weight.dtype}", "floating-point numbers")
    weight = weight.to(torch.float32).contiguous()
    if not torch.stack(weight.aminmax()).isfinite().all():  # if there is a NaN, minimum and maximum are NaN
        raise _Mismatch(key, "NaN or infinite weights", "finite numbers")
    return weight
