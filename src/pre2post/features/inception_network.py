"""The layers of InceptionV3 (Szegedy et al. 2015, arXiv 1512.00567) up to its pooled features.

Names and order are torchvision's. Torchvision's keys consist of the names, those of RadImageNet's port of the indices.
Keras creates the convolutions in the same order. The published networks differ in their pooling.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

EPSILON = 0.001  # of the batch norms: TensorFlow's value, with which all these weights were trained or ported
AVERAGE, LAST, SHRINK = "average", "last", "shrink"  # 3 x 3 pools: two keep the size, one halves it


@dataclass(frozen=True)
class Pooling:
    """The differences between the published networks. padding_counts: averages at the border include zeros."""

    padding_counts: bool
    last_is_max: bool  # the pool of the last block; an average in the paper


POOLING = {
    "fid": Pooling(padding_counts=False, last_is_max=True),
    "keras": Pooling(padding_counts=False, last_is_max=False),
    "torchvision": Pooling(padding_counts=True, last_is_max=False),
}


# A convolution is (channels, kernel, stride, padding). Defaults: stride 1 and "same"; no padding with a stride. A block
# is a dict of branches, each a list of steps; a nested list holds parallel convolutions.
Convolve = tuple[Any, ...]
Branches = dict[str, list[str | Convolve | list[Convolve]]]
Spec = str | Convolve | Branches

ACROSS, DOWN = (1, 7), (7, 1)
PARALLEL: list[Convolve] = [(384, (1, 3)), (384, (3, 1))]


def _block_a(pooled: int) -> Branches:
    return {
        "branch1x1": [(64, 1)],
        "branch5x5": [(48, 1), (64, 5)],
        "branch3x3dbl": [(64, 1), (96, 3), (96, 3)],
        "branch_pool": [AVERAGE, (pooled, 1)],
    }


def _block_c(width: int) -> Branches:
    return {
        "branch1x1": [(192, 1)],
        "branch7x7": [(width, 1), (width, ACROSS), (192, DOWN)],
        "branch7x7dbl": [(width, 1), (width, DOWN), (width, ACROSS), (width, DOWN), (192, ACROSS)],
        "branch_pool": [AVERAGE, (192, 1)],
    }


def _block_e(pool: str) -> Branches:
    return {
        "branch1x1": [(320, 1)],
        "branch3x3": [(384, 1), PARALLEL],
        "branch3x3dbl": [(448, 1), (384, 3), PARALLEL],
        "branch_pool": [pool, (192, 1)],
    }


NETWORK: dict[str, Spec] = {
    "Conv2d_1a_3x3": (32, 3, 2),
    "Conv2d_2a_3x3": (32, 3, 1, 0),
    "Conv2d_2b_3x3": (64, 3),
    "maxpool1": SHRINK,
    "Conv2d_3b_1x1": (80, 1),
    "Conv2d_4a_3x3": (192, 3, 1, 0),
    "maxpool2": SHRINK,
    "Mixed_5b": _block_a(32),
    "Mixed_5c": _block_a(64),
    "Mixed_5d": _block_a(64),
    "Mixed_6a": {"branch3x3": [(384, 3, 2)], "branch3x3dbl": [(64, 1), (96, 3), (96, 3, 2)], "branch_pool": [SHRINK]},
    "Mixed_6b": _block_c(128),
    "Mixed_6c": _block_c(160),
    "Mixed_6d": _block_c(160),
    "Mixed_6e": _block_c(192),
    "Mixed_7a": {
        "branch3x3": [(192, 1), (320, 3, 2)],
        "branch7x7x3": [(192, 1), (192, ACROSS), (192, DOWN), (192, 3, 2)],
        "branch_pool": [SHRINK],
    },
    "Mixed_7b": _block_e(AVERAGE),
    "Mixed_7c": _block_e(LAST),
}


class Inception(nn.Sequential):
    """Map images (n, 3, h, w) in [-1, 1], with sides of at least 75 pixels, to features (n, 2048)."""

    def __init__(self, pooling: Pooling):
        super().__init__()
        width = 3
        for name, spec in NETWORK.items():
            layer, width = _layer(spec, width, pooling)
            self.add_module(name, layer)
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images).mean(dim=(2, 3))


def _layer(spec: Spec, width: int, pooling: Pooling) -> tuple[nn.Module, int]:
    """Return the layer or block of a specification with `width` input channels, and its output channels."""
    if isinstance(spec, str):
        return _pool(spec, pooling), width
    if isinstance(spec, dict):
        block = Block(spec, width, pooling)
        return block, block.width
    channels, *others = spec
    return Convolution(width, channels, *others), channels


def _pool(kind: str, pooling: Pooling) -> nn.Module:
    if kind == SHRINK:
        return nn.MaxPool2d(3, stride=2)
    if kind == LAST and pooling.last_is_max:
        return nn.MaxPool2d(3, stride=1, padding=1)
    return nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=pooling.padding_counts)


class Convolution(nn.Module):
    """Convolution without bias, batch norm, ReLU."""

    def __init__(
        self, before: int, width: int, kernel: int | tuple[int, int], stride: int = 1, padding: int | None = None
    ):
        super().__init__()
        h, w = (kernel, kernel) if isinstance(kernel, int) else kernel
        same = (h // 2, w // 2) if stride == 1 else 0
        self.conv = nn.Conv2d(before, width, (h, w), stride, same if padding is None else padding, bias=False)
        self.bn = nn.BatchNorm2d(width, eps=EPSILON)
        self.bn.num_batches_tracked = None  # only needed in training, and missing in older files

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu_(self.bn(self.conv(x)))


class Block(nn.Module):
    """Branches from the same input, concatenated along the channels. width: number of output channels."""

    def __init__(self, branches: Branches, before: int, pooling: Pooling):
        super().__init__()
        self.branches: list[list[list[str]]] = []
        self.width = 0
        for branch, steps in branches.items():
            groups, widths = _named(branch, steps), [before]
            for group in groups:
                layers = [_layer(spec, widths[0], pooling) for spec in group.values()]
                widths = [width for _, width in layers]
                for name, (layer, _) in zip(group, layers, strict=True):
                    self.add_module(name, layer)
            self.branches.append([list(group) for group in groups])
            self.width += sum(widths)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([part for branch in self.branches for part in self._run(branch, x)], dim=1)

    def _run(self, branch: list[list[str]], x: Tensor) -> list[Tensor]:
        parts = [x]
        for names in branch:
            parts = [getattr(self, name)(parts[0]) for name in names]
        return parts


def _named(branch: str, steps: list[str | Convolve | list[Convolve]]) -> list[dict[str, str | Convolve]]:
    """Return the steps of a branch with torchvision's names: a single step has the branch's name, else _1, _2a, _2b."""
    alone = sum(not isinstance(step, str) for step in steps) == 1
    groups: list[dict[str, str | Convolve]] = []
    number = 0
    for step in steps:
        number += not isinstance(step, str)
        name = "pool" if isinstance(step, str) else branch if alone else f"{branch}_{number}"
        groups.append(
            dict(zip([f"{name}a", f"{name}b"], step, strict=True)) if isinstance(step, list) else {name: step}
        )
    return groups
