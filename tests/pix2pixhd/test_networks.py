"""The networks against the published sizes, and the step against its textbook form in float64."""

import copy
from types import SimpleNamespace

import pytest
import torch
from torch.nn.functional import l1_loss

from pix2pixhd.discriminator import MultiscaleDiscriminator
from pix2pixhd.generator import GlobalGenerator, LocalEnhancer, make_generator, size_multiple
from pix2pixhd.losses import adversarial, enhancement_loss, feature_matching
from pix2pixhd.step import Pix2PixHD

SETTINGS = SimpleNamespace(generator="global", width=4, downs=2, blocks=1, residual=False, discriminator_width=4,
                           discriminator_scales=2, discriminator_layers=3, lambda_fm=10.0, lambda_l1=3.0,
                           lambda_enhancement=7.0, enhancement_weight=5.0, learning_rate=0.0002, beta1=0.5, ema=0.9)


def count(network):
    return sum(weight.numel() for weight in network.parameters())


@pytest.mark.parametrize(("network", "parameters"), [
    (lambda: GlobalGenerator(1), 182_430_721), (lambda: GlobalGenerator(3), 182_443_267),
    (lambda: LocalEnhancer(1), 182_689_281),
    (lambda: MultiscaleDiscriminator(2), 5_527_426), (lambda: MultiscaleDiscriminator(6), 5_535_618)])
def test_parameter_counts_are_those_of_the_published_networks(network, parameters):
    with torch.device("meta"):  # sizes only: no memory, no initialisation
        assert count(network()) == parameters


@pytest.mark.parametrize("kind", ["global", "local"])
@pytest.mark.parametrize("residual", [False, True])
def test_generators_keep_the_shape(kind, residual):
    generator = make_generator(kind, width=4, downs=2, blocks=1, residual=residual)
    size = 2 * size_multiple(kind, downs=2)
    image = torch.rand(2, 1, size, 2 * size) * 2 - 1
    assert generator(image).shape == image.shape


def test_the_original_output_is_bounded_and_the_residual_one_starts_from_the_input():
    torch.manual_seed(0)
    image = torch.rand(1, 1, 16, 16) * 10
    bounded, residual = (make_generator("global", 4, 2, 1, residual) for residual in (False, True))
    assert bounded(image).abs().max() <= 1
    torch.nn.init.zeros_(residual.model[-2].weight)
    assert torch.equal(residual(image), image)


def test_a_local_enhancer_may_be_nested():
    assert LocalEnhancer(width=4, downs=1, blocks=1, enhancers=2)(torch.rand(1, 1, 16, 16)).shape == (1, 1, 16, 16)


def test_the_discriminator_sees_each_scale_once_finest_first():
    outputs = MultiscaleDiscriminator(2, width=4, layers=3, scales=2)(torch.rand(1, 2, 64, 64))
    assert [len(scale) for scale in outputs] == [5, 5]
    assert outputs[0][-1].shape[-1] > outputs[1][-1].shape[-1]


def test_losses_by_hand():
    scores = [[torch.zeros(1, 1, 2, 2), torch.full((1, 1, 2, 2), 0.5)], [torch.zeros(1), torch.ones(1)]]
    assert adversarial(scores, real=True).item() == pytest.approx(0.25)
    assert adversarial(scores, real=False).item() == pytest.approx(1.25)
    fake = [[torch.zeros(2), torch.zeros(2), torch.zeros(1)]]
    real = [[torch.ones(2), 3 * torch.ones(2), torch.ones(1)]]
    assert feature_matching(fake, real).item() == pytest.approx(4 / 2 * (1 + 3))


def test_the_enhancement_term_counts_enhancing_pixels_more_and_without_a_weight_is_plain():
    pre, post = torch.tensor([0.0, 0.0]), torch.tensor([1.0, -1.0])  # the first enhances by 0.5 normalised
    fake = torch.tensor([0.0, -0.5])
    assert enhancement_loss(fake, post, pre, 0.0).item() == pytest.approx((1 + 0.25) / 2)
    assert enhancement_loss(fake, post, pre, 4.0).item() == pytest.approx((3 * 1 + 1 * 0.25) / (3 + 1))


def test_the_kept_generator_is_the_moving_average_of_the_steps():
    torch.manual_seed(1)
    model = Pix2PixHD(SETTINGS, torch.device("cpu"))
    weight, average = model.generator.model[1].weight, model.average.model[1].weight
    expected = weight.detach().clone()
    for step in range(1, 120):
        model.step(torch.rand(1, 1, 16, 16), torch.rand(1, 1, 16, 16))
        decay = min(0.9, step / (10 + step))
        expected = decay * expected + (1 - decay) * weight.detach()
    torch.testing.assert_close(average, expected, rtol=1e-5, atol=1e-7)


def test_without_averaging_the_last_weights_are_kept():
    model = Pix2PixHD(SimpleNamespace(**{**vars(SETTINGS), "ema": 0.0}), torch.device("cpu"))
    model.step(torch.rand(1, 1, 16, 16), torch.rand(1, 1, 16, 16))
    assert torch.equal(model.average.model[1].weight, model.generator.model[1].weight)


def test_gradients_equal_the_textbook_step_in_float64():
    """Two passes of the fake through the discriminator, plain backward, as the paper describes it."""
    torch.manual_seed(1)
    model = Pix2PixHD(SETTINGS, torch.device("cpu"))
    model.generator.double()
    model.discriminator.double()
    model.average.double()
    model.g_optimiser, model.d_optimiser = (SimpleNamespace(step=lambda: None) for _ in range(2))
    generator, discriminator = copy.deepcopy(model.generator), copy.deepcopy(model.discriminator)
    pre, post = (torch.rand(2, 1, 32, 32, dtype=torch.float64) * 2 - 1 for _ in range(2))

    model.step(pre, post)

    fake = generator(pre)
    judged_detached = discriminator(torch.cat([pre, fake.detach()], 1))
    judged_real = discriminator(torch.cat([pre, post], 1))
    loss_d = sum(((real[-1] - 1) ** 2).mean() + (fake[-1] ** 2).mean()
                 for real, fake in zip(judged_real, judged_detached, strict=True)) / 2
    loss_d.backward()
    judged_fake = discriminator(torch.cat([pre, fake], 1))
    weights = 1 + 5.0 * torch.relu(post - pre) / 2
    loss_g = sum(((scale[-1] - 1) ** 2).mean() for scale in judged_fake)
    loss_g = loss_g + 3.0 * l1_loss(fake, post) + 7.0 * (weights * (fake - post) ** 2).sum() / weights.sum()
    for fake_scale, real_scale in zip(judged_fake, judged_real, strict=True):
        for layer in range(4):
            loss_g = loss_g + 10 * (4 / 4) * (1 / 2) * l1_loss(fake_scale[layer], real_scale[layer].detach())
    expected_g = torch.autograd.grad(loss_g, list(generator.parameters()))

    for weight, expected in zip(model.generator.parameters(), expected_g, strict=True):
        torch.testing.assert_close(weight.grad, expected, rtol=1e-6, atol=1e-12)
    for weight, expected in zip(model.discriminator.parameters(), discriminator.parameters(), strict=True):
        torch.testing.assert_close(weight.grad, expected.grad, rtol=1e-6, atol=1e-12)
