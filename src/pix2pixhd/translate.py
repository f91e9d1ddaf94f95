"""Runs a generator over slices."""

import numpy as np
import torch
from torch import nn

from pipeline.errors import InputError


@torch.inference_mode()
def translate(generator: nn.Module, slices: np.ndarray, batch_size: int = 8) -> np.ndarray:
    """Synthetic post-contrast slices of pre-contrast `slices`: float32 (n, size, size), normalised, in and out.

    Normalised 0 to 1 is the network's -1 to 1. Raises InputError when the generator gives NaN or infinity.
    """
    device = next(generator.parameters()).device
    batches = np.array_split(slices, max(1, -(-len(slices) // batch_size)))
    images = [generator(torch.from_numpy(np.array(batch[:, None], np.float32)).to(device) * 2 - 1) for batch in batches]
    translated = ((torch.cat(images)[:, 0] + 1) / 2).cpu().numpy()
    if not np.isfinite(translated).all():
        raise InputError("the generator gave values that are not finite", todo="choose another checkpoint")
    return translated
