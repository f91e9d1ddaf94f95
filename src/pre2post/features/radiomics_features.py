"""Radiomics features of images or regions, as used by the Frechet radiomics distance (FRD), computed in memory.

Extractor, settings and names are those of the package frd-score. Version v0 is Osuala et al. 2024 (first order, shape
and texture); v1 is Konz, Osuala et al., arXiv 2412.01496 (also of wavelet and Laplacian of Gaussian images). The
package's process_image_mask_pair, which reads files, is replaced by code for arrays; the values are equal.
"""

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import repeat
from multiprocessing import get_context
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from pre2post.core.errors import InputError
from pre2post.image.itk import to_image, use_one_thread
from pre2post.image.volume import Volume

if TYPE_CHECKING:
    import SimpleITK as sitk
    from radiomics.featureextractor import RadiomicsFeatureExtractor

VERSIONS = ("v0", "v1")
MIN_PIXELS = 2  # of a region; the package skips an image with fewer
PLANE = (1.0, 0.0, 0.0, 1.0)  # direction of a two-dimensional image

Features = dict[str, float]
Image = np.ndarray | Volume


@dataclass(frozen=True)
class Radiomics:
    """Features (k, d) float64, their d names, and the indices of the k images used; the others have no region."""

    names: tuple[str, ...]
    values: np.ndarray
    used: tuple[int, ...]


def radiomics_features(
    images: Sequence[Image] | np.ndarray,
    masks: Sequence[Image] | np.ndarray | None = None,
    version: str = "v1",
    spacing: tuple[float, float] = (1.0, 1.0),
    processes: int = 1,
) -> Radiomics:
    """Extract the features of images (n, h, w) of real numbers in regions (n, h, w), where the mask is not 0.

    images, masks: arrays, or Volumes with separate sizes and geometry. Several planes give 3D features. Without masks
        the features are of entire images. As in the package, regions of fewer than two pixels are skipped.
    spacing: width and height of a pixel in mm; v1 resamples to 2 mm.
    processes: above 1, start so many processes, which takes about 2 seconds; useful from several hundred slices.

    Raises InputError (case: "image <number>") for different shapes, values that are not finite, regions too small for
    the features, and images with different features.
    """
    if version not in VERSIONS:
        raise InputError("unknown version of FRD", found=version, expected=" or ".join(VERSIONS))
    if len(images) == 0 or (masks is not None and len(masks) != len(images)):
        raise InputError(
            "every image needs its mask",
            expected="at least one image, and one mask per image or none",
            found=f"{len(images)} images" + ("" if masks is None else f", {len(masks)} masks"),
        )
    task = partial(_image_features, version=version, spacing=spacing)
    rows = list(_run(task, processes, range(len(images)), images, repeat(None) if masks is None else masks))
    used = tuple(index for index, row in enumerate(rows) if row is not None)
    found = [row for row in rows if row is not None]
    names = tuple(found[0]) if found else ()
    for index, row in zip(used, found, strict=True):
        if tuple(row) != names:
            odd = sorted(set(names) ^ set(row))
            raise InputError(
                "this image has other features than the first one",
                case=f"image {index}",
                found=f"{len(row)} features instead of {len(names)}, among others {odd[:1]}",
                expected="images of similar size, all 2D or all 3D",
            )
    return Radiomics(names, np.array([list(row.values()) for row in found]).reshape(len(used), len(names)), used)


def _run(task: Callable[..., Features | None], processes: int, *arguments: Iterable) -> Iterator[Features | None]:
    """Map `task` over the arguments, in this process or in several."""
    if processes <= 1:
        yield from map(task, *arguments)
        return
    context = get_context("spawn")  # fork is unsafe with threads, and does not exist everywhere
    with ProcessPoolExecutor(processes, mp_context=context, initializer=use_one_thread) as pool:
        yield from pool.map(task, *arguments, chunksize=4)


