"""The training step against its textbook form in float64, the moving average, and the training stages."""

import copy

import pytest
import torch
from torch.nn.functional import avg_pool2d, l1_loss

from pre2post.pix2pixhd.runtime import RuntimeConfig
from pre2post.pix2pixhd.step import Pix2PixHD


def images(*shape, **kind):
    return (torch.rand(*shape, **kind) * 2 - 1 for _ in range(2))


class Recorder:
    """Replaces an optimiser: changes nothing and records the gradients."""

    def __init__(self, weights):
        self.weights = list(weights)

    def step(self):
        self.gradients = [weight.grad for weight in self.weights]


def recorded(model):
    model.g_optimiser = Recorder(model.g_params)
    model.d_optimiser = Recorder(model.d_params) if model.d_params else None
    return model


def in_float64(settings, runtime=None, perceptual=None):
    """Return a model that computes in float64 and records its gradients."""
    model = Pix2PixHD(settings, runtime or RuntimeConfig(), perceptual=perceptual)
    for network in filter(None, (model.generator, model.discriminator, model.ema)):
        network.double()
    return recorded(model)


class Squares(torch.nn.Module):
    """Replaces the VGG19 loss, to test that its gradient is used with its weight."""

    def forward(self, fake, real):
        return ((fake**2 - real**2) ** 2).mean()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", ["global", "local"])
def test_gradients_equal_the_textbook_step(tiny, kind, channels):
    """Two passes of the fake image through the discriminator and plain backward(), as in the paper."""
    torch.manual_seed(1)
    settings = tiny(generator=kind, channels=channels, lesion_weight=2.0, lambda_vgg=6.0, lambda_gan=0.5)
    model = in_float64(settings, perceptual=Squares())
    generator, discriminator = copy.deepcopy(model.generator), copy.deepcopy(model.discriminator)
    pre, post = images(2, 1, 32, 32, dtype=torch.float64)
    lesion = (torch.rand(2, 1, 32, 32) < 0.3).double()

    model.step(pre, post, lesion)

    pre, post, lesion = (image.repeat(1, channels, 1, 1) for image in (pre, post, lesion))
    fake = generator(pre)
    detached_features = discriminator(torch.cat([pre, fake.detach()], 1))
    real_features = discriminator(torch.cat([pre, post], 1))
    loss_d = (
        sum(
            ((real[-1] - 1) ** 2).mean() + (fake[-1] ** 2).mean()
            for real, fake in zip(real_features, detached_features, strict=True)
        )
        / 2
    )
    loss_d.backward()
    fake_features = discriminator(torch.cat([pre, fake], 1))
    loss_g = (
        0.5 * sum(((scale[-1] - 1) ** 2).mean() for scale in fake_features) + 6.0 * ((fake**2 - post**2) ** 2).mean()
    )
    for fake_scale, real_scale in zip(fake_features, real_features, strict=True):
        for layer in range(4):
            loss_g = loss_g + 10 * (4 / 4) * (1 / 2) * l1_loss(fake_scale[layer], real_scale[layer].detach())
    for image in range(2):
        in_lesion = 1 + 2.0 * lesion[image]
        rise = ((post[image] - pre[image]) / 2 - 0.1) / 0.4
        weights = in_lesion * (1 + 5.0 * rise.clamp(0, 1))
        error = fake[image] - post[image]
        loss_g = loss_g + 3.0 / 2 * (in_lesion * error.abs()).sum() / in_lesion.sum()
        loss_g = loss_g + 7.0 / 2 * (weights * error**2).sum() / weights.sum()
    expected_g = torch.autograd.grad(loss_g, list(generator.parameters()))

    expected_d = [weight.grad for weight in discriminator.parameters()]
    torch.testing.assert_close(model.g_optimiser.gradients, list(expected_g), rtol=1e-6, atol=1e-11)
    torch.testing.assert_close(model.d_optimiser.gradients, expected_d, rtol=1e-6, atol=1e-11)


def test_without_the_adversarial_loss_a_step_is_that_of_a_regression(tiny):
    torch.manual_seed(1)
    settings = tiny(lambda_gan=0.0, lambda_l1=0.0, lambda_enhancement=2.0, enhancement_weight=0.0, residual=True)
    model = in_float64(settings)
    generator = copy.deepcopy(model.generator)
    assert model.discriminator is None and not model.d_params
    pre, post = images(2, 1, 32, 32, dtype=torch.float64)
    losses = model.step(pre, post)
    expected = torch.autograd.grad(2 * ((generator(pre) - post) ** 2).mean(), list(generator.parameters()))
    torch.testing.assert_close(model.g_optimiser.gradients, list(expected), rtol=1e-6, atol=1e-11)
    assert {name for name, loss in losses.items() if loss} == {"g_enhancement"}


def test_neighbours_enter_the_generator_but_not_the_discriminator_or_the_losses(tiny):
    torch.manual_seed(1)
    settings = tiny(channels=3, residual=True)
    model = Pix2PixHD(settings, RuntimeConfig(), neighbours=1)
    generator, discriminator = copy.deepcopy(model.generator), copy.deepcopy(model.discriminator)
    stack, post = torch.rand(2, 3, 32, 32) * 2 - 1, torch.rand(2, 1, 32, 32) * 2 - 1
    losses = model.step(stack, post)
    pre = stack[:, :1].expand(-1, 3, -1, -1)
    fake = generator(torch.cat([pre, stack[:, 1:]], 1))
    assert losses["g_l1"].item() == pytest.approx(3.0 * l1_loss(fake, post.expand_as(fake)).item(), rel=1e-5)
    scores = discriminator(torch.cat([pre, fake], 1))
    assert losses["g_gan"].item() == pytest.approx(sum(((scale[-1] - 1) ** 2).mean() for scale in scores).item())


