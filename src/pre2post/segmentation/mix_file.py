"""All that the trainings of one setting depend on, in one small file: its folds and the content of its volumes.

Trainings depend on this file instead of the folder that all settings share: another setting, or a new generator,
changes the folder, but only the files of those settings that it concerns.
"""

from collections.abc import Mapping
from pathlib import Path

from pre2post.core.errors import InputError
from pre2post.core.files import read_json, sha256_of, write_json
from pre2post.segmentation.design import case_of
from pre2post.segmentation.nnunet import CONFIGURATION, preprocessed_folder

ENDINGS = (".b2nd", "_seg.b2nd", ".pkl")  # of a volume, its mask, and nnU-Net's notes on both
TODO = "run `dvc repro plan_segmentation`, so that the data fit splits.json and the settings"


def setting_file(nnunet: Path, setting: str) -> Path:
    return nnunet / "settings" / f"{setting}.json"


def write_setting(
    nnunet: Path, setting: str, folds: list[dict[str, list[str]]], plans_name: str, patients: Mapping[str, str]
) -> None:
    """Writes {"folds": as nnU-Net's splits_final, "patients": {case: the patient's digest}, "sha256": {file: digest}},
    the last of the plan and every preprocessed file."""
    home = preprocessed_folder(nnunet)
    plans = home / f"{plans_name}.json"
    data = home / read_json(plans)["configurations"][CONFIGURATION]["data_identifier"]
    files = [plans, *(data / f"{name}{ending}" for name in _names(folds) for ending in ENDINGS)]
    write_json(
        setting_file(nnunet, setting),
        {
            "folds": folds,
            "patients": {case: patients[case] for case in sorted(set(map(case_of, _names(folds))))},
            "sha256": {str(file.relative_to(home)): sha256_of(file) for file in files},
        },
    )


def read_setting(nnunet: Path, setting: str) -> list[dict[str, list[str]]]:
    """The folds of a setting. Raises InputError when it was not planned, or a file that it needs is not there."""
    file = setting_file(nnunet, setting)
    if not file.is_file():
        raise InputError("this training setting was not planned for", file=file, found=setting, todo=TODO)
    content = read_json(file)
    for name in content["sha256"]:
        if not (preprocessed_folder(nnunet) / name).is_file():
            raise InputError(
                "a preprocessed file is missing",
                file=preprocessed_folder(nnunet) / name,
                case=case_of(Path(name).stem) or None,
                todo=TODO,
            )
    return content["folds"]


def fold_patients(nnunet: Path, setting: str, fold: int, side: str) -> list[str]:
    """Digests, sorted, of the patients of one side of a fold, "train" or "val"."""
    content = read_json(setting_file(nnunet, setting))
    return sorted({content["patients"][case_of(name)] for name in content["folds"][fold][side]})


def _names(folds: list[dict[str, list[str]]]) -> list[str]:
    return sorted({name for fold in folds for side in fold.values() for name in side})
