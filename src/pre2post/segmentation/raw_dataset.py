"""The cohort as nnU-Net's raw dataset: one nnU-Net case a (case, phase), phases of a case sharing its mask."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from pre2post.cohort.case import Case
from pre2post.cohort.lesion import read_mask
from pre2post.core.errors import InputError
from pre2post.core.files import write_json
from pre2post.core.progress import progress
from pre2post.image.laterality import half_with_centre
from pre2post.image.volume import Volume, describe_geometry, same_geometry
from pre2post.io.volume_file import read_volume, write_volume
from pre2post.segmentation.breasts import body_halves
from pre2post.segmentation.design import key, volume_file
from pre2post.segmentation.nnunet import DATASET

LABELS = {"background": 0, "tumour": 1}
ENDING = ".nii.gz"


def write_raw_dataset(
    folder: Path, cases: Sequence[Case], phases: Sequence[str], synthetic: Path, one_breast: bool
) -> None:
    """Writes imagesTr, labelsTr and dataset.json of every phase of every case into `folder`.

    Where `one_breast`, each is cut to the half of the body with its mask's centre of mass, and a mask that crosses the
    midline with it; else volumes are copied: a hard link would share its bytes with the cache of another stage. Raises
    InputError naming the case when a phase or mask is missing, a mask lies elsewhere than the image, has other labels
    than 0 and 1, or no tumour.
    """
    for name in ("imagesTr", "labelsTr"):
        (folder / name).mkdir(parents=True)
    for case in progress(cases, "check and collect", unit="case"):
        mask = read_mask(case)
        part = half_with_centre(mask.array, body_halves(case)) if one_breast else None
        for phase in phases:
            file = volume_file(case, phase, synthetic)
            image = read_volume(file)
            check_image(image, mask, case.id, file)
            _place(image, file, part, folder / "imagesTr" / f"{key(case.id, phase)}_0000{ENDING}")
            _place(mask, case.path("mask"), part, folder / "labelsTr" / f"{key(case.id, phase)}{ENDING}")
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
        "dataset": {
            name: {"images": [f"imagesTr/{name}_0000{ENDING}"], "label": f"labelsTr/{name}{ENDING}"} for name in names
        },
    }


def check_image(image: Volume, mask: Volume, case_id: str, file: Path) -> None:
    """Raises InputError unless the image lies where its mask lies."""
    if not same_geometry(image, mask):
        raise InputError(
            "image and mask lie in different places",
            case=case_id,
            file=file,
            found=describe_geometry(image),
            expected=f"the mask's: {describe_geometry(mask)}",
            hint="resample the mask onto the image, or leave the case out",
        )


def _place(volume: Volume, file: Path, part: slice | None, target: Path) -> None:
    """Copies the file of a volume, or writes it anew, or these columns of it."""
    if part is None and file.name.endswith(ENDING):
        shutil.copyfile(file, target)
    else:
        write_volume(volume if part is None else volume.columns(part), target)