def _image_features(
    index: int, given: Image, region: Image | None, version: str, spacing: tuple[float, float]
) -> Features | None:
    """Return the features of one image by name, or None if the region is too small."""
    case = f"image {index}"
    image = _as_volume(given, version, spacing, case)
    # float32, as the package reads files. In pyradiomics bin edges of 8-bit integers above 255 would wrap.
    image = image.like(image.array.astype(np.float32))
    if not np.isfinite(image.array).all():
        raise InputError("the image holds values that are not finite", case=case, expected="no NaN or infinity")
    if region is None:
        mask = image.like(_full_mask(image.array.shape, version))
    else:
        mask = _as_volume(region, version, spacing, case)
        mask = Volume((mask.array != 0).astype(np.uint8), mask.spacing, mask.origin, mask.direction)
    if mask.array.shape != image.array.shape:
        raise InputError(
            "the mask has another shape than the image", case=case, found=mask.array.shape, expected=image.array.shape
        )
    if np.count_nonzero(mask.array) < MIN_PIXELS:
        return None
    if version == "v0":
        image, mask = pad_full_mask(image, mask)
    planar = image.array.ndim == 2 or len(image.array) == 1
    found = extract(_extractor(version, 2 if planar else 3), to_image(image), to_image(mask), case)
    return _kept(found, version)


def _as_volume(image: Image, version: str, spacing: tuple[float, float], case: str) -> Volume:
    """Add a geometry to an array: two-dimensional for v0, one plane of a volume for v1."""
    if isinstance(image, Volume):
        return image
    array = np.asarray(image)
    if array.ndim != 2 or array.dtype.kind not in "buif":
        raise InputError(
            "this is not an image",
            case=case,
            found=f"shape {array.shape}, type {array.dtype}",
            expected="real numbers (h, w)",
        )
    if version == "v0":
        return Volume(array, spacing, (0.0, 0.0), PLANE)  # type: ignore[arg-type]  # two dimensions, only here
    return Volume(array[None], (*spacing, 1.0))


def _full_mask(shape: tuple[int, ...], version: str) -> np.ndarray:
    """Return the mask of an entire image. v1 omits the first corner: pyradiomics 3.0 needs a pixel outside the mask."""
    mask = np.ones(shape, dtype=np.uint8)
    if version == "v1":
        mask[(0,) * mask.ndim] = 0
    return mask


def pad_full_mask(image: Volume, mask: Volume) -> tuple[Volume, Volume]:
    """Add a row outside the mask to both, if the mask fills the image.

    Pyradiomics 3.0 needs a voxel outside the mask, later versions do not. Without filters, resampling or normalisation
    it crops to the mask first, so the row does not change any feature.
    """
    if not mask.array.all():
        return image, mask
    row = [(0, 0)] * (image.array.ndim - 2) + [(0, 1), (0, 0)]
    return replace(image, array=np.pad(image.array, row)), replace(mask, array=np.pad(mask.array, row))


@lru_cache
def _extractor(version: str, dimensions: int) -> "RadiomicsFeatureExtractor":
    from frd_score.frd import get_feature_extractor

    return get_feature_extractor(frd_version=version, image_dim=dimensions)


def extract(
    extractor: "RadiomicsFeatureExtractor", image: "sitk.Image", mask: "sitk.Image", case: str | None
) -> dict[str, object]:
    """Run a pyradiomics extractor on SimpleITK images, without its messages. Raises InputError if it fails."""
    import logging

    logging.getLogger("radiomics").setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about means of empty sets in tiny regions, which give NaN
            return extractor.execute(image, mask)
    except (ValueError, RuntimeError) as error:
        raise InputError(
            "no radiomics features can be extracted from this region",
            case=case,
            found=" ".join(str(error).split()),
            expected="a region that extends in both directions and does not fill the image",
        ) from None


def _kept(found: dict[str, Any], version: str) -> Features:
    """Return the features by the package's names; in v1 also the numbers among the diagnostics, as in its paper."""
    features = {}
    for name, value in found.items():
        if "diagnostics" not in name:
            features[name.replace("original_", "")] = float(value)
        elif version == "v1" and isinstance(value, Real):
            features[name] = float(value)
    return features
