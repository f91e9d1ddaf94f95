"""The cohort as nnU-Net's raw dataset: one nnU-Net case a (case, phase), phases of a case sharing its mask."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cohort.case import Case
from imaging.volume import Volume, describe_geometry, read_volume, same_geometry
from pipeline.errors import InputError
from pipeline.files import write_json
from pipeline.progress import progress
from segmentation.nnunet import DATASET
from segmentation.study import key, volume_file

LABELS = {"background": 0, "tumour": 1}
ENDING = ".nii.gz"


def write_raw_dataset(folder: Path, cases: Sequence[Case], phases: Sequence[str], synthetic: Path) -> None:
    """Writes imagesTr, labelsTr and dataset.json of every phase of every case into `folder`.

    Volumes are copied: a hard link would share its bytes with the cache of another stage. Raises InputError naming the
    case when a phase or mask is missing, a mask lies elsewhere than the image, has other labels than 0 and 1, or no
    tumour.
    """
    for name in ("imagesTr", "labelsTr"):
        (folder / name).mkdir(parents=True)
    for case in progress(cases, "check and collect", unit="case"):
        mask = read_mask(case)
        for phase in phases:
            image = volume_file(case, phase, synthetic)
            check_image(read_volume(image), mask, case.id, image)
            shutil.copyfile(image, folder / "imagesTr" / f"{key(case.id, phase)}_0000{ENDING}")
            shutil.copyfile(case.path("mask"), folder / "labelsTr" / f"{key(case.id, phase)}{ENDING}")
    write_json(folder / "dataset.json", describe_dataset(sorted(key(case.id, p) for case in cases for p in phases)))


def describe_dataset(names: Sequence[str]) -> dict:
    """Content of dataset.json. The files are listed, which spares nnU-Net a pool of processes to find them."""
    return {
        "name": DATASET,
        "channel_names": {"0": "MRI"},  # not "CT": z-score per volume, so that no intensity is shared between scanners
        "labels": LABELS,
        "numTraining": len(names),
        "file_ending": ENDING,
        "overwrite_image_reader_writer": "SimpleITKIO",
        "dataset": {name: {"images": [f"imagesTr/{name}_0000{ENDING}"], "label": f"labelsTr/{name}{ENDING}"}
                    for name in names},
    }


def read_mask(case: Case, needs_tumour: bool = True) -> Volume:
    """The mask of a case, uint8 0 or 1. Raises InputError when it has other labels or, if it needs one, no tumour."""
    file = case.path("mask")
    mask = read_volume(file)
    labels = np.unique(mask.array)
    if not np.isin(labels, (0, 1)).all():
        raise InputError("the mask has labels of its own", case=case.id, file=file, expected="0 background, 1 tumour",
                         found=", ".join(f"{label:g}" for label in labels[:8]), todo="write tumour as 1, all else as 0")
    if needs_tumour and not mask.array.any():
        raise InputError("there is no tumour in the mask", case=case.id, file=file, found="zeros only",
                         expected="at least one voxel of 1", todo="correct the mask, or leave the case out")
    return mask.like(mask.array.astype(np.uint8))


def check_image(image: Volume, mask: Volume, case_id: str, file: Path) -> None:
    """Raises InputError unless the image lies where its mask lies."""
    if not same_geometry(image, mask):
        raise InputError("image and mask lie in different places", case=case_id, file=file,
                         found=describe_geometry(image), expected=f"the mask's: {describe_geometry(mask)}",
                         todo="resample the mask onto the image, or leave the case out")
