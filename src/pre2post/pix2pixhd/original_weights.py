"""Weights of the original Pix2PixHD implementation (NVIDIA/pix2pixHD), read into the networks of this room.

The layers are the same, with the idle biases before each normalisation; only some of the names differ:

    original                       here
    model.<k>                      model.<k>                      global generator, or global part of a local one
    model<n>_1.<k>                 before.<n - 1>.<k>             enhancer n, from 1, the innermost
    model<n>_2.<k>                 after.<n - 1>.<k>
    scale<i>_layer<j>.0            scales.<last - i>.layers.<j>   the original counts its scales from the coarsest
    layer<i>.<0, 2, 5, 8, ...>     scales.<last - i>.layers.<j>   the same, trained without feature matching

What network it is, keys and shapes tell; whatever then differs from that network is refused.
"""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from itertools import count, takewhile
from pathlib import Path

import torch
from torch import Tensor, nn

from pre2post.core.errors import InputError
from pre2post.pix2pixhd.architecture import Architecture
from pre2post.pix2pixhd.checkpoint import save_discriminator, save_generator
from pre2post.pix2pixhd.discriminator import MultiscaleDiscriminator
from pre2post.pix2pixhd.generator import make_generator
from pre2post.pix2pixhd.state_dict import read_state_dict

TODO = (
    "give a Pix2PixHD generator or discriminator with instance normalisation (no weights or statistics of its own) "
    "and 1 or 3 channels an image, as the original saves it in <epoch>_net_G.pth"
)
Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Original:
    """A network with the original's weights, ready to run, and the sha256 of the file they came from."""

    network: nn.Module
    sha256: str

    def save(self, path: Path, trained_on: Collection[str] | None = None) -> None:
        """Writes the safetensors file that load_generator or load_discriminator reads, and who trained it."""
        save = save_discriminator if isinstance(self.network, MultiscaleDiscriminator) else save_generator
        save(self.network, path, trained_on)

    def __str__(self) -> str:
        architecture = self.network.architecture
        if isinstance(self.network, MultiscaleDiscriminator):
            kind, facts = "discriminator", architecture
        else:
            names = ["channels", "width", "downs", "blocks"]
            names += ["enhancers", "enhancer_blocks"] if architecture.kind == "local" else []
            kind, facts = f"{architecture.kind} generator", {name: getattr(architecture, name) for name in names}
        words = ", ".join(f"{name} {value}" for name, value in facts.items())
        return f"{kind}: {words}; {sum(weight.numel() for weight in self.network.parameters()):,} parameters"


def read_original(path: Path) -> Original:
    """The network in a file of the original implementation.

    Runs no code of the file. Raises InputError, naming the first key that differs, for anything but such a network.
    """
    weights, sha256 = read_state_dict(path)
    try:
        network, rename = _network({key: tuple(weight.shape) for key, weight in weights.items()})
        # IngestResult one by one, so that never all weights are in memory twice when they have to be converted.
        own = {name: _float32(rename(name), weights.pop(rename(name))) for name in network.state_dict()}
    except _Misfit as misfit:
        key, found, expected = misfit.args
        raise InputError(
            f"the first key that differs is {key!r}", file=path, found=found, expected=expected, hint=TODO
        ) from None
    network.load_state_dict(own, assign=True)
    return Original(network.eval().requires_grad_(False), sha256)


class _Misfit(Exception):
    """A key, what was found there, what was expected."""


def _network(shapes: Shapes) -> tuple[nn.Module, Callable[[str], str]]:
    """A network without memory, and the original's names for its weights."""
    with torch.device("meta"):  # no time for initial weights that are replaced at once
        if any(key.startswith("model") for key in shapes):
            network, rename = make_generator(_architecture(shapes)), _generator_key
        else:
            apart = "layer0.0.weight" not in shapes
            network = MultiscaleDiscriminator(**_discriminator_plan(shapes, apart))
            rename = partial(_discriminator_key, coarsest=network.architecture["scales"] - 1, apart=apart)
    _compare({rename(name): tuple(weight.shape) for name, weight in network.state_dict().items()}, shapes)
    return network, rename


