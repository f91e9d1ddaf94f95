"""Writes one case into the Duke layout: its phases, whatever traps it holds, and its tumour mask."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from pre2post.core.files import atomic_path
from pre2post.phantom.annotation import annotation_box, keep_box
from pre2post.phantom.dicom import DATE, Frame, Series, direction_and_origin, stored, uid, write_series
from pre2post.phantom.grid import Grid
from pre2post.phantom.patient import make_patient
from pre2post.phantom.roster import IMAGES, MASKS, STYLES, WORK, CaseSource
from pre2post.phantom.scanner import SITES, acquire, acquire_plain

MORNING = 10 * 3600 + 900  # seconds of the day at which the pre-contrast series starts
SCAN = 100  # seconds a phase takes; contrast is injected as the first one ends
PLAIN_BEFORE = 240  # seconds before the dynamic series at which `ax t1` was taken


def phase_starts(rng: np.random.Generator) -> tuple[int, int, int]:
    """Seconds after the start of pre at which each phase starts.

    Duke cohort: the first gap has a median of 207 s (5th and 95th percentiles 153 and 456 s), later ones of 116 s.
    """
    first = round(float(np.clip(207 * np.exp(rng.normal(0, 0.22)), 153, 456)))
    return 0, first, first + round(float(np.clip(116 * np.exp(rng.normal(0, 0.1)), 90, 150)))


def minutes_after_bolus(start: int) -> float:
    """Time at the middle of a phase's k-space, in minutes after the injection; 0 for the phase before it."""
    return (start - SCAN + SCAN / 2) / 60 if start else 0.0


def write_case(folder: Path, entry: CaseSource, seed: int, matrix: int, slices: int) -> None:
    """Writes the case into the cohort folder `folder`. Its DICOM folder appears last and whole: where it is, all is."""
    site = SITES[entry.site]
    grid = site.grid(matrix, slices)
    patient = make_patient(seed, entry.number, grid)
    rng = np.random.default_rng([seed, entry.number, 100])
    frame = Frame(
        tuple(round(float(v), 1) for v in rng.normal(0, (2, 8, 15))),
        "rotated" in entry.traps,
        "descending" in entry.traps,
    )
    keep_box(folder, entry, annotation_box(patient.tumour, frame))
    starts = phase_starts(rng)
    volumes = acquire(patient, site, [minutes_after_bolus(start) for start in starts], rng)
    if entry.masked:
        write_mask(folder / MASKS / f"{entry.id}.nii", patient.tumour, grid, frame)

    work = folder / WORK / f"{entry.id}.{os.getpid()}"  # a killed run may leave a worker that still writes
    shutil.rmtree(work, ignore_errors=True)
    key = f"pre2post/{seed}/{matrix}/{slices}/{entry.id}"
    study = work / f"{DATE[4:6]}-{DATE[6:]}-{DATE[:4]}-NA-MRI BREAST BILATERAL-{uid(key)[-5:]}"
    for series, volume in _series(entry, key, starts, volumes):
        write_series(study / _series_folder(series), volume, grid, frame, series, site)
    if "plain_t1" in entry.traps:
        series = Series(entry.id, key, f"{key}/plain", 3, "ax t1", MORNING - PLAIN_BEFORE, fat_suppressed=False)
        plain = acquire_plain(patient, site, rng)
        write_series(study / _series_folder(series), plain, grid, frame, series, site)
    (folder / IMAGES).mkdir(exist_ok=True)
    if not (folder / IMAGES / entry.id).exists():
        os.replace(work, folder / IMAGES / entry.id)


def _series(entry: CaseSource, key: str, starts, volumes) -> list[tuple[Series, np.ndarray]]:
    """Headers and pixels of the dynamic series, post1 twice where it is duplicated."""
    style = STYLES[entry.style]
    found = []
    for phase, (start, volume) in enumerate(zip(starts, volumes, strict=True)):
        trigger = 1000 * start if entry.style == "vibrant" else None
        series = Series(
            entry.id,
            key,
            f"{key}/{phase}",
            style.numbers[phase],
            style.descriptions[phase],
            MORNING + start,
            fat_suppressed=True,
            trigger_ms=trigger,
        )
        found.append((series, volume))
        if phase == 1 and "duplicated" in entry.traps:
            found.append((replace(series, key=f"{series.key}/again"), volume))
    return found


def _series_folder(series: Series) -> str:
    """The archive's name for it: number, description without slashes, last digits of the UID."""
    return f"{series.number}.000000-{series.description.replace('/', '')}-{uid(series.key)[-5:]}"


def write_mask(path: Path, mask: np.ndarray, grid: Grid, frame: Frame) -> None:
    """Writes a bool mask (z, y, x) as uncompressed uint8 NIfTI in the geometry of the stored pre series."""
    import nibabel

    signs, origin = direction_and_origin(grid, frame)
    affine = np.diag([*np.multiply(signs, grid.spacing), 1.0])
    affine[:3, 3] = np.round(origin, 4)
    to_ras = np.diag([-1.0, -1.0, 1.0, 1.0])  # NIfTI's x and y point right-to-left and back-to-front of DICOM's
    image = nibabel.Nifti1Image(stored(mask, frame).astype(np.uint8).transpose(2, 1, 0), to_ras @ affine)
    image.header.set_xyzt_units("mm")
    with atomic_path(path) as temporary:
        nibabel.save(image, temporary)
