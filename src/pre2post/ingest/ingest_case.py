"""Ingest one case: write its volumes by role, its mask, its intensity scale and its line of the cohort table."""

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
from pre2post.ingest.boxes import relative_enhancement, to_voxels
from pre2post.ingest.case_source import CaseSource
from pre2post.ingest.params import IngestParams
from pre2post.ingest.study import Phase, Study, open_study
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
    "skipped_series",
    "notes",
    "status",
    "reason",
)
CASE_PARAMS = {  # the ingest parameters that change the result of a case
    "n4_bias_correction",
    "register_above_mm",
    "min_lesion_ml",
    "low_percentile",
    "high_percentile",
    "headroom",
}
MIN_COVERAGE = 0.999  # of the pre-contrast voxels inside a phase: of 400 slices, none may be missing
MIN_MASK_KEPT = 0.95  # of the mask's volume after resampling
MAX_TUMOUR = 0.5  # of the volume: more indicates an image instead of a mask, or an inverted mask

Row = Mapping[str, object]  # one line of the cohort table, by COLUMNS


@dataclass(frozen=True)
class IngestResult:
    """A usable case, or None and the error for which it is skipped; `row` is its line of the cohort table."""

    case: Case | None
    row: Row
    error: InputError | None = None


@dataclass
class _Findings:
    """Remarks and values for the cohort table, collected during ingestion."""

    notes: list[str] = field(default_factory=list)
    box_enhancement: float | None = None


def ingest_case(source: CaseSource, folder: Path, settings: IngestParams) -> IngestResult:
    """Read one case and write its volumes into `folder`/<case>. Bad input is returned as `error`, not raised."""
    try:
        with case_context(source, written=folder):
            return _ingest(source, folder / source.case, settings)
    except InputError as error:
        return skipped_result(source, error)
    except MemoryError:
        hint = "lower ingest.workers, or leave the case out"
        return skipped_result(source, InputError("the case does not fit into memory", case=source.case, hint=hint))


@contextmanager
def case_context(source: CaseSource, written: Path | None = None) -> Iterator[None]:
    """Add the case to errors raised inside.

    Convert OSError for a file of the case, such as a name that is too long, to InputError; files inside the folder
    `written` are outputs and are excluded.
    """
    try:
        with error_context(case=source.case):
            yield
    except OSError as error:
        if error.filename is None or (written and Path(error.filename).is_relative_to(written)):
            raise
        raise InputError(
            "a file of the case cannot be used",
            case=source.case,
            file=error.filename,
            found=error.strerror,
            expected="a readable file",
            hint="check its name and permissions, or leave the case out",
        ) from None


def skipped_result(source: CaseSource, error: InputError) -> IngestResult:
    """Return the result of a case that cannot be used.

    The reason in its line omits folders, which contain UIDs and dates in downloads of archives; `error` keeps them.
    """
    known = {
        "case": source.case,
        "site": source.site,
        "patient": source.patient,
        "status": "skipped",
        "reason": str(_without_folders(error)),
    }
    return IngestResult(None, dict.fromkeys(COLUMNS, "") | known, error)


def _without_folders(error: InputError) -> InputError:
    """Reduce the file to its name, also inside `found`, where libraries may repeat the complete path."""
    if error.file is None:
        return InputError(error.problem, found=error.found, expected=error.expected, hint=error.hint)
    file = Path(str(error.file))
    found = None if error.found is None else error.found.replace(f"{file.parent}/", "")
    return InputError(error.problem, file=file.name, found=found, expected=error.expected, hint=error.hint)


def _ingest(source: CaseSource, target: Path, settings: IngestParams) -> IngestResult:
    study, findings = open_study(source), _Findings()
    pre = study.phases["pre"].read()
    if source.facts.get("mask") == "automatic":
        findings.notes.append("the mask is automatic")
    pixels = hashlib.sha256(np.ascontiguousarray(pre.array).data).hexdigest()
    mask = read_mask(source, pre, findings.notes)
    box: Box | None = None
    log_field = log_bias_field(pre) if settings.n4_bias_correction else None
    for role, phase in study.phases.items():
        volume = pre if role == "pre" else resample_to_pre(role, phase.read(), pre, phase.file, findings.notes)
        if role != "pre" and settings.register_above_mm:
            volume = _registered(role, volume, pre, settings.register_above_mm, findings.notes)
        if role == "post1":
            box = _checked_box(source, study, pre, volume, findings)
        if log_field is not None:
            volume = volume.like(remove_bias(volume.array, log_field))
        if role == "pre":
            scale = IntensityScale.from_pre(
                volume.array, settings.low_percentile, settings.high_percentile, settings.headroom
            )
        write_volume(volume, target / f"{role}.nii")
    if mask is not None:
        write_volume(mask, target / "mask.nii.gz")
    case = Case(
        source.case,
        source.site,
        tuple(study.phases),
        mask is not None,
        scale,
        target,
        box=box,
        lesions=0 if mask is None else lesions(mask.array, mask.spacing, settings.min_lesion_ml)[1],
        patient=source.patient or source.case,
        study=study.uid_digest,
        pixels=pixels,
        predefined_split=source.facts.get("predefined_split", ""),
    )
    row = _row(case, study, pre, mask, findings)
    write_case(case, row, settings.model_dump(include=CASE_PARAMS))
    return IngestResult(case, row)


