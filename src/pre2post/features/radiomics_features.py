"""Radiomics features of images or regions in them, as the Frechet radiomics distance (FRD) takes them, in memory.

Extractor, settings and names are those of the package frd-score: version v0 is Osuala et al. 2024 (first order, shape
and texture), v1 Konz, Osuala et al., arXiv 2412.01496 (also of wavelet and Laplacian of Gaussian images). What the
package does around its extractor with files, process_image_mask_pair, is done here with arrays and gives equal values.
"""

import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import repeat
from multiprocessing import get_context
from numbers import Real

import numpy as np

from pre2post.core.errors import InputError
from pre2post.image.itk import use_one_thread
from pre2post.image.volume import Volume, to_image

VERSIONS = ("v0", "v1")
FEWEST_PIXELS = 2  # of a region; the package skips an image with fewer
PLANE = (1.0, 0.0, 0.0, 1.0)  # direction of a two-dimensional image

Features = dict[str, float]


@dataclass(frozen=True)
class Radiomics:
    """Features (k, d) float64, their d names, and which k of the images they belong to: the rest has no region."""

    names: tuple[str, ...]
    values: np.ndarray
    used: tuple[int, ...]


def radiomics_features(
    images: Sequence,
    masks: Sequence | None = None,
    version: str = "v1",
    spacing: tuple[float, float] = (1.0, 1.0),
    processes: int = 1,
) -> Radiomics:
    """Features of images (n, h, w) of any real numbers in regions (n, h, w), anything but 0 being inside.

    Without masks the features are of whole images. `spacing` is a pixel's width and height in mm: v1 resamples to 2 mm.
    An image and its mask may also be Volumes, each with its own size and place; more than one plane gives 3D features.
    Images whose region has fewer than two pixels are left out, as the package does. `processes` above 1 starts that
    many, which takes about 2 seconds: worth it from some hundred slices on.
    Raises InputError (case: "image <number>") for shapes that do not fit, values not finite, a region too small for
    its features, and images that do not give the same features.
    """
    if version not in VERSIONS:
        raise InputError("there is no such version of FRD", found=version, expected=" or ".join(VERSIONS))
    if len(images) == 0 or (masks is not None and len(masks) != len(images)):
        raise InputError(
            "every image needs its mask",
            expected="at least one image, as many masks as images or none",
            found=f"{len(images)} images" + ("" if masks is None else f", {len(masks)} masks"),
        )
    task = partial(_image_features, version=version, spacing=spacing)
    rows = list(_run(task, processes, range(len(images)), images, repeat(None) if masks is None else masks))
    used = tuple(index for index, row in enumerate(rows) if row is not None)
    names = tuple(rows[used[0]]) if used else ()
    for index in used:
        if tuple(rows[index]) != names:
            odd = sorted(set(names) ^ set(rows[index]))
            raise InputError(
                "this image does not give the features of the first one",
                case=f"image {index}",
                found=f"{len(rows[index])} features instead of {len(names)}, among others {odd[:1]}",
                expected="images of about one size, all 2D or all 3D",
            )
    return Radiomics(
        names, np.array([list(rows[index].values()) for index in used]).reshape(len(used), len(names)), used
    )


def _run(task, processes: int, *arguments) -> Iterator[Features | None]:
    """task(*one of each of the arguments) in this process or in several."""
    if processes <= 1:
        yield from map(task, *arguments)
        return
    context = get_context("spawn")  # fork is unsafe beside threads, and not everywhere
    with ProcessPoolExecutor(processes, mp_context=context, initializer=use_one_thread) as pool:
        yield from pool.map(task, *arguments, chunksize=4)


def _image_features(index: int, image, mask, version: str, spacing: tuple[float, float]) -> Features | None:
    """{name: value} of one image, None where the region is too small to be used."""
    case = f"image {index}"
    image = _placed(image, version, spacing, case)
    # As the package reads files. Integers must not reach pyradiomics, which would let bin edges beyond 255 wrap.
    image = image.like(image.array.astype(np.float32))
    if not np.isfinite(image.array).all():
        raise InputError("the image holds values that are not finite", case=case, expected="no NaN or infinity")
    if mask is None:
        mask = image.like(_everywhere(image.array.shape, version))
    else:
        mask = _placed(mask, version, spacing, case)
        mask = Volume((mask.array != 0).astype(np.uint8), mask.spacing, mask.origin, mask.direction)
    if mask.array.shape != image.array.shape:
        raise InputError(
            "the mask has another shape than the image", case=case, found=mask.array.shape, expected=image.array.shape
        )
    if np.count_nonzero(mask.array) < FEWEST_PIXELS:
        return None
    if version == "v0":
        image, mask = beyond_mask(image, mask)
    planar = image.array.ndim == 2 or len(image.array) == 1
    found = extract(_extractor(version, 2 if planar else 3), to_image(image), to_image(mask), case)
    return _kept(found, version)


def _placed(image, version: str, spacing: tuple[float, float], case: str) -> Volume:
    """An image in its place. v0 takes a plain array as two-dimensional, v1 as one plane of a volume."""
    if isinstance(image, Volume):
        return image
    array = np.asarray(image)
    if array.ndim != 2 or array.dtype.kind not in "buif":
        raise InputError(
            "this is no image",
            case=case,
            found=f"shape {array.shape}, type {array.dtype}",
            expected="real numbers (h, w)",
        )
    if version == "v0":
        return Volume(array, spacing, (0.0, 0.0), PLANE)
    return Volume(array[None], (*spacing, 1.0))


def _everywhere(shape: tuple[int, ...], version: str) -> np.ndarray:
    """The mask of a whole image. v1 leaves out the first corner, because pyradiomics 3.0 refuses a mask without an
    outside."""
    mask = np.ones(shape, dtype=np.uint8)
    if version == "v1":
        mask[(0,) * mask.ndim] = 0
    return mask


def beyond_mask(image: Volume, mask: Volume) -> tuple[Volume, Volume]:
    """Both with one more row outside the mask, where the mask has no outside.

    Pyradiomics 3.0 refuses a mask without an outside, later ones do not. Without filters, resampling or normalisation
    it crops to the mask first, so that the row changes no feature.
    """
    if not mask.array.all():
        return image, mask
    more = [(0, 0)] * (image.array.ndim - 2) + [(0, 1), (0, 0)]
    return tuple(Volume(np.pad(x.array, more), x.spacing, x.origin, x.direction) for x in (image, mask))


@lru_cache
def _extractor(version: str, dimensions: int):
    from frd_score.frd import get_feature_extractor

    return get_feature_extractor(frd_version=version, image_dim=dimensions)


def extract(extractor, image, mask, case: str) -> dict:
    """A pyradiomics extractor's result for SimpleITK images, without its messages. Raises InputError when it fails."""
    import logging

    logging.getLogger("radiomics").setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # means of nothing in tiny regions; the value is NaN then
            return extractor.execute(image, mask)
    except (ValueError, RuntimeError) as error:
        raise InputError(
            "no radiomics features can be taken of this region",
            case=case,
            found=" ".join(str(error).split()),
            expected="one that extends in both directions and does not fill the image",
        ) from None


def _kept(found: dict, version: str) -> Features:
    """The features, named as the package names them; in v1 also numbers of the diagnostics, which its paper took in."""
    features = {}
    for name, value in found.items():
        if "diagnostics" not in name:
            features[name.replace("original_", "")] = float(value)
        elif version == "v1" and isinstance(value, Real):
            features[name] = float(value)
    return features