def _architecture(shapes: Shapes) -> Architecture:
    """Of a generator. Takes every part as there at least once, so that the comparison names the first missing key."""
    enhancers = _count(shapes, "model{}_1.", 1)
    width, channels = _first_layer(shapes, f"model{enhancers}_1.1.weight" if enhancers else "model.1.weight", (1, 3))
    # The convolutions outside the blocks: the first, each down- and up-sampling, and without enhancers the last.
    convolutions = sum(len(shape) == 4 for key, shape in shapes.items() if re.fullmatch(r"model\.\d+\.weight", key))
    architecture = {
        "channels": channels,
        "width": width,
        "downs": (convolutions - (not enhancers)) // 2,
        "blocks": _blocks(shapes, "model"),
    }
    if not enhancers:
        return Architecture("global", **architecture)
    return Architecture("local", **architecture, enhancers=enhancers, enhancer_blocks=_blocks(shapes, "model1_2"))


def _discriminator_plan(shapes: Shapes, apart: bool) -> dict[str, int]:
    width, channels = _first_layer(shapes, "scale0_layer0.0.weight" if apart else "layer0.0.weight", (2, 6))
    layers = _count(shapes, "scale0_layer{}.") - 2 if apart else _count(shapes, "layer0.{}.", 2, 3) - 1
    return {
        "channels": channels,
        "width": width,
        "layers": max(1, layers),
        "scales": _count(shapes, "scale{}_layer0." if apart else "layer{}.0."),
    }


def _count(shapes: Shapes, prefix: str, start: int = 0, step: int = 1) -> int:
    """How many numbers of start, start + step, ... make `prefix` that of a key, up to the first that does not."""
    return len(
        list(takewhile(lambda number: any(key.startswith(prefix.format(number)) for key in shapes), count(start, step)))
    )


def _blocks(shapes: Shapes, part: str) -> int:
    found = {match[1] for key in shapes if (match := re.match(rf"{part}\.(\d+)\.conv_block\.", key))}
    return max(1, len(found))


def _first_layer(shapes: Shapes, key: str, channels: tuple[int, int]) -> tuple[int, int]:
    """Filters and input channels of the first convolution, which must be of one of the two numbers of `channels`."""
    shape = shapes.get(key, ())
    if len(shape) != 4 or shape[0] == 0 or shape[1] not in channels:
        expected = f"filters x channels x height x width, with {channels[0]} or {channels[1]} channels"
        raise _Misfit(key, _written(shapes.get(key)), expected)
    return shape[:2]


def _generator_key(name: str) -> str:
    """The original's name of a weight of ours."""
    part, number, *layer = name.split(".")
    if part == "model":
        return name
    return ".".join([f"model{int(number) + 1}_{1 if part == 'before' else 2}", *layer])


def _discriminator_key(name: str, coarsest: int, apart: bool) -> str:
    """The original's name of a weight of ours, with its layers apart, as feature matching needs them, or in a row."""
    _, scale, _, layer, *_, kind = name.split(".")
    scale, layer = coarsest - int(scale), int(layer)
    return f"scale{scale}_layer{layer}.0.{kind}" if apart else f"layer{scale}.{max(0, 3 * layer - 1)}.{kind}"


def _compare(expected: Shapes, found: Shapes) -> None:
    """Raises _Misfit for the first key that is missing or has another shape, else for the first that is too many."""
    for key, shape in expected.items():
        if found.get(key) != shape:
            raise _Misfit(key, _written(found.get(key)), _written(shape))
    for key in found:
        if key not in expected:
            raise _Misfit(key, "one key too many", "only those of the network that the others describe")


def _written(shape: tuple[int, ...] | None) -> str:
    return "no such key" if shape is None else f"shape {' x '.join(map(str, shape)) or '()'}"


def _float32(key: str, weight: Tensor) -> Tensor:
    """As the networks run here, whatever the file holds: exact from half and bfloat16, rounded from float64."""
    if not weight.is_floating_point():
        raise _Misfit(key, f"numbers of type {weight.dtype}", "floating-point numbers")
    weight = weight.to(torch.float32).contiguous()
    if not torch.stack(weight.aminmax()).isfinite().all():  # NaN is both the least and the greatest
        raise _Misfit(key, "NaN or infinite weights", "finite numbers")
    return weight
