"""One examination before its voxels are read: which files are its phases, where these lie, what the headers tell."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pre2post.core.errors import InputError
from pre2post.dicom.header import SliceHeader, read_header
from pre2post.dicom.series import STEPS, Series, order_slices, read_series, scan_series, series_place
from pre2post.image.volume import Volume, describe_geometry, to_lps, whole_numbers
from pre2post.ingest.case_source import CaseSource
from pre2post.ingest.phases import NO_PHASE, drop_unsuppressed, name_of, name_phases, stated_role, why_not_dynamic
from pre2post.io.finite import check_finite
from pre2post.io.volume_file import read_place, read_volume


@dataclass(frozen=True)
class Phase:
    """A phase that is not read yet; `place` and `read` give it turned to LPS. `seconds` after pre, where known."""

    file: Path
    place: Callable[[], Volume]
    read: Callable[[], Volume]
    seconds: float | None = None


@dataclass(frozen=True)
class Study:
    """The phases by role in order of time, a line on every series that is none, and what the headers tell.

    `series` is the DICOM series of pre, which the annotated box counts in; None for volume files. `study` is a digest.
    """

    phases: Mapping[str, Phase]
    left_out: list[str] = field(default_factory=list)
    facts: Mapping[str, str] = field(default_factory=dict)
    series: Series | None = None
    study: str = ""


def open_examination(entry: CaseSource) -> Study:
    """Reads headers only. Raises InputError when there is no usable pre-contrast phase with one after it."""
    return _from_dicom(entry) if isinstance(entry.images, Path) else _from_files(entry)


def shared_patients(entries: Iterable[CaseSource]) -> dict[str, InputError]:
    """Cases whose folders hold the same patient, each with its error: nobody can tell whose images these are."""
    owners: dict[str, list[CaseSource]] = {}
    for entry in entries:
        if isinstance(entry.images, Path) and (patient := _patient_id(entry)):
            owners.setdefault(patient, []).append(entry)
    return {
        entry.case: _shared(entry, group)
        for group in owners.values()
        for entry in group
        if len({other.patient or other.case for other in group}) > 1
    }


def same_image(one: Series, other: Series) -> bool:
    """Whether two series hold the same pixels, whatever the order of their slices."""
    if len(one.slices) != len(other.slices) or one.head.size != other.head.size:
        return False
    return bool((read_series(one).array == read_series(other).array).all())


def image_files(entry: CaseSource) -> list[Path]:
    """Every file of the images of a case, sorted; links to folders are not followed, so that none can turn back."""
    if isinstance(entry.images, Path):
        return sorted(_files(entry.images))
    return list(entry.images.values())


def _files(folder: Path) -> Iterator[Path]:
    for path, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(path, name) for name in names if not name.startswith("."))


def _from_dicom(entry: CaseSource) -> Study:
    dynamic, left_out = [], []
    for group in _read_groups(entry):
        reason = _why_left_out(group[0], entry.roles)
        if reason:
            left_out.append(f"{name_of(group[0])}: {reason}")
        else:
            dynamic.append(order_slices(group, entry.case))
    dynamic, unsuppressed = drop_unsuppressed(dynamic)
    phases, copies = name_phases(entry.case, dynamic, same_image, entry.roles)
    pre = phases["pre"]
    return Study(
        {role: _dicom_phase(series, pre) for role, series in phases.items()},
        left_out + unsuppressed + copies,
        _facts(pre) | entry.facts,
        pre,
        _digest(pre.head.study),
    )


def _from_files(entry: CaseSource) -> Study:
    if "pre" not in entry.images or "post1" not in entry.images:
        missing = "post1" if "pre" in entry.images else "pre"
        raise InputError(
            f"the phase {missing} is missing",
            case=entry.case,
            found=", ".join(entry.images) or "no file",
            expected="pre and post1",
            hint="fetch the file, or leave the case out",
        )
    times = _times(entry.facts.get("times_s", ""), len(entry.images))
    return Study(
        {
            role: Phase(
                file,
                lambda file=file: to_lps(_plausible(read_place(file), file)),
                lambda file=file: _read_file(file),
                seconds,
            )
            for (role, file), seconds in zip(entry.images.items(), times, strict=True)
        },
        [],
        entry.facts,
    )


def _read_groups(entry: CaseSource) -> list[list[SliceHeader]]:
    """Headers of every series of a case. Raises InputError when there is none, or two patients or studies."""
    folders = sorted({file.parent for file in _files(entry.images)})
    series = [group for folder in folders for group in scan_series(folder, entry.case)]
    if not series:
        raise InputError(
            "the case has no DICOM files",
            case=entry.case,
            file=entry.images,
            found="no image" if entry.images.is_dir() else "no such folder",
            expected="<study>/<series>/*.dcm",
            hint="fetch the case, or leave it out",
        )
    for name, word in (("patient", "patients"), ("study", "examinations")):
        present = {getattr(header, name) for group in series for header in group}
        if len(present) > 1:
            raise InputError(
                f"the folder of one case holds several {word}",
                case=entry.case,
                file=entry.images,
                found=len(present),
                expected="one",
                hint="give each its own folder",
            )
    return series


def _why_left_out(header: SliceHeader, roles: Mapping[str, str]) -> str | None:
    stated = stated_role(header, roles)
    if stated is None:
        return why_not_dynamic(header)
    return "no phase, by the archive's table or a known exception" if stated == NO_PHASE else None


def _dicom_phase(series: Series, pre: Series) -> Phase:
    return Phase(series.folder, lambda: series_place(series), lambda: read_series(series), _seconds_after(series, pre))


def _seconds_after(series: Series, pre: Series) -> float | None:
    """From the times of acquisition, or of storage, or from the trigger of phases that share these."""
    for name, unit in (("acquired", 1.0), ("trigger", 1e-3), ("stored", 1.0)):
        times = [[getattr(header, name) for header in one.slices] for one in (pre, series)]
        if None not in times[0] + times[1] and min(times[0]) != min(times[1]):
            return (min(times[1]) - min(times[0])) * unit
    return 0.0 if series is pre else None


def _facts(pre: Series) -> dict[str, str]:
    head = pre.head
    strength = "" if head.field_strength is None else f"{head.field_strength:g}"
    return {"manufacturer": head.manufacturer, "model": head.model, "field_strength_t": strength}


def _times(text: str, count: int) -> list[float | None]:
    with suppress(ValueError):
        times = [float(word) for word in text.split()]
        if len(times) == count:
            return [time - times[0] for time in times]
    return [None] * count


def _read_file(file: Path) -> Volume:
    volume = _plausible(read_volume(file), file)
    check_finite(volume, file)
    return whole_numbers(to_lps(volume))


def _plausible(volume: Volume, file: Path) -> Volume:
    if not all(STEPS[0] <= step <= STEPS[1] for step in volume.spacing):
        raise InputError(
            "the voxels cannot be those of an MR image",
            file=file,
            found=describe_geometry(volume),
            expected="{:g} to {:g} mm a side".format(*STEPS),
            hint="correct the header of the file, or leave the case out",
        )
    return volume


def _digest(uid: str) -> str:
    """A StudyInstanceUID names a person's examination to those who hold its record: only its digest is kept."""
    return hashlib.sha256(uid.encode()).hexdigest()


def _patient_id(entry: CaseSource) -> str | None:
    """The PatientID of a case's first file; errors are told when the case itself is read."""
    for file in _files(entry.images):
        with suppress(InputError):
            return read_header(file, entry.case).patient.casefold()
    return None


def _shared(entry: CaseSource, group: list[CaseSource]) -> InputError:
    others = ", ".join(other.case for other in group if other is not entry)
    return InputError(
        "two patients have one id",
        case=entry.case,
        file=entry.images,
        found=f"its PatientID also in {others}",
        expected="a PatientID of its own for each case",
        hint="remove the copy, or correct its PatientID",
    )
