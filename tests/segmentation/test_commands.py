"""nnU-Net's own commands on a trained folder."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from repository import ROOT

from pre2post.io.volume_file import read_volume

pytestmark = pytest.mark.slow

SOURCE = ROOT / "src"
MODEL = "artifacts/segmenters/pre_1/Dataset200_pre2post/RepeatableTrainer__smallPlans__3d_fullres"


def write_empty_timm(package):
    """Write the benchmark's empty package timm; the real one needs torchvision."""
    spec = importlib.util.spec_from_file_location("nnunet_commands", SOURCE.parent / "bench/nnunet_commands.py")
    commands = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(commands)
    commands.write_empty_timm(package)


def test_nnunetv2_predict_takes_a_trained_folder_and_gives_our_mask(evaluated, tmp_path, monkeypatch):
    from pre2post.segmentation import prediction

    (tmp_path / "in").mkdir()
    image = evaluated / "artifacts/volumes/g/post1.nii"
    shutil.copyfile(image, tmp_path / "in/g_0000.nii.gz")
    paths = [str(SOURCE)]
    if importlib.util.find_spec("timm") is None:
        write_empty_timm(tmp_path / "empty/timm")
        paths.append(str(tmp_path / "empty"))
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(paths),
        "nnUNet_extTrainer": str(SOURCE / "pre2post/segmentation"),
    }
    command = [
        Path(sys.executable).parent / "nnUNetv2_predict_from_modelfolder",
        "-i",
        tmp_path / "in",
        "-o",
        tmp_path / "out",
        "-m",
        evaluated / MODEL,
        "-f",
        "1",
        "-device",
        "cpu",
        "-npp",
        "1",
        "-nps",
        "1",
    ]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    found = read_volume(tmp_path / "out/g.nii.gz")

    monkeypatch.setattr(prediction, "has_bfloat16", lambda: False)  # nnU-Net predicts in float32 on a CPU
    segmenter = prediction.load_segmenter("pre", [evaluated / "artifacts/segmenters/pre_1"], "smallPlans")
    ours = prediction.make_predictor(segmenter, use_mirroring=True)
    volume = read_volume(image)
    prepared = prediction.preprocess_array(volume.array, volume.spacing[::-1], ours)
    np.testing.assert_array_equal(found.array, prediction.segment(ours, *prepared, threads=1))
    assert found.origin == volume.origin and found.array.any()
