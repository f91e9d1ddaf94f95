"""Check a case from its headers alone: seconds instead of minutes."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pre2post.core.errors import InputError
from pre2post.dicom.segmentation import is_segmentation
from pre2post.image.volume import Volume, describe_geometry, same_geometry, to_lps
from pre2post.ingest.boxes import to_voxels
from pre2post.ingest.case_source import CaseSource
from pre2post.ingest.ingest_case import case_context, check_covers
from pre2post.ingest.study import Study, image_files, open_study
from pre2post.io.volume_file import read_geometry

BYTES_PER_VOXEL = 2  # of a volume as ingest writes it, if scanner values are integers


@dataclass(frozen=True)
class Preflight:
    """The expected result of one case: its phases, or the `error` for which ingest would stop or skip it.

    files: number of image files.
    size: bytes of the image files.
    ingested: bytes of the volumes that ingest would write.
    warnings: volumes that would be resampled.
    skipped_series: one line per series that is not a phase.
    """

    source: CaseSource
    files: int
    size: int
    phases: tuple[str, ...] = ()
    ingested: int = 0
    geometry: str = ""
    warnings: tuple[str, ...] = ()
    skipped_series: tuple[str, ...] = ()
    error: InputError | None = None


def preflight_case(source: CaseSource) -> Preflight:
    """Read the headers of one case. Bad input is returned as `error`, not raised."""
    files = image_files(source)
    size = sum(map(_size, files))
    try:
        with case_context(source):
            return _preflight(source, files, size)
    except InputError as error:
        return Preflight(source, len(files), size, error=error)


def _preflight(source: CaseSource, files: list[Path], size: int) -> Preflight:
    study = open_study(source)
    pre = study.phases["pre"].geometry()
    if source.box is not None and study.pre_series is not None:
        to_voxels(source.box, study.pre_series, pre)  # raises InputError for an invalid box
    return Preflight(
        source,
        len(files),
        size,
        phases=tuple(study.phases),
        ingested=pre.array.size * len(study.phases) * BYTES_PER_VOXEL,
        geometry=describe_geometry(pre),
        warnings=(*_phase_warnings(study, pre), *_mask_warnings(source, pre)),
        skipped_series=tuple(study.skipped_series),
    )


def _size(file: Path) -> int:
    with suppress(OSError):  # reported when the file is read
        return file.stat().st_size
    return 0


def _phase_warnings(study: Study, pre: Volume) -> list[str]:
    warnings = []
    for role, phase in study.phases.items():
        volume = phase.geometry()
        if not same_geometry(pre, volume):
            check_covers(role, volume, pre, phase.file)
            warnings.append(f"{role} will be resampled from {describe_geometry(volume)}")
    return warnings


def _mask_warnings(source: CaseSource, pre: Volume) -> list[str]:
    """Compare the geometry of the mask, unless it is a DICOM segmentation, whose geometry needs its voxels."""
    if source.mask is None or source.mask.is_dir() or is_segmentation(source.mask):
        return []
    mask = to_lps(read_geometry(source.mask))
    return [] if same_geometry(pre, mask) else [f"the mask will be resampled from {describe_geometry(mask)}"]
