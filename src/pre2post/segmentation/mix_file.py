"""The input of all trainings of one mix, in one small file: its folds and the hashes of its volumes.

Trainings depend on this file, not on the folder that all mixes share. A new mix or a new generator changes that folder,
but only the files of the mixes that use its volumes.
"""

from collections.abc import Mapping
from pathlib import Path

from pre2post.core.errors import InputError
from pre2post.core.files import read_json, sha256_of, write_json
from pre2post.segmentation.nnunet import CONFIGURATION, Fold, case_of, preprocessed_folder

ENDINGS = (".b2nd", "_seg.b2nd", ".pkl")  # of a preprocessed volume, its mask, and nnU-Net's notes on both
HINT = "run `dvc repro plan_and_preprocess`"


def mix_file(nnunet: Path, mix: str) -> Path:
    return nnunet / "mixes" / f"{mix}.json"


def write_mix(nnunet: Path, mix: str, folds: list[Fold], plans_name: str, patients: Mapping[str, str]) -> None:
    """Write the file of a mix; `patients` is {case: digest of the patient}.

    Its keys: folds, as in nnU-Net's splits_final.json; patients, the part of `patients` that the folds name; sha256,
    {file: digest} of the plans and every preprocessed file.
    """
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


def read_mix(nnunet: Path, mix: str) -> list[Fold]:
    """Return the folds of a mix. Raises InputError if it was not planned, or a file that it needs is missing."""
    file = mix_file(nnunet, mix)
    if not file.is_file():
        raise InputError("no training was planned for this mix", file=file, found=mix, hint=HINT)
    content = read_json(file)
    for name in content["sha256"]:
        if not (preprocessed_folder(nnunet) / name).is_file():
            raise InputError(
                "a preprocessed file is missing",
                file=preprocessed_folder(nnunet) / name,
                case=case_of(Path(name).stem) or None,
                hint=HINT,
            )
    return content["folds"]


def fold_patients(nnunet: Path, mix: str, fold: int, side: str) -> list[str]:
    """Return the digests, sorted, of the patients of one side of a fold, "train" or "val"."""
    content = read_json(mix_file(nnunet, mix))
    return sorted({content["patients"][case_of(name)] for name in content["folds"][fold][side]})


def _names(folds: list[Fold]) -> list[str]:
    return sorted({name for fold in folds for side in fold.values() for name in side})
