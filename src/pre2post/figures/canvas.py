"""What all figures share: colours, size, and bytes that do not change from run to run."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # no window system is needed
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from pre2post.core.files import atomic_path

# Okabe and Ito, "Color Universal Design": distinct under the common colour vision deficiencies.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000")
DOTS_PER_INCH = 110  # sharp on a screen, a few hundred kilobytes in Git

plt.rcParams.update(
    {
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.prop_cycle": matplotlib.cycler(color=COLOURS),
        "figure.constrained_layout.use": True,
    }
)


def in_words(mix: str) -> str:
    """A training mix as it is shown: "pre + synthetic" for "pre_synthetic"."""
    return mix.replace("_", " + ")


def save(figure: Figure, path: Path) -> None:
    """Writes a figure as PNG and closes it."""
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=DOTS_PER_INCH, metadata={"Software": None})
    plt.close(figure)
