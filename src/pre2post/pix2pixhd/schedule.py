"""The schedule of a training: its learning rates, and the part of the generator that each epoch trains."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pre2post.pix2pixhd.params import GanParams

GLOBAL, ENHANCERS, ALL = "global", "enhancers", "all"  # training stages, coarse to fine


def learning_rate(base: float, epoch: int, epochs: int, lr_decay_fraction: float) -> float:
    """Return the learning rate of `epoch` (0-based): constant, then linear towards 0.

    The decay takes the last `lr_decay_fraction` of the epochs. As in the original implementation, the rate would reach
    0 one epoch after the last.
    """
    decay = round(epochs * lr_decay_fraction)
    passed = epoch - (epochs - decay)
    return base if passed <= 0 else base * (1 - passed / decay)


def learning_rates(settings: "GanParams") -> list[float]:
    """Return the learning rate of every epoch, from the gan section of params.yaml."""
    return [
        learning_rate(settings.learning_rate, epoch, settings.epochs, settings.lr_decay_fraction)
        for epoch in range(settings.epochs)
    ]


def training_stage(epoch: int, global_epochs: int, fix_global_epochs: int) -> str:
    """Return the part that `epoch` (0-based) trains, coarse to fine (arXiv 1711.11585, section 3.1).

    First only the global generator, at its low resolution; then only the enhancers around it; then everything.
    """
    if epoch < global_epochs:
        return GLOBAL
    return ENHANCERS if epoch < global_epochs + fix_global_epochs else ALL
