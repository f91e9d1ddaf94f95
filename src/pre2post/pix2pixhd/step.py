"""One training step: both networks, both optimisers, and the moving average of the generator."""

import copy
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, nn

from pre2post.pix2pixhd.architecture import Architecture
from pre2post.pix2pixhd.discriminator import make_discriminator
from pre2post.pix2pixhd.distributed import Group
from pre2post.pix2pixhd.generator import CoarseGenerator, Generator, LocalEnhancer, make_generator, network_input
from pre2post.pix2pixhd.losses import (
    absolute_error,
    adversarial,
    enhancement_weights,
    feature_matching,
    lesion_weights,
    squared_error,
    total,
)
from pre2post.pix2pixhd.runtime import RuntimeConfig
from pre2post.pix2pixhd.schedule import ALL, GLOBAL

if TYPE_CHECKING:
    from pre2post.pix2pixhd.params import GanParams

WARM_UP = 10  # the decay of step n is at most n / (10 + n), so that the average forgets the initial weights

Network = TypeVar("Network", bound=nn.Module)


class Pix2PixHD:
    """Generator and discriminator under training; with `settings.lambda_gan` 0 there is no discriminator.

    settings: the gan section of params.yaml.
    neighbours: further slices on each side of the input, see Architecture.
    perceptual: the VGG19 loss, or None.
    The attribute `ema` is the generator to use. Its weights are an exponential moving average over the steps (arXiv
    1806.04498); with `settings.ema` 0 they are the last weights, as in the original.
    """

    def __init__(
        self,
        settings: "GanParams",
        runtime: RuntimeConfig,
        group: Group | None = None,
        perceptual: nn.Module | None = None,
        neighbours: int = 0,
    ):
        self.settings, self.runtime, self.group = settings, runtime, group or Group()
        architecture = Architecture.from_settings(settings, neighbours)
        self.generator: Generator = self._place(make_generator(architecture))
        self.discriminator = self._place(make_discriminator(settings)) if settings.lambda_gan else None
        self.ema = copy.deepcopy(self.generator).requires_grad_(False)
        self.perceptual = None if perceptual is None else self._place(perceptual)
        self.d_params = list(self.discriminator.parameters()) if self.discriminator else []
        self.d_optimiser = self._adam(self.d_params) if self.discriminator else None
        self.start_stage(ALL)
        if runtime.compile:
            torch._functorch.config.donated_buffer = False  # the discriminator's graph is used twice
            for network in filter(None, (self.generator, self.discriminator, self.perceptual)):
                network.compile(dynamic=False)

    def _place(self, network: Network) -> Network:
        device, layout = self.runtime.device, self.runtime.memory_format
        return network.to(device, memory_format=layout)  # type: ignore[call-overload]  # missing in torch's stubs

    def _adam(self, weights: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.Adam(
            weights, self.settings.learning_rate, (self.settings.beta1, 0.999), fused=True
        )  # the fused kernel is six times as fast on a CPU as the loop

    def start_stage(self, stage: str) -> None:
        """Start a training stage (see schedule.training_stage) with a new optimiser, as the original does."""
        self.training_stage, self.averaged = stage, 0
        self.network: Generator | CoarseGenerator = self.generator
        self.g_params = list(self.generator.parameters())
        if stage != ALL:
            assert isinstance(self.generator, LocalEnhancer), "only a local enhancer has training stages"
            if stage == GLOBAL:
                self.network = self._place(CoarseGenerator(self.generator))
                self.g_params = list(self.network.parameters())
            else:
                self.g_params = [*self.generator.before.parameters(), *self.generator.after.parameters()]
        self.g_optimiser = self._adam(self.g_params)
        self.ema.load_state_dict(self.generator.state_dict())

    def set_learning_rate(self, rate: float) -> None:
        for optimiser in filter(None, (self.g_optimiser, self.d_optimiser)):
            for group in optimiser.param_groups:
                group["lr"] = rate

    def step(self, pre: Tensor, post: Tensor, lesion: Tensor | None = None, share: float = 1.0) -> dict[str, Tensor]:
        """Update both networks with a batch in [-1, 1]; return each loss as a detached scalar.

        pre: (N, 1 + 2 * neighbours, H, W), see network_input. post: (N, 1 or phases, H, W).
        lesion: (N, 1, H, W), 1 in the annotated lesion, or None.
        share: of the joint batch of all processes.

        One pass of the fake image through the discriminator serves both networks. The gradients are computed in three
        parts: from the losses to the image, from the losses to the discriminator's weights, and from the image through
        the generator.
        """
        channels, runtime, weights = self.settings.channels, self.runtime, self.settings
        inputs = self._at_stage_size(network_input(pre, channels))
        pre, post = inputs[:, :channels], self._at_stage_size(post.expand(-1, channels, -1, -1))
        lesion = None if lesion is None else self._at_stage_size(lesion.expand(-1, channels, -1, -1))
        with torch.autocast(runtime.device, runtime.dtype, enabled=runtime.dtype != torch.float32):
            fake = self.network(inputs)
            fake_leaf = fake.detach().requires_grad_()  # cuts the graph here: each part is freed after its use
            if self.discriminator:
                fake_features = self.discriminator(torch.cat([pre, fake_leaf], 1))
                real_features = self.discriminator(torch.cat([pre, post], 1))
            g_vgg = self.perceptual(fake_leaf, post) if self.perceptual else pre.new_zeros(())

        g_losses = dict.fromkeys(("g_gan", "g_fm"), pre.new_zeros(()))
        d_losses = dict.fromkeys(("d_real", "d_fake"), pre.new_zeros(()))
        if self.discriminator:
            g_losses["g_gan"] = weights.lambda_gan * adversarial(fake_features, real=True)
            g_losses["g_fm"] = weights.lambda_fm * feature_matching(fake_features, real_features)
            d_losses["d_real"] = adversarial(real_features, real=True)
            d_losses["d_fake"] = adversarial(fake_features, real=False)
            del fake_features, real_features
        g_losses |= {"g_vgg": weights.lambda_vgg * g_vgg, **self._pixel_losses(pre, post, fake_leaf, lesion)}
        change = torch.autograd.grad(total(g_losses.values()) * share, fake_leaf, retain_graph=True)
        d_gradients = torch.autograd.grad(total(d_losses.values()) / 2 * share, self.d_params) if self.d_params else ()
        losses = {name: loss.detach() * share for name, loss in (g_losses | d_losses).items()}
        del g_losses, d_losses
        finish = self.group.all_reduce([*d_gradients, *losses.values()])

        g_gradients = torch.autograd.grad(fake, self.g_params, change)
        self.group.all_reduce(g_gradients)()
        finish()
        if self.d_optimiser:
            _apply(self.d_optimiser, self.d_params, d_gradients)
        _apply(self.g_optimiser, self.g_params, g_gradients)
        self._update_ema()
        return losses

    def _at_stage_size(self, image: Tensor) -> Tensor:
        """Return an image or lesion map at the resolution of the training stage."""
        if self.training_stage == GLOBAL and isinstance(self.generator, LocalEnhancer):
            image = self.generator.pyramid(image)[-1]
        return image.contiguous(memory_format=self.runtime.memory_format)

    def _pixel_losses(self, pre: Tensor, post: Tensor, fake_leaf: Tensor, lesion: Tensor | None) -> dict[str, Tensor]:
        """Return the additions to the published losses; they are not computed if their weight is 0."""
        weights, l1, enhancement = self.settings, pre.new_zeros(()), pre.new_zeros(())
        lesion_factors = lesion_weights(torch.zeros_like(pre) if lesion is None else lesion, weights.lesion_weight)
        if weights.lambda_l1:
            l1 = weights.lambda_l1 * absolute_error(fake_leaf, post, lesion_factors)
        if weights.lambda_enhancement:
            factors = lesion_factors * enhancement_weights(
                pre, post, weights.enhancement_weight, weights.enhancement_span
            )
            enhancement = weights.lambda_enhancement * squared_error(fake_leaf, post, factors)
        return {"g_l1": l1, "g_enhancement": enhancement}

    @torch.no_grad()
    def _update_ema(self) -> None:
        """Move the average towards the generator; not while only its global part is trained, without an average."""
        if self.training_stage == GLOBAL:
            return
        self.averaged += 1
        decay = min(self.settings.ema, self.averaged / (WARM_UP + self.averaged))
        torch._foreach_lerp_(list(self.ema.parameters()), list(self.generator.parameters()), 1 - decay)

    def state_dict(self) -> dict[str, Any]:
        """Return everything that a step changes."""
        return {"training_stage": self.training_stage, "averaged": self.averaged} | {
            name: getattr(self, name).state_dict() for name in self._parts()
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.start_stage(state["training_stage"])
        self.averaged = state["averaged"]
        for name in self._parts():
            getattr(self, name).load_state_dict(state[name])

    def _parts(self) -> list[str]:
        return [
            "generator",
            "ema",
            "g_optimiser",
            *(["discriminator", "d_optimiser"] if self.discriminator else []),
            *(["network"] if self.training_stage == GLOBAL else []),
        ]


def _apply(optimiser: torch.optim.Optimizer, weights: Sequence[nn.Parameter], gradients: Sequence[Tensor]) -> None:
    """Take one step of the optimiser with these gradients, and drop them.

    Fused optimisers read memory in order, so the layout of a gradient must equal that of its weight. Transposed and
    compiled layers may give another layout.
    """
    for weight, gradient in zip(weights, gradients, strict=True):
        alike = gradient.stride() == weight.stride()
        weight.grad = gradient if alike else torch.empty_like(weight).copy_(gradient)
    optimiser.step()
    for weight in weights:
        weight.grad = None
