"""One case from its files to volumes by role, its mask, its intensity scale and its line in the cohort table."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cohort.boxes import to_voxels
from cohort.case import Case
from cohort.duke import Entry, read_examination, same_image
from cohort.phases import name_phases, why_not_dynamic
from imaging.bias import log_bias_field, remove_bias
from imaging.dicom import Series, order_slices, read_series
from imaging.masks import lesions, millilitres
from imaging.scale import IntensityScale
from imaging.volume import Volume, describe_geometry, read_volume, same_geometry, to_lps, write_volume
from pipeline.errors import InputError, about

COLUMNS = ("case", "site", "phases", "size", "spacing_mm", "field_strength_t", "manufacturer", "has_mask", "mask_ml",
           "lesions", "multifocal", "has_box", "series_left_out", "status", "reason")


@dataclass(frozen=True)
class Taken:
    """What became of a case: a usable Case, or none and the reason; `row` is its line in the cohort table."""

    case: Case | None
    row: dict[str, object]
    error: InputError | None = None


def take_in(entry: Entry, folder: Path, settings) -> Taken:
    """Reads one case and writes its volumes into `folder`/<case>. Bad input is returned, not raised, as `error`.

    `settings` are the ingest parameters: n4_bias_correction, smallest_lesion_ml, and low_percentile, high_percentile
    and ceiling of the intensity scale.
    """
    try:
        with about(case=entry.case):
            return _take_in(entry, folder / entry.case, settings)
    except InputError as error:
        return left_out(entry, error)


def left_out(entry: Entry, error: InputError) -> Taken:
    """The result of a case that cannot be used."""
    known = {"case": entry.case, "site": entry.site, "status": "left out", "reason": str(error)}
    return Taken(None, dict.fromkeys(COLUMNS, "") | known, error)


def _take_in(entry: Entry, target: Path, settings) -> Taken:
    phases, ignored = _find_phases(entry)
    pre = read_series(phases["pre"])
    mask = _read_mask(entry, pre)
    box = to_voxels(entry.box, phases["pre"], pre) if entry.box else None
    log_field = log_bias_field(pre) if settings.n4_bias_correction else None
    for role, series in phases.items():
        volume = pre if role == "pre" else _read_phase(entry, role, series, pre)
        if log_field is not None:
            volume = volume.like(remove_bias(volume.array, log_field))
        if role == "pre":
            scale = IntensityScale.from_pre(volume.array, settings.low_percentile, settings.high_percentile,
                                            settings.ceiling)
        write_volume(volume, target / f"{role}.nii.gz")
    if mask is not None:
        write_volume(mask, target / "mask.nii.gz")
    count = 0 if mask is None else lesions(mask.array, mask.spacing, settings.smallest_lesion_ml)[1]
    case = Case(entry.case, entry.site, tuple(phases), mask is not None, scale, target, box, count)
    return Taken(case, _row(case, phases["pre"], pre, mask, ignored))


def _find_phases(entry: Entry) -> tuple[dict[str, Series], list[str]]:
    """The series of each role, and a line on every series that is none."""
    dynamic, ignored = [], []
    for group in read_examination(entry):
        reason = why_not_dynamic(group[0].description)
        if reason:
            ignored.append(f"{group[0].description} ({group[0].number}): {reason}")
        else:
            dynamic.append(order_slices(group, entry.case))
    phases, copies = name_phases(entry.case, dynamic, same_image)
    return phases, ignored + copies


def _read_phase(entry: Entry, role: str, series: Series, pre: Volume) -> Volume:
    volume = read_series(series)
    if not same_geometry(pre, volume):
        raise InputError(f"the phase {role} does not lie where pre lies", case=entry.case, file=series.folder,
                         found=describe_geometry(volume), expected=describe_geometry(pre),
                         todo="look for missing slices, or leave the case out")
    return volume


def _read_mask(entry: Entry, pre: Volume) -> Volume | None:
    """The tumour mask as 0 and 1, turned to LPS as the images are."""
    if entry.mask is None:
        return None
    mask = to_lps(read_volume(entry.mask))
    if not same_geometry(pre, mask):
        raise InputError("the mask's geometry differs from that of the pre-contrast series", case=entry.case,
                         file=entry.mask, found=describe_geometry(mask), expected=describe_geometry(pre),
                         todo="draw or resample the mask on the pre-contrast series, or leave it out of the table")
    inside = (mask.array > 0).astype(np.uint8)
    if not inside.any():
        raise InputError("the mask is empty", case=entry.case, file=entry.mask, found="no voxel above 0",
                         expected="a tumour", todo="correct the mask, or leave it out of the table")
    return pre.like(inside)


def _row(case: Case, series: Series, pre: Volume, mask: Volume | None, ignored: list[str]) -> dict[str, object]:
    strength, masked = series.head.field_strength, mask is not None
    return dict(zip(COLUMNS, (
        case.id, case.site, " ".join(case.phases), " x ".join(map(str, pre.array.shape[::-1])),
        " x ".join(f"{step:.4g}" for step in pre.spacing), "" if strength is None else f"{strength:g}",
        series.head.manufacturer, case.has_mask, f"{millilitres(mask.array, pre.spacing):.3f}" if masked else "",
        case.lesions if masked else "", case.lesions > 1 if masked else "", case.box is not None, "; ".join(ignored),
        "used", ""), strict=True))
