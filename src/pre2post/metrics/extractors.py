"""The networks and statistics whose features are compared between sets of slices: those that need no file, and those
whose weights files params.yaml names."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pre2post.features.random_features import random_features
from pre2post.features.texture_features import texture_features
from pre2post.metrics.feature_sets import UNSCALED, Standard, standard_of
from pre2post.metrics.frechet import Moments
from pre2post.metrics.params import MetricsParams


@dataclass(frozen=True)
class Extractor:
    """Slices (n, h, w), normalised, to features (n, d) float64; `standardised`: compare in units of the real set's SD.

    `frechet` and `kernel` name the two distances. Only with the published InceptionV3 weights is one called FID.
    """

    frechet: str
    kernel: str
    extract: Callable[[np.ndarray], np.ndarray]
    standardised: bool

    def standard(self, real: Moments) -> Standard:
        """How features are scaled before they are compared with the real set of these moments."""
        return standard_of(real) if self.standardised else UNSCALED


def make_extractors(settings: MetricsParams, seed: int, device: str = "cpu") -> list[Extractor]:
    """Random-network and texture features always; InceptionV3 with ImageNet's or RadImageNet's weights where given.

    Raises InputError when a weights file is missing, another one, damaged, or of another network.
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

    network = load_inception(path, sha256, kind).to(device)
    return Extractor(
        f"fid_{short}", f"kid_{short}", lambda slices: inception_features(slices, network), standardised=False
    )


def perceptual_metric(settings: MetricsParams, device: str = "cpu") -> dict[str, Callable]:
    """{"lpips": f(real, synthetic) -> (n,)} on normalised slices (n, h, w) where LPIPS weights are given, else empty.

    LPIPS takes images in [-1, 1]: normalised 0 to 1 is mapped there, and what lies outside is clipped.
    """
    if not settings.lpips_weights:
        return {}
    from pre2post.features.lpips import load_lpips, lpips

    network = load_lpips(settings.lpips_weights, settings.lpips_sha256).to(device)
    return {"lpips": lambda real, synthetic: lpips(_signed(real), _signed(synthetic), network)}


def _signed(slices: np.ndarray) -> np.ndarray:
    return np.clip(slices, 0, 1) * 2 - 1
