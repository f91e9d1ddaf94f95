"""A trained folder in the hands of nnU-Net's own commands."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

from imaging.volume import read_volume

SOURCE = Path(__file__).parents[2] / "src"
MODEL = "artifacts/segmenters/pre_1/Dataset200_pre2post/RepeatableTrainer__smallPlans__3d_fullres"
# All that nnU-Net's networks import of timm, which needs torchvision. None uses it here, but nnU-Net imports all of its
# modules to find a class.
TIMM = {"timm/__init__.py": "", "timm/models/__init__.py": "", "timm/models/eva.py": "EvaBlock = None\n",
        "timm/layers.py": "PatchDropout = trunc_normal_ = apply_keep_indices_nlc = RotaryEmbeddingCat = None\n"}


def test_nnunetv2_predict_takes_a_trained_folder_and_gives_our_mask(evaluated, tmp_path, monkeypatch):
    from segmentation import prediction

    (tmp_path / "in").mkdir()
    image = evaluated / "artifacts/volumes/g/post1.nii.gz"
    shutil.copyfile(image, tmp_path / "in/g_0000.nii.gz")
    paths = [str(SOURCE)]
    if importlib.util.find_spec("timm") is None:
        for name, content in TIMM.items():
            (tmp_path / "stand_in" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "stand_in" / name).write_text(content)
        paths.append(str(tmp_path / "stand_in"))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "nnUNet_extTrainer": str(SOURCE / "segmentation")}
    command = [Path(sys.executable).parent / "nnUNetv2_predict_from_modelfolder", "-i", tmp_path / "in", "-o",
               tmp_path / "out", "-m", evaluated / MODEL, "-f", "1", "-device", "cpu", "-npp", "1", "-nps", "1"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    found = read_volume(tmp_path / "out/g.nii.gz")

    monkeypatch.setattr(prediction, "has_bfloat16", lambda: False)  # nnU-Net predicts in float32 on a CPU
    segmenter = prediction.load_segmenter("pre", [evaluated / "artifacts/segmenters/pre_1"], "smallPlans")
    ours = prediction.make_predictor(segmenter, mirroring=True)
    volume = read_volume(image)
    prepared = prediction.preprocess_array(volume.array, volume.spacing[::-1], ours)
    np.testing.assert_array_equal(found.array, prediction.segment(ours, *prepared, threads=1))
    assert found.origin == volume.origin and found.array.any()
