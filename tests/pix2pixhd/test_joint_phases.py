"""One generator for several phases, one channel each: training, weights file and inference."""

import numpy as np
import pytest
import torch

from pre2post.core.errors import InputError
from pre2post.pix2pixhd.architecture import Architecture
from pre2post.pix2pixhd.checkpoint import load_generator
from pre2post.pix2pixhd.dataset import PairedSlices, load_batches
from pre2post.pix2pixhd.generator import make_generator
from pre2post.pix2pixhd.infer import infer
from pre2post.pix2pixhd.runtime import RuntimeConfig
from pre2post.pix2pixhd.sampling import epoch_batches
from pre2post.pix2pixhd.train import train

pytestmark = pytest.mark.slow

SHIFTS = (0.2, 0.6)  # difference of each phase to pre


@pytest.fixture(scope="module")
def joint(pairs) -> PairedSlices:
    return PairedSlices(pairs.pre, np.stack([pairs.pre + shift for shift in SHIFTS], 1), pairs.lesion)


def test_phases_are_flipped_and_moved_like_pre(joint, cases):
    batches = epoch_batches(cases, 3, 0, 0, 4, True, True)
    assert any(batch.flips.any() for batch in batches) and any(batch.moves is not None for batch in batches)
    for pre, post, lesion in load_batches(joint, batches, "cpu"):
        assert post.shape == (len(pre), 2, *pre.shape[2:]) and lesion.shape == pre.shape
        inside = pre[:, 0] > -0.99  # outside the slice both are air
        for place, shift in enumerate(SHIFTS):
            moved = (post[:, place] - pre[:, 0])[inside]
            assert torch.median((moved - 2 * shift).abs()) < 1e-5  # twice: the network's range is [-1, 1]


@pytest.mark.parametrize("kind", ["global", "local"])
def test_each_channel_learns_its_phase(joint, cases, tmp_path, tiny, kind, one_thread):
    settings = tiny(
        generator=kind,
        channels=2,
        residual=True,
        lambda_l1=50.0,
        lambda_enhancement=0.0,
        epochs=12,
        slices_per_case=0,
        learning_rate=0.01,
        ema=0.0,
        augment=False,
        checkpoint_every_epochs=12,
    )
    (checkpoint,) = train(
        settings, 7, cases, joint, tmp_path / "family/training", RuntimeConfig(), lambda history: None
    )
    fake = infer(load_generator(checkpoint), joint.pre, phases=2)
    assert fake.shape == joint.post.shape
    for place in range(2):
        errors = [np.abs(fake[:, place] - joint.post[:, other]).mean() for other in range(2)]
        assert errors[place] < 0.5 * errors[1 - place], "the channel is nearer to another phase"


def test_each_channel_is_a_phase_without_averaging():
    torch.manual_seed(0)
    generator = make_generator(Architecture(width=4, downs=2, blocks=1, channels=3)).eval()
    slices = np.random.default_rng(0).random((5, 32, 32), np.float32)
    with torch.inference_mode():
        images = generator(torch.from_numpy(np.stack([slices] * 3, 1)) * 2 - 1).numpy()
    np.testing.assert_allclose(infer(generator, slices, 2, phases=3), (images + 1) / 2, atol=1e-5)
    np.testing.assert_allclose(infer(generator, slices, 2), (images.mean(1) + 1) / 2, atol=1e-5)


def test_weights_of_another_number_of_phases_are_refused():
    generator = make_generator(Architecture(width=4, downs=2, blocks=1, channels=3))
    with pytest.raises(InputError, match=r"another number of phases; found: 3 channels; expected: 2"):
        infer(generator, np.zeros((1, 32, 32), np.float32), phases=2)
