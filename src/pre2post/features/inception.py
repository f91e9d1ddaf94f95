"""InceptionV3 (Szegedy et al. 2015, arXiv 1512.00567) as far as its 2048 pooled features, for Fréchet distances.

A distance between these features is called FID_Img with the ImageNet weights of 2015-12-05, which FID was defined with
(Heusel et al. 2017, arXiv 1706.08500), and FID_Rad with RadImageNet's (Mei et al. 2022, doi 10.1148/ryai.210315), and
by these names only when those files are loaded: weights/README.md says where to get them. The published networks differ
in how they pool, and RadImageNet's two files in their values, so compare only what came from the same file.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from pre2post.core.weights_file import WeightsFile
from pre2post.features.batches import in_batches
from pre2post.features.inception_network import NETWORK, POOLING, Inception
from pre2post.features.keras_file import CONVOLUTION, NORM, Layers, read_layers
from pre2post.features.slices import check_slices

SIDE = 299  # pixels that the network was designed for
SMALLEST = 16  # pixels: the other extractors take no smaller slices either
BATCH = 16  # slices at a time: 0.2 GB
FID_CLASSES = 1008  # of the classifier in the 2015-12-05 file, which is not used; other ImageNet files have 1000


def load_inception(path: Path, sha256: str, kind: str) -> Inception:
    """The network with the weights in `path`, whose SHA-256 must begin with `sha256`, on the CPU.

    kind: "imagenet" for FID_Img, a .pth or .safetensors file under torchvision's names; "radimagenet" for FID_Rad,
    Keras' .h5 or the PyTorch port. The file's layout decides on the pooling. Raises InputError when the file is
    missing, another one, damaged, or holds code or another network.
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


def _load(file: WeightsFile, pooling: str, read) -> Inception:
    with torch.device("meta"):  # no time and no random numbers for initial weights that are replaced at once
        network = Inception(POOLING[pooling])
    # Not strict, since `read` has compared all keys and torch makes up a count of batches that is not there.
    network.load_state_dict(read(file, network.state_dict()), assign=True, strict=False)
    return network.requires_grad_(False)


def _as_torchvision(file: WeightsFile, expected: dict[str, Tensor]) -> dict[str, Tensor]:
    """Refuses torchvision's own InceptionV3, whose keys are the same, by its classifier."""
    found = file.read()
    if isinstance(found, dict) and "fc.bias" in found:
        expected = expected | {"fc.bias": torch.empty(FID_CLASSES, device="meta")}
    return file.matching(found, expected, "the InceptionV3 of 2015-12-05")


def _as_port(file: WeightsFile, expected: dict[str, Tensor]) -> dict[str, Tensor]:
    """Keys backbone.0.conv.weight and so on: the port is a sequence of torchvision's layers."""
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
    found = _paired(units, layers[CONVOLUTION], layers[NORM])
    return file.matching(found, expected, "InceptionV3")


def _paired(units: list[str], convolutions: Layers, norms: Layers) -> dict[str, Tensor | None]:
    """Keras' weights under torchvision's keys, as many as there are; its batch norm has no factor where that is 1."""
    found = {}
    for unit, convolution, norm in zip(units, convolutions, norms, strict=False):
        kernel, shift = convolution.get("kernel"), norm.get("beta")
        found |= {
            f"{unit}.conv.weight": kernel.permute(3, 2, 0, 1) if np.ndim(kernel) == 4 else kernel,  # HWIO
            f"{unit}.bn.weight": norm.get("gamma", None if shift is None else torch.ones_like(shift)),
            f"{unit}.bn.bias": shift,
            f"{unit}.bn.running_mean": norm.get("moving_mean"),
            f"{unit}.bn.running_var": norm.get("moving_variance"),
        }
    return found


def inception_features(slices, network: Inception, batch: int = BATCH) -> np.ndarray:
    """Features (n, 2048) float64 of normalised slices (n, h, w), `batch` of them at a time on the network's device.

    Values are for [0, 1]; those outside are clipped, as an 8-bit image would hold them. Slices are resized to 299 x 299
    pixels and repeated over the colours. Raises InputError for other shapes and for values that are not finite.
    """
    check_slices(slices, SMALLEST)
    return in_batches(lambda images: network(_prepared(images)), network, batch, slices)


def _prepared(images: Tensor) -> Tensor:
    """(n, 1, h, w) in [0, 1] to (n, 3, 299, 299) in [-1, 1]."""
    resized = functional.interpolate(images.clamp(0, 1), (SIDE, SIDE), mode="bilinear", align_corners=False)
    return (2 * resized - 1).expand(-1, 3, -1, -1)
