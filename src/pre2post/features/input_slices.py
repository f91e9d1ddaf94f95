"""Slices as the input of feature extractors: a check, and batches for networks."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from pre2post.core.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor, nn


def check_slices(slices: np.ndarray, smallest: int) -> None:
    """Raise InputError unless `slices` is (n, h, w), n > 0, with sides of at least `smallest` pixels, all finite."""
    if np.ndim(slices) != 3 or np.shape(slices)[0] < 1 or min(np.shape(slices)[1:]) < smallest:
        raise InputError(
            "features cannot be extracted from this array",
            found=f"shape {np.shape(slices)}",
            expected=f"slices (n, h, w) of at least {smallest} x {smallest} pixels",
        )
    for image in slices:
        if not np.isfinite(image).all():
            raise InputError("a slice holds values that are not finite", expected="no NaN or infinity")


def in_batches(function: "Callable[..., Tensor]", network: "nn.Module", batch: int, *stacks: np.ndarray) -> np.ndarray:
    """Apply `function` to stacks (n, h, w) in batches, on the network's device, in full float32.

    The function gets images (batch, 1, h, w) float32 of each stack and returns rows; the result is float64 (n, ...).
    Stacks may be memory-mapped: in addition to the result, memory holds one batch.
    """
    import torch

    device = next(network.parameters()).device
    rows = []
    # TensorFloat-32, PyTorch's default for convolutions on a GPU, keeps only three digits.
    with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
        for start in range(0, len(stacks[0]), batch):
            images = [
                torch.from_numpy(np.array(stack[start : start + batch], np.float32))[:, None].to(device)
                for stack in stacks
            ]
            rows.append(function(*images).double().cpu().numpy())
    return np.concatenate(rows)
