"""nnU-Net's own fingerprint, planning and preprocessing in this process, and the small plan derived from its plan."""

import shutil
from pathlib import Path

from pipeline.files import read_json, write_json
from segmentation.nnunet import (
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


def plan_and_preprocess(nnunet: Path, small: bool, threads: int) -> dict:
    """Extracts the fingerprint of the raw dataset under `nnunet`, plans, and preprocesses every volume once.

    Leaves what `nnUNetv2_plan_and_preprocess -c 3d_fullres` leaves, and smallPlans.json where `small`. Returns the
    plan that will be trained.
    """
    use_folders(nnunet, nnunet / "nnUNet_results")
    from nnunetv2.experiment_planning.dataset_fingerprint import fingerprint_extractor
    from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import ExperimentPlanner
    from nnunetv2.preprocessing.preprocessors import default_preprocessor

    with quiet():
        with in_process(fingerprint_extractor, threads):
            fingerprint_extractor.DatasetFingerprintExtractor(DATASET, threads).run(overwrite_existing=True)
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
    patch_size: the window of prediction. It should not exceed the volumes: the zeros that fill it up upset the norms;
    training_patch_size: smaller, since many small crops teach more than few whole volumes in the same time;
    momentum: of SGD. nnU-Net's 0.99 averages over some hundred steps, which is all that a short training has;
    features_per_stage (three or more), kernel_sizes, strides, n_conv_per_stage, n_conv_per_stage_decoder: the U-Net.
    """
    own = plans["configurations"][CONFIGURATION]
    network = {name: small[name] for name in NETWORK}
    architecture = own["architecture"] | {
        "arch_kwargs": own["architecture"]["arch_kwargs"] | network | {"n_stages": len(small["features_per_stage"])}}
    training = {name: value for name, value in small.items() if name not in NETWORK}
    return plans | {"plans_name": SMALL_PLANS,
                    "configurations": {CONFIGURATION: own | training | {"architecture": architecture}}}
