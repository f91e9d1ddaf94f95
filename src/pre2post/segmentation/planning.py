"""nnU-Net's own fingerprint, planning and preprocessing in this process, and the small plan derived from its plan."""

import contextlib
import math
import shutil
import sys
from collections.abc import Collection, Iterator
from functools import partial
from multiprocessing.pool import ThreadPool
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from pre2post.core.files import read_json, write_json
from pre2post.segmentation.nnunet import (
    CONFIGURATION,
    DATASET,
    NNUNET_PLANS,
    SMALL_PLANS,
    preprocessed_folder,
    quiet,
    raw_folder,
    set_nnunet_folders,
)

SMALL_PLAN = Path(__file__).with_name("small_plan.json")
NETWORK = ("features_per_stage", "kernel_sizes", "strides", "n_conv_per_stage", "n_conv_per_stage_decoder")
SECONDS_BETWEEN_LINES = 30  # of nnU-Net's progress bars in a log file


def plan_and_preprocess(nnunet: Path, planned_on: Collection[str], small: bool, threads: int) -> dict[str, Any]:
    """Take the fingerprint of some cases of the raw dataset, plan, preprocess each volume once; return the plans.

    One volume per patient is enough to plan on, since all phases of a patient share one grid. So the plans stay the
    same when a phase is added, and other mixes are not trained again. (nnU-Net uses intensity statistics only for CT.)
    The folder is filled as by `nnUNetv2_plan_and_preprocess -c 3d_fullres`.

    Args:
        nnunet: The folder with nnUNet_raw; nnUNet_preprocessed is written next to it.
        planned_on: The nnU-Net cases of the fingerprint.
        small: Whether to write, and return, smallPlans.json too.
        threads: Number of threads.
    """
    set_nnunet_folders(nnunet, nnunet / "nnUNet_results")
    from nnunetv2.experiment_planning.dataset_fingerprint import fingerprint_extractor
    from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import ExperimentPlanner
    from nnunetv2.preprocessing.preprocessors import default_preprocessor

    with quiet():
        with _threads_for_pools(fingerprint_extractor, threads):
            extractor = fingerprint_extractor.DatasetFingerprintExtractor(DATASET, threads)
            extractor.dataset = {name: files for name, files in extractor.dataset.items() if name in planned_on}
            extractor.run(overwrite_existing=True)
        plans = ExperimentPlanner(DATASET).plan_experiment()
        with _threads_for_pools(default_preprocessor, threads), _compression_on_one_thread():
            default_preprocessor.DefaultPreprocessor(verbose=False).run(DATASET, CONFIGURATION, NNUNET_PLANS, threads)
    shutil.copytree(raw_folder(nnunet) / "labelsTr", preprocessed_folder(nnunet) / "gt_segmentations")
    if small:
        plans = small_plans(plans, read_json(SMALL_PLAN))
        write_json(preprocessed_folder(nnunet) / f"{SMALL_PLANS}.json", plans)
    return plans


def small_plans(plans: dict[str, Any], small: dict[str, Any]) -> dict[str, Any]:
    """Return nnU-Net's plans with the network of `small`; everything that shapes the preprocessed data stays.

    Keys of `small`, with axes in nnU-Net's order (coarsest spacing first):
        patch_size: Window of training and prediction. It shrinks to the median volume: zeros that fill it up upset
            the norms. Both use one size, since instance norm takes its statistics from the window.
        momentum: Of SGD. nnU-Net's 0.99 averages over about 100 steps, as many as a short training has.
        features_per_stage, kernel_sizes, strides, n_conv_per_stage, n_conv_per_stage_decoder: Of the U-Net, with at
            least three stages.
    """
    own = plans["configurations"][CONFIGURATION]
    network = {name: small[name] for name in NETWORK}
    patch = _fit(small["patch_size"], own["median_image_size_in_voxels"], network["strides"])
    architecture = own["architecture"] | {
        "arch_kwargs": own["architecture"]["arch_kwargs"] | network | {"n_stages": len(small["features_per_stage"])}
    }
    training = {name: value for name, value in small.items() if name not in NETWORK} | {"patch_size": patch}
    return plans | {
        "plans_name": SMALL_PLANS,
        "configurations": {CONFIGURATION: own | training | {"architecture": architecture}},
    }


def _fit(patch: list[int], median: list[float], strides: list[list[int]]) -> list[int]:
    """Return the patch, no larger than a volume of median size needs, as multiples of the network's total stride."""
    steps = [math.prod(axis) for axis in zip(*strides, strict=True)]
    return [min(side, step * math.ceil(size / step)) for side, size, step in zip(patch, median, steps, strict=True)]


@contextlib.contextmanager
def _threads_for_pools(module: ModuleType, threads: int) -> Iterator[None]:
    """Within the block, an nnU-Net module uses threads of this process instead of process pools.

    A spawned process imports everything again, which takes longer than the work on a small cohort. Each volume is
    processed alone, so the result is the same.
    """
    pools = SimpleNamespace(get_context=lambda method: SimpleNamespace(Pool=lambda number: ThreadPool(threads)))
    interval = 0.1 if sys.stderr.isatty() else SECONDS_BETWEEN_LINES
    kept = {name: getattr(module, name) for name in ("multiprocessing", "tqdm")}
    vars(module).update(multiprocessing=pools, tqdm=partial(kept["tqdm"], mininterval=interval))
    try:
        yield
    finally:
        vars(module).update(kept)


@contextlib.contextmanager
def _compression_on_one_thread() -> Iterator[None]:
    """Within the block, blosc2 compresses on one thread.

    With several threads, blocks are stored in the order in which they finish: equal volumes give different bytes.
    """
    import blosc2

    kept = blosc2.asarray

    def asarray(array, **options):
        return kept(array, **options | {"cparams": options.get("cparams", {}) | {"nthreads": 1}})

    vars(blosc2).update(asarray=asarray)
    try:
        yield
    finally:
        vars(blosc2).update(asarray=kept)
