"""Time the prediction of the segmentation against nnU-Net's on complete volumes, and compare the Dice of both.

    python bench/segmenter_prediction.py                      # held-out patients of fold 0 of mix post
    python bench/segmenter_prediction.py --steps 0.5 0.75 1.0

Ours predicts inside the body's box, with a network in the layout that oneDNN computes in, and with other steps of the
sliding window. The other side predicts the complete volume with nnU-Net's layout and its step of 0.5. Both compute on
one thread in the same precision and take turns: trust the ratios. Only held-out patients of the folds are used, never
test patients. Needs the output of train_segmentation.
"""

import argparse
import os
import statistics
import sys
import time
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

import torch

from pre2post.cohort.case import find_cases
from pre2post.cohort.lesion import read_mask
from pre2post.core.errors import run_stage
from pre2post.core.paths import NNUNET, SEGMENTERS, SPLITS, VOLUMES
from pre2post.io.volume_file import read_volume
from pre2post.metrics.mask_metrics import dice
from pre2post.pipeline.params import load_params
from pre2post.segmentation import prediction
from pre2post.segmentation.nnunet import PLANS_OF, segmenter_folder, set_nnunet_folders
from pre2post.segmentation.volumes import body_box
from pre2post.splits.leakage import read_study

BEFORE = "nnU-Net's, complete volume"


def main() -> None:
    options = _options()
    set_nnunet_folders(NNUNET, SEGMENTERS)
    torch.set_num_threads(1)
    splits, known = read_study(SPLITS, VOLUMES)
    cases = find_cases(splits.folds[options.fold], known)
    folder = options.folder or segmenter_folder(SEGMENTERS, options.mix, options.fold)
    segmenter = prediction.load_segmenter(options.mix, [folder], PLANS_OF[load_params().segmentation.plan])
    with mock.patch.object(prediction, "arrange_for_cpu"):
        sides = {BEFORE: (prediction.make_predictor(segmenter, use_mirroring=False), False)}
    for step in options.steps:
        sides[f"ours, step {step:g}"] = prediction.make_predictor(segmenter, False, step), True
    times: dict[str, list[float]] = {side: [] for side in sides}
    found: dict[str, list[float]] = {side: [] for side in sides}
    for case in cases:
        image, mask, body = read_volume(case.path(options.phase)), read_mask(case), body_box(case)
        data, notes = prediction.preprocess_array(image.array, image.spacing[::-1], sides[BEFORE][0])
        for side, (predictor, inside) in sides.items():
            start = time.process_time()
            predicted = prediction.segment(predictor, data, notes, threads=1, inside=body if inside else None)
            times[side].append(time.process_time() - start)
            found[side].append(dice(predicted, mask.array))
    print(f"{len(cases)} volumes of {options.phase}, load {os.getloadavg()[0]:.1f}, torch {torch.__version__}\n")
    print("| prediction | CPU s a volume and network | ratio | mean Dice |\n|---|---|---|---|")
    before = statistics.median(times[BEFORE])
    for side in sides:
        median = statistics.median(times[side])
        print(f"| {side} | {median:.2f} | {median / before:.2f} | {statistics.mean(found[side]):.4f} |")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mix", default="post")
    parser.add_argument("--phase", default="post1")
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="a trained folder; default: that of mix and fold")
    parser.add_argument("--steps", type=float, nargs="+", default=[0.5, 0.75, 1.0])
    return parser.parse_args()


if __name__ == "__main__":
    run_stage(main)
