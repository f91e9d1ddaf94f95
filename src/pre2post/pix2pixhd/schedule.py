"""What changes over a training: the learning rate, and which part of the generator is trained."""

GLOBAL, ENHANCERS, ALL = "global", "enhancers", "all"  # phases of the coarse-to-fine training


def learning_rate(base: float, epoch: int, epochs: int, lr_decay_fraction: float) -> float:
    """Learning rate of `epoch` (0-based): constant, then linear towards 0 over the last `lr_decay_fraction` of the epochs.

    As in the original implementation, 0 would be reached one epoch after the last.
    """
    decay = round(epochs * lr_decay_fraction)
    passed = epoch - (epochs - decay)
    return base if passed <= 0 else base * (1 - passed / decay)


def learning_rates(settings) -> list[float]:
    """The learning rate of every epoch, from the gan section of params.yaml."""
    return [
        learning_rate(settings.learning_rate, epoch, settings.epochs, settings.lr_decay_fraction)
        for epoch in range(settings.epochs)
    ]


def training_stage(epoch: int, global_epochs: int, fix_global_epochs: int) -> str:
    """The part that `epoch` (0-based) trains: coarse to fine, as section 3.1 of arXiv 1711.11585 says.

    First the global generator alone, at its low resolution, then the enhancers around it alone, then everything.
    """
    if epoch < global_epochs:
        return GLOBAL
    return ENHANCERS if epoch < global_epochs + fix_global_epochs else ALL
