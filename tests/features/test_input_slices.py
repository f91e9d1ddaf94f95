import numpy as np
import pytest
import torch

from pre2post.features.input_slices import check_slices, in_batches


class Slices:
    """Replaces a memory map and records the largest number of slices read at once."""

    def __init__(self, array):
        self.array, self.most = array, 0

    def __len__(self):
        return len(self.array)

    def __getitem__(self, wanted):
        self.most = max(self.most, len(self.array[wanted]))
        return self.array[wanted]


def test_no_more_than_a_batch_is_read_at_once():
    stacks = [Slices(np.random.default_rng(seed).integers(0, 9, (10, 3, 4))) for seed in (0, 1)]
    found = in_batches(lambda a, b: (a * b).sum(dim=(1, 2, 3)), torch.nn.Conv2d(1, 1, 1), 4, *stacks)
    np.testing.assert_array_equal(found, (stacks[0].array * stacks[1].array).sum(axis=(1, 2)))
    assert found.dtype == np.float64 and [stack.most for stack in stacks] == [4, 4]


def test_settings_of_torch_are_as_before():
    before = torch.backends.cudnn.allow_tf32, torch.backends.cudnn.enabled, torch.backends.cudnn.deterministic
    in_batches(lambda images: images, torch.nn.Conv2d(1, 1, 1), 2, np.zeros((3, 4, 4)))
    assert before == (torch.backends.cudnn.allow_tf32, torch.backends.cudnn.enabled, torch.backends.cudnn.deterministic)


@pytest.mark.parametrize("shape", [(20, 20), (0, 20, 20), (2, 15, 20), (2, 20, 15), (2, 1, 20, 20)])
def test_other_shapes_are_refused(shape, refused):
    refused(lambda: check_slices(np.zeros(shape), 16), f"shape {shape}", "(n, h, w)", "16 x 16")


def test_slices_are_checked_for_their_size_and_values(refused):
    slices = np.zeros((2, 16, 16))
    check_slices(slices, 16)
    for bad in (np.nan, -np.inf):
        slices[1, 3, 4] = bad
        refused(lambda: check_slices(slices, 16), "not finite")
