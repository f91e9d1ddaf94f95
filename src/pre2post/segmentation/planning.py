"""nnU-Net's own fingerprint, planning and preprocessing in this process, and the small plan derived from its plan."""

import math
import shutil
from collections.abc import Collection
from pathlib import Path

from pre2post.core.files import read_json, write_json
from pre2post.segmentation.nnunet import (
    CONFIGURATION,
    DATASET,
    OWN_PLANS,
    SMALL_PLANS,
    in_process,
    ordered_compression,
    preprocessed_folder,
    quiet,
    raw_folder,
    use_folders,
)

SMALL_PLAN = Path(__file__).with_name("small_plan.json")
NETWORK = ("features_per_stage", "kernel_sizes", "strides", "n_conv_per_stage", "n_conv_per_stage_decoder")


def plan_and_preprocess(nnunet: Path, planned_on: Collection[str], small: bool, threads: int) -> dict:
    """Fingerprint of the cases `planned_on` of the raw dataset under `nnunet`, plan, and each volume preprocessed once.

    Of the volumes of a patient, which lie on one grid, one is enough to plan on: the plan then stays the same whatever
    phases are added, so that a new one does not change other mixes' trainings. (The statistics of intensity that
    would differ are used for CT only.) Leaves what `nnUNetv2_plan_and_preprocess -c 3d_fullres`
    leaves, and smallPlans.json where `small`. Returns the plan that will be trained.
    """
    use_folders(nnunet, nnunet / "nnUNet_results")
    from nnunetv2.experiment_planning.dataset_fingerprint import fingerprint_extractor
    from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import ExperimentPlanner
    from nnunetv2.preprocessing.preprocessors import default_preprocessor

    with quiet():
        with in_process(fingerprint_extractor, threads):
            extractor = fingerprint_extractor.DatasetFingerprintExtractor(DATASET, threads)
            extractor.dataset = {name: files for name, files in extractor.dataset.items() if name in planned_on}
            extractor.run(overwrite_existing=True)
        plans = ExperimentPlanner(DATASET).plan_experiment()
        with in_process(default_preprocessor, threads), ordered_compression():
            default_preprocessor.DefaultPreprocessor(verbose=False).run(DATASET, CONFIGURATION, OWN_PLANS, threads)
    shutil.copytree(raw_folder(nnunet) / "labelsTr", preprocessed_folder(nnunet) / "gt_segmentations")
    if small:
        plans = small_plans(plans, read_json(SMALL_PLAN))
        write_json(preprocessed_folder(nnunet) / f"{SMALL_PLANS}.json", plans)
    return plans


def small_plans(plans: dict, small: dict) -> dict:
    """nnU-Net's plans with the network of `small`; everything that shapes the preprocessed data stays.

    `small` has, with axes as nnU-Net transposes them (coarsest spacing first):
    patch_size: the window of prediction, made smaller where the volumes are smaller on average: the zeros that would
    fill it up upset the norms;
    training_patch_size: smaller, since many small crops teach more than few whole volumes in the same time;
    momentum: of SGD. nnU-Net's 0.99 averages over some hundred steps, which is all that a short training has;
    features_per_stage (three or more), kernel_sizes, strides, n_conv_per_stage, n_conv_per_stage_decoder: the U-Net.
    """
    own = plans["configurations"][CONFIGURATION]
    network = {name: small[name] for name in NETWORK}
    fitting = _fit(small["patch_size"], own["median_image_size_in_voxels"], network["strides"])
    architecture = own["architecture"] | {
        "arch_kwargs": own["architecture"]["arch_kwargs"] | network | {"n_stages": len(small["features_per_stage"])}
    }
    training = {name: value for name, value in small.items() if name not in NETWORK} | {
        "patch_size": fitting,
        "training_patch_size": [min(sides) for sides in zip(small["training_patch_size"], fitting, strict=True)],
    }
    return plans | {
        "plans_name": SMALL_PLANS,
        "configurations": {CONFIGURATION: own | training | {"architecture": architecture}},
    }


def _fit(patch: list[int], median: list[float], strides: list[list[int]]) -> list[int]:
    """The patch, no larger than a volume of median size needs, in multiples of what the network's strides shrink."""
    steps = [math.prod(axis) for axis in zip(*strides, strict=True)]
    return [min(side, step * math.ceil(size / step)) for side, size, step in zip(patch, median, steps, strict=True)]
