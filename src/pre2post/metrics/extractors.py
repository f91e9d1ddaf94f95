"""Feature extractors for distances between sets of slices: two without weights files, the others with files."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pre2post.features.random_features import random_features
from pre2post.features.texture_features import texture_features
from pre2post.metrics.feature_sets import UNSCALED, Standard, standard_of
from pre2post.metrics.frechet import Moments
from pre2post.metrics.params import MetricsParams


@dataclass(frozen=True)
class Extractor:
    """A function from normalised slices (n, h, w) to features (n, d) float64, and the names of its two distances.

    frechet, kid: columns of the Frechet and the kernel distance. Only with published InceptionV3 weights the first one
    is called FID. standardised: scale the features to the real set's SD before comparison.
    """

    frechet: str
    kid: str
    extract: Callable[[np.ndarray], np.ndarray]
    standardised: bool

    def standard(self, real: Moments) -> Standard:
        """Return the scaling of features for comparisons with a real set of these moments."""
        return standard_of(real) if self.standardised else UNSCALED


def make_extractors(settings: MetricsParams, seed: int, device: str = "cpu") -> list[Extractor]:
    """Return random-network and texture features, and InceptionV3 for each of its weights files that is set.

    Raises InputError if a weights file is missing, has another hash, is damaged, or is of another network.
    """
    found = [
        Extractor("fd_random", "kid_random", lambda slices: random_features(slices, seed), standardised=True),
        Extractor("fd_texture", "kid_texture", texture_features, standardised=True),
    ]
    files = (
        ("img", "imagenet", settings.inception_weights, settings.inception_sha256),
        ("rad", "radimagenet", settings.radimagenet_weights, settings.radimagenet_sha256),
    )
    return found + [_inception(short, kind, path, sha256, device) for short, kind, path, sha256 in files if path]


def _inception(short: str, kind: str, path: str, sha256: str, device: str) -> Extractor:
    from pre2post.features.inception import inception_features, load_inception

    network = load_inception(Path(path), sha256, kind).to(device)
    return Extractor(
        f"fid_{short}", f"kid_{short}", lambda slices: inception_features(slices, network), standardised=False
    )


def perceptual_metric(
    settings: MetricsParams, device: str = "cpu"
) -> dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]]:
    """Return {"lpips": f(real, synthetic) -> (n,)} on normalised slices (n, h, w); empty without LPIPS weights.

    Slices are clipped to [0, 1] and scaled to [-1, 1], the range of LPIPS.
    """
    if not settings.lpips_weights:
        return {}
    from pre2post.features.lpips import load_lpips, lpips

    network = load_lpips(Path(settings.lpips_weights), settings.lpips_sha256).to(device)
    return {"lpips": lambda real, synthetic: lpips(_to_signed(real), _to_signed(synthetic), network)}


def _to_signed(slices: np.ndarray) -> np.ndarray:
    return np.clip(slices, 0, 1) * 2 - 1
