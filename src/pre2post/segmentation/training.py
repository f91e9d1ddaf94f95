"""One training: a mix and a fold, from the shared preprocessed volumes to a folder in nnU-Net's layout."""

import random
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pre2post.core.device import best_device
from pre2post.core.files import read_json, write_json
from pre2post.core.resume import resume_folder
from pre2post.segmentation.mix_file import mix_file
from pre2post.segmentation.nnunet import (
    CONFIGURATION,
    DATASET,
    PLANS_OF,
    Fold,
    has_bfloat16,
    preprocessed_folder,
    quiet,
    set_nnunet_folders,
)
from pre2post.segmentation.params import SegmentationParams
from pre2post.segmentation.training_state import STATE_FILE

if TYPE_CHECKING:
    import torch

    from pre2post.segmentation.trainer import RepeatableTrainer

NO_EFFECT = {
    "train",
    "mixes",
    "folds",
    "test_phases",
    "train_crop",
    "score_region",
    "evaluator",
    "lesion_overlap",
    "use_mirroring",
    "resume_every_steps",
}  # parameters without effect on a training, or only through the file of its mix
CODE = ("nnunet.py", "trainer.py", "training.py", "training_state.py")  # a change of these starts a training again


def train(
    params: SegmentationParams,
    mix: str,
    fold: int,
    folds: list[Fold],
    seed: int,
    nnunet: Path,
    results: Path,
    report: Callable[[list[dict]], None],
) -> Path:
    """Train one fold of a mix and return the folder of its saved state; delete that once the results are safe.

    The same seed, number of threads and kind of CPU give the same bytes, also after a killed training resumes. On a
    GPU, where processes augment, a resumed training draws other patches.

    Args:
        params: The section segmentation.
        mix, fold: What to train; it trains on folds[fold]["train"], and each epoch takes the pseudo Dice of patches
            of its "val".
        folds: All folds of the mix.
        seed: Seed of this study; mix and fold are added to it.
        nnunet: The folder with the plans and preprocessed data.
        results: The folder for <dataset>/<trainer>__<plans>__3d_fullres/fold_<fold>/checkpoint_final.pth, as nnU-Net
            writes it.
        report: Called after every epoch with the losses so far, one row per epoch.
    """
    split = folds[fold]
    plans, dataset = read_plans(nnunet, params, folds)
    import torch

    device = torch.device(best_device())
    set_nnunet_folders(nnunet, results, augmenters=params.threads if device.type == "cuda" else 0)
    torch.set_num_threads(params.threads)
    _seed_everything(seed, mix, fold)
    trainer = make_trainer(params, mix, fold, split, plans, dataset, device)
    state_folder = _state_folder(params, mix, fold, seed, nnunet)
    trainer.state_folder = state_folder
    trainer.resume_every_steps = params.resume_every_steps
    trainer.report = report
    precision = "bfloat16" if trainer.bfloat16 else "float16" if device.type == "cuda" else "float32"
    print(
        f"{mix}, fold {fold}: {len(split['train'])} volumes, {params.epochs} x {params.num_iterations_per_epoch} "
        f"steps of {params.batch_size} patches; {device.type}, {params.threads} threads, {precision}",
        flush=True,
    )
    if (state_folder / STATE_FILE).is_file():
        print(f"resumes from {state_folder}", flush=True)
    with quiet():
        trainer.run_training()
    write_json(results / DATASET / "splits_final.json", folds)
    return state_folder


def make_trainer(
    params: SegmentationParams,
    mix: str,
    fold: int,
    split: Fold,
    plans: dict[str, Any],
    dataset: dict[str, Any],
    device: "torch.device",
) -> "RepeatableTrainer":
    """Return an initialised trainer for `split`, the cases of this fold; plans and dataset are nnU-Net's."""
    from pre2post.segmentation.trainer import RepeatableTrainer

    with quiet():
        trainer = RepeatableTrainer(
            plans=plans | {"continue_training": False},
            configuration=CONFIGURATION,
            fold=fold,
            dataset_json=dataset,
            device=device,
        )
        trainer.split, trainer.title = split, f"{mix}, fold {fold}"
        trainer.bfloat16 = has_bfloat16(device.type)
        _use_training_patch(trainer.configuration_manager.configuration)
        trainer.num_epochs, trainer.num_iterations_per_epoch = params.epochs, params.num_iterations_per_epoch
        trainer.num_val_iterations_per_epoch = max(1, params.num_iterations_per_epoch // 5)  # nnU-Net: 50 to 250 steps
        trainer.initial_lr = params.learning_rate
        trainer.initialize()
    return trainer


def _use_training_patch(configuration: dict[str, Any]) -> None:
    """Train on patches of the plan's training_patch_size, if it has one; the saved plans do not change."""
    configuration["patch_size"] = configuration.get("training_patch_size", configuration["patch_size"])


def _seed_everything(seed: int, mix: str, fold: int) -> None:
    """Seed the three global generators that nnU-Net uses, with numbers of this mix and fold."""
    import torch

    state = np.random.SeedSequence([seed, zlib.crc32(mix.encode()), fold]).generate_state(3)
    torch.manual_seed(int(state[0]))
    np.random.seed(int(state[1]))
    random.seed(int(state[2]))


def read_plans(nnunet: Path, params: SegmentationParams, folds: list[Fold]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the plans, with the batch size of the parameters, and dataset.json with the cases of these folds.

    Cases of other mixes are dropped: they must not show in the trained folder.
    """
    folder = preprocessed_folder(nnunet)
    plans, dataset = read_json(folder / f"{PLANS_OF[params.plan]}.json"), read_json(folder / "dataset.json")
    plans["configurations"][CONFIGURATION]["batch_size"] = params.batch_size
    names = {name for fold in folds for side in fold.values() for name in side}
    cases = {name: files for name, files in dataset["dataset"].items() if name in names}
    return plans, dataset | {"dataset": cases, "numTraining": len(cases)}


def _state_folder(params: SegmentationParams, mix: str, fold: int, seed: int, nnunet: Path) -> Path:
    """Return the folder of the saved state, named by a hash of these parameters, data and code."""
    settings = {"seed": seed, "mix": mix, "fold": fold, **params.model_dump(exclude=NO_EFFECT)}
    code = [Path(__file__).parent / name for name in CODE]
    return resume_folder("train_segmentation", settings, [mix_file(nnunet, mix), *code])
