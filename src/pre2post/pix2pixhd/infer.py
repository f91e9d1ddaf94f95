"""Inference: a generator applied to slices."""

import numpy as np
import torch

from pre2post.core.errors import InputError
from pre2post.pix2pixhd.generator import Generator, network_input
from pre2post.pix2pixhd.neighbours import with_neighbours


@torch.inference_mode()
def infer(generator: Generator, slices: np.ndarray, batch_size: int = 8, phases: int = 1) -> np.ndarray:
    """Return synthetic post-contrast slices of pre-contrast `slices`.

    slices: (n, size, size) of one volume, in order, if the generator uses neighbours; or (n, 1 + 2 * neighbours, size,
    size) from with_neighbours, of any volumes.

    Input and output are normalised; 0 to 1 corresponds to the network's -1 to 1. The output is float32 (n, size, size),
    or (n, phases, size, size) for several phases. A generator of several phases returns one phase per channel. A
    generator of one phase with 3 channels, as published, returns nearly equal channels; their mean is used. `slices`
    may be memory-mapped: only one batch is read at a time.

    Raises InputError if the output has NaN or infinity, if channels and phases differ, or if the number of neighbours
    is not the generator's.
    """
    device, channels = next(generator.parameters()).device, generator.architecture.channels
    if phases > 1 and channels != phases:
        raise InputError(
            "the generator was built for another number of phases",
            found=f"{channels} channels",
            expected=f"{phases}, the phases in slices.phases",
            hint="use other weights, or other slices.phases",
        )
    neighbours = generator.architecture.neighbours
    slices = slices if slices.ndim == 4 else with_neighbours(slices, neighbours)
    if slices.shape[1] != 1 + 2 * neighbours:
        raise InputError(
            "the slices have another number of neighbours than those of the generator's training",
            found=f"shape {slices.shape}",
            expected=f"{neighbours} on each side",
            hint=f"set slices.neighbours to {neighbours}, or use other weights",
        )
    phase_axis = (phases,) if phases > 1 else ()
    synthetic = np.empty((len(slices), *phase_axis, *slices.shape[-2:]), np.float32)
    for start in range(0, len(slices), batch_size):
        batch = slice(start, start + batch_size)
        grey = torch.from_numpy(np.array(slices[batch], np.float32)).to(device) * 2 - 1
        images = generator(network_input(grey, channels))
        images = ((images if phase_axis else images.mean(1)) + 1) / 2
        if not torch.isfinite(images).all():
            raise InputError("the generator's output has values that are not finite", hint="choose another checkpoint")
        synthetic[batch] = images.cpu().numpy()
    return synthetic
