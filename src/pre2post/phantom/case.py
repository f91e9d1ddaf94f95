"""Write one case in the Duke layout: its phases, its traps and its tumour mask."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pre2post.core.files import atomic_path
from pre2post.phantom.annotation import annotation_box, save_rows
from pre2post.phantom.dicom import DATE, Frame, Series, direction_and_origin, stored, uid, write_series
from pre2post.phantom.grid import Grid
from pre2post.phantom.motion import REST, draw_motion
from pre2post.phantom.patient import Patient, make_patient
from pre2post.phantom.roster import IMAGES, MASKS, STYLES, WORK, PhantomCase
from pre2post.phantom.scanner import acquire, acquire_plain
from pre2post.phantom.sites import SITES

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


@dataclass(frozen=True)
class Acquired:
    """What the scanner returns for one case: the start of each phase in seconds, its volume, the plain T1 or None.

    `facts` is the row of the case in the table of truth.
    """

    patient: Patient
    frame: Frame
    starts: tuple[int, int, int]
    volumes: list[np.ndarray]
    plain: np.ndarray | None
    facts: dict[str, str | int | float]


def acquire_case(case: PhantomCase, seed: int, matrix: int, slices: int, noisy: bool = True) -> Acquired:
    """Scan one case.

    Without noise, anatomy, motion, coils, drift and grid are those of the noisy case, so that the difference is noise.

    Args:
        case: one case of `make_roster`.
        seed: seed of the cohort.
        matrix: pixels per side at site A.
        slices: slices per volume at site A.
        noisy: integers with noise, as written to the cohort; False: the float64 signal in the same scanner units.

    Returns phases in the order pre, post1, post2, each (z, y, x) on `patient.grid`.
    """
    site = SITES[case.site]
    patient = make_patient(seed, case.number, site.grid(matrix, slices))
    rng = np.random.default_rng([seed, case.number, 100])
    x, y, z = (round(float(v), 1) for v in rng.normal(0, (2, 8, 15)))
    frame = Frame((x, y, z), "rotated" in case.traps, "descending" in case.traps)
    starts = phase_starts(rng)
    motions = [draw_motion(rng), REST, draw_motion(rng)]  # the tumour is annotated on post1
    volumes = acquire(patient, site, [minutes_after_bolus(start) for start in starts], rng, motions, noisy)
    plain = acquire_plain(patient, site, rng) if noisy and "plain_t1" in case.traps else None
    moved = {"motion_pre_mm": round(motions[0].distance, 1), "motion_post2_mm": round(motions[2].distance, 1)}
    facts = {"case": case.id, "site": case.site, **patient.facts, **moved}
    return Acquired(patient, frame, starts, volumes, plain, facts)


def write_case(folder: Path, case: PhantomCase, seed: int, matrix: int, slices: int) -> None:
    """Write one case into the cohort folder.

    Its DICOM folder is moved into place last, so that a present folder marks a complete case.
    """
    site, scan = SITES[case.site], acquire_case(case, seed, matrix, slices)
    grid, frame = scan.patient.grid, scan.frame
    save_rows(folder, case, annotation_box(scan.patient.tumour, frame), scan.facts)
    if case.masked:
        write_mask(folder / MASKS / f"{case.id}.nii", scan.patient.tumour, grid, frame)

    work = folder / WORK / f"{case.id}.{os.getpid()}"  # a worker of a killed run may still be writing
    shutil.rmtree(work, ignore_errors=True)
    key = f"pre2post/{seed}/{matrix}/{slices}/{case.id}"
    study = work / f"{DATE[4:6]}-{DATE[6:]}-{DATE[:4]}-NA-MRI BREAST BILATERAL-{uid(key)[-5:]}"
    for series, volume in _series(case, key, scan.starts, scan.volumes):
        write_series(study / _series_folder(series), volume, grid, frame, series, site)
    if scan.plain is not None:
        series = Series(case.id, key, f"{key}/plain", 3, "ax t1", MORNING - PLAIN_BEFORE, fat_suppressed=False)
        write_series(study / _series_folder(series), scan.plain, grid, frame, series, site)
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
