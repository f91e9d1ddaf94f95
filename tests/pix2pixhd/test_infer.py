"""Inference on slices: scale, channels, batches, memory, and errors."""

import tracemalloc

import numpy as np
import pytest
import torch

from pre2post.core.errors import InputError
from pre2post.pix2pixhd.architecture import Architecture
from pre2post.pix2pixhd.generator import make_generator
from pre2post.pix2pixhd.infer import infer
from pre2post.pix2pixhd.neighbours import with_neighbours

TINY = {"width": 4, "downs": 2, "blocks": 1}


def make(**settings) -> torch.nn.Module:
    torch.manual_seed(0)
    return make_generator(Architecture(**TINY | settings)).eval()


def last_convolution(generator) -> torch.nn.Conv2d:
    return [layer for layer in generator.modules() if isinstance(layer, torch.nn.Conv2d)][-1]


@pytest.fixture(autouse=True)
def one_thread():
    """More threads would only wait for each other on images of this size."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def slices():
    return np.random.default_rng(0).random((5, 32, 32), np.float32) * 3


@pytest.mark.parametrize("channels", [1, 3])
def test_the_output_does_not_depend_on_the_batch_size_and_keeps_the_scale(slices, channels):
    generator = make(residual=True, channels=channels)
    whole = infer(generator, slices, 5)
    assert whole.dtype == np.float32 and whole.shape == slices.shape
    for batch_size in (1, 2, 8):
        np.testing.assert_allclose(infer(generator, slices, batch_size), whole, atol=1e-5)
    torch.nn.init.zeros_(last_convolution(generator).weight)
    torch.nn.init.zeros_(last_convolution(generator).bias)
    np.testing.assert_allclose(infer(generator, slices), slices, atol=1e-6)


@pytest.mark.parametrize("kind", ["global", "local"])
def test_three_channels_get_the_repeated_grey_image_and_return_the_mean(slices, kind):
    generator = make(kind=kind, channels=3)
    with torch.inference_mode():
        images = generator(torch.from_numpy(np.stack([slices] * 3, 1)) * 2 - 1).numpy()
    assert np.ptp(images, axis=1).max() > 0.01, "the channels must differ, or the mean is not tested"
    np.testing.assert_allclose(infer(generator, slices), (images.mean(1) + 1) / 2, atol=1e-5)


def test_three_equal_channels_give_the_output_of_one_channel(slices):
    one, three = make(), make(channels=3)
    weights = one.state_dict()
    first, *_, last = [name for name in weights if name.endswith("weight")]
    weights[first] = weights[first].repeat(1, 3, 1, 1) / 3
    weights[last], weights[last.replace("weight", "bias")] = (
        weights[last].repeat(3, 1, 1, 1),
        weights[last.replace("weight", "bias")].repeat(3),
    )
    three.load_state_dict(weights)
    np.testing.assert_allclose(infer(three, slices), infer(one, slices), atol=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16])
def test_any_type_of_number_and_no_slice_at_all(slices, dtype):
    generator, given = make(), (slices * 2).astype(dtype)
    np.testing.assert_array_equal(infer(generator, given), infer(generator, given.astype(np.float32)))
    assert infer(generator, given[:0]).shape == (0, 32, 32)


def test_memory_holds_the_result_and_no_second_copy():
    slices = np.broadcast_to(np.float32(0.5), (256, 32, 32))
    generator = make(width=1, downs=1)
    tracemalloc.start()
    result = infer(generator, slices, 8)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert result.nbytes < peak < 1.2 * result.nbytes


def test_values_that_are_not_finite_are_refused(slices):
    generator = make()
    torch.nn.init.constant_(last_convolution(generator).bias, torch.nan)
    with pytest.raises(InputError, match="not finite"):
        infer(generator, slices)


@pytest.mark.parametrize(
    "settings",
    [{}, {"downs": 1}, {"kind": "local"}, {"kind": "local", "enhancers": 2}, {"upsampling": "resize"}, {"channels": 3}],
)
def test_sizes_that_do_not_fit_are_refused(settings):
    architecture = Architecture(**TINY | settings)
    generator, multiple = make_generator(architecture).eval(), architecture.size_multiple
    for size in (2 * multiple, 3 * multiple):
        architecture.check_size(size)
        assert infer(generator, np.zeros((1, size, size))).shape == (1, size, size)
    for size in (multiple, 2 * multiple + 1, 5 * multiple // 2):
        with pytest.raises(InputError, match=rf"slices\.size {size}; expected: a multiple of {multiple}, and at least"):
            architecture.check_size(size)


def test_the_smallest_size_is_a_limit_of_the_network():
    with pytest.raises((RuntimeError, ValueError)):
        infer(make(), np.zeros((1, 4, 4)))


def test_a_generator_with_neighbours_takes_a_volume_or_stacks_and_no_other_number(slices):
    generator = make(neighbours=1, residual=True)
    stacks = with_neighbours(slices, 1)
    np.testing.assert_array_equal(stacks[0], slices[[0, 0, 1]])
    np.testing.assert_array_equal(stacks[2], slices[[2, 1, 3]])
    np.testing.assert_array_equal(stacks[4], slices[[4, 3, 4]])
    whole = infer(generator, slices)
    np.testing.assert_allclose(infer(generator, stacks), whole, atol=1e-6)
    np.testing.assert_allclose(infer(generator, stacks[[3, 1]]), whole[[3, 1]], atol=1e-5)
    with torch.inference_mode():
        expected = (generator(torch.from_numpy(stacks[1:2]) * 2 - 1)[0, 0] + 1) / 2
    np.testing.assert_allclose(whole[1], expected, atol=1e-5)
    for wrong, other in ((make(), stacks), (generator, with_neighbours(slices, 2))):
        with pytest.raises(InputError, match="neighbours"):
            infer(wrong, other)
