"""All that the trainings of one mix depend on, in one small file: its folds and the content of its volumes.

Trainings depend on this file instead of the folder that all mixes share: another mix, or a new generator,
changes the folder, but only the files of those mixes that it concerns.
"""

from collections.abc import Mapping
from pathlib import Path

from pre2post.core.errors import InputError
from pre2post.core.files import read_json, sha256_of, write_json
from pre2post.segmentation.design import case_of
from pre2post.segmentation.nnunet import CONFIGURATION, preprocessed_folder

ENDINGS = (".b2nd", "_seg.b2nd", ".pkl")  # of a volume, its mask, and nnU-Net's notes on both
TODO = "run `dvc repro plan_and_preprocess`, so that the data fit splits.json and the mixes"


def mix_file(nnunet: Path, mix: str) -> Path:
    return nnunet / "mixes" / f"{mix}.json"


def write_mix(
    nnunet: Path, mix: str, folds: list[dict[str, list[str]]], plans_name: str, patients: Mapping[str, str]
) -> None:
    """Writes {"folds": as nnU-Net's splits_final, "patients": {case: the patient's digest}, "sha256": {file: digest}},
    the last of the plan and every preprocessed file."""
    home = preprocessed_folder(nnunet)
    plans = home / f"{plans_name}.json"
    data = home / read_json(plans)["configurations"][CONFIGURATION]["data_identifier"]
    files = [plans, *(data / f"{name}{ending}" for name in _names(folds) for ending in ENDINGS)]
    write_json(
        mix_file(nnunet, mix),
        {
            "folds": folds,
            "patients": {case: patients[case] for case in sorted(set(map(case_of, _names(folds))))},
            "sha256": {str(file.relative_to(home)): sha256_of(file) for file in files},
        },
    )


def read_mix(nnunet: Path, mix: str) -> list[dict[str, list[str]]]:
    """The folds of a mix. Raises InputError when it was not planned, or a file that it needs is not there."""
    file = mix_file(nnunet, mix)
    if not file.is_file():
        raise InputError("this training mix was not planned for", file=file, found=mix, hint=TODO)
    content = read_json(file)
    for name in content["sha256"]:
        if not (preprocessed_folder(nnunet) / name).is_file():
            raise InputError(
                "a preprocessed file is missing",
                file=preprocessed_folder(nnunet) / name,
                case=case_of(Path(name).stem) or None,
                hint=TODO,
            )
    return content["folds"]


def fold_patients(nnunet: Path, mix: str, fold: int, side: str) -> list[str]:
    """Digests, sorted, of the patients of one side of a fold, "train" or "val"."""
    content = read_json(mix_file(nnunet, mix))
    return sorted({content["patients"][case_of(name)] for name in content["folds"][fold][side]})


def _names(folds: list[dict[str, list[str]]]) -> list[str]:
    return sorted({name for fold in folds for side in fold.values() for name in side})
