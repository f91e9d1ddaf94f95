import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from imaging.volume import read_volume
from pipeline.errors import InputError
from pipeline.params import Statistics
from segmentation.evaluation import summarise_study
from segmentation.measures import dice

DOMAINS = {"test_pre": "ef", "test_post1": "ef", "external_pre": "gh", "external_post1": "gh"}


@pytest.fixture
def table(evaluated):
    with open(evaluated / "plots/segmentation.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_every_setting_meets_every_patient_of_every_domain_once(table):
    found = [(row["setting"], row["domain"], row["case"]) for row in table]
    assert sorted(found) == sorted((setting, domain, case) for setting in ("pre", "pre_synthetic")
                                   for domain, cases in DOMAINS.items() for case in cases)


def test_rows_tell_of_the_saved_masks(table, evaluated):
    for row in table:
        true = read_volume(evaluated / "artifacts/volumes" / row["case"] / "mask.nii.gz", np.uint8)
        file = evaluated / "artifacts/predictions" / row["setting"] / row["domain"] / f"{row['case']}.nii.gz"
        predicted = read_volume(file, np.uint8)
        assert predicted.origin == true.origin
        assert float(row["dice"]) == pytest.approx(dice(predicted.array, true.array), abs=1e-6)
        assert float(row["true_ml"]) == pytest.approx(true.array.sum() * np.prod(true.spacing) / 1000, abs=1e-4)


def test_the_summary_has_means_and_paired_gains(table, evaluated):
    summary = json.loads((evaluated / "metrics/segmentation.json").read_text())
    assert list(summary) == ["pre", "pre_synthetic", "gain"]
    for domain in DOMAINS:
        means = [np.mean([float(row["dice"]) for row in table if (row["setting"], row["domain"]) == (name, domain)])
                 for name in ("pre", "pre_synthetic")]
        assert summary["pre"][domain]["dice"] == pytest.approx(means[0])
        assert summary["pre"][domain]["n"] == 2
        assert summary["gain"]["pre_synthetic"][domain]["dice"] == pytest.approx(means[1] - means[0])
        assert set(summary["gain"]["pre_synthetic"][domain]) == {"dice", "low", "high", "p", "n"}


def test_gains_pair_patients_whatever_the_order_of_rows():
    rows = [{"setting": name, "domain": "test_pre", "case": case, "dice": value}
            for name, values in (("pre", {"a": 0.1, "b": 0.5, "c": 0.9}), ("mix", {"c": 0.95, "a": 0.15, "b": 0.55}))
            for case, value in values.items()]
    statistics = Statistics(confidence=0.95, bootstrap_draws=200, min_patients=3)
    found = summarise_study(rows, {"pre": ["pre"], "mix": ["synthetic", "pre"]}, ["pre", "mix"], statistics, 7)
    assert found["gain"]["mix"]["test_pre"]["dice"] == pytest.approx(0.05)
    assert found["gain"]["mix"]["test_pre"]["high"] - found["gain"]["mix"]["test_pre"]["low"] < 1e-6
    assert found["pre"]["test_pre"]["low"] < 0.5 < found["pre"]["test_pre"]["high"]


def test_prediction_equals_nnunets_own(evaluated, tmp_path, monkeypatch):
    """Trained folders are nnU-Net's: its predictor finds them, and its ensemble gives our mask to the voxel."""
    import nnunetv2.training.nnUNetTrainer.nnUNetTrainer as home
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    from segmentation import prediction
    from segmentation.trainer import RepeatableTrainer

    trained = "Dataset200_pre2post/RepeatableTrainer__smallPlans__3d_fullres"
    folders = [evaluated / f"artifacts/segmenters/pre_{fold}" for fold in (0, 1)]
    shutil.copytree(folders[0] / trained, tmp_path / "model")
    shutil.copytree(folders[1] / trained / "fold_1", tmp_path / "model/fold_1")
    monkeypatch.setattr(home, "RepeatableTrainer", RepeatableTrainer, raising=False)
    monkeypatch.setattr(prediction, "has_bfloat16", lambda: False)
    theirs = nnUNetPredictor(use_mirroring=True, device=torch.device("cpu"), allow_tqdm=False)
    theirs.initialize_from_trained_model_folder(str(tmp_path / "model"), (0, 1))

    ours = prediction.make_predictor(prediction.load_segmenter("pre", folders, "smallPlans"), mirroring=True)
    file = evaluated / "artifacts/volumes/g/post1.nii.gz"
    image, properties = theirs.plans_manager.image_reader_writer_class().read_images([str(file)])
    expected = theirs.predict_single_npy_array(image, properties)
    found = prediction.segment(ours, *prediction.preprocess(file, ours), threads=1)
    np.testing.assert_array_equal(found, expected)
    assert found.shape == (16, 32, 32)


@pytest.mark.parametrize("damage", [lambda file: file.unlink(), lambda file: file.write_bytes(b"PK half a file")])
def test_a_fold_that_is_missing_or_damaged_is_named(evaluated, tmp_path, stage, damage):
    root = tmp_path / "study"
    shutil.copytree(evaluated, root)
    damage(next(Path(root / "artifacts/segmenters/pre_synthetic_0").rglob("checkpoint_final.pth")))
    kept = (root / "metrics/segmentation.json").read_bytes()
    with pytest.raises(InputError, match="pre_synthetic_0"):
        stage(root, "evaluate_segmentation")
    assert (root / "metrics/segmentation.json").read_bytes() == kept


def test_settings_trained_by_different_plans_are_not_compared(evaluated, tmp_path, stage):
    root = tmp_path / "study"
    shutil.copytree(evaluated, root)
    file = next(Path(root / "artifacts/segmenters/pre_synthetic_1").rglob("plans.json"))
    plans = json.loads(file.read_text())
    plans["configurations"]["3d_fullres"]["spacing"][0] += 1
    file.write_text(json.dumps(plans))
    with pytest.raises(InputError, match="other plans"):
        stage(root, "evaluate_segmentation")


def test_a_mask_that_lies_elsewhere_is_refused(evaluated, tmp_path, stage):
    from imaging.volume import Volume, write_volume

    root = tmp_path / "study"
    shutil.copytree(evaluated, root)
    file = root / "artifacts/volumes/h/mask.nii.gz"
    mask = read_volume(file, np.uint8)
    write_volume(Volume(mask.array, mask.spacing), file)
    with pytest.raises(InputError, match="different places") as error:
        stage(root, "evaluate_segmentation")
    assert error.value.case == "h"
