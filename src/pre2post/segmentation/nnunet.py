"""nnU-Net inside this process: its folders without the user's environment, its work without pools of processes."""

import contextlib
import io
import os
import shutil
import sys
from collections.abc import Iterator
from functools import partial
from multiprocessing.pool import ThreadPool
from pathlib import Path
from types import ModuleType, SimpleNamespace

DATASET = "Dataset200_pre2post"
CONFIGURATION = "3d_fullres"
OWN_PLANS = "nnUNetPlans"  # the name that nnU-Net gives to what it plans by itself
SMALL_PLANS = "smallPlans"  # nnU-Net's plan with the network of small_plan.json
PLANS_OF = {"nnunet": OWN_PLANS, "small": SMALL_PLANS}  # by the parameter segmentation.plan
SECONDS_BETWEEN_LINES = 30  # of nnU-Net's progress bars where output goes to a file
CPU_FLAGS = Path("/proc/cpuinfo")


def use_folders(nnunet: Path, results: Path, augmenters: int = 1) -> None:
    """Points nnU-Net to its raw, preprocessed and results folders, whatever the user's environment says.

    nnU-Net knows its folders by environment variables only, and looks them up each time it uses one. Call this before
    nnunetv2 is imported: it then needs no subprocess to guess how many processes may augment.
    """
    os.environ.update(
        {
            "nnUNet_raw": str(nnunet / "nnUNet_raw"),
            "nnUNet_preprocessed": str(nnunet / "nnUNet_preprocessed"),
            "nnUNet_results": str(results),
            "nnUNet_n_proc_DA": str(augmenters),  # processes that augment; with 0 this one does, but planning fails
            "nnUNet_wandb_enabled": "0",  # a stage talks to nobody
        }
    )


def raw_folder(nnunet: Path) -> Path:
    return nnunet / "nnUNet_raw" / DATASET


def preprocessed_folder(nnunet: Path) -> Path:
    return nnunet / "nnUNet_preprocessed" / DATASET


@contextlib.contextmanager
def in_process(module: ModuleType, threads: int) -> Iterator[None]:
    """Within the block, the pools that an nnU-Net module opens are threads of this process.

    Its spawned processes import everything anew, which takes far longer than the work on a small cohort.
    Each volume is worked on alone, so the result is the same.
    """
    pools = SimpleNamespace(get_context=lambda method: SimpleNamespace(Pool=lambda number: ThreadPool(threads)))
    seldom = 0.1 if sys.stderr.isatty() else SECONDS_BETWEEN_LINES
    kept = module.multiprocessing, module.tqdm
    module.multiprocessing, module.tqdm = pools, partial(module.tqdm, mininterval=seldom)
    try:
        yield
    finally:
        module.multiprocessing, module.tqdm = kept


@contextlib.contextmanager
def ordered_compression() -> Iterator[None]:
    """Within the block, blosc2 compresses on one thread: several write their blocks in the order in which they finish,
    so that equal volumes would give files of different bytes."""
    import blosc2

    kept = blosc2.asarray

    def asarray(array, **options):
        return kept(array, **options | {"cparams": options.get("cparams", {}) | {"nthreads": 1}})

    blosc2.asarray = asarray
    try:
        yield
    finally:
        blosc2.asarray = kept


def quiet() -> contextlib.AbstractContextManager:
    """Swallows what nnU-Net prints: pages of plans that it also writes to files."""
    return contextlib.redirect_stdout(io.StringIO())


def has_bfloat16(device: str = "cpu") -> bool:
    """Whether this CPU, or the GPU, multiplies bfloat16 in hardware; without that it would be slower than float32."""
    if device == "cuda":
        import torch

        return torch.cuda.is_bf16_supported(including_emulation=False)
    return CPU_FLAGS.is_file() and "avx512_bf16" in CPU_FLAGS.read_text()


@contextlib.contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Yields an empty folder beside `folder` that takes its place on success, so that it is never half written."""
    temporary = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
