"""One examination before its voxels are read: the files and geometry of its phases, and values of its headers."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pre2post.core.errors import InputError
from pre2post.dicom.header import SliceHeader, read_header
from pre2post.dicom.series import STEPS, Series, lps_geometry, order_slices, read_series, scan_series
from pre2post.image.volume import Volume, describe_geometry, to_lps, whole_numbers
from pre2post.ingest.case_source import CaseSource
from pre2post.ingest.phases import NO_PHASE, drop_unsuppressed, name_of, name_phases, stated_role, why_not_dynamic
from pre2post.io.validation import check_finite
from pre2post.io.volume_file import read_geometry, read_volume


@dataclass(frozen=True)
class Phase:
    """An unread phase; `geometry` and `read` return it in LPS orientation. `seconds` after pre, None if unknown."""

    file: Path
    geometry: Callable[[], Volume]
    read: Callable[[], Volume]
    seconds: float | None = None


@dataclass(frozen=True)
class Study:
    """The phases of an examination by role, in order of time.

    skipped_series: one line per series that is not a phase.
    facts: "manufacturer", "model", "field_strength_t" and the facts of the case source.
    pre_series: the DICOM series of pre, to which annotated boxes refer; None for volume files.
    uid_digest: SHA-256 of the StudyInstanceUID; "" for volume files.
    """

    phases: Mapping[str, Phase]
    skipped_series: list[str] = field(default_factory=list)
    facts: Mapping[str, str] = field(default_factory=dict)
    pre_series: Series | None = None
    uid_digest: str = ""


def open_study(source: CaseSource) -> Study:
    """Read the headers of a case. Raises InputError without a usable pre-contrast phase and a later one."""
    if isinstance(source.images, Path):
        return _open_dicom(source, source.images)
    return _open_volumes(source, source.images)


def shared_patients(sources: Iterable[CaseSource]) -> dict[str, InputError]:
    """Return an error for each case whose PatientID is also that of a case of another patient."""
    owners: dict[str, list[CaseSource]] = {}
    for source in sources:
        if isinstance(source.images, Path) and (patient := _patient_id(source.images, source.case)):
            owners.setdefault(patient, []).append(source)
    return {
        source.case: _shared(source, owner)
        for owner in owners.values()
        for source in owner
        if len({other.patient or other.case for other in owner}) > 1
    }


def same_image(one: Series, other: Series) -> bool:
    """Return whether two series hold the same pixels, in any order of slices."""
    if len(one.slices) != len(other.slices) or one.head.size != other.head.size:
        return False
    return bool((read_series(one).array == read_series(other).array).all())


def image_files(source: CaseSource) -> list[Path]:
    """Return every image file of a case, sorted. Links to folders are not followed, so that loops are harmless."""
    if isinstance(source.images, Path):
        return sorted(_files(source.images))
    return list(source.images.values())


def _files(folder: Path) -> Iterator[Path]:
    for path, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(path, name) for name in names if not name.startswith("."))


def _open_dicom(source: CaseSource, folder: Path) -> Study:
    dynamic, skipped = [], []
    for headers in _read_series_headers(source, folder):
        reason = _why_skipped(headers[0], source.roles)
        if reason:
            skipped.append(f"{name_of(headers[0])}: {reason}")
        else:
            dynamic.append(order_slices(headers, source.case))
    dynamic, unsuppressed = drop_unsuppressed(dynamic)
    phases, copies = name_phases(source.case, dynamic, same_image, source.roles)
    pre = phases["pre"]
    return Study(
        {role: _dicom_phase(series, pre) for role, series in phases.items()},
        skipped + unsuppressed + copies,
        {**_facts(pre), **source.facts},
        pre,
        _digest(pre.head.study),
    )


def _open_volumes(source: CaseSource, files: Mapping[str, Path]) -> Study:
    if "pre" not in files or "post1" not in files:
        missing = "post1" if "pre" in files else "pre"
        raise InputError(
            f"the phase {missing} is missing",
            case=source.case,
            found=", ".join(files) or "no file",
            expected="pre and post1",
            hint="add the file, or leave the case out",
        )
    times = _times(source.facts.get("times_s", ""), len(files))
    phases = {role: _volume_phase(file, time) for (role, file), time in zip(files.items(), times, strict=True)}
    return Study(phases, facts=source.facts)


def _read_series_headers(source: CaseSource, images: Path) -> list[list[SliceHeader]]:
    """Read the headers of every series of a case. Raises InputError unless they are of one study."""
    folders = sorted({file.parent for file in _files(images)})
    series = [headers for folder in folders for headers in scan_series(folder, source.case)]
    if not series:
        raise InputError(
            "the case has no DICOM files",
            case=source.case,
            file=images,
            found="no image" if images.is_dir() else "no such folder",
            expected="<study>/<series>/*.dcm",
            hint="download the case, or leave it out",
        )
    for name, word in (("patient", "patients"), ("study", "examinations")):
        present = {getattr(header, name) for headers in series for header in headers}
        if len(present) > 1:
            raise InputError(
                f"the folder of one case holds several {word}",
                case=source.case,
                file=images,
                found=len(present),
                expected="one",
                hint="use one folder for each",
            )
    return series


def _why_skipped(header: SliceHeader, roles: Mapping[str, str]) -> str | None:
    stated = stated_role(header, roles)
    if stated is None:
        return why_not_dynamic(header)
    return "not a phase, according to the archive's table or a known exception" if stated == NO_PHASE else None


def _dicom_phase(series: Series, pre: Series) -> Phase:
    return Phase(series.folder, lambda: lps_geometry(series), lambda: read_series(series), _seconds_after(series, pre))


def _volume_phase(file: Path, seconds: float | None) -> Phase:
    def geometry() -> Volume:
        return to_lps(_plausible(read_geometry(file), file))

    def read() -> Volume:
        volume = _plausible(read_volume(file), file)
        check_finite(volume, file)
        return whole_numbers(to_lps(volume))

    return Phase(file, geometry, read, seconds)


def _seconds_after(series: Series, pre: Series) -> float | None:
    """Compare the acquisition times; if these are equal or missing, the trigger times, then the content times."""
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


def _plausible(volume: Volume, file: Path) -> Volume:
    if not all(STEPS[0] <= step <= STEPS[1] for step in volume.spacing):
        raise InputError(
            "the voxel size is not plausible for MR images",
            file=file,
            found=describe_geometry(volume),
            expected="{:g} to {:g} mm per side".format(*STEPS),
            hint="correct the header of the file, or leave the case out",
        )
    return volume


def _digest(uid: str) -> str:
    """Return the SHA-256 of a StudyInstanceUID, which itself identifies an examination in clinical records."""
    return hashlib.sha256(uid.encode()).hexdigest()


def _patient_id(images: Path, case: str) -> str | None:
    """Return the PatientID of the first readable file; errors are reported when the case itself is read."""
    for file in _files(images):
        with suppress(InputError):
            return read_header(file, case).patient.casefold()
    return None


def _shared(source: CaseSource, owners: list[CaseSource]) -> InputError:
    others = ", ".join(other.case for other in owners if other is not source)
    return InputError(
        "two patients have one id",
        case=source.case,
        file=source.images,
        found=f"the same PatientID in {others}",
        expected="a different PatientID for each patient",
        hint="remove the copy, or correct its PatientID",
    )
