"""The networks against the published sizes, and the losses computed by hand."""

import pytest
import torch
from torch.nn.functional import conv2d

from pre2post.pix2pixhd.architecture import Architecture
from pre2post.pix2pixhd.discriminator import MultiscaleDiscriminator
from pre2post.pix2pixhd.generator import CoarseGenerator, RowwiseConv2d, make_generator, network_input
from pre2post.pix2pixhd.losses import (
    absolute_error,
    adversarial,
    enhancement_weights,
    feature_matching,
    lesion_weights,
    squared_error,
)

SMALL = {"width": 4, "downs": 2, "blocks": 1}


def count(network):
    return sum(weight.numel() for weight in network.parameters())


@pytest.mark.parametrize(
    ("network", "parameters"),
    [
        (lambda: make_generator(Architecture()), 182_430_721),
        (lambda: make_generator(Architecture(channels=3)), 182_443_267),
        (lambda: make_generator(Architecture(kind="local", width=32)), 182_689_281),
        (lambda: MultiscaleDiscriminator(2), 5_527_426),
        (lambda: MultiscaleDiscriminator(6), 5_535_618),
    ],
)
def test_parameter_counts_are_those_of_the_published_networks(network, parameters):
    with torch.device("meta"):  # sizes only: no memory, no initialisation
        assert count(network()) == parameters


