"""Tumour masks from trained folders: nnU-Net's own preprocessing, sliding window and ensemble, in this process."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pre2post.core.device import best_device
from pre2post.core.errors import InputError
from pre2post.core.files import read_json
from pre2post.pipeline.model_card import read_card
from pre2post.segmentation.checkpoint import find_checkpoint, read_checkpoint, warn_of_other_plans
from pre2post.segmentation.cpu_network import arrange_for_cpu
from pre2post.segmentation.nnunet import CONFIGURATION, DATASET, Fold, has_bfloat16, quiet
from pre2post.segmentation.volumes import Box

if TYPE_CHECKING:
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

BACKGROUND = 10.0  # logit outside of the predicted box: certain, and small enough to be interpolated at its border


@dataclass(frozen=True)
class Segmenter:
    """The trained folds of one mix: state dictionaries of one network, and its nnU-Net plans and dataset.json."""

    name: str
    plans: dict[str, Any]
    dataset: dict[str, Any]
    weights: list[dict[str, Any]]
    mirroring_axes: tuple[int, ...] | None
    configuration: str = CONFIGURATION


def load_segmenter(name: str, folders: list[Path], plans_name: str, folds: list[Fold] | None = None) -> Segmenter:
    """Load the folds of a mix from their folders artifacts/segmenters/<mix>_<fold>.

    Raises InputError if a fold was not trained, used another plan or cannot be read, or if its weights do not match
    their model card. If `folds` is given (`mix_folds`), it also raises if a fold was trained on other patients.
    """
    files = [find_checkpoint(folder, plans_name) for folder in folders]
    plans = [read_json(file.parents[1] / "plans.json") for file in files]
    for folder, own in zip(folders, plans, strict=True):
        check_same_plans(own, plans[0], folder)
        if folds is not None and read_json(folder / DATASET / "splits_final.json") != folds:
            raise InputError(
                "the folds have changed since this training",
                found="volumes of other patients",
                expected="the folds of splits.json",
                file=folder / DATASET / "splits_final.json",
                hint="run `dvc repro evaluate_segmentation`, which trains this fold again",
            )
    for file in files:
        read_card(file)  # refuses weights that do not match their card
    checkpoints = [read_checkpoint(file) for file in files]
    for file, own, checkpoint in zip(files, plans, checkpoints, strict=True):
        warn_of_other_plans(own, checkpoint, file.parents[1])
    return Segmenter(
        name,
        plans[0],
        read_json(files[0].parents[1] / "dataset.json"),
        [checkpoint["network_weights"] for checkpoint in checkpoints],
        tuple(checkpoints[0]["inference_allowed_mirroring_axes"]),
    )


def check_same_plans(plans: dict[str, Any], expected: dict[str, Any], folder: Path) -> None:
    """Raises InputError if trainings to compare or average used different plans."""
    if plans != expected:
        raise InputError(
            "this training used other plans than the rest",
            file=folder,
            hint="train every mix and fold again: `dvc repro evaluate_segmentation`",
        )


def make_predictor(segmenter: Segmenter, use_mirroring: bool, tile_step_size: float = 0.5) -> "nnUNetPredictor":
    """Return nnU-Net's predictor over all folds of the segmenter; like `nnUNetv2_predict`, it averages their logits.

    tile_step_size: step of its sliding window as a fraction of the window.
    """
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
    device = torch.device(best_device())
    if device.type == "cpu":
        arrange_for_cpu(network)
    with quiet():
        predictor = nnUNetPredictor(tile_step_size, use_mirroring=use_mirroring, allow_tqdm=False, device=device)
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


def preprocess_array(
    array: np.ndarray, spacing: tuple[float, float, float], predictor: "nnUNetPredictor"
) -> tuple[np.ndarray, dict]:
    """Preprocess an array (z, y, x) with voxels of `spacing` (z, y, x) in mm; no mask is used.

    Return the array (1, z, y, x) that the network takes, and nnU-Net's notes on how to undo the preprocessing.
    """
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


def segment(
    predictor: "nnUNetPredictor",
    data: np.ndarray,
    properties: dict,
    threads: int,
    bfloat16: bool | None = None,
    inside: Box | None = None,
) -> np.ndarray:
    """Return the predicted mask of a preprocessed volume, uint8 (z, y, x) in the volume's own geometry.

    Args:
        predictor: The networks.
        data, properties: Of `preprocess_array`.
        threads: CPU threads.
        bfloat16: Precision on a CPU. By default bfloat16 if the CPU has it, as in this project's trainings. Use False,
            nnU-Net's float32, for networks from elsewhere. On a GPU the precision is nnU-Net's own.
        inside: Box (z, y, x) of the volume; only the windows of this box are predicted. The rest is background.
    """
    return segment_with_probability(predictor, data, properties, threads, bfloat16, inside)[0]


def segment_with_probability(
    predictor: "nnUNetPredictor",
    data: np.ndarray,
    properties: dict,
    threads: int,
    bfloat16: bool | None = None,
    inside: Box | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mask as segment() does, and the probability of tumour, float32 (z, y, x), 0 to 1."""
    import torch
    from nnunetv2.inference.export_prediction import convert_predicted_logits_to_segmentation_with_correct_shape

    box = (slice(None),) * 3 if inside is None else _box_of_network(inside, data.shape[1:], properties, predictor)
    with torch.autocast("cpu", torch.bfloat16, enabled=has_bfloat16() if bfloat16 is None else bfloat16):
        found = predictor.predict_logits_from_preprocessed_data(torch.from_numpy(data[:, *box])).cpu()
    logits = found.new_zeros((len(found), *data.shape[1:]))
    logits[0] = BACKGROUND
    logits[:, *box] = found
    mask, probabilities = convert_predicted_logits_to_segmentation_with_correct_shape(
        logits,
        predictor.plans_manager,
        predictor.configuration_manager,
        predictor.label_manager,
        properties,
        return_probabilities=True,
        num_threads_torch=threads,
    )
    return mask, np.asarray(probabilities[1], np.float32)


def _box_of_network(box: Box, shape: tuple[int, ...], properties: dict, predictor: "nnUNetPredictor") -> Box:
    """Return a box of the volume on the preprocessed grid of `shape`, at least as large as a window if that fits.

    Preprocessing reorders the axes, crops the volume to its part that is not 0, and resamples it.
    """
    found = []
    for axis, (size, window) in enumerate(zip(shape, predictor.configuration_manager.patch_size, strict=True)):
        own = box[predictor.plans_manager.transpose_forward[axis]]
        before = properties["bbox_used_for_cropping"][axis][0]
        zoom = size / properties["shape_after_cropping_and_before_resampling"][axis]
        start, stop = math.floor((own.start - before) * zoom), math.ceil((own.stop - before) * zoom)
        start = max(0, min(start - max(0, window - (stop - start)) // 2, size - window))
        found.append(slice(start, min(size, max(stop, start + window))))
    return found[0], found[1], found[2]
