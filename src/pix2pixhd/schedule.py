"""The learning rate over a training."""


def learning_rate(base: float, epoch: int, epochs: int, decay_share: float) -> float:
    """Learning rate of `epoch` (0-based): constant, then linear towards 0 over the last `decay_share` of the epochs.

    As in the original implementation, 0 would be reached one epoch after the last.
    """
    decay = round(epochs * decay_share)
    passed = epoch - (epochs - decay)
    return base if passed <= 0 else base * (1 - passed / decay)
