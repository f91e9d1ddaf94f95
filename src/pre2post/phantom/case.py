"""Write one case in the Duke layout: its phases, its traps and its tumour mask."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from pre2post.core.files import atomic_path
from pre2post.phantom.annotation import annotation_box, save_box
from pre2post.phantom.dicom import DATE, Frame, Series, direction_and_origin, stored, uid, write_series
from pre2post.phantom.grid import Grid
from pre2post.phantom.patient import make_patient
from pre2post.phantom.roster import IMAGES, MASKS, STYLES, WORK, PhantomCase
from pre2post.phantom.scanner import SITES, acquire, acquire_plain

MORNING = 10 * 3600 + 900  # start of the pre-contrast series, seconds of the day
SCAN = 100  # duration of a phase in seconds; contrast is injected at the end of the first one
PLAIN_BEFORE = 240  # seconds from `ax t1` to the dynamic series


def phase_starts(rng: np.random.Generator) -> tuple[int, int, int]:
    """Draw the start of each phase, in seconds after the start of pre.

    Duke cohort: the median of the first gap is 207 s (5th and 95th percentiles 153 and 456 s), of later gaps 116 s.
    """
    first = round(float(np.clip(207 * np.exp(rng.normal(0, 0.22)), 153, 456)))
    return 0, first, first + round(float(np.clip(116 * np.exp(rng.normal(0, 0.1)), 90, 150)))


def minutes_after_bolus(start: int) -> float:
    """Return the time of the k-space centre of a phase, in minutes after injection; 0 for the phase before it."""
    return (start - SCAN + SCAN / 2) / 60 if start else 0.0


def write_case(folder: Path, case: PhantomCase, seed: int, matrix: int, slices: int) -> None:
    """Write one case into the cohort folder.

    Its DICOM folder is moved into place last, so that a present folder marks a complete case.
    """
    site = SITES[case.site]
    grid = site.grid(matrix, slices)
    patient = make_patient(seed, case.number, grid)
    rng = np.random.default_rng([seed, case.number, 100])
    x, y, z = (round(float(v), 1) for v in rng.normal(0, (2, 8, 15)))
    frame = Frame((x, y, z), "rotated" in case.traps, "descending" in case.traps)
    save_box(folder, case, annotation_box(patient.tumour, frame))
    starts = phase_starts(rng)
    volumes = acquire(patient, site, [minutes_after_bolus(start) for start in starts], rng)
    if case.masked:
        write_mask(folder / MASKS / f"{case.id}.nii", patient.tumour, grid, frame)

    work = folder / WORK / f"{case.id}.{os.getpid()}"  # a worker of a killed run may still be writing
    shutil.rmtree(work, ignore_errors=True)
    key = f"pre2post/{seed}/{matrix}/{slices}/{case.id}"
    study = work / f"{DATE[4:6]}-{DATE[6:]}-{DATE[:4]}-NA-MRI BREAST BILATERAL-{uid(key)[-5:]}"
    for series, volume in _series(case, key, starts, volumes):
        write_series(study / _series_folder(series), volume, grid, frame, series, site)
    if "plain_t1" in case.traps:
        series = Series(case.id, key, f"{key}/plain", 3, "ax t1", MORNING - PLAIN_BEFORE, fat_suppressed=False)
        plain = acquire_plain(patient, site, rng)
        write_series(study / _series_folder(series), plain, grid, frame, series, site)
    (folder / IMAGES).mkdir(exist_ok=True)
    if not (folder / IMAGES / case.id).exists():
        os.replace(work, folder / IMAGES / case.id)


def _series(
    case: PhantomCase, key: str, starts: Sequence[int], volumes: Sequence[np.ndarray]
) -> list[tuple[Series, np.ndarray]]:
    """Return headers and pixels of the dynamic series; post1 twice if the case has the trap "duplicated"."""
    style = STYLES[case.style]
    found = []
    for phase, (start, volume) in enumerate(zip(starts, volumes, strict=True)):
        trigger = 1000 * start if case.style == "vibrant" else None
        series = Series(
            case.id,
            key,
            f"{key}/{phase}",
            style.numbers[phase],
            style.descriptions[phase],
            MORNING + start,
            fat_suppressed=True,
            trigger_ms=trigger,
        )
        found.append((series, volume))
        if phase == 1 and "duplicated" in case.traps:
            found.append((replace(series, key=f"{series.key}/again"), volume))
    return found


def _series_folder(series: Series) -> str:
    """Return the folder name of the archive: number, description without slashes, last digits of the UID."""
    return f"{series.number}.000000-{series.description.replace('/', '')}-{uid(series.key)[-5:]}"


def write_mask(path: Path, mask: np.ndarray, grid: Grid, frame: Frame) -> None:
    """Write a bool mask (z, y, x) as uncompressed uint8 NIfTI in the geometry of the stored pre series."""
    import nibabel

    signs, origin = direction_and_origin(grid, frame)
    affine = np.diag([*np.multiply(signs, grid.spacing), 1.0])
    affine[:3, 3] = np.round(origin, 4)
    to_ras = np.diag([-1.0, -1.0, 1.0, 1.0])  # NIfTI is RAS, DICOM is LPS: x and y have opposite signs
    image = nibabel.Nifti1Image(stored(mask, frame).astype(np.uint8).transpose(2, 1, 0), to_ras @ affine)
    image.header.set_xyzt_units("mm")
    with atomic_path(path) as temporary:
        nibabel.save(image, temporary)
