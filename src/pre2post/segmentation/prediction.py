"""Tumour masks from trained folders: nnU-Net's own preprocessing, sliding window and ensemble, in this process."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pre2post.core.device import best_device
from pre2post.core.errors import InputError
from pre2post.core.files import read_json
from pre2post.pipeline.model_card import read_card
from pre2post.segmentation.nnunet import CONFIGURATION, DATASET, has_bfloat16, quiet

CHECKPOINT = "checkpoint_final.pth"


@dataclass(frozen=True)
class Segmenter:
    """The trained folds of one mix: state dictionaries of one network, and the plans that it was trained by."""

    name: str
    plans: dict
    dataset: dict
    weights: list[dict]
    mirroring_axes: tuple[int, ...] | None
    configuration: str = CONFIGURATION


def load_segmenter(name: str, folders: list[Path], plans_name: str, folds: list[dict] | None = None) -> Segmenter:
    """Loads the folds of a mix from their folders artifacts/segmenters/<mix>_<fold>.

    Raises InputError when a fold was not trained, was trained by another plan, cannot be read or, where `folds` are
    given (fold_keys of every fold), was trained on other patients than these say; also when weights do not match their
    model card.
    """
    files = [find_checkpoint(folder, plans_name) for folder in folders]
    plans = [read_json(file.parents[1] / "plans.json") for file in files]
    for folder, own in zip(folders, plans, strict=True):
        check_same_plans(own, plans[0], folder)
        if folds is not None and read_json(folder / DATASET / "splits_final.json") != folds:
            raise InputError(
                "the folds have changed since this was trained",
                found="other volumes than now",
                expected="the folds of splits.json",
                file=folder / DATASET / "splits_final.json",
                hint="run `dvc repro evaluate_segmentation`, which trains this again",
            )
    for file in files:
        read_card(file)  # which refuses weights that are not those of their card
    checkpoints = [read_checkpoint(file) for file in files]
    return Segmenter(
        name,
        plans[0],
        read_json(files[0].parents[1] / "dataset.json"),
        [checkpoint["network_weights"] for checkpoint in checkpoints],
        tuple(checkpoints[0]["inference_allowed_mirroring_axes"]),
    )


def check_same_plans(plans: dict, expected: dict, folder: Path) -> None:
    """Raises InputError when trainings that are to be compared or averaged come from different plans."""
    if plans != expected:
        raise InputError(
            "this was trained by other plans than the rest",
            file=folder,
            hint="train every mix and fold again: `dvc repro evaluate_segmentation`",
        )


def find_checkpoint(folder: Path, plans_name: str) -> Path:
    found = sorted(folder.glob(f"{DATASET}/*__{plans_name}__{CONFIGURATION}/fold_*/{CHECKPOINT}"))
    if len(found) != 1:
        raise InputError(
            "this training is missing or another plan's",
            file=folder,
            found=f"{len(found)} checkpoints of {plans_name}",
            expected="one",
            hint="run `dvc repro train_segmentation`",
        )
    return found[0]


def read_checkpoint(file: Path, hint: str = "delete its folder and run `dvc repro train_segmentation`") -> dict:
    """The checkpoint, without running any code that it might hold. Raises InputError when it cannot be read."""
    import pickle

    import torch

    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, ValueError, OSError, pickle.UnpicklingError) as error:
        raise InputError(
            "the checkpoint cannot be read", file=file, found=str(error).split("\n")[0], hint=hint
        ) from None


def make_predictor(segmenter: Segmenter, use_mirroring: bool):
    """nnU-Net's predictor over all folds of the segmenter; like `nnUNetv2_predict` it averages their logits."""
    import torch
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
    from nnunetv2.utilities.label_handling.label_handling import determine_num_input_channels
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    plans = PlansManager(segmenter.plans)
    configuration = plans.get_configuration(segmenter.configuration)
    network = get_network_from_plans(
        configuration.network_arch_class_name,
        configuration.network_arch_init_kwargs,
        configuration.network_arch_init_kwargs_req_import,
        determine_num_input_channels(plans, configuration, segmenter.dataset),
        plans.get_label_manager(segmenter.dataset).num_segmentation_heads,
        deep_supervision=False,
    )
    with quiet():
        predictor = nnUNetPredictor(use_mirroring=use_mirroring, allow_tqdm=False, device=torch.device(best_device()))
        predictor.manual_initialization(
            network,
            plans,
            configuration,
            segmenter.weights,
            segmenter.dataset,
            segmenter.name,
            segmenter.mirroring_axes,
        )
    return predictor


def preprocess_array(array: np.ndarray, spacing: tuple[float, float, float], predictor) -> tuple[np.ndarray, dict]:
    """An array (z, y, x) with voxels of `spacing` (z, y, x) in mm as the network sees it, (1, z, y, x), and nnU-Net's
    notes on how to undo that. No mask is used."""
    preprocessor = predictor.configuration_manager.preprocessor_class(verbose=False)
    data, _, properties = preprocessor.run_case_npy(
        array[None],
        None,
        {"spacing": list(spacing)},
        predictor.plans_manager,
        predictor.configuration_manager,
        predictor.dataset_json,
    )
    return data, properties


def segment(predictor, data: np.ndarray, properties: dict, threads: int, bfloat16: bool | None = None) -> np.ndarray:
    """The predicted mask of a preprocessed volume, uint8 (z, y, x) in the volume's own geometry.

    On a CPU the network computes in bfloat16 if that is asked for, by default where the CPU has it, since this
    project's networks are trained so; nnU-Net itself, and everybody's networks from elsewhere, take float32. On a GPU
    it is nnU-Net's own precision.
    """
    import torch
    from nnunetv2.inference.export_prediction import convert_predicted_logits_to_segmentation_with_correct_shape

    with torch.autocast("cpu", torch.bfloat16, enabled=has_bfloat16() if bfloat16 is None else bfloat16):
        logits = predictor.predict_logits_from_preprocessed_data(torch.from_numpy(data)).cpu()
    return convert_predicted_logits_to_segmentation_with_correct_shape(
        logits,
        predictor.plans_manager,
        predictor.configuration_manager,
        predictor.label_manager,
        properties,
        num_threads_torch=threads,
    )
