"""Tiny settings and slices: a training takes about a second."""

import numpy as np
import pytest
from repository import ROOT

from pre2post.pipeline.params import load_params
from pre2post.pix2pixhd.dataset import PairedSlices

TINY = {
    "width": 4,
    "downs": 2,
    "blocks": 1,
    "enhancer_blocks": 1,
    "residual": False,
    "discriminator_width": 4,
    "lambda_l1": 3.0,
    "lambda_enhancement": 7.0,
    "enhancement_weight": 5.0,
    "enhancement_span": [0.1, 0.5],
    "lesion_weight": 0.0,
    "epochs": 3,
    "slices_per_case": 2,
    "batch_size": 1,
    "lesion_slices": 0.0,
    "learning_rate": 0.002,
    "ema": 0.9,
    "checkpoint_every_epochs": 1,
    "resume_every_steps": 2,
    "threads": 1,
}


@pytest.fixture(scope="session")
def tiny():
    """Return a function that gives the gan section of params.yaml, tiny, with changed values."""
    defaults = load_params(ROOT / "params.yaml").gan
    return lambda **values: type(defaults).model_validate(defaults.model_dump() | TINY | values)


@pytest.fixture(scope="session")
def pairs() -> PairedSlices:
    """Twelve slices of patches large enough for the generator; post is the square of pre."""
    pre = np.kron(np.random.default_rng(0).random((12, 4, 4)), np.ones((8, 8))).astype(np.float32)
    return PairedSlices(pre, pre**2, (pre > 0.9).astype(np.uint8))


@pytest.fixture(scope="session")
def cases() -> list[str]:
    """The patient of each of these slices."""
    return ["a"] * 4 + ["b"] * 4 + ["c"] * 4
