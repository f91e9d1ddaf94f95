"""One training step: both networks, both optimisers, and the running average of the generator."""

import copy
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss

from pix2pixhd.discriminator import MultiscaleDiscriminator
from pix2pixhd.generator import make_generator
from pix2pixhd.losses import adversarial, enhancement_loss, feature_matching

PARTS = ("generator", "discriminator", "average", "g_optimiser", "d_optimiser")
WARM_UP = 10  # the decay of step n is at most n / (10 + n): early on, the average must forget the initial weights


class Pix2PixHD:
    """Generator and discriminator under training. `settings` is the gan section of params.yaml.

    `average` is the generator to use: its weights are an exponential moving average over the steps (arXiv 1806.04498),
    or with `settings.ema` 0 the last ones, as in the original.
    """

    def __init__(self, settings, device: torch.device):
        self.settings = settings
        self.generator = make_generator(settings.generator, settings.width, settings.downs, settings.blocks,
                                        settings.residual).to(device)
        self.discriminator = MultiscaleDiscriminator(
            2, settings.discriminator_width, settings.discriminator_layers, settings.discriminator_scales).to(device)
        self.average = copy.deepcopy(self.generator).requires_grad_(False)
        self.steps = 0
        self.g_optimiser = self._adam(self.generator)
        self.d_optimiser = self._adam(self.discriminator)

    def _adam(self, network: nn.Module) -> torch.optim.Adam:
        return torch.optim.Adam(network.parameters(), self.settings.learning_rate, (self.settings.beta1, 0.999),
                                fused=True)  # the fused kernel is six times faster on a CPU than the loop

    def set_learning_rate(self, rate: float) -> None:
        for optimiser in (self.g_optimiser, self.d_optimiser):
            for group in optimiser.param_groups:
                group["lr"] = rate

    def step(self, pre: Tensor, post: Tensor) -> dict[str, Tensor]:
        """Improves both networks on a batch (N, 1, H, W) in [-1, 1]; returns each loss as a detached scalar.

        One pass of the fake image through the discriminator serves both networks: the generator's gradient is taken
        first, with respect to its own weights only, which leaves the graph for the discriminator's.
        """
        fake = self.generator(pre)
        judged_fake = self.discriminator(torch.cat([pre, fake], 1))
        judged_real = self.discriminator(torch.cat([pre, post], 1))

        weights = self.settings
        g_losses = {"g_gan": adversarial(judged_fake, real=True),
                    "g_fm": weights.lambda_fm * feature_matching(judged_fake, judged_real),
                    "g_l1": weights.lambda_l1 * l1_loss(fake, post),
                    "g_enhancement": weights.lambda_enhancement * enhancement_loss(fake, post, pre,
                                                                                   weights.enhancement_weight)}
        _set_gradients(self.generator.parameters(), sum(g_losses.values()), keep_graph=True)

        d_losses = {"d_real": adversarial(judged_real, real=True), "d_fake": adversarial(judged_fake, real=False)}
        _set_gradients(self.discriminator.parameters(), sum(d_losses.values()) / 2)

        self.g_optimiser.step()
        self.d_optimiser.step()
        self._average_weights()
        return {name: loss.detach() for name, loss in (g_losses | d_losses).items()}

    @torch.no_grad()
    def _average_weights(self) -> None:
        """Moves the average towards the generator."""
        self.steps += 1
        decay = min(self.settings.ema, self.steps / (WARM_UP + self.steps))
        torch._foreach_lerp_(list(self.average.parameters()), list(self.generator.parameters()), 1 - decay)

    def state_dict(self) -> dict:
        """Everything that a step changes."""
        return {"steps": self.steps} | {name: getattr(self, name).state_dict() for name in PARTS}

    def load_state_dict(self, state: dict) -> None:
        self.steps = state["steps"]
        for name in PARTS:
            getattr(self, name).load_state_dict(state[name])


def _set_gradients(weights: Iterable[nn.Parameter], loss: Tensor, keep_graph: bool = False) -> None:
    """Sets the gradient of `loss` on these weights alone."""
    weights = list(weights)
    for weight, gradient in zip(weights, torch.autograd.grad(loss, weights, retain_graph=keep_graph), strict=True):
        weight.grad = gradient
