"""Runs a generator over slices."""

import numpy as np
import torch
from torch import nn

from pipeline.errors import InputError


@torch.inference_mode()
def translate(generator: nn.Module, slices: np.ndarray, batch_size: int = 8) -> np.ndarray:
    """Synthetic post-contrast slices of pre-contrast `slices`: float32 (n, size, size), normalised, in and out.

    Normalised 0 to 1 is the network's -1 to 1. A network of 3 channels, as published, gets the grey image in each and
    gives them back alike, up to the noise of its training: their mean is the grey image. Beside `slices`, which may be
    memory-mapped, and the result, only one batch is in memory. Raises InputError when the generator gives NaN or
    infinity.
    """
    device, channels = next(generator.parameters()).device, generator.plan.channels
    translated = np.empty(slices.shape, np.float32)
    for start in range(0, len(slices), batch_size):
        batch = slice(start, start + batch_size)
        grey = torch.from_numpy(np.array(slices[batch, None], np.float32)).to(device) * 2 - 1
        images = (generator(grey.expand(-1, channels, -1, -1)).mean(1) + 1) / 2
        if not torch.isfinite(images).all():
            raise InputError("the generator gave values that are not finite", todo="choose another checkpoint")
        translated[batch] = images.cpu().numpy()
    return translated

