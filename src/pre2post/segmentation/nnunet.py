"""nnU-Net in this process: its names and folders, without its environment variables and its printed output."""

import contextlib
import io
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

DATASET = "Dataset200_pre2post"
CONFIGURATION = "3d_fullres"
NNUNET_PLANS = "nnUNetPlans"  # the name that nnU-Net gives to its own plan
SMALL_PLANS = "smallPlans"  # nnU-Net's plan with the network of small_plan.json
PLANS_OF = {"nnunet": NNUNET_PLANS, "small": SMALL_PLANS}  # by the parameter segmentation.plan
SEPARATOR = "__"  # between case and phase in the name of an nnU-Net case
CPU_FLAGS = Path("/proc/cpuinfo")

Fold = dict[str, list[str]]  # nnU-Net cases of "train" and "val", as in splits_final.json


def nnunet_case(case_id: str, phase: str) -> str:
    """Return the nnU-Net case of one phase of a case: nnU-Net sees each volume as a case of its own."""
    return f"{case_id}{SEPARATOR}{phase}"


def case_of(name: str) -> str:
    """Return the case behind an nnU-Net case: the inverse of `nnunet_case`."""
    return name.rpartition(SEPARATOR)[0]


def set_nnunet_folders(nnunet: Path, results: Path, augmenters: int = 1) -> None:
    """Set nnU-Net's raw, preprocessed and results folders, and override those in the user's environment.

    nnU-Net reads these environment variables at each use. Call this before nnunetv2 is imported; otherwise nnU-Net
    starts a subprocess to find its number of augmentation processes.
    """
    os.environ.update(
        {
            "nnUNet_raw": str(nnunet / "nnUNet_raw"),
            "nnUNet_preprocessed": str(nnunet / "nnUNet_preprocessed"),
            "nnUNet_results": str(results),
            "nnUNet_n_proc_DA": str(augmenters),  # augmentation processes; 0: this process augments. Planning needs 1
            "nnUNet_wandb_enabled": "0",  # no stage sends data
        }
    )


def raw_folder(nnunet: Path) -> Path:
    return nnunet / "nnUNet_raw" / DATASET


def preprocessed_folder(nnunet: Path) -> Path:
    return nnunet / "nnUNet_preprocessed" / DATASET


def segmenter_folder(segmenters: Path, mix: str, fold: int) -> Path:
    """Return the folder of one training, artifacts/segmenters/<mix>_<fold>."""
    return segmenters / f"{mix}_{fold}"


def quiet() -> contextlib.AbstractContextManager:
    """Suppress nnU-Net's printed output, such as plans that it also writes to files."""
    return contextlib.redirect_stdout(io.StringIO())


def has_bfloat16(device: str = "cpu") -> bool:
    """Return whether the CPU or GPU multiplies bfloat16 in hardware; otherwise float32 is faster."""
    if device == "cuda":
        import torch

        return torch.cuda.is_bf16_supported(including_emulation=False)
    return CPU_FLAGS.is_file() and "avx512_bf16" in CPU_FLAGS.read_text()


@contextlib.contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty temporary folder, which replaces `folder` on success: readers never see half of the files."""
    temporary = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
