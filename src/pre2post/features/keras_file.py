"""The convolutions and batch norms of a Keras .h5 file, in the order of their creation."""

import re
from typing import TYPE_CHECKING

from pre2post.core.weights_file import WeightsFile

if TYPE_CHECKING:
    from torch import Tensor

CONVOLUTION, NORM = "conv2d", "batch_normalization"
# Keras numbers the layers of a kind in order of creation, the first without a number, over all models of a process.
LAYER = re.compile(rf"({CONVOLUTION}|{NORM})(?:_v1)?(?:_(\d+))?")  # TensorFlow 1.14 and 1.15 add the v1

Layers = list[dict[str, "Tensor"]]


def read_layers(file: WeightsFile) -> dict[str, Layers]:
    """Return {"conv2d": [...], "batch_normalization": [...]}: for each layer its weights by Keras' name.

    Only arrays are read, not the model's configuration, which may hold code. Raises InputError as WeightsFile.read.
    """
    import h5py

    file.check_hash()
    found: dict[tuple[str, int], dict[str, Tensor]] = {}
    try:
        with h5py.File(file.path) as content:
            content.get("model_weights", content).visititems(lambda name, item: _collect(found, name, item))
    except Exception as error:  # the HDF5 library has no separate exception for damaged files
        raise file.unreadable(" ".join(str(error).split())[:200], "a complete Keras .h5 file") from None
    return {kind: [found[key] for key in sorted(found) if key[0] == kind] for kind in (CONVOLUTION, NORM)}


def _collect(found: dict[tuple[str, int], dict[str, "Tensor"]], name: str, item: object) -> None:
    """Add an array under its layer, the name of its HDF5 group: conv2d_94/conv2d_94/kernel:0."""
    import h5py
    import torch

    *_, group, weight = ["", *name.split("/")]
    layer = LAYER.fullmatch(group)
    if layer and isinstance(item, h5py.Dataset):
        key = layer[1], int(layer[2] or 0)
        found.setdefault(key, {})[weight.split(":")[0]] = torch.from_numpy(item[()])
