"""LPIPS (Zhang et al. 2018, arXiv 1801.03924), version 0.1 with AlexNet: the perceptual distance of two images.

It is 0 for equal images. AlexNet's convolutions, with torchvision's weights, come from a file: see weights/README.md.
The weights of its channels, fitted to human ratings of photographs, are part of the package torchmetrics. Most
published values are of colour photographs.
"""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from pre2post.core.errors import InputError
from pre2post.core.weights_file import WeightsFile
from pre2post.features.input_slices import check_slices, in_batches

HINT = "see weights/README.md for where to get them, or empty metrics.lpips_weights to do without LPIPS"
HEADS = "functional/image/lpips_models/alex.pth"  # within torchmetrics, which is not imported, as that takes seconds
HEADS_SHA256 = "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0"  # also in the authors' package 0.1.4
WIDTHS = (64, 192, 384, 256, 256)  # channels after each convolution
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # ImageNet's mean and SD, for images in [-1, 1]
SMALLEST = 31  # pixels; smaller images have no output after the second pool
TINY = 1e-10  # as in the authors' code: avoids division by 0 at pixels where all channels are 0
BATCH = 16  # pairs: 0.2 GB at 256 pixels


class Lpips(nn.Module):
    """Map two stacks (n, 1 or 3, h, w) in [-1, 1] to distances (n,). Grey images are repeated as three colours."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(*_alexnet())
        self.heads = nn.ModuleList(nn.Conv2d(width, 1, 1, bias=False) for width in WIDTHS)
        self.eval().requires_grad_(False)

    def forward(self, real: Tensor, synthetic: Tensor) -> Tensor:
        """Equation 1: squared differences of normalised features, weighted by channel, averaged over the image."""
        pairs = zip(self.heads, self._normalised(real), self._normalised(synthetic), strict=True)
        first, *others = (head((a - b) ** 2).mean(dim=(1, 2, 3)) for head, a, b in pairs)
        return sum(others, start=first)

    def _normalised(self, images: Tensor) -> list[Tensor]:
        """Return the output of each ReLU, scaled to unit length over the channels of each pixel."""
        shift, scale = (images.new_tensor(values)[:, None, None] for values in (SHIFT, SCALE))
        x, chosen = (images - shift) / scale, []
        for layer in self.features:
            x = layer(x)
            if isinstance(layer, nn.ReLU):
                chosen.append(x / (x.norm(dim=1, keepdim=True) + TINY))
        return chosen


def _alexnet() -> list[nn.Module]:
    """Return torchvision's alexnet().features up to the last ReLU (Krizhevsky 2014, arXiv 1404.5997)."""
    kernels = ((11, 4, 2), (5, 1, 2), (3, 1, 1), (3, 1, 1), (3, 1, 1))  # side, stride, padding
    layers: list[nn.Module] = []
    for number, (before, width, kernel) in enumerate(zip((3, *WIDTHS), WIDTHS, kernels, strict=False)):
        layers += [nn.MaxPool2d(3, 2)] if number in (1, 2) else []
        layers += [nn.Conv2d(before, width, *kernel), nn.ReLU()]
    return layers


def load_lpips(path: Path, sha256: str) -> Lpips:
    """Load AlexNet's weights from `path` (.pth or .safetensors), whose SHA-256 must begin with `sha256`.

    Raises InputError if the file is missing, has another hash, is damaged, or holds code or another network.
    """
    alexnet = WeightsFile(Path(path), sha256, "AlexNet weights of LPIPS", HINT)
    heads = WeightsFile(
        _folder_of("torchmetrics") / HEADS,
        HEADS_SHA256,
        "channel weights of LPIPS",
        "run `make setup`, which installs the torchmetrics of requirements.lock",
    )
    with torch.device("meta"):  # no time and no random numbers for initial weights that are replaced at once
        network = Lpips()
    expected = network.state_dict()
    backbone = {key: weight for key, weight in expected.items() if key.startswith("features.")}
    found = alexnet.matching(alexnet.read(backbone), backbone, "torchvision's AlexNet")
    names = {f"heads.{layer}.weight": f"lin{layer}.model.1.weight" for layer in range(len(WIDTHS))}
    fitted = heads.matching(heads.read(), {names[key]: expected[key] for key in names}, "LPIPS with AlexNet")
    network.load_state_dict(found | {key: fitted[names[key]] for key in names}, assign=True)
    return network.requires_grad_(False)


def _folder_of(package: str) -> Path:
    """Return the folder of an installed package without importing it."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise InputError(f"the package {package} is not installed", hint="run `make setup`")
    return Path(spec.origin).parent


def lpips(real: np.ndarray, synthetic: np.ndarray, network: Lpips, batch: int = BATCH) -> np.ndarray:
    """Return LPIPS (n,) float64 of pairs of images (n, h, w) of any dtype, in batches on the network's device.

    The caller scales the images to [-1, 1]; values are not clipped. Raises InputError for other shapes, for sides below
    31 pixels, and for values that are not finite.
    """
    if np.shape(real) != np.shape(synthetic):
        raise InputError(
            "these are not pairs of images",
            found=f"shapes {np.shape(real)} and {np.shape(synthetic)}",
            expected="two equal shapes",
        )
    for images in (real, synthetic):
        check_slices(images, SMALLEST)
    return in_batches(network, network, batch, real, synthetic)