def test_bfloat16_gradients_point_where_float32_ones_do(tiny):
    gradients = []
    for precision in ("float32", "bfloat16"):
        torch.manual_seed(1)
        model = recorded(Pix2PixHD(tiny(), RuntimeConfig(precision=precision)))
        torch.manual_seed(2)
        model.step(*images(1, 1, 32, 32))
        kernels = [
            gradient for gradient in model.g_optimiser.gradients if gradient.ndim == 4
        ]  # gradients of biases are rounding only
        gradients.append(torch.cat([kernel.flatten() for kernel in kernels]))
        assert all(kernel.dtype == torch.float32 for kernel in kernels)
    assert torch.nn.functional.cosine_similarity(*gradients, dim=0) > 0.95
    assert not torch.equal(*gradients)


def test_the_layout_in_memory_changes_no_gradient(tiny):
    gradients = []
    for channels_last in (False, True):
        torch.manual_seed(1)
        model = in_float64(tiny(), RuntimeConfig(channels_last=channels_last))
        torch.manual_seed(2)
        model.step(*images(2, 1, 32, 32, dtype=torch.float64))
        gradients.append(model.g_optimiser.gradients)
    assert model.generator.model[4].weight.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(*gradients, rtol=1e-6, atol=1e-11)


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("special", [{}, {"upsampling": "resize", "channels": 3}, {"generator": "local"}])
def test_the_weights_move_as_plain_adam_would_move_them(special, channels_last, tiny):
    torch.manual_seed(1)
    model = Pix2PixHD(tiny(**special), RuntimeConfig(channels_last=channels_last))
    plain = [torch.nn.Parameter(weight.detach().clone().contiguous()) for weight in (*model.g_params, *model.d_params)]
    adam = torch.optim.Adam(plain, 0.002, (0.5, 0.999), foreach=False, fused=False)
    for _ in range(3):  # Adam's first step has the same size for all gradients
        pre, post = images(2, 1, 32, 32)
        copied = recorded(copy.deepcopy(model))
        copied.step(pre, post)
        gradients = (*copied.g_optimiser.gradients, *copied.d_optimiser.gradients)
        for weight, gradient in zip(plain, gradients, strict=True):
            weight.grad = gradient.contiguous()
        adam.step()
        model.step(pre, post)
    torch.testing.assert_close([*model.g_params, *model.d_params], plain, rtol=0, atol=1e-6)


def test_the_kept_generator_is_the_moving_average_of_the_steps(tiny):
    torch.manual_seed(1)
    model = Pix2PixHD(tiny(), RuntimeConfig())
    weight, average = model.generator.model[1].weight, model.ema.model[1].weight
    expected = weight.detach().clone()
    for step in range(1, 100):
        model.step(*images(1, 1, 16, 16))
        decay = min(0.9, step / (10 + step))
        expected = decay * expected + (1 - decay) * weight.detach()
    torch.testing.assert_close(average, expected, rtol=1e-5, atol=1e-7)


def test_without_averaging_the_last_weights_are_kept(tiny):
    model = Pix2PixHD(tiny(ema=0.0), RuntimeConfig())
    model.step(*images(1, 1, 16, 16))
    assert torch.equal(model.ema.model[1].weight, model.generator.model[1].weight)


def snapshot(*modules):
    return [weight.detach().clone() for module in modules for weight in module.parameters()]


def changed(before, *modules):
    return [not torch.equal(old, new) for old, new in zip(before, snapshot(*modules), strict=True)]


def test_each_training_stage_trains_only_its_part(tiny):
    torch.manual_seed(1)
    model = Pix2PixHD(tiny(generator="local", global_epochs=1, fix_global_epochs=1), RuntimeConfig())
    inner, around = (model.generator.model,), (model.generator.before, model.generator.after)
    learning = {"global": (True, False), "enhancers": (False, True), "all": (True, True)}
    for stage, (inner_learns, around_learns) in learning.items():
        model.start_stage(stage)
        before_inner, before_around = snapshot(*inner), snapshot(*around)
        model.step(*images(1, 1, 32, 32))
        assert any(changed(before_inner, *inner)) == inner_learns, stage
        assert any(changed(before_around, *around)) == around_learns, stage


def test_the_global_stage_uses_images_at_its_own_resolution(tiny):
    torch.manual_seed(1)
    model = in_float64(tiny(generator="local", global_epochs=1))
    model.start_stage("global")
    model.network.double()
    recorded(model)
    coarse, discriminator = copy.deepcopy(model.network), copy.deepcopy(model.discriminator)
    pre, post = images(1, 1, 32, 32, dtype=torch.float64)
    losses = model.step(pre, post)
    small, target = (avg_pool2d(image, 3, 2, 1, count_include_pad=False) for image in (pre, post))
    scores = discriminator(torch.cat([small, coarse(small)], 1))
    assert losses["g_gan"].item() == pytest.approx(sum(((scale[-1] - 1) ** 2).mean() for scale in scores).item())
    assert losses["g_l1"].item() == pytest.approx(3.0 * l1_loss(coarse(small), target).item())
