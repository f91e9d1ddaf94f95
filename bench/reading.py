"""What it costs to read slices, bring them to the device and turn them."""

import tempfile
import time
from pathlib import Path


def milliseconds_to_read(settings, size: int, device: str, slices: int = 64) -> float:
    """Of a batch, flipped and moved as params.yaml says, from slices in memory-mapped files; nothing else runs."""
    import numpy as np
    import torch

    from pre2post.pix2pixhd.dataset import PairedSlices, load_batches
    from pre2post.pix2pixhd.sampling import epoch_batches

    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in ("pre.npy", "post.npy")]
        for seed, file in enumerate(files):
            np.save(file, np.random.default_rng(seed).random((slices, size, size), np.float32))
        pairs = PairedSlices(*(np.load(file, mmap_mode="r") for file in files))
        cases = [str(index // 8) for index in range(slices)]
        times = []
        for epoch in range(6):
            plan = epoch_batches(cases, 0, epoch, 0, settings.batch_size, settings.flip, settings.augment)
            start = time.perf_counter()
            for _ in load_batches(pairs, plan, device):
                pass
            if device == "cuda":
                torch.cuda.synchronize()
            times.append(1000 * (time.perf_counter() - start) / len(plan))
        return min(times[1:])  # the first epoch also warms up
