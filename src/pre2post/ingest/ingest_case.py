"""One case from its files to volumes by role, its mask, its intensity scale and its line in the cohort table."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pre2post.cohort.case import Case, write_case
from pre2post.core.errors import InputError, error_context, one_line
from pre2post.dicom.segmentation import is_segmentation, read_segmentation
from pre2post.image.intensity import IntensityScale
from pre2post.image.masks import Box, lesions, millilitres
from pre2post.image.n4 import log_bias_field, remove_bias
from pre2post.image.registration import overlap, resample_onto, rigid_motion
from pre2post.image.volume import Volume, describe_geometry, same_geometry, to_lps
from pre2post.ingest.boxes import enhancement_inside, to_voxels
from pre2post.ingest.case_source import CaseSource
from pre2post.ingest.study import Study, open_examination
from pre2post.io.volume_file import read_volume, write_volume

COLUMNS = (
    "case",
    "site",
    "patient",
    "phases",
    "times_s",
    "size",
    "spacing_mm",
    "manufacturer",
    "model",
    "field_strength_t",
    "has_mask",
    "mask_ml",
    "lesions",
    "multifocal",
    "has_box",
    "box_enhancement",
    "series_left_out",
    "notes",
    "status",
    "reason",
)
SETTINGS = {
    "n4_bias_correction",
    "register_above_mm",
    "min_lesion_ml",
    "low_percentile",
    "high_percentile",
    "headroom",
}  # of the parameters, what changes the volumes of a case
COVERED = 0.999  # of the pre-contrast voxels must lie inside a phase: of 400 slices, none may be missing
MASK_KEPT = 0.95  # of a mask's volume must be left on another grid
MOST_TUMOUR = 0.5  # of the volume: an image taken for a mask, or a mask turned inside out, fills more


@dataclass(frozen=True)
class IngestResult:
    """What became of a case: a usable Case, or none and the reason; `row` is its line in the cohort table."""

    case: Case | None
    row: dict[str, object]
    error: InputError | None = None


@dataclass
class _Findings:
    """What there is to say of a case beside its volumes; it grows while the case is taken in."""

    notes: list[str] = field(default_factory=list)
    box_enhancement: float | None = None


def ingest_case(entry: CaseSource, folder: Path, settings) -> IngestResult:
    """Reads one case and writes its volumes into `folder`/<case>. Bad input is returned, not raised, as `error`.

    `settings` are the ingest parameters, of which SETTINGS are used.
    """
    try:
        with about_case(entry, written=folder):
            return _take_in(entry, folder / entry.case, settings)
    except InputError as error:
        return left_out(entry, error)
    except MemoryError:
        return left_out(
            entry,
            InputError(
                "the case does not fit into memory", case=entry.case, hint="lower ingest.workers, or leave the case out"
            ),
        )


@contextmanager
def about_case(entry: CaseSource, written: Path | None = None) -> Iterator[None]:
    """Says of bad input inside which case it is about. A file that cannot be used, such as one whose name is too long,
    is bad input too, unless it lies in the folder `written`."""
    try:
        with error_context(case=entry.case):
            yield
    except OSError as error:
        if error.filename is None or (written and Path(error.filename).is_relative_to(written)):
            raise
        raise InputError(
            "a file of the case cannot be used",
            case=entry.case,
            file=error.filename,
            found=error.strerror,
            expected="a file that can be read",
            hint="see to its name and its permissions, or leave the case out",
        ) from None


def left_out(entry: CaseSource, error: InputError) -> IngestResult:
    """The result of a case that cannot be used. Its line names files without their folders, which in an archive's
    download are UIDs and dates; `error` keeps them."""
    known = {
        "case": entry.case,
        "site": entry.site,
        "patient": entry.patient,
        "status": "left out",
        "reason": str(_without_folders(error)),
    }
    return IngestResult(None, dict.fromkeys(COLUMNS, "") | known, error)


def _without_folders(error: InputError) -> InputError:
    """The error with the bare name of its file, also in what a library found, which may tell the whole path."""
    if error.file is None:
        return InputError(error.problem, found=error.found, expected=error.expected, hint=error.hint)
    folder = f"{Path(error.file).parent}/"
    found = None if error.found is None else error.found.replace(folder, "")
    return InputError(error.problem, file=Path(error.file).name, found=found, expected=error.expected, hint=error.hint)


def _take_in(entry: CaseSource, target: Path, settings) -> IngestResult:
    examination, findings = open_examination(entry), _Findings()
    pre = examination.phases["pre"].read()
    if entry.facts.get("mask") == "automatic":
        findings.notes.append("the mask was drawn by a program")
    pixels = hashlib.sha256(np.ascontiguousarray(pre.array)).hexdigest()
    mask, kept_box = read_mask(entry, pre, findings.notes), None
    log_field = log_bias_field(pre) if settings.n4_bias_correction else None
    for role, phase in examination.phases.items():
        volume = pre if role == "pre" else onto_pre(role, phase.read(), pre, phase.file, findings.notes)
        if role != "pre" and settings.register_above_mm:
            volume = _registered(role, volume, pre, settings.register_above_mm, findings.notes)
        if role == "post1":
            kept_box = _checked_box(entry, examination, pre, volume, findings)
        if log_field is not None:
            volume = volume.like(remove_bias(volume.array, log_field))
        if role == "pre":
            scale = IntensityScale.from_pre(
                volume.array, settings.low_percentile, settings.high_percentile, settings.headroom
            )
        write_volume(volume, target / f"{role}.nii")
    if mask is not None:
        write_volume(mask, target / "mask.nii.gz")
    count = 0 if mask is None else lesions(mask.array, mask.spacing, settings.min_lesion_ml)[1]
    case = Case(
        entry.case,
        entry.site,
        tuple(examination.phases),
        mask is not None,
        scale,
        target,
        kept_box,
        count,
        entry.patient or entry.case,
        examination.study,
        pixels,
        entry.facts.get("published_part", ""),
    )
    row = _row(case, examination, pre, mask, findings)
    write_case(case, row, settings.model_dump(include=SETTINGS))
    return IngestResult(case, row)


def onto_pre(role: str, volume: Volume, pre: Volume, file: Path, notes: list[str]) -> Volume:
    """The phase on the grid of `pre`, resampled if need be, which is noted. Raises InputError when it lacks a part."""
    if same_geometry(pre, volume):
        return volume
    check_covers(role, volume, pre, file)
    notes.append(f"{role} resampled from {describe_geometry(volume)}")
    return resample_onto(volume, pre)


def check_covers(role: str, volume: Volume, pre: Volume, file: Path) -> None:
    """Raises InputError when a phase of other geometry does not hold all of the pre-contrast volume."""
    if overlap(volume, pre) < COVERED:
        raise InputError(
            f"the phase {role} does not lie where pre lies",
            file=file,
            found=describe_geometry(volume),
            expected=describe_geometry(pre),
            hint="look for missing slices, or leave the case out",
        )


def read_mask(entry: CaseSource, pre: Volume, notes: list[str]) -> Volume | None:
    """The tumour mask, uint8 0 and 1, on the grid of `pre`; None where the case has none.

    Raises InputError when it is empty, fills most of the volume, or loses more than a crumb on the way to that grid.
    """
    if entry.mask is None:
        return None
    found = _read_any_mask(entry.mask)
    inside = found.like((found.array > 0).astype(np.uint8))
    if not inside.array.any():
        raise InputError(
            "the mask is empty",
            file=entry.mask,
            found="no voxel above 0",
            expected="a tumour",
            hint="correct the mask, or leave it out of the cohort",
        )
    mask = pre.like(inside.array) if same_geometry(pre, inside) else _mask_onto_pre(entry, inside, pre, notes)
    if mask.array.mean() > MOST_TUMOUR:
        raise InputError(
            "the mask fills most of the volume",
            file=entry.mask,
            found=f"{mask.array.mean():.0%} of it",
            expected=f"a tumour, at most {MOST_TUMOUR:.0%}, all else 0",
            hint="look whether this is an image, or a mask turned inside out",
        )
    return mask


def _mask_onto_pre(entry: CaseSource, inside: Volume, pre: Volume, notes: list[str]) -> Volume:
    mask = resample_onto(inside, pre, label=True)
    before, after = (millilitres(volume.array, volume.spacing) for volume in (inside, mask))
    if after < MASK_KEPT * before:
        raise InputError(
            "the mask does not lie inside the pre-contrast series",
            file=entry.mask,
            found=f"{describe_geometry(inside)}; of {before:.3f} ml {after:.3f} ml are inside",
            expected=describe_geometry(pre),
            hint="draw or resample the mask on the pre-contrast series, or leave it out of the cohort",
        )
    notes.append(f"mask resampled from {describe_geometry(inside)}")
    return mask


def _read_any_mask(path: Path) -> Volume:
    """A volume file, a DICOM SEG, or a folder that holds one."""
    if path.is_dir():
        files = [file for file in sorted(path.iterdir()) if file.is_file() and is_segmentation(file)]
        if len(files) != 1:
            raise InputError(
                "the folder of the mask holds no single DICOM segmentation",
                file=path,
                found=f"{len(files)}",
                expected="one",
                hint="leave one, or give the file itself",
            )
        path = files[0]
    return read_segmentation(path) if is_segmentation(path) else to_lps(read_volume(path))


def _registered(role: str, volume: Volume, pre: Volume, limit_mm: float, notes: list[str]) -> Volume:
    motion = rigid_motion(volume, pre)
    if motion.largest_mm <= limit_mm:
        return volume
    notes.append(f"{role} moved by up to {motion.largest_mm:.1f} mm onto pre")
    return motion.apply(volume, pre)


def _checked_box(entry: CaseSource, examination: Study, pre: Volume, post: Volume, findings: _Findings) -> Box | None:
    """The annotated box, unless it falls on nothing that enhances more than the body around it, which is noted."""
    if entry.box is None or examination.series is None:
        return None
    box = to_voxels(entry.box, examination.series, pre)
    findings.box_enhancement = enhancement_inside(box, pre.array, post.array)
    if findings.box_enhancement is None or findings.box_enhancement > 0:
        return box
    findings.notes.append("the annotated box falls on nothing that enhances: it is not used")
    return None


def _row(case: Case, examination: Study, pre: Volume, mask: Volume | None, findings: _Findings) -> dict[str, object]:
    masked, enhancement = mask is not None, findings.box_enhancement
    facts = {name: one_line(text) for name, text in examination.facts.items()}
    return dict(
        zip(
            COLUMNS,
            (
                case.id,
                case.site,
                case.patient,
                " ".join(case.phases),
                _times(examination.phases),
                " x ".join(map(str, pre.array.shape[::-1])),
                " x ".join(f"{step:.4g}" for step in pre.spacing),
                facts.get("manufacturer", ""),
                facts.get("model", ""),
                facts.get("field_strength_t", ""),
                case.has_mask,
                f"{millilitres(mask.array, pre.spacing):.3f}" if masked else "",
                case.lesions if masked else "",
                case.lesions > 1 if masked else "",
                case.box is not None,
                "" if enhancement is None else f"{enhancement:.3f}",
                "; ".join(examination.left_out),
                "; ".join(findings.notes),
                "used",
                "",
            ),
            strict=True,
        )
    )


def _times(phases: Mapping) -> str:
    """Seconds from pre of each phase, as far as they are known."""
    return " ".join("?" if phase.seconds is None else f"{phase.seconds:.0f}" for phase in phases.values())
