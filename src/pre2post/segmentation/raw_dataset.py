"""The cohort as nnU-Net's raw dataset: one nnU-Net case per case and phase; the phases of a case share its mask."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pre2post.cohort.case import Case
from pre2post.cohort.lesion import read_mask
from pre2post.core.files import write_json
from pre2post.core.progress import progress
from pre2post.image.laterality import half_with_centre
from pre2post.image.volume import Volume
from pre2post.io.volume_file import read_volume, write_volume
from pre2post.segmentation.nnunet import DATASET, nnunet_case
from pre2post.segmentation.volumes import body_halves, check_image, volume_file

LABELS = {"background": 0, "tumour": 1}
ENDING = ".nii.gz"


def write_raw_dataset(
    folder: Path, cases: Sequence[Case], phases: Sequence[str], synthetic: Path, one_breast: bool
) -> None:
    """Write imagesTr, labelsTr and dataset.json of the given phases of every case into `folder`.

    With `one_breast`, image and mask are cropped to the half of the body with the mask's centre of mass. Otherwise
    files are copied, since a hard link would share its bytes with the cache of another stage.

    Raises InputError, with the case, if a phase or mask is missing, image and mask differ in geometry, or the mask
    has labels other than 0 and 1, or no tumour.
    """
    for name in ("imagesTr", "labelsTr"):
        (folder / name).mkdir(parents=True)
    for case in progress(cases, "check and copy volumes", unit="case"):
        mask = read_mask(case)
        part = half_with_centre(mask.array, body_halves(case)) if one_breast else None
        for phase in phases:
            file = volume_file(case, phase, synthetic)
            image = read_volume(file)
            check_image(image, mask, case.id, file)
            name = nnunet_case(case.id, phase)
            _write_part(image, file, part, folder / "imagesTr" / f"{name}_0000{ENDING}")
            _write_part(mask, case.path("mask"), part, folder / "labelsTr" / f"{name}{ENDING}")
    names = sorted(nnunet_case(case.id, phase) for case in cases for phase in phases)
    write_json(folder / "dataset.json", describe_dataset(names))


def describe_dataset(names: Sequence[str]) -> dict[str, Any]:
    """Return the content of dataset.json. It lists the files, so nnU-Net starts no process pool to find them."""
    return {
        "name": DATASET,
        "channel_names": {"0": "MRI"},  # not "CT": z-score per volume, no intensities shared between scanners
        "labels": LABELS,
        "numTraining": len(names),
        "file_ending": ENDING,
        "overwrite_image_reader_writer": "SimpleITKIO",
        "dataset": {
            name: {"images": [f"imagesTr/{name}_0000{ENDING}"], "label": f"labelsTr/{name}{ENDING}"} for name in names
        },
    }


def _write_part(volume: Volume, file: Path, part: slice | None, target: Path) -> None:
    """Copy the file of a volume, or write the volume or these columns of it."""
    if part is None and file.name.endswith(ENDING):
        shutil.copyfile(file, target)
    else:
        write_volume(volume if part is None else volume.columns(part), target)
