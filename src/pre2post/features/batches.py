"""Networks run over many slices: a few at a time, on their own device, in full float32."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn


def in_batches(function: Callable[..., Tensor], network: nn.Module, batch: int, *stacks) -> np.ndarray:
    """float64 rows (n, ...) of `function`, called with images (batch, 1, h, w) float32 of each stack (n, h, w).

    Stacks may be memory maps: besides the result, memory holds one batch.
    """
    device = next(network.parameters()).device
    rows = []
    # TensorFloat-32, which PyTorch allows convolutions on a GPU by default, keeps three digits only.
    with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
        for start in range(0, len(stacks[0]), batch):
            images = [
                torch.from_numpy(np.array(stack[start : start + batch], np.float32))[:, None].to(device)
                for stack in stacks
            ]
            rows.append(function(*images).double().cpu().numpy())
    return np.concatenate(rows)
