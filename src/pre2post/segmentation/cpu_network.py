"""A 3D network arranged for a CPU, and its gradient with one thread per patch; the results are those of nnU-Net.

Small layers use two threads badly, while two patches are independent: instance norm and nnU-Net's Dice loss without
`batch_dice` treat each patch alone. So the loss of a batch is the mean over its patches, and so is the gradient.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor

import torch
from torch import nn
from torch.nn import functional

LAST = torch.channels_last_3d  # the layout that oneDNN computes in; others are converted in every layer

Loss = Callable[[list[torch.Tensor], list[torch.Tensor]], torch.Tensor]


class OnePatchNorm(nn.InstanceNorm3d):
    """Instance norm that keeps the layout. Torch's own copies its input into another layout.

    For a batch of one, the statistics per patch are those per batch.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if len(x) != 1:
            return super().forward(x)
        return functional.batch_norm(x, None, None, self.weight, self.bias, training=True, eps=self.eps)


def arrange_for_cpu(network: nn.Module) -> nn.Module:
    """Change the layout and the instance norms of a network in place; names and values of its weights stay."""
    for module in network.modules():
        if type(module) is nn.InstanceNorm3d and not module.track_running_stats:
            module.__class__ = OnePatchNorm
    if any(isinstance(module, nn.Conv3d) for module in network.modules()):
        network.to(memory_format=LAST)  # type: ignore[call-overload]  # missing in the stubs of torch
    return network


def gradient_by_patch(
    network: nn.Module, loss: Loss, data: torch.Tensor, targets: Sequence[torch.Tensor], bfloat16: bool, pool: Executor
) -> torch.Tensor:
    """Set the gradient of the mean loss over the patches of a batch, and return that loss.

    data: (patches, channels, z, y, x). targets: one tensor (patches, 1, z, y, x) per output of the network.
    """
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    count = len(data)

    def one(place: int) -> tuple[torch.Tensor, tuple[torch.Tensor | None, ...]]:
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            outputs = network(data[place : place + 1].contiguous(memory_format=LAST))
        value = loss([output.float() for output in outputs], [target[place : place + 1] for target in targets])
        return value.detach(), torch.autograd.grad(value / count, weights, allow_unused=True)

    values, gradients = zip(*pool.map(one, range(count)), strict=True)
    for weight, *parts in zip(weights, *gradients, strict=True):
        weight.grad = None if parts[0] is None else sum(parts[1:], start=parts[0])
    return torch.stack(values).mean()
