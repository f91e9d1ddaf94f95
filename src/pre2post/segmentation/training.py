"""One training: a mix and a fold, from the shared preprocessed volumes to a folder as nnU-Net lays it out."""

import random
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from pre2post.core.device import best_device
from pre2post.core.files import read_json, write_json
from pre2post.core.resume import resume_folder
from pre2post.segmentation.mix_file import mix_file
from pre2post.segmentation.nnunet import (
    CONFIGURATION,
    DATASET,
    PLANS_OF,
    has_bfloat16,
    preprocessed_folder,
    quiet,
    use_folders,
)
from pre2post.segmentation.params import SegmentationParams
from pre2post.segmentation.training_state import FILE

UNSEEN = {
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
}  # parameters that a training does not depend on, or by way of its data only


def train(
    params: SegmentationParams,
    name: str,
    fold: int,
    folds: list[dict[str, list[str]]],
    seed: int,
    nnunet: Path,
    results: Path,
    report: Callable[[list[dict]], None],
) -> Path:
    """Trains on folds[fold]["train"], with a pseudo Dice of patches of its "val" each epoch, and leaves in `results`
    what nnU-Net would: <dataset>/<trainer>__<plans>__3d_fullres/fold_<fold>/checkpoint_final.pth and its companions.
    After every epoch `report` is given the losses so far, a row an epoch.

    The same seed, threads and kind of CPU give the same bytes, also if the training is killed and started again: it
    keeps its state in the folder that is returned, to be deleted when the results are safe. On a GPU, where processes
    augment, it carries on too, but draws other patches.
    """
    split = folds[fold]
    plans, dataset = read_plans(nnunet, params, folds)
    import torch

    device = torch.device(best_device())
    use_folders(nnunet, results, augmenters=params.threads if device.type == "cuda" else 0)
    torch.set_num_threads(params.threads)
    _seed_everything(seed, name, fold)
    trainer = make_trainer(params, name, fold, split, plans, dataset, device)
    trainer.state_folder = _state_folder(params, name, fold, seed, nnunet)
    trainer.resume_every_steps = params.resume_every_steps
    trainer.report = report
    precision = "bfloat16" if trainer.bfloat16 else "float16" if device.type == "cuda" else "float32"
    print(
        f"{name}, fold {fold}: {len(split['train'])} volumes, {params.epochs} x {params.num_iterations_per_epoch} steps of "
        f"{params.batch_size} patches; {device.type}, {params.threads} threads, {precision}",
        flush=True,
    )
    if (trainer.state_folder / FILE).is_file():
        print(f"carries on from the state in {trainer.state_folder}", flush=True)
    with quiet():
        trainer.run_training()
    write_json(results / DATASET / "splits_final.json", folds)
    return trainer.state_folder


def make_trainer(params: SegmentationParams, name: str, fold: int, split: dict, plans: dict, dataset: dict, device):
    from pre2post.segmentation.trainer import RepeatableTrainer

    with quiet():
        trainer = RepeatableTrainer(
            plans=plans | {"continue_training": False},
            configuration=CONFIGURATION,
            fold=fold,
            dataset_json=dataset,
            device=device,
        )
        trainer.split, trainer.title = split, f"{name}, fold {fold}"
        trainer.bfloat16 = has_bfloat16(device.type)
        _use_training_patch(trainer.configuration_manager.configuration)
        trainer.num_epochs, trainer.num_iterations_per_epoch = params.epochs, params.num_iterations_per_epoch
        trainer.num_val_iterations_per_epoch = max(1, params.num_iterations_per_epoch // 5)  # nnU-Net: 50 to 250 steps
        trainer.initial_lr = params.learning_rate
        trainer.initialize()
    return trainer


def _use_training_patch(configuration: dict) -> None:
    """Trains on patches of the plan's own training_patch_size, if it has one; the plans that are kept do not change."""
    configuration["patch_size"] = configuration.get("training_patch_size", configuration["patch_size"])


def _seed_everything(seed: int, name: str, fold: int) -> None:
    """Seeds the three global generators that nnU-Net draws from, with numbers that belong to this mix and fold."""
    import torch

    state = np.random.SeedSequence([seed, zlib.crc32(name.encode()), fold]).generate_state(3)
    torch.manual_seed(int(state[0]))
    np.random.seed(int(state[1]))
    random.seed(int(state[2]))


def read_plans(nnunet: Path, params: SegmentationParams, folds: list[dict[str, list[str]]]) -> tuple[dict, dict]:
    """The plans to train, with the batch size of the parameters, and dataset.json of what these folds hold alone: what
    other mixes need must not show in the trained folder."""
    folder = preprocessed_folder(nnunet)
    plans, dataset = read_json(folder / f"{PLANS_OF[params.plan]}.json"), read_json(folder / "dataset.json")
    plans["configurations"][CONFIGURATION]["batch_size"] = params.batch_size
    names = {name for fold in folds for side in fold.values() for name in side}
    own = {name: files for name, files in dataset["dataset"].items() if name in names}
    return plans, dataset | {"dataset": own, "numTraining": len(own)}


def _state_folder(params: SegmentationParams, name: str, fold: int, seed: int, nnunet: Path) -> Path:
    """Where this training keeps its state: a folder of these parameters, data and code."""
    mixes = {"seed": seed, "mix": name, "fold": fold, **params.model_dump(exclude=UNSEEN)}
    return resume_folder("train_segmentation", mixes, [mix_file(nnunet, name), *Path(__file__).parent.glob("*.py")])
