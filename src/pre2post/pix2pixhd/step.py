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
from pre2post.pix2pixhd.runtime import Execution
from pre2post.pix2pixhd.schedule import ALL, ENHANCERS, GLOBAL

WARM_UP = 10  # the decay of step n is at most n / (10 + n): early on, the average must forget the initial weights


class Pix2PixHD:
    """Generator and discriminator under training. `settings` is the gan section of params.yaml.

    `average` is the generator to use: its weights are an exponential moving average over the steps (arXiv 1806.04498),
    or with `settings.ema` 0 the last ones, as in the original. `perceptual` is the VGG19 loss, or None.
    """

    def __init__(self, settings, run: Execution, group: Group | None = None, perceptual: nn.Module | None = None):
        self.settings, self.run, self.group = settings, run, group or Group()
        plan = Architecture.of(settings)
        self.generator = self._place(make_generator(plan))
        self.discriminator = self._place(
            MultiscaleDiscriminator(
                2 * settings.channels,
                settings.discriminator_width,
                settings.discriminator_layers,
                settings.discriminator_scales,
            )
        )
        self.average = copy.deepcopy(self.generator).requires_grad_(False)
        self.perceptual = perceptual and perceptual.to(run.device, memory_format=run.memory_format)
        self.judges = list(self.discriminator.parameters())
        self.d_optimiser = self._adam(self.judges)
        self.enter(ALL)
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

    def enter(self, phase: str) -> None:
        """Starts a phase of the training (see schedule.phase), with a fresh optimiser, as the original does."""
        self.phase, self.averaged = phase, 0
        self.network = self.generator
        self.trained = list(self.generator.parameters())
        if phase == GLOBAL:
            self.network = self._place(CoarseGenerator(self.generator))
            self.trained = list(self.network.parameters())
        if phase == ENHANCERS:
            self.trained = [*self.generator.before.parameters(), *self.generator.after.parameters()]
        self.g_optimiser = self._adam(self.trained)
        self.average.load_state_dict(self.generator.state_dict())

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
        pre, post, lesion = self._at_phase(pre), self._at_phase(post), self._at_phase(lesion)
        with torch.autocast(self.run.device, self.run.dtype, enabled=self.run.dtype != torch.float32):
            made = self.network(pre)
            fake = made.detach().requires_grad_()  # the way back is cut here: each network's graph goes once it is used
            judged_fake = self.discriminator(torch.cat([pre, fake], 1))
            judged_real = self.discriminator(torch.cat([pre, post], 1))
            g_vgg = self.perceptual(fake, post) if self.perceptual else pre.new_zeros(())

        weights = self.settings
        g_losses = {
            "g_gan": adversarial(judged_fake, real=True),
            "g_fm": weights.lambda_fm * feature_matching(judged_fake, judged_real),
            "g_vgg": weights.lambda_vgg * g_vgg,
            **self._pixel_losses(pre, post, fake, lesion),
        }
        d_losses = {"d_real": adversarial(judged_real, real=True), "d_fake": adversarial(judged_fake, real=False)}
        change = torch.autograd.grad(sum(g_losses.values()) * share, fake, retain_graph=True)
        d_gradients = torch.autograd.grad(sum(d_losses.values()) / 2 * share, self.judges)
        losses = {name: loss.detach() * share for name, loss in (g_losses | d_losses).items()}
        del judged_fake, judged_real, g_losses, d_losses
        finish = self.group.add_up([*d_gradients, *losses.values()])

        g_gradients = torch.autograd.grad(made, self.trained, change)
        self.group.add_up(g_gradients)()
        finish()
        _apply(self.d_optimiser, self.judges, d_gradients)
        _apply(self.g_optimiser, self.trained, g_gradients)
        self._average_weights()
        return losses

    def _at_phase(self, image: Tensor | None) -> Tensor | None:
        """The image with the networks' channels, at the resolution that the phase trains; a map of lesions likewise."""
        if image is None:
            return None
        image = image.expand(-1, self.settings.channels, -1, -1)
        image = self.generator.pyramid(image)[-1] if self.phase == GLOBAL else image
        return image.contiguous(memory_format=self.run.memory_format)

    def _pixel_losses(self, pre: Tensor, post: Tensor, fake: Tensor, lesion: Tensor | None) -> dict[str, Tensor]:
        """The additions to the published losses, not computed when their weight is 0."""
        weights, l1, enhancement = self.settings, pre.new_zeros(()), pre.new_zeros(())
        annotated = lesion_weights(torch.zeros_like(pre) if lesion is None else lesion, weights.lesion_weight)
        if weights.lambda_l1:
            l1 = weights.lambda_l1 * absolute_error(fake, post, annotated)
        if weights.lambda_enhancement:
            counts = annotated * enhancement_weights(pre, post, weights.enhancement_weight)
            enhancement = weights.lambda_enhancement * squared_error(fake, post, counts)
        return {"g_l1": l1, "g_enhancement": enhancement}

    @torch.no_grad()
    def _average_weights(self) -> None:
        """Moves the average towards the generator; while its global part is trained alone there is none to use yet."""
        if self.phase == GLOBAL:
            return
        self.averaged += 1
        decay = min(self.settings.ema, self.averaged / (WARM_UP + self.averaged))
        torch._foreach_lerp_(list(self.average.parameters()), list(self.generator.parameters()), 1 - decay)

    def state_dict(self) -> dict:
        """Everything that a step changes."""
        return {"phase": self.phase, "averaged": self.averaged} | {
            name: getattr(self, name).state_dict() for name in self._parts()
        }

    def load_state_dict(self, state: dict) -> None:
        self.enter(state["phase"])
        self.averaged = state["averaged"]
        for name in self._parts():
            getattr(self, name).load_state_dict(state[name])

    def _parts(self) -> list[str]:
        return [
            "generator",
            "discriminator",
            "average",
            "g_optimiser",
            "d_optimiser",
            *(["network"] if self.phase == GLOBAL else []),
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
