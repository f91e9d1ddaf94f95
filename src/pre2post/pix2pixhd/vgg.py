"""The perceptual loss of Pix2PixHD: L1 between VGG19 features (arXiv 1711.11585, section 4; Johnson et al. 1603.08155).

The network is configuration E of Simonyan and Zisserman (1409.1556) up to relu5_1, with torchvision's weights. This
project does not ship the weights: see weights/README.md.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss

from pre2post.core.weights_file import WeightsFile
from pre2post.pix2pixhd.losses import total

POOL = 0  # in WIDTHS: a max pool
WIDTHS = (64, 64, POOL, 128, 128, POOL, 256, 256, 256, 256, POOL, 512, 512, 512, 512, POOL, 512)
# Index of relu1_1, 2_1, 3_1, 4_1 and 5_1 in the network to its weight in the original implementation. Coarse features,
# which describe content rather than brightness, have the largest weight.
LAYER_WEIGHTS = {1: 1 / 32, 6: 1 / 16, 11: 1 / 8, 20: 1 / 4, 29: 1.0}
HINT = "see weights/README.md for where to get it, or empty gan.vgg_weights to train without this loss"


class PerceptualLoss(nn.Module):
    """Weighted L1 between the VGG19 features of two images. Frozen; only the first image gets a gradient.

    Images are (N, 1 or 3, H, W) in [-1, 1], H and W at least 16; grey ones are repeated as three colours.
    """

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(*_layers())  # name and order give torchvision's keys
        self.requires_grad_(False)

    @classmethod
    def load(cls, path: Path, sha256: str) -> "PerceptualLoss":
        """Load weights from `path` (.pth or .safetensors), whose SHA-256 must begin with `sha256`.

        Raises InputError if the file is missing, has another hash, is damaged, or holds code or another network.
        """
        file = WeightsFile(Path(path), sha256, "VGG19 weights", HINT)
        with torch.device("meta"):  # no time and no random numbers for initial weights that are replaced at once
            loss = cls()
        expected = loss.state_dict()  # of the first layers; other keys of VGG19 are ignored
        found = file.matching(file.read(expected), expected, "torchvision's VGG19 without batch norm")
        loss.load_state_dict(found, assign=True)
        return loss.requires_grad_(False)

    def forward(self, fake: Tensor, real: Tensor) -> Tensor:
        with torch.no_grad():
            targets = self._chosen_features(real)
        pairs = zip(LAYER_WEIGHTS.values(), self._chosen_features(fake), targets, strict=True)
        return total([weight * l1_loss(features, target) for weight, features, target in pairs])

    def _chosen_features(self, images: Tensor) -> list[Tensor]:
        # Like the original implementation, use [-1, 1] without ImageNet's means and deviations, although the weights
        # were trained with them; otherwise lambda_vgg would have another meaning.
        x = images.expand(-1, 3, -1, -1)
        chosen = []
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in LAYER_WEIGHTS:
                chosen.append(x)
        return chosen


def _layers() -> list[nn.Module]:
    layers: list[nn.Module] = []
    before = 3
    for width in WIDTHS:
        if width == POOL:
            layers.append(nn.MaxPool2d(2))
        else:
            layers += [nn.Conv2d(before, width, 3, padding=1), nn.ReLU(inplace=True)]
            before = width
    return layers