def resample_to_pre(role: str, volume: Volume, pre: Volume, file: Path, notes: list[str]) -> Volume:
    """Return the phase on the grid of `pre`; add a note if it is resampled. Raises InputError if it lacks a part."""
    if same_geometry(pre, volume):
        return volume
    check_covers(role, volume, pre, file)
    notes.append(f"{role} resampled from {describe_geometry(volume)}")
    return resample_onto(volume, pre)


def check_covers(role: str, volume: Volume, pre: Volume, file: Path) -> None:
    """Raise InputError if a phase does not cover the pre-contrast volume."""
    if overlap(volume, pre) < MIN_COVERAGE:
        raise InputError(
            f"the phase {role} does not cover pre",
            file=file,
            found=describe_geometry(volume),
            expected=describe_geometry(pre),
            hint="check for missing slices, or leave the case out",
        )


def read_mask(source: CaseSource, pre: Volume, notes: list[str]) -> Volume | None:
    """Return the tumour mask, uint8 0 and 1, on the grid of `pre`; None if the case has none.

    Raises InputError if it is empty, fills most of the volume, or loses more than 5 % of its volume by resampling.
    """
    if source.mask is None:
        return None
    found = _read_any_mask(source.mask)
    inside = found.like((found.array > 0).astype(np.uint8))
    if not inside.array.any():
        raise InputError(
            "the mask is empty",
            file=source.mask,
            found="no voxel above 0",
            expected="a tumour",
            hint="correct the mask, or remove it from the cohort",
        )
    mask = pre.like(inside.array) if same_geometry(pre, inside) else _resample_mask(source.mask, inside, pre, notes)
    if mask.array.mean() > MAX_TUMOUR:
        raise InputError(
            "the mask fills most of the volume",
            file=source.mask,
            found=f"{mask.array.mean():.0%} of it",
            expected=f"a tumour, at most {MAX_TUMOUR:.0%} of the volume, and 0 outside",
            hint="check whether this is an image or an inverted mask",
        )
    return mask


def _resample_mask(file: Path, inside: Volume, pre: Volume, notes: list[str]) -> Volume:
    mask = resample_onto(inside, pre, label=True)
    before, after = (millilitres(volume.array, volume.spacing) for volume in (inside, mask))
    if after < MIN_MASK_KEPT * before:
        raise InputError(
            "the mask is not inside the pre-contrast series",
            file=file,
            found=f"{describe_geometry(inside)}; {after:.3f} of {before:.3f} ml are inside",
            expected=describe_geometry(pre),
            hint="draw or resample the mask on the pre-contrast series, or remove it from the cohort",
        )
    notes.append(f"mask resampled from {describe_geometry(inside)}")
    return mask


def _read_any_mask(path: Path) -> Volume:
    """Read a volume file, a DICOM SEG, or a folder with one DICOM SEG."""
    if path.is_dir():
        files = [file for file in sorted(path.iterdir()) if file.is_file() and is_segmentation(file)]
        if len(files) != 1:
            raise InputError(
                "the folder of the mask does not hold exactly one DICOM segmentation",
                file=path,
                found=len(files),
                expected="one",
                hint="keep one, or give the path of the file",
            )
        path = files[0]
    return read_segmentation(path) if is_segmentation(path) else to_lps(read_volume(path))


def _registered(role: str, volume: Volume, pre: Volume, limit_mm: float, notes: list[str]) -> Volume:
    motion = rigid_motion(volume, pre)
    if motion.largest_mm <= limit_mm:
        return volume
    notes.append(f"{role} moved by up to {motion.largest_mm:.1f} mm onto pre")
    return motion.apply(volume, pre)


def _checked_box(source: CaseSource, study: Study, pre: Volume, post: Volume, findings: _Findings) -> Box | None:
    """Return the annotated box, or None with a note if it does not enhance more than the body outside."""
    if source.box is None or study.pre_series is None:
        return None
    box = to_voxels(source.box, study.pre_series, pre)
    findings.box_enhancement = relative_enhancement(box, pre.array, post.array)
    if findings.box_enhancement is None or findings.box_enhancement > 0:
        return box
    findings.notes.append("the annotated box does not enhance and is not used")
    return None


def _row(case: Case, study: Study, pre: Volume, mask: Volume | None, findings: _Findings) -> Row:
    enhancement = findings.box_enhancement
    facts = {name: one_line(text) for name, text in study.facts.items()}
    row = {
        "case": case.id,
        "site": case.site,
        "patient": case.patient,
        "phases": " ".join(case.phases),
        "times_s": _times(study.phases),
        "size": " x ".join(map(str, pre.array.shape[::-1])),
        "spacing_mm": " x ".join(f"{step:.4g}" for step in pre.spacing),
        "manufacturer": facts.get("manufacturer", ""),
        "model": facts.get("model", ""),
        "field_strength_t": facts.get("field_strength_t", ""),
        "has_mask": case.has_mask,
        "mask_ml": "" if mask is None else f"{millilitres(mask.array, pre.spacing):.3f}",
        "lesions": "" if mask is None else case.lesions,
        "multifocal": "" if mask is None else case.lesions > 1,
        "has_box": case.box is not None,
        "box_enhancement": "" if enhancement is None else f"{enhancement:.3f}",
        "skipped_series": "; ".join(study.skipped_series),
        "notes": "; ".join(findings.notes),
        "status": "used",
        "reason": "",
    }
    return {column: row[column] for column in COLUMNS}


def _times(phases: Mapping[str, Phase]) -> str:
    """Return the seconds from pre of each phase, "?" where unknown."""
    return " ".join("?" if phase.seconds is None else f"{phase.seconds:.0f}" for phase in phases.values())
