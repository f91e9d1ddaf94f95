"""Training slices from disk to the device. A thread reads ahead, so that training steps do not wait."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from pre2post.pix2pixhd.sampling import Batch

KERNELS = "bicubic", "bicubic", "bilinear"  # of pre, post and lesion: sharp images, and a map that stays in 0 to 1
PREFETCH = 2  # batches read in advance: one in use, one ready


@dataclass(frozen=True)
class PairedSlices:
    """The training slices, each array (n, size, size), possibly memory-mapped.

    pre, post: float32, normalised (nominally 0 to 1). post of several phases: (n, phases, size, size). pre with
    neighbours: (n, 1 + 2 * neighbours, size, size), the slice itself first.
    lesion: uint8, 1 in the annotated lesion; None if not used.
    """

    pre: np.ndarray
    post: np.ndarray
    lesion: np.ndarray | None = None

    @property
    def neighbours(self) -> int:
        """Number of further slices on each side of an input slice."""
        return self.pre.shape[1] // 2 if self.pre.ndim == 4 else 0

    @property
    def shows_lesion(self) -> np.ndarray | None:
        """Whether each slice (n,) shows an annotated lesion; None if the lesions are not used. Reads all of them."""
        return None if self.lesion is None else np.array([plane.any() for plane in self.lesion])


def load_batches(
    pairs: PairedSlices, batches: Iterable[Batch], device: str
) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
    """Yield (pre, post, lesion) of every batch on the device.

    pre: (N, 1 + 2 * neighbours, H, W). lesion: (N, 1, H, W). post: (N, phases, H, W). pre and post are in [-1, 1].
    """
    pin = device == "cuda"
    with ThreadPoolExecutor(1) as reader:
        ahead: deque[tuple[Batch, Future[list[Tensor]]]] = deque()
        for batch in batches:
            ahead.append((batch, reader.submit(_read, pairs, batch, pin)))
            if len(ahead) > PREFETCH:
                yield _on_device(*ahead.popleft(), device)
        while ahead:
            yield _on_device(*ahead.popleft(), device)


def _read(pairs: PairedSlices, batch: Batch, pin: bool) -> list[Tensor]:
    """Read the slices of a batch, flipped, as (N, channels, H, W) float32 in main memory."""
    images = []
    for slices in (pairs.pre, pairs.post, pairs.lesion):
        if slices is not None:
            chosen = slices[batch.slices].astype(np.float32, copy=False)
            chosen = chosen if chosen.ndim == 4 else chosen[:, None]
            image = torch.from_numpy(np.where(batch.flips[:, None, None, None], chosen[..., ::-1], chosen))
            images.append(image.pin_memory() if pin else image)
    return images


def _on_device(batch: Batch, reading: Future[list[Tensor]], device: str) -> tuple[Tensor, Tensor, Tensor | None]:
    """Copy a batch to the device, apply its affine maps, and scale pre and post to the network's range."""
    images = [image.to(device, non_blocking=True) for image in reading.result()]
    if batch.moves is not None:
        grid = affine_grid(torch.from_numpy(batch.moves).to(device), list(images[0].shape), align_corners=False)
        images = [  # outside the slice is air: 0
            grid_sample(image, grid, mode, align_corners=False) for image, mode in zip(images, KERNELS, strict=False)
        ]
    pre, post = (image * 2 - 1 for image in images[:2])
    return pre, post, images[2] if len(images) > 2 else None
