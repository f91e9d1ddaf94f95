"""Training batches, made one ahead in a thread, so that loading and augmentation overlap with the step.

The batches are the same as without the thread. Only the thread draws random numbers during a training, one batch after
the other. The state of the generators before the next batch is kept, so that a killed training resumes with that batch.
"""

import random
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import numpy as np
import torch
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2

from pre2post.core.device import torch_workers

MEMORY = 1 << 30  # bytes of volumes that stay in memory; further ones are read for every patch

RandomStates = dict[str, Any]


class CopiedArray(np.ndarray):
    """An array whose parts are copies, as those of a file are: the augmentation writes into its input."""

    def __getitem__(self, place):
        return np.array(np.asarray(self)[place])


class VolumesInMemory(nnUNetDatasetBlosc2):
    """nnU-Net's dataset, which decompresses a volume once instead of for every patch."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._cases: dict[str, tuple[np.ndarray, np.ndarray, None, dict]] = {}
        self._bytes = 0

    def load_case(self, identifier: str) -> tuple:
        if identifier in self._cases:
            return self._cases[identifier]
        image, mask, previous, properties = super().load_case(identifier)
        needed = 4 * image.size + mask.size
        if previous is not None or self._bytes + needed > MEMORY:
            return image, mask, previous, properties
        self._bytes += needed
        self._cases[identifier] = image[:].view(CopiedArray), mask[:].view(CopiedArray), None, properties
        return self._cases[identifier]


class BatchesAhead:
    """The batches of a loader, in its order. `next_state` is the state of all generators before the next batch."""

    def __init__(self, loader: Iterator[dict]):
        self._loader = loader
        self._thread = torch_workers(1)
        self._pending: Future[dict] | None = None
        self._state: RandomStates | None = None

    def __next__(self) -> dict:
        batch = self._request().result()
        self._pending = None
        self._request()
        return batch

    @property
    def next_state(self) -> RandomStates:
        return random_states() if self._state is None or self._pending is None else self._state

    def close(self) -> None:
        self._thread.shutdown(cancel_futures=True)

    def _request(self) -> "Future[dict]":
        if self._pending is None:
            self._state = random_states()
            self._pending = self._thread.submit(next, self._loader)
        return self._pending


def random_states() -> RandomStates:
    """Return the state of each generator that nnU-Net uses, in types that load without running code."""
    state = np.random.get_state()
    assert isinstance(state, tuple)  # the form of the legacy generator
    kind, keys, *rest = state
    return {
        "torch": torch.get_rng_state(),
        "python": random.getstate(),
        "numpy": [kind, torch.from_numpy(keys.astype(np.int64)), *rest],
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore_random_states(saved: RandomStates) -> None:
    kind, keys, *rest = saved["numpy"]
    np.random.set_state((kind, keys.cpu().numpy().astype(np.uint32), *rest))
    random.setstate(saved["python"])
    torch.set_rng_state(saved["torch"].cpu())
    if saved["cuda"]:
        torch.cuda.set_rng_state_all([state.cpu() for state in saved["cuda"]])
