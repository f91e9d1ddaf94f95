"""Runs a generator over slices."""

import numpy as np
import torch
from torch import nn

from pre2post.core.errors import InputError


@torch.inference_mode()
def infer(generator: nn.Module, slices: np.ndarray, batch_size: int = 8, phases: int = 1) -> np.ndarray:
    """Synthetic post-contrast slices of pre-contrast `slices`: float32 (n, size, size), normalised, in and out; of a
    generator of several phases (n, phases, size, size) out.

    Normalised 0 to 1 is the network's -1 to 1. A network gets the grey image in each of its channels. That of several
    phases gives one in each; a network of one phase and 3 channels, as published, gives them back alike, up to the
    noise of its training: their mean is the grey image. Beside `slices`, which may be memory-mapped, and the
    result, only one batch is in memory. Raises InputError when the generator gives NaN or infinity, or has not a
    channel a phase.
    """
    device, channels = next(generator.parameters()).device, generator.architecture.channels
    if phases > 1 and channels != phases:
        raise InputError(
            "the generator makes another number of phases",
            found=f"{channels} channels",
            expected=f"{phases}, as slices.phases names",
            hint="use other weights, or other slices.phases",
        )
    joint = (phases,) if phases > 1 else ()
    translated = np.empty((len(slices), *joint, *slices.shape[1:]), np.float32)
    for start in range(0, len(slices), batch_size):
        batch = slice(start, start + batch_size)
        grey = torch.from_numpy(np.array(slices[batch, None], np.float32)).to(device) * 2 - 1
        images = generator(grey.expand(-1, channels, -1, -1))
        images = ((images if joint else images.mean(1)) + 1) / 2
        if not torch.isfinite(images).all():
            raise InputError("the generator gave values that are not finite", hint="choose another checkpoint")
        translated[batch] = images.cpu().numpy()
    return translated
