"""The perceptual loss of Pix2PixHD: L1 between VGG19 features (arXiv 1711.11585, section 4; Johnson et al. 1603.08155).

The network is configuration E of Simonyan and Zisserman (1409.1556) as far as relu5_1, with the weights of torchvision,
which this project does not ship: see weights/README.md.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss

from pre2post.core.weights_file import WeightsFile

WIDTHS = (64, 64, "pool", 128, 128, "pool", 256, 256, 256, 256, "pool", 512, 512, 512, 512, "pool", 512)
# Place of relu1_1, 2_1, 3_1, 4_1 and 5_1 in the network to the weight that the original implementation gives each:
# coarse features, which say what is there rather than how bright it is, count most.
LAYER_WEIGHTS = {1: 1 / 32, 6: 1 / 16, 11: 1 / 8, 20: 1 / 4, 29: 1.0}
TODO = "see weights/README.md for where to get it, or empty gan.vgg_weights to train without this loss"


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
        file = WeightsFile(Path(path), sha256, "VGG19 weights", TODO)
        with torch.device("meta"):  # no time and no random numbers for initial weights that are replaced at once
            loss = cls()
        expected = loss.state_dict()  # the first layers: keys of the rest of VGG19 do not matter
        found = file.matching(file.read(expected), expected, "torchvision's VGG19 without batch norm")
        loss.load_state_dict(found, assign=True)
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
