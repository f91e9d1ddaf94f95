"""Weights files of tiny generators, with cards, for tests of prediction."""

from pathlib import Path
from typing import Any

import torch

from pre2post.pipeline.model_card import write_card
from pre2post.pix2pixhd.architecture import Architecture
from pre2post.pix2pixhd.checkpoint import save_generator
from pre2post.pix2pixhd.generator import make_generator
from pre2post.synthesis.generator import card_params

SIZE = 20  # the longer side of the matrix of the DICOM fixtures, 16 x 20, so that nothing is resampled
SETTINGS: dict[str, Any] = {
    "phases": ["post1"],
    "size": SIZE,
    "n4_bias_correction": False,
    "low_percentile": 0.1,
    "high_percentile": 99.9,
    "headroom": 3.0,
}  # on the card, unless a test gives others


def save_weights(path: Path, change: float = 0.0, settings: dict[str, Any] | None = None, **architecture) -> Path:
    """Save a residual generator, which returns its input plus a random change times `change`, and its card."""
    torch.manual_seed(1)
    plan = Architecture(**{"width": 2, "downs": 1, "blocks": 1, "residual": True} | architecture)
    generator = make_generator(plan)
    with torch.no_grad():
        for weight in [layer for layer in generator.modules() if isinstance(layer, torch.nn.Conv2d)][-1].parameters():
            weight *= change
    save_generator(generator, path)
    write_card(path, "a residual generator", params=card_params(SETTINGS | (settings or {})))
    return path
