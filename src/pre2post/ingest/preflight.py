"""What would become of a case, told from its headers alone: seconds where taking it in takes minutes."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pre2post.core.errors import InputError
from pre2post.dicom.segmentation import is_segmentation
from pre2post.image.volume import Volume, describe_geometry, same_geometry, to_lps
from pre2post.ingest.boxes import to_voxels
from pre2post.ingest.case_source import CaseSource
from pre2post.ingest.ingest_case import about_case, check_covers
from pre2post.ingest.study import Study, image_files, open_examination
from pre2post.io.volume_file import read_place

BYTES_A_VOXEL = 2  # of a volume as ingest writes it, where scanner values are whole numbers


@dataclass(frozen=True)
class Preflight:
    """One case: its phases, or the error that leaves it out; `warnings` are what will be resampled or is not used.

    files, size: of its images as they lie there, in bytes. ingested: bytes of the volumes to come.
    """

    entry: CaseSource
    files: int
    size: int
    phases: tuple[str, ...] = ()
    ingested: int = 0
    geometry: str = ""
    warnings: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    error: InputError | None = None


def preflight_case(entry: CaseSource) -> Preflight:
    """Reads the headers of one case. Bad input is returned, not raised, as `error`."""
    files = image_files(entry)
    size = sum(map(_size, files))
    try:
        with about_case(entry):
            return _survey(entry, files, size)
    except InputError as error:
        return Preflight(entry, len(files), size, error=error)


def _survey(entry: CaseSource, files: list[Path], size: int) -> Preflight:
    examination = open_examination(entry)
    pre = examination.phases["pre"].place()
    _check_box(entry, examination, pre)
    warnings = [*_compared(examination, pre), *_mask_warnings(entry, pre)]
    voxels = pre.array.size * len(examination.phases)
    return Preflight(
        entry,
        len(files),
        size,
        tuple(examination.phases),
        voxels * BYTES_A_VOXEL,
        describe_geometry(pre),
        tuple(warnings),
        tuple(examination.left_out),
    )


def _size(file: Path) -> int:
    with suppress(OSError):  # told when the file is read
        return file.stat().st_size
    return 0


def _compared(examination: Study, pre: Volume) -> list[str]:
    warnings = []
    for role, phase in examination.phases.items():
        volume = phase.place()
        if not same_geometry(pre, volume):
            check_covers(role, volume, pre, phase.file)
            warnings.append(f"{role} will be resampled from {describe_geometry(volume)}")
    return warnings


def _mask_warnings(entry: CaseSource, pre: Volume) -> list[str]:
    """A DICOM segmentation holds no volume to compare before it is read."""
    if entry.mask is None or entry.mask.is_dir() or is_segmentation(entry.mask):
        return []
    mask = to_lps(read_place(entry.mask))
    return [] if same_geometry(pre, mask) else [f"the mask will be resampled from {describe_geometry(mask)}"]


def _check_box(entry: CaseSource, examination: Study, pre: Volume) -> None:
    """Raises InputError for a box that is none, or not in the volume."""
    if entry.box is not None and examination.series is not None:
        to_voxels(entry.box, examination.series, pre)
