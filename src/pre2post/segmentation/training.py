"""One training: a mix and a fold, from the shared preprocessed volumes to a folder in nnU-Net's layout."""

import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pre2post.core.device import best_device, instructions
from pre2post.core.errors import InputError
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
    "tile_step_size",
    "resume_every_seconds",
}  # parameters without effect on a training, or only through the file of its mix
CODE = (
    "batches.py",
    "cpu_network.py",
    "nnunet.py",
    "trainer.py",
    "training.py",
    "training_state.py",
    "validation.py",
)  # a change of these starts a training again


@dataclass(frozen=True)
class Trained:
    """The end of a training.

    Attributes:
        states: The folder of its saved states.
        dice: The last validation Dice.
        restarts: Earlier trainings with other seeds, which learned nothing.
        machine: What the bytes depend on: device, precision, instructions and threads.
    """

    states: Path
    dice: float
    restarts: int
    machine: dict[str, str | int]


def train(
    params: SegmentationParams,
    mix: str,
    fold: int,
    folds: list[Fold],
    seed: int,
    nnunet: Path,
    results: Path,
    report: Callable[[list[dict]], None],
) -> Trained:
    """Train one fold of a mix; delete the folder of its states once the results are safe.

    The same seed, number of threads and kind of CPU give the same bytes, also after a killed training resumes. On a
    GPU, where processes augment, a resumed training draws other patches.

    Short trainings of small networks can end with a network that finds nothing. Such a training starts again with
    another seed.

    Args:
        params: The section segmentation.
        mix, fold: What to train; it trains on folds[fold]["train"] and validates on complete volumes of its "val".
        folds: All folds of the mix.
        seed: Seed of this study; mix, fold and the number of restarts are added to it.
        nnunet: The folder with the plans and preprocessed data.
        results: The folder for <dataset>/<trainer>__<plans>__3d_fullres/fold_<fold>/checkpoint_final.pth, as nnU-Net
            writes it.
        report: Called after every epoch with the losses so far, one row per epoch.

    Raises InputError if the validation Dice is too low after the last restart.
    """
    plans, dataset = read_plans(nnunet, params, folds)
    import torch

    device = torch.device(best_device())
    set_nnunet_folders(nnunet, results, augmenters=params.threads if device.type == "cuda" else 0)
    torch.set_num_threads(params.threads)
    states = _state_folder(params, mix, fold, seed, nnunet)
    for restarts in range(_restarts_done(states), params.restarts + 1):
        _seed_everything(seed, mix, fold, restarts)
        trainer = make_trainer(params, mix, fold, folds[fold], plans, dataset, device)
        trainer.restarts, trainer.state_folder, trainer.report = restarts, states / str(restarts), report
        _announce(trainer, params)
        with quiet():
            trainer.run_training()
        if trainer.dice >= params.min_validation_dice:
            write_json(results / DATASET / "splits_final.json", folds)
            return Trained(states, trainer.dice, restarts, _machine(trainer))
        print(f"{trainer.title}: the validation Dice is {trainer.dice:.3f} at the end; other seed", flush=True)
    raise InputError(
        f"the training of {mix}, fold {fold}, learned nothing",
        found=f"a validation Dice below {params.min_validation_dice:g} with {params.restarts + 1} seeds",
        hint="raise segmentation.epochs or segmentation.warmup_epochs, lower segmentation.learning_rate, "
        "or set segmentation.min_validation_dice to 0",
    )


def _restarts_done(states: Path) -> int:
    """Return how many restarts a killed training had done when it saved its state."""
    return max((int(file.parent.name) for file in states.glob(f"*/{STATE_FILE}")), default=0)


def _machine(trainer: "RepeatableTrainer") -> dict[str, str | int]:
    return {
        "device": trainer.device.type,
        "precision": "bfloat16" if trainer.bfloat16 else "float32" if trainer.on_cpu else "float16",
        "instructions": instructions() if trainer.on_cpu else "",
        "threads": trainer.threads,
    }


def _announce(trainer: "RepeatableTrainer", params: SegmentationParams) -> None:
    machine = ", ".join(str(value) for value in _machine(trainer).values() if value)
    print(
        f"{trainer.title}: {len(trainer.split['train'])} volumes, {params.epochs} x {params.num_iterations_per_epoch} "
        f"steps of {params.batch_size} patches; {machine} threads",
        flush=True,
    )
    if trainer.state_folder and (trainer.state_folder / STATE_FILE).is_file():
        print(f"resumes from {trainer.state_folder}", flush=True)


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
        trainer.threads, trainer.warmup_epochs = params.threads, params.warmup_epochs
        trainer.validate_every_epochs = params.validate_every_epochs
        trainer.resume_every_seconds = params.resume_every_seconds
        trainer.oversample_foreground_percent = params.oversample_foreground
        trainer.num_epochs, trainer.num_iterations_per_epoch = params.epochs, params.num_iterations_per_epoch
        trainer.initial_lr = params.learning_rate
        trainer.initialize()
    return trainer


def _seed_everything(seed: int, mix: str, fold: int, restarts: int) -> None:
    """Seed the three global generators that nnU-Net uses, with numbers of this mix, fold and attempt."""
    import torch

    state = np.random.SeedSequence([seed, zlib.crc32(mix.encode()), fold, restarts]).generate_state(3)
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
