"""Baselines of a synthetic image that know grey levels alone: a look-up table, without and with a small blur before."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pre2post.core.errors import InputError
from pre2post.metrics.pixel import check_shapes

BINS = 256  # with equal numbers of pixels below the tail, as fine as 8 bits
TAIL = 0.99  # quantile; the pixels above, mostly lesions and vessels, get bins of their own
MIN_PIXELS = 50  # per bin: the standard error of its mean is then a seventh of the spread within it
MAX_PIXELS = 20_000_000  # used for the fit; more change nothing and need memory
EDGE_KNOTS = 8  # outermost knots that determine the slope outside the table
SIGMAS = (0.4, 0.5, 0.6, 0.7, 0.8, 1.0, 1.25, 1.5)  # pixels; widths of the blur to choose from
SIGMA_PIXELS = 4_000_000  # used for that choice


@dataclass(frozen=True)
class LookupTable:
    """Post intensity as a function of pre intensity: straight lines between the knots and outside them."""

    pre: np.ndarray  # (k,) rising, normalised
    post: np.ndarray  # (k,) normalised
    slopes: tuple[float, float]  # below the first and above the last knot

    def __call__(self, pre: ArrayLike) -> np.ndarray:
        """Map normalised pre intensities of any shape to float32 post intensities."""
        values = np.asarray(pre, dtype=np.float64)
        below, above = np.minimum(values - self.pre[0], 0), np.maximum(values - self.pre[-1], 0)
        inside = np.interp(values, self.pre, self.post)
        return (inside + self.slopes[0] * below + self.slopes[1] * above).astype(np.float32)


@dataclass(frozen=True)
class BlurredTable:
    """A look-up table of the smoothed pre image: how much of a generator's gain is denoising."""

    sigma: float  # of a Gaussian in the plane of a slice, in pixels
    table: LookupTable

    def __call__(self, pre: np.ndarray) -> np.ndarray:
        """Map normalised pre slices (n, h, w) to float32 post slices."""
        return self.table(_blurred(pre, self.sigma))


def by_phase(post: np.ndarray) -> list[np.ndarray]:
    """Split slices (n, h, w) or (n, phases, h, w) into one stack (n, h, w) per phase."""
    return [post] if post.ndim == 3 else [post[:, place] for place in range(post.shape[1])]


def fit_lookup_table(pre: np.ndarray, post: np.ndarray) -> LookupTable:
    """Fit the conditional mean of post given pre over the pixels of training slices (n, h, w), both normalised.

    In squared error, the conditional mean is the best function of a pixel's grey level; it need not be monotone. Bins
    have equal numbers of pixels, up to BINS below the TAIL quantile and as many above. Each bin gives a knot at its
    mean pre and mean post. Above MAX_PIXELS pixels, evenly spaced slices are used.

    Raises InputError for unequal shapes, values that are not finite, or pre images of one grey level.
    """
    check_shapes(pre, post)
    step = -(-np.size(pre) // MAX_PIXELS)
    pre, post = (np.asarray(images[::step], dtype=np.float32).ravel() for images in (pre, post))
    if not (np.isfinite(pre).all() and np.isfinite(post).all()):
        raise InputError("training slices hold values that are not finite", hint="run `dvc repro extract_slices`")
    edges = _edges(pre)
    bins = np.searchsorted(edges[1:-1], pre, side="right")
    counts, sums_pre, sums_post = (np.bincount(bins, weights, len(edges) - 1) for weights in (None, pre, post))
    used = counts >= min(MIN_PIXELS, counts.max())
    if np.count_nonzero(used) < 2:
        raise InputError("a look-up table needs pre images with more than one grey level", found=f"{pre.size} pixels")
    knots, values = sums_pre[used] / counts[used], sums_post[used] / counts[used]
    return LookupTable(
        knots,
        values,
        (_slope(knots[:EDGE_KNOTS], values[:EDGE_KNOTS]), _slope(knots[-EDGE_KNOTS:], values[-EDGE_KNOTS:])),
    )


def fit_blurred_table(pre: np.ndarray, post: np.ndarray, sigmas: Sequence[float] = SIGMAS) -> BlurredTable:
    """Fit a look-up table of smoothed training slices (n, h, w), with the width of the least squared error on them.

    Raises InputError as fit_lookup_table does.
    """
    step = -(-np.size(pre) // SIGMA_PIXELS)
    some, real = (np.asarray(images[::step], np.float32) for images in (pre, post))

    def error(sigma: float) -> float:
        smooth = _blurred(some, sigma)
        return float(np.square(fit_lookup_table(smooth, real)(smooth) - real).mean())

    best = min(sigmas, key=error)
    step = -(-np.size(pre) // MAX_PIXELS)
    return BlurredTable(best, fit_lookup_table(_blurred(pre[::step], best), post[::step]))


def _blurred(slices: np.ndarray, sigma: float) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(np.asarray(slices, np.float32), (0, sigma, sigma), mode="nearest")


def _edges(values: np.ndarray) -> np.ndarray:
    """Return rising bin edges: fewer for few pixels, and a separate bin for a grey level that would fill several."""
    bins = int(np.clip(values.size * (1 - TAIL) / MIN_PIXELS, 2, BINS))
    shares = np.concatenate([np.linspace(0, TAIL, bins, endpoint=False), np.linspace(TAIL, 1, bins + 1)])
    edges, repeats = np.unique(np.quantile(values, shares), return_counts=True)
    return np.union1d(edges, np.nextafter(edges[repeats > 1], np.inf, dtype=edges.dtype))


def _slope(x: np.ndarray, y: np.ndarray) -> float:
    """Return the slope of the least-squares line."""
    centred = x - x.mean()
    return float(centred @ y / (centred @ centred))
