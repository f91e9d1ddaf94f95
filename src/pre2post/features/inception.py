"""InceptionV3 (Szegedy et al. 2015, arXiv 1512.00567) up to its 2048 pooled features, for Fréchet distances.

The distance is called FID_Img with the ImageNet weights of 2015-12-05, which define FID (Heusel et al. 2017, arXiv
1706.08500). It is called FID_Rad with RadImageNet's weights (Mei et al. 2022, doi 10.1148/ryai.210315). Both sources
are in weights/README.md. The published networks differ in their pooling, and RadImageNet's two files in their values,
so compare only values from the same file.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from pre2post.core.weights_file import WeightsFile
from pre2post.features.inception_network import NETWORK, POOLING, Inception
from pre2post.features.input_slices import check_slices, in_batches
from pre2post.features.keras_file import CONVOLUTION, NORM, Layers, read_layers

SIDE = 299  # pixels, the input size that the network was designed for
SMALLEST = 16  # pixels, the limit of the other extractors too
BATCH = 16  # slices: 0.2 GB
FID_CLASSES = 1008  # of the unused classifier in the 2015-12-05 file; other ImageNet files have 1000


Read = Callable[[WeightsFile, dict[str, Tensor]], dict[str, Tensor]]


def load_inception(path: Path, sha256: str, kind: str) -> Inception:
    """Load a network on the CPU from `path`, whose SHA-256 must begin with `sha256`.

    kind: "imagenet" for FID_Img, a .pth or .safetensors file with torchvision's names; "radimagenet" for FID_Rad,
    Keras' .h5 or the PyTorch port. The file's layout determines the pooling.
    Raises InputError if the file is missing, has another hash, is damaged, or holds code or another network.
    """
    path = Path(path)
    prefix, value = {"imagenet": ("inception", "FID_Img"), "radimagenet": ("radimagenet", "FID_Rad")}[kind]
    file = WeightsFile(
        path,
        sha256,
        f"InceptionV3 weights of {value}",
        f"see weights/README.md for where to get them, or empty metrics.{prefix}_weights to do without {value}",
    )
    if kind == "imagenet":
        return _load(file, "fid", _as_torchvision)
    if path.suffix.lower() in (".h5", ".hdf5"):
        return _load(file, "keras", _as_keras)
    return _load(file, "torchvision", _as_port)


def _load(file: WeightsFile, pooling: str, read: Read) -> Inception:
    with torch.device("meta"):  # no time and no random numbers for initial weights that are replaced at once
        network = Inception(POOLING[pooling])
    # Not strict: `read` has compared all keys, and torch would require the count of batches, which this network lacks.
    network.load_state_dict(read(file, network.state_dict()), assign=True, strict=False)
    return network.requires_grad_(False)


def _as_torchvision(file: WeightsFile, expected: dict[str, Tensor]) -> dict[str, Tensor]:
    """Read torchvision's names. Torchvision's own InceptionV3 has the same keys; its classifier differs."""
    found = file.read()
    if isinstance(found, dict) and "fc.bias" in found:
        expected = expected | {"fc.bias": torch.empty(FID_CLASSES, device="meta")}
    return file.matching(found, expected, "the InceptionV3 of 2015-12-05")


def _as_port(file: WeightsFile, expected: dict[str, Tensor]) -> dict[str, Tensor]:
    """Read keys such as backbone.0.conv.weight: the port is a sequence of torchvision's layers."""
    places = {name: f"backbone.{place}" for place, name in enumerate(NETWORK)}
    ported = {key: ".".join((places[key.split(".")[0]], *key.split(".")[1:])) for key in expected}
    found = file.matching(
        file.read(set(ported.values())),
        {ported[key]: expected[key] for key in expected},
        "RadImageNet's InceptionV3 for PyTorch",
    )
    return {key: found[ported[key]] for key in expected}


def _as_keras(file: WeightsFile, expected: dict[str, Tensor]) -> dict[str, Tensor]:
    layers = read_layers(file)
    units = [key.removesuffix(".conv.weight") for key in expected if key.endswith(".conv.weight")]
    return file.matching(_renamed(units, layers[CONVOLUTION], layers[NORM]), expected, "InceptionV3")


def _renamed(units: list[str], convolutions: Layers, norms: Layers) -> dict[str, Tensor | None]:
    """Return Keras' weights by torchvision's keys, as many as there are. Keras omits batch norm factors of 1."""
    found: dict[str, Tensor | None] = {}
    for unit, convolution, norm in zip(units, convolutions, norms, strict=False):
        kernel, shift = convolution.get("kernel"), norm.get("beta")
        found |= {
            f"{unit}.conv.weight": kernel.permute(3, 2, 0, 1) if kernel is not None and kernel.ndim == 4 else kernel,
            f"{unit}.bn.weight": norm.get("gamma", None if shift is None else torch.ones_like(shift)),
            f"{unit}.bn.bias": shift,
            f"{unit}.bn.running_mean": norm.get("moving_mean"),
            f"{unit}.bn.running_var": norm.get("moving_variance"),
        }
    return found


def inception_features(slices: np.ndarray, network: Inception, batch: int = BATCH) -> np.ndarray:
    """Return features (n, 2048) float64 of normalised slices (n, h, w), in batches on the network's device.

    Values are clipped to [0, 1], as in an 8-bit image. Slices are resized to 299 x 299 pixels and repeated as three
    colours. Raises InputError for other shapes and for values that are not finite.
    """
    check_slices(slices, SMALLEST)
    return in_batches(lambda images: network(_prepared(images)), network, batch, slices)


def _prepared(images: Tensor) -> Tensor:
    """Convert (n, 1, h, w) in [0, 1] to (n, 3, 299, 299) in [-1, 1]."""
    resized = functional.interpolate(images.clamp(0, 1), (SIDE, SIDE), mode="bilinear", align_corners=False)
    return (2 * resized - 1).expand(-1, 3, -1, -1)
