"""A convolution to very few filters, in the form that a CPU is fast at."""

from torch import Tensor, nn
from torch.nn.functional import conv2d


class RowwiseConv2d(nn.Conv2d):
    """nn.Conv2d without padding or stride: the same weights, the same result up to rounding.

    A CPU computes 16 filters at a time, even where only one is wanted. Here each row of the kernel becomes a filter of
    its own, and their maps are shifted and added: the last layer of a generator takes a third to a half of the time.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu":
            return super().forward(x)
        filters, channels, rows, columns = self.weight.shape
        kernels = self.weight.transpose(1, 2).reshape(filters * rows, channels, 1, columns)
        maps = conv2d(x, kernels).unflatten(1, (filters, rows))
        height = x.shape[2] - rows + 1
        total = sum(maps[:, :, row, row : row + height] for row in range(rows))
        return total + self.bias[:, None, None].to(total.dtype)
