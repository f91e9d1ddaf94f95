"""The perceptual loss of Pix2PixHD: L1 between VGG19 features (arXiv 1711.11585, section 4; Johnson et al. 1603.08155).

The network is configuration E of Simonyan and Zisserman (1409.1556) as far as relu5_1, with the weights of torchvision,
which this project does not ship: see weights/README.md.
"""

import hashlib
import pickle
import zipfile
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss

from pipeline.errors import InputError

WIDTHS = (64, 64, "pool", 128, 128, "pool", 256, 256, 256, 256, "pool", 512, 512, 512, 512, "pool", 512)
# Place of relu1_1, 2_1, 3_1, 4_1 and 5_1 in the network to the weight that the original implementation gives each:
# coarse features, which say what is there rather than how bright it is, count most.
LAYER_WEIGHTS = {1: 1 / 32, 6: 1 / 16, 11: 1 / 8, 20: 1 / 4, 29: 1.0}
SHORTEST = 8  # hexadecimal digits of a hash: as many as torchvision puts into its file names


class PerceptualLoss(nn.Module):
    """Weighted L1 between the VGG19 features of two images; frozen. Gradients flow to the first image alone.

    Images are (N, 1 or 3, H, W) in [-1, 1], H and W at least 16; grey ones are repeated over the colours.
    """

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(*_layers())  # the name and the order are those of torchvision's keys
        self.requires_grad_(False)

    @classmethod
    def load(cls, path: Path, sha256: str) -> "PerceptualLoss":
        """The loss with the weights in `path` (.pth or .safetensors), whose SHA-256 must begin with `sha256`.

        Raises InputError when the file is missing, another one, damaged, or holds code or another network.
        """
        path = Path(path)
        _check_hash(path, sha256)
        with torch.device("meta"):  # no time and no random numbers for initial weights that are replaced at once
            loss = cls()
        expected = loss.state_dict()
        found = _read_safetensors(path, expected) if path.suffix == ".safetensors" else _read_torch(path)
        _check_keys(path, expected, found)
        # Copied, since tensors that are mapped from the file would be read again whenever memory is short.
        loss.load_state_dict({key: found[key].to(torch.float32, copy=True) for key in expected}, assign=True)
        return loss.requires_grad_(False)

    def forward(self, fake: Tensor, real: Tensor) -> Tensor:
        with torch.no_grad():
            targets = self._chosen_features(real)
        pairs = zip(LAYER_WEIGHTS.values(), self._chosen_features(fake), targets, strict=True)
        return sum(weight * l1_loss(features, target) for weight, features, target in pairs)

    def _chosen_features(self, images: Tensor) -> list[Tensor]:
        # The original implementation feeds [-1, 1] as it is, without the means and deviations of ImageNet that the
        # weights were trained with; so does this, or lambda_vgg would mean something else.
        x = images.expand(-1, 3, -1, -1)
        chosen = []
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in LAYER_WEIGHTS:
                chosen.append(x)
        return chosen


def _layers() -> list[nn.Module]:
    layers, before = [], 3
    for width in WIDTHS:
        if width == "pool":
            layers.append(nn.MaxPool2d(2))
        else:
            layers += [nn.Conv2d(before, width, 3, padding=1), nn.ReLU(inplace=True)]
            before = width
    return layers


def _check_hash(path: Path, sha256: str) -> None:
    where = "see weights/README.md for where to get it, or empty gan.vgg_weights to train without this loss"
    try:
        with open(path, "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError("the VGG19 weights cannot be read", file=path, found=error.strerror, todo=where) from None
    if len(sha256) < SHORTEST or not found.startswith(sha256.lower()):
        raise InputError("these are not the expected VGG19 weights", file=path, found=f"sha256 {found}",
                         expected=f"{sha256 or 'nothing'}, {SHORTEST} digits at least", todo=where)


def _read_torch(path: Path) -> dict:
    """Never runs pickled code. Files of torch 1.6 or later are mapped, so that only what is used is read."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError, AttributeError,
            TypeError, IndexError):  # a damaged pickle can end in any of these
        raise InputError("the VGG19 weights cannot be read", file=path, found="a truncated or damaged file, or one "
                         "that holds code", expected="a state dict of tensors", todo="download it again") from None


def _read_safetensors(path: Path, keys) -> dict[str, Tensor]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in set(file.keys()).intersection(keys)}
    except (SafetensorError, OSError) as error:
        raise InputError("the VGG19 weights cannot be read", file=path, found=error,
                         expected="a whole safetensors file", todo="convert or download it again") from None


def _check_keys(path: Path, expected: dict[str, Tensor], found: object) -> None:
    """Names the first key that is missing or has another shape; keys of the rest of VGG19 do not matter."""
    found = found if isinstance(found, dict) else {}
    for key, weight in expected.items():
        shape = tuple(getattr(found.get(key), "shape", ())) or "nothing"
        if shape != tuple(weight.shape):
            raise InputError("these are the weights of another network", file=path, found=f"{key}: {shape}",
                             expected=f"{key}: {tuple(weight.shape)}, as in torchvision's VGG19 without batch norm",
                             todo="see weights/README.md")
