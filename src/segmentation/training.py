"""One training: a setting and a fold, from the shared preprocessed volumes to a folder as nnU-Net lays it out."""

import random
import zlib
from pathlib import Path

import numpy as np

from pipeline.errors import InputError
from pipeline.files import read_json, write_json
from pipeline.params import Segmentation
from segmentation.nnunet import CONFIGURATION, DATASET, PLANS_OF, has_bfloat16, preprocessed_folder, quiet, use_folders
from segmentation.study import case_of


def train(params: Segmentation, name: str, fold: int, splits: list[dict[str, list[str]]], seed: int, nnunet: Path,
          results: Path) -> None:
    """Trains on splits[fold]["train"], with a pseudo Dice of patches of its "val" each epoch, and leaves in `results`
    what nnU-Net would: <dataset>/<trainer>__<plans>__3d_fullres/fold_<fold>/checkpoint_final.pth and its companions.

    The same seed, threads and kind of CPU give the same bytes; a killed training starts again at its first step and
    ends with them too. On a GPU, where processes augment, they differ.
    """
    split = splits[fold]
    plans, dataset = read_plans(nnunet, params, split)
    import torch

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    use_folders(nnunet, results, augmenters=params.threads if device.type == "cuda" else 0)
    torch.set_num_threads(params.threads)
    _seed_everything(seed, name, fold)
    precision = "mixed" if device.type == "cuda" else "bfloat16" if has_bfloat16() else "float32"
    print(f"{name}, fold {fold}: {len(split['train'])} volumes, {params.epochs} x {params.iterations} steps of "
          f"{params.batch_size} patches; {device.type}, {params.threads} threads, {precision} precision", flush=True)
    with quiet():
        make_trainer(params, name, fold, split, plans, dataset, device).run_training()
    write_json(results / DATASET / "splits_final.json", splits)


def make_trainer(params: Segmentation, name: str, fold: int, split: dict, plans: dict, dataset: dict, device):
    from segmentation.trainer import RepeatableTrainer

    trainer = RepeatableTrainer(plans=plans | {"continue_training": False}, configuration=CONFIGURATION, fold=fold,
                                dataset_json=dataset, device=device)
    trainer.split, trainer.title = split, f"{name}, fold {fold}"
    trainer.bfloat16 = has_bfloat16()
    _use_training_patch(trainer.configuration_manager.configuration)
    trainer.num_epochs, trainer.num_iterations_per_epoch = params.epochs, params.iterations
    trainer.num_val_iterations_per_epoch = max(1, params.iterations // 5)  # nnU-Net: 50 to 250 steps
    trainer.initial_lr = params.learning_rate
    trainer.initialize()
    return trainer


def _use_training_patch(configuration: dict) -> None:
    """Trains on patches of the plan's own training_patch_size, if it has one; the plans that are kept do not change."""
    configuration["patch_size"] = configuration.get("training_patch_size", configuration["patch_size"])


def _seed_everything(seed: int, name: str, fold: int) -> None:
    """Seeds the three global generators that nnU-Net draws from, with numbers that belong to this setting and fold."""
    import torch

    state = np.random.SeedSequence([seed, zlib.crc32(name.encode()), fold]).generate_state(3)
    torch.manual_seed(int(state[0]))
    np.random.seed(int(state[1]))
    random.seed(int(state[2]))


def read_plans(nnunet: Path, params: Segmentation, split: dict[str, list[str]]) -> tuple[dict, dict]:
    """The plans to train, with the batch size of the parameters, and dataset.json.

    Raises InputError when something that the split names was not preprocessed, or the data are of another cohort.
    """
    folder = preprocessed_folder(nnunet)
    plans, dataset = read_json(folder / f"{PLANS_OF[params.plan]}.json"), read_json(folder / "dataset.json")
    configuration = plans["configurations"][CONFIGURATION]
    _check_data(folder / configuration["data_identifier"], set(dataset["dataset"]), split)
    configuration["batch_size"] = params.batch_size
    return plans, dataset


def _check_data(folder: Path, planned: set[str], split: dict[str, list[str]]) -> None:
    todo = "run `dvc repro plan_segmentation`, so that the data fit splits.json and the settings"
    for name in [*split["train"], *split["val"]]:
        if name not in planned:
            raise InputError("this volume was not planned for", case=case_of(name), file=folder.parent / "dataset.json",
                             found=f"no {name} among {len(planned)}", todo=todo)
        for ending in (".b2nd", "_seg.b2nd", ".pkl"):
            if not (folder / f"{name}{ending}").is_file():
                raise InputError("a preprocessed file is missing", case=case_of(name), file=folder / f"{name}{ending}",
                                 todo=todo)
    odd = {case_of(name) for name in planned} - {case_of(name) for name in (*split["train"], *split["val"])}
    if odd:
        raise InputError("the preprocessed data are of another cohort", case=min(odd), file=folder.parent,
                         found=f"{len(odd)} patients that no fold has", todo=todo)