@pytest.mark.parametrize("kind", ["global", "local"])
@pytest.mark.parametrize("upsampling", ["transposed", "resize"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_residual_generator_adds_the_change_that_the_original_bounds(kind, upsampling, channels):
    """With equal weights: original(x) = tanh(h(x)), residual(x) = x + h(x), both of the input's shape."""
    torch.manual_seed(0)
    original, residual = (
        make_generator(Architecture(kind, channels, residual=residual, upsampling=upsampling, enhancers=2, **SMALL))
        for residual in (False, True)
    )
    residual.load_state_dict(original.state_dict())
    size = 2 * original.architecture.size_multiple
    image = torch.rand(2, channels, size, 2 * size, dtype=torch.float64) * 2 - 1
    change = residual.double()(image) - image
    assert change.shape == image.shape and change.std() > 1e-3
    torch.testing.assert_close(original.double()(image), torch.tanh(change))


def test_the_original_output_is_bounded_and_the_residual_one_starts_from_the_input():
    torch.manual_seed(0)
    image = torch.rand(1, 1, 16, 16) * 10
    bounded, residual = (make_generator(Architecture(residual=residual, **SMALL)) for residual in (False, True))
    assert bounded(image).abs().max() <= 1
    for weight in residual.model[-2].parameters():
        torch.nn.init.zeros_(weight)
    assert torch.equal(residual(image), image)


def test_resizing_leaves_no_checkerboard_where_transposed_convolution_does():
    """The response to a constant image is constant, except at the border, only if all pixels are computed alike."""
    torch.manual_seed(0)

    def unevenness(upsampling):
        generator = make_generator(Architecture(upsampling=upsampling, **SMALL))
        ups = [layer for layer in generator.model if isinstance(layer, torch.nn.ConvTranspose2d | torch.nn.Upsample)]
        start = list(generator.model).index(ups[0])
        up = generator.model[start : start + (1 if upsampling == "transposed" else 3)]
        return up(torch.ones(1, 16, 8, 8))[:, :, 2:-2, 2:-2].std((2, 3)).max()

    assert unevenness("resize") < 1e-6 < 1e-3 < unevenness("transposed")


@pytest.mark.parametrize("filters", [1, 3])
@pytest.mark.parametrize("size", [(20, 31), (7, 7)])
def test_the_rowwise_convolution_equals_the_plain_one(filters, size):
    torch.manual_seed(0)
    layer, image = RowwiseConv2d(5, filters, 7).double(), torch.rand(2, 5, *size, dtype=torch.float64)
    results = []
    for output in (layer(image), conv2d(image, layer.weight, layer.bias)):
        results.append((output, torch.autograd.grad(output.square().sum(), list(layer.parameters()))))
    torch.testing.assert_close(*results, rtol=1e-12, atol=1e-12)


def test_the_coarse_generator_shares_the_layers_of_the_local_one():
    local = make_generator(Architecture("local", **SMALL))
    coarse = CoarseGenerator(local)
    shared, head = ({id(weight) for weight in part.parameters()} for part in (local.model, coarse.head))
    assert {id(weight) for weight in coarse.parameters()} == shared | head and not shared & head
    image = torch.rand(1, 1, 16, 16)
    before = coarse(image)
    assert before.shape == image.shape and before.abs().max() <= 1
    torch.nn.init.ones_(local.model[1].weight)
    assert not torch.equal(coarse(image), before)


def test_the_discriminator_scores_each_scale_once_finest_first():
    torch.manual_seed(0)
    discriminator, image = MultiscaleDiscriminator(2, width=4, layers=3, scales=2), torch.rand(1, 2, 64, 64)
    fine, coarse = discriminator(image)
    assert [len(fine), len(coarse)] == [5, 5]
    assert [fine[-1].shape[-1], coarse[-1].shape[-1]] == [11, 7]  # three of five layers halve; each pads by one pixel
    halved = torch.nn.functional.avg_pool2d(image, 3, 2, 1, count_include_pad=False)
    assert torch.equal(coarse[-1], discriminator.scales[1](halved)[-1])


def test_adversarial_and_feature_matching_losses_by_hand():
    scores = [[torch.zeros(1, 1, 2, 2), torch.full((1, 1, 2, 2), 0.5)], [torch.zeros(1), torch.ones(1)]]
    assert adversarial(scores, real=True).item() == pytest.approx(0.25)
    assert adversarial(scores, real=False).item() == pytest.approx(1.25)
    fake = [[torch.zeros(2), torch.zeros(2), torch.zeros(1)]]
    real = [[torch.ones(2), 3 * torch.ones(2), torch.ones(1)]]
    assert feature_matching(fake, real).item() == pytest.approx(4 / 2 * (1 + 3))


def image(*values):
    return torch.tensor(values).view(1, 1, 1, -1)


def test_weights_of_enhancing_and_lesion_pixels_and_no_weights():
    pre, post, fake = image(0.0, 0.0), image(1.0, -1.0), image(0.0, -0.5)  # the first enhances by 0.5 normalised
    errors, lesion = (1.0, 0.5), image(0.0, 1.0)
    plain, enhancing = (enhancement_weights(pre, post, weight, (0.1, 0.9)) for weight in (0.0, 4.0))
    assert squared_error(fake, post, plain).item() == pytest.approx((errors[0] ** 2 + errors[1] ** 2) / 2)
    assert squared_error(fake, post, enhancing).item() == pytest.approx((3 * errors[0] ** 2 + errors[1] ** 2) / 4)
    annotated = lesion_weights(lesion, 3.0)
    assert absolute_error(fake, post, annotated).item() == pytest.approx((errors[0] + 4 * errors[1]) / 5)
    assert absolute_error(fake, post, lesion_weights(lesion, 0.0)).item() == pytest.approx(sum(errors) / 2)


def test_weighted_errors_of_a_batch_are_the_mean_of_those_of_its_images():
    torch.manual_seed(0)
    pre, post, fake = torch.rand(3, 4, 1, 8, 8)
    weights = enhancement_weights(pre, post, 9.0, (0.0, 0.2))
    single = [squared_error(fake[i : i + 1], post[i : i + 1], weights[i : i + 1]) for i in range(4)]
    torch.testing.assert_close(squared_error(fake, post, weights), sum(single) / 4)


def optimum(targets, weights):
    """Return the constant prediction of least squared error, by its closed form E[w y] / E[w]."""
    return float((weights * targets).mean() / weights.mean())


def test_the_optimum_in_tissue_that_enhances_weakly_is_its_mean_and_the_odds_of_lesions_grow():
    """Gland that enhances by 0.07 +- 0.02 normalised, and pixels of which a fifth are lesions that enhance by 0.4."""
    random = torch.Generator().manual_seed(0)
    gland = 2 * (0.07 + 0.02 * torch.randn(1, 1, 100, 100, generator=random)).clamp(0, 0.1)  # in network units
    pre = -torch.ones_like(gland)
    bounded = enhancement_weights(pre, pre + gland, 200.0, (0.1, 0.3))
    unbounded = 1 + 200 * gland / 2
    assert optimum(gland, bounded) == pytest.approx(float(gland.mean()), rel=1e-4)
    assert optimum(gland, unbounded) > 1.05 * float(gland.mean())

    lesion = (torch.rand(gland.shape, generator=random) < 0.2).float()
    mixed = torch.where(lesion > 0, 0.8, 0.14)
    weight, p = 15.0, float(lesion.mean())
    likelier = (1 + weight) * p / (1 + weight * p)
    expected = likelier * 0.8 + (1 - likelier) * 0.14
    assert optimum(mixed, lesion_weights(lesion, weight)) == pytest.approx(expected, rel=1e-4)
    assert optimum(gland, lesion_weights(torch.zeros_like(lesion), weight)) == pytest.approx(float(gland.mean()))


def test_neighbours_are_further_input_channels_and_do_not_change_the_image_that_a_residual_generator_adds_to():
    for kind in ("global", "local"):
        generator = make_generator(Architecture(kind, residual=True, neighbours=2, **SMALL)).eval()
        with torch.no_grad():
            for weight in generator.parameters():
                weight.zero_()
        x = torch.rand(1, 5, 32, 32)
        assert torch.equal(generator(x), x[:, :1])


def test_the_input_repeats_the_slice_in_each_channel_of_the_image():
    x = torch.rand(2, 3, 4, 4)
    assert torch.equal(network_input(x, 1), x)
    assert torch.equal(network_input(x, 3), torch.stack([x[:, k] for k in (0, 0, 0, 1, 2)], 1))
