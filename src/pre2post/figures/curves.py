"""Curves over the training of the generator: its losses, and SAMe with its parts over the checkpoints."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

LOSSES = {
    "g_gan": "adversarial (G)",
    "g_fm": "feature matching (G)",
    "g_vgg": "VGG19 (G)",
    "g_l1": "L1 (G)",
    "g_enhancement": "enhancement (G)",
    "d_real": "real (D)",
    "d_fake": "fake (D)",
}
PARTS = {
    "ssim": "1 - SSIM",
    "mse": "MSE",
    "mae": "MAE",
    "fd_random": "Frechet, random features",
    "fd_texture": "Frechet, texture features",
    "fid_img": "FID, ImageNet",
    "fid_rad": "FID, RadImageNet",
    "lpips": "LPIPS",
}


def draw_losses(history: Sequence[Mapping[str, str]]) -> Figure:
    """Draw the mean weighted losses per epoch, without those with weight 0, and the learning rate below."""
    figure, (losses, rate) = plt.subplots(2, 1, figsize=(6.5, 4.5), sharex=True, height_ratios=[3, 1])
    epochs = [int(row["epoch"]) for row in history]
    for column, label in LOSSES.items():
        values = [float(row[column]) for row in history]
        if any(values):
            losses.plot(epochs, values, label=label)
    losses.set(
        ylabel="mean loss, weighted", ylim=(0, None), title="Training of the generator (G) and discriminator (D)"
    )
    losses.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    rate.plot(epochs, [float(row["learning_rate"]) for row in history], color="black")
    rate.set(xlabel="epoch", ylabel="learning rate", ylim=(0, None))
    rate.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def draw_same(rows: Sequence[Mapping[str, str]]) -> Figure:
    """Draw SAMe and its scaled parts over the checkpoints, with the selected checkpoint marked.

    Below is how often each checkpoint is selected in bootstrap resamples of the patients. Checkpoints without SAMe are
    left out. `rows` is plots/same.csv.
    """
    rows = [row for row in rows if row["same"]]
    figure, (axes, frequency) = plt.subplots(2, 1, figsize=(6.5, 4.8), sharex=True, height_ratios=[3, 1])
    epochs = [int(row["epoch"]) for row in rows]
    for part, label in PARTS.items():
        if f"scaled_{part}" in rows[0]:
            axes.plot(epochs, [float(row[f"scaled_{part}"]) for row in rows], label=label, linewidth=1, marker=".")
    same = [float(row["same"]) for row in rows]
    axes.plot(epochs, same, label="SAMe", color="black", linewidth=2.5, marker="o")
    best = min(range(len(same)), key=same.__getitem__)
    axes.annotate(
        f"selected: epoch {epochs[best]}",
        (epochs[best], same[best]),
        (0, 30),
        textcoords="offset points",
        ha="center",
        arrowprops={"arrowstyle": "->"},
        annotation_clip=False,
    )
    axes.set(ylabel="scaled score\n(lower is better)", title="SAMe and its parts over the checkpoints")
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    frequency.bar(
        epochs, [100 * float(row["selection_frequency"]) for row in rows], color="black", width=0.6 * _step(epochs)
    )
    frequency.set(xlabel="epoch of the checkpoint", ylabel="selected, % of\nresamples", ylim=(0, 100))
    frequency.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def _step(epochs: list[int]) -> int:
    return min((later - earlier for earlier, later in pairwise(epochs)), default=1)
