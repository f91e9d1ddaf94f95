"""One training step: both networks, both optimisers, and the running average of the generator."""

import copy
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from pre2post.pix2pixhd.architecture import Architecture
from pre2post.pix2pixhd.discriminator import MultiscaleDiscriminator
from pre2post.pix2pixhd.distributed import Group
from pre2post.pix2pixhd.generator import CoarseGenerator, make_generator
from pre2post.pix2pixhd.losses import (
    absolute_error,
    adversarial,
    enhancement_weights,
    feature_matching,
    lesion_weights,
    squared_error,
)
from pre2post.pix2pixhd.runtime import RuntimeConfig
from pre2post.pix2pixhd.schedule import ALL, ENHANCERS, GLOBAL

WARM_UP = 10  # the decay of step n is at most n / (10 + n): early on, the average must forget the initial weights


class Pix2PixHD:
    """Generator and discriminator under training. `settings` is the gan section of params.yaml.

    `ema` is the generator to use: its weights are an exponential moving average over the steps (arXiv 1806.04498),
    or with `settings.ema` 0 the last ones, as in the original. `perceptual` is the VGG19 loss, or None.
    """

    def __init__(self, settings, run: RuntimeConfig, group: Group | None = None, perceptual: nn.Module | None = None):
        self.settings, self.run, self.group = settings, run, group or Group()
        architecture = Architecture.of(settings)
        self.generator = self._place(make_generator(architecture))
        self.discriminator = self._place(
            MultiscaleDiscriminator(
                2 * settings.channels,
                settings.discriminator_width,
                settings.discriminator_layers,
                settings.discriminator_scales,
            )
        )
        self.ema = copy.deepcopy(self.generator).requires_grad_(False)
        self.perceptual = perceptual and perceptual.to(run.device, memory_format=run.memory_format)
        self.d_params = list(self.discriminator.parameters())
        self.d_optimiser = self._adam(self.d_params)
        self.start_stage(ALL)
        if run.compile:
            torch._functorch.config.donated_buffer = False  # the discriminator's graph is walked twice
            for network in filter(None, (self.generator, self.discriminator, self.perceptual)):
                network.compile(dynamic=False)

    def _place(self, network: nn.Module) -> nn.Module:
        return network.to(self.run.device, memory_format=self.run.memory_format)

    def _adam(self, weights: Iterable[nn.Parameter]) -> torch.optim.Adam:
        return torch.optim.Adam(
            weights, self.settings.learning_rate, (self.settings.beta1, 0.999), fused=True
        )  # the fused kernel is six times faster on a CPU than the loop

    def start_stage(self, stage: str) -> None:
        """Starts a phase of the training (see schedule.phase), with a fresh optimiser, as the original does."""
        self.training_stage, self.averaged = stage, 0
        self.network = self.generator
        self.g_params = list(self.generator.parameters())
        if stage == GLOBAL:
            self.network = self._place(CoarseGenerator(self.generator))
            self.g_params = list(self.network.parameters())
        if stage == ENHANCERS:
            self.g_params = [*self.generator.before.parameters(), *self.generator.after.parameters()]
        self.g_optimiser = self._adam(self.g_params)
        self.ema.load_state_dict(self.generator.state_dict())

    def set_learning_rate(self, rate: float) -> None:
        for optimiser in (self.g_optimiser, self.d_optimiser):
            for group in optimiser.param_groups:
                group["lr"] = rate

    def step(self, pre: Tensor, post: Tensor, lesion: Tensor | None = None, share: float = 1.0) -> dict[str, Tensor]:
        """Improves both networks on a batch (N, 1, H, W) in [-1, 1]; returns each loss as a detached scalar.

        lesion: (N, 1, H, W), 1 in the annotated lesion, or None. share: of the joint batch of all processes.
        One pass of the fake image through the discriminator serves both networks: backwards to the image for the
        generator, then to the discriminator's own weights, and last from the image through the generator.
        """
        pre, post, lesion = self._at_stage_size(pre), self._at_stage_size(post), self._at_stage_size(lesion)
        with torch.autocast(self.run.device, self.run.dtype, enabled=self.run.dtype != torch.float32):
            fake = self.network(pre)
            fake_leaf = (
                fake.detach().requires_grad_()
            )  # the way back is cut here: each network's graph goes once it is used
            fake_features = self.discriminator(torch.cat([pre, fake_leaf], 1))
            real_features = self.discriminator(torch.cat([pre, post], 1))
            g_vgg = self.perceptual(fake_leaf, post) if self.perceptual else pre.new_zeros(())

        weights = self.settings
        g_losses = {
            "g_gan": adversarial(fake_features, real=True),
            "g_fm": weights.lambda_fm * feature_matching(fake_features, real_features),
            "g_vgg": weights.lambda_vgg * g_vgg,
            **self._pixel_losses(pre, post, fake_leaf, lesion),
        }
        d_losses = {"d_real": adversarial(real_features, real=True), "d_fake": adversarial(fake_features, real=False)}
        change = torch.autograd.grad(sum(g_losses.values()) * share, fake_leaf, retain_graph=True)
        d_gradients = torch.autograd.grad(sum(d_losses.values()) / 2 * share, self.d_params)
        losses = {name: loss.detach() * share for name, loss in (g_losses | d_losses).items()}
        del fake_features, real_features, g_losses, d_losses
        finish = self.group.all_reduce([*d_gradients, *losses.values()])

        g_gradients = torch.autograd.grad(fake, self.g_params, change)
        self.group.all_reduce(g_gradients)()
        finish()
        _apply(self.d_optimiser, self.d_params, d_gradients)
        _apply(self.g_optimiser, self.g_params, g_gradients)
        self._average_weights()
        return losses

    def _at_stage_size(self, image: Tensor | None) -> Tensor | None:
        """The image with the networks' channels, at the resolution that the phase trains; a map of lesions likewise."""
        if image is None:
            return None
        image = image.expand(-1, self.settings.channels, -1, -1)
        image = self.generator.pyramid(image)[-1] if self.training_stage == GLOBAL else image
        return image.contiguous(memory_format=self.run.memory_format)

    def _pixel_losses(self, pre: Tensor, post: Tensor, fake_leaf: Tensor, lesion: Tensor | None) -> dict[str, Tensor]:
        """The additions to the published losses, not computed when their weight is 0."""
        weights, l1, enhancement = self.settings, pre.new_zeros(()), pre.new_zeros(())
        annotated = lesion_weights(torch.zeros_like(pre) if lesion is None else lesion, weights.lesion_weight)
        if weights.lambda_l1:
            l1 = weights.lambda_l1 * absolute_error(fake_leaf, post, annotated)
        if weights.lambda_enhancement:
            counts = annotated * enhancement_weights(pre, post, weights.enhancement_weight)
            enhancement = weights.lambda_enhancement * squared_error(fake_leaf, post, counts)
        return {"g_l1": l1, "g_enhancement": enhancement}

    @torch.no_grad()
    def _average_weights(self) -> None:
        """Moves the average towards the generator; while its global part is trained alone there is none to use yet."""
        if self.training_stage == GLOBAL:
            return
        self.averaged += 1
        decay = min(self.settings.ema, self.averaged / (WARM_UP + self.averaged))
        torch._foreach_lerp_(list(self.ema.parameters()), list(self.generator.parameters()), 1 - decay)

    def state_dict(self) -> dict:
        """Everything that a step changes."""
        return {"training_stage": self.training_stage, "averaged": self.averaged} | {
            name: getattr(self, name).state_dict() for name in self._parts()
        }

    def load_state_dict(self, state: dict) -> None:
        self.start_stage(state["training_stage"])
        self.averaged = state["averaged"]
        for name in self._parts():
            getattr(self, name).load_state_dict(state[name])

    def _parts(self) -> list[str]:
        return [
            "generator",
            "discriminator",
            "ema",
            "g_optimiser",
            "d_optimiser",
            *(["network"] if self.training_stage == GLOBAL else []),
        ]


def _apply(optimiser: torch.optim.Optimizer, weights: Sequence[nn.Parameter], gradients: Sequence[Tensor]) -> None:
    """One step of the optimiser along these gradients, which are not kept.

    Fused optimisers go through memory as it lies, so a gradient has to lie as its weight does: of a transposed or
    compiled layer it may not.
    """
    for weight, gradient in zip(weights, gradients, strict=True):
        alike = gradient.stride() == weight.stride()
        weight.grad = gradient if alike else torch.empty_like(weight).copy_(gradient)
    optimiser.step()
    for weight in weights:
        weight.grad = None
