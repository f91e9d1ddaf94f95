"""Inference: a generator applied to slices."""

import numpy as np
import torch

from pre2post.core.errors import InputError
from pre2post.pix2pixhd.generator import Generator


@torch.inference_mode()
def infer(generator: Generator, slices: np.ndarray, batch_size: int = 8, phases: int = 1) -> np.ndarray:
    """Return synthetic post-contrast slices of pre-contrast `slices` (n, size, size).

    Input and output are normalised; 0 to 1 corresponds to the network's -1 to 1. The output is float32 (n, size, size),
    or (n, phases, size, size) for several phases. Every input channel gets the grey image. A generator of several
    phases returns one phase per channel. A generator of one phase with 3 channels, as published, returns nearly equal
    channels; their mean is used. `slices` may be memory-mapped: only one batch is read at a time.

    Raises InputError if the output has NaN or infinity, or if channels and phases differ.
    """
    device, channels = next(generator.parameters()).device, generator.architecture.channels
    if phases > 1 and channels != phases:
        raise InputError(
            "the generator was built for another number of phases",
            found=f"{channels} channels",
            expected=f"{phases}, the phases in slices.phases",
            hint="use other weights, or other slices.phases",
        )
    phase_axis = (phases,) if phases > 1 else ()
    synthetic = np.empty((len(slices), *phase_axis, *slices.shape[1:]), np.float32)
    for start in range(0, len(slices), batch_size):
        batch = slice(start, start + batch_size)
        grey = torch.from_numpy(np.array(slices[batch, None], np.float32)).to(device) * 2 - 1
        images = generator(grey.expand(-1, channels, -1, -1))
        images = ((images if phase_axis else images.mean(1)) + 1) / 2
        if not torch.isfinite(images).all():
            raise InputError("the generator's output has values that are not finite", hint="choose another checkpoint")
        synthetic[batch] = images.cpu().numpy()
    return synthetic
