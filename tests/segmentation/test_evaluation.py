import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from pre2post.cohort.case import read_cases
from pre2post.cohort.lesion import read_mask
from pre2post.core.errors import InputError
from pre2post.evaluation.segmentation_table import METRICS, gain_rows, statistics_rows, summary
from pre2post.image.breast_mask import breast_mask
from pre2post.io.volume_file import read_volume
from pre2post.metrics.mask_metrics import measure
from pre2post.segmentation.design import Comparison
from pre2post.segmentation.threshold import choose_threshold, segment_by_threshold
from pre2post.stats.params import StatisticsParams
from pre2post.stats.summary import paired

pytestmark = pytest.mark.slow

OPTIONS = StatisticsParams(confidence_level=0.95, n_resamples=200, min_patients=3, margin_dice=0.05)
PAIR = Comparison("mix", "pre", "baseline")
DOMAINS = {"test_pre": "ef", "test_post1": "ef", "external_pre": "gh", "external_post1": "gh"}


@pytest.fixture
def table(evaluated):
    with open(evaluated / "plots/segmentation.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_every_mix_is_tested_once_on_every_patient_of_every_domain(table):
    found = [(row["mix"], row["domain"], row["case"]) for row in table]
    assert sorted(found) == sorted(
        (mix, domain, case)
        for mix in ("threshold", "pre", "pre_synthetic")
        for domain, cases in DOMAINS.items()
        for case in cases
    )


def test_rows_are_the_metrics_of_the_saved_masks(table, evaluated):
    for row in table:
        true = read_volume(evaluated / "artifacts/volumes" / row["case"] / "mask.nii.gz", np.uint8)
        file = evaluated / "artifacts/predictions" / row["mix"] / row["domain"] / f"{row['case']}.nii.gz"
        predicted = read_volume(file, np.uint8)
        assert predicted.origin == true.origin
        found = measure(predicted.array, true.array, true.spacing, 0.1, 0.05)
        assert {name: float(row[name]) for name in found} == pytest.approx(found, rel=1e-5)
        assert 0 <= float(row["detected_by_chance"]) <= 1
        assert float(row["true_ml"]) == pytest.approx(true.array.sum() * np.prod(true.spacing) / 1000, rel=1e-5)


def test_the_summary_has_means_and_paired_gains(table, evaluated):
    summary = json.loads((evaluated / "metrics/segmentation.json").read_text())
    assert list(summary) == [
        "threshold",
        "pre",
        "pre_synthetic",
        "gain",
        "primary",
        "threshold_level",
        "provenance",
    ]
    for domain in DOMAINS:
        means = [
            np.mean([float(row["dice"]) for row in table if (row["mix"], row["domain"]) == (name, domain)])
            for name in ("pre", "pre_synthetic")
        ]
        assert summary["pre"][domain]["dice"] == pytest.approx(means[0], rel=1e-5)
        assert summary["pre"][domain]["n"] == 2
        assert summary["gain"]["pre_synthetic"][domain]["dice"] == pytest.approx(means[1] - means[0], rel=1e-4)
        assert set(summary["gain"]["pre_synthetic"][domain]) == {"dice", "ci_low", "ci_high", "n"}


def test_rivals_are_apart_from_baselines():
    rows = random_rows(("pre", "mix", "rival"), ("test_pre",))
    gains = gain_rows(rows, [PAIR, Comparison("mix", "rival", "rival")], OPTIONS, 7)
    short = summary(statistics_rows(rows, OPTIONS, 7), gains, [])
    assert list(short["rivals"]) == ["mix"] and list(short["rivals"]["mix"]) == ["rival"]
    (row,) = [row for row in gains if (row["metric"], row["baseline"]) == ("dice", "rival")]
    assert short["rivals"]["mix"]["rival"]["test_pre"]["dice"] == row["difference"]


def test_every_piece_has_a_score_and_a_chance(evaluated, table):
    with open(evaluated / "plots/segmentation_pieces.csv", newline="") as file:
        pieces = list(csv.DictReader(file))
    for row in table:
        own = [piece for piece in pieces if all(piece[name] == row[name] for name in ("mix", "domain", "case"))]
        false = sum(piece["lesion"] == "0" for piece in own)
        assert false == float(row["false_positives"])
        assert len({piece["lesion"] for piece in own} - {"0"}) == float(row["lesion_sensitivity"]) * float(
            row["lesions"]
        )
        assert all(0 <= float(piece["chance"]) <= 1 and 0 <= float(piece["iou"]) <= 1 for piece in own)
        if row["mix"] != "threshold":
            assert all(0.5 < float(piece["score"]) <= 1 for piece in own)
    assert len(pieces) > len(table) / 2


def test_the_threshold_is_chosen_on_the_validation_patients_alone(evaluated):
    cases = read_cases(evaluated / "artifacts/volumes")
    level = json.loads((evaluated / "metrics/segmentation.json").read_text())["threshold_level"]

    def volumes(case):
        post, pre = (read_volume(case.path(phase)) for phase in ("post1", "pre"))
        return case.scale.normalise(post.array), breast_mask(pre.array, pre.spacing), read_mask(case).array

    assert level == choose_threshold(volumes(case) for case in cases if case.id in "abcd")
    for case in (case for case in cases if case.id in "ef"):
        image, breast, _ = volumes(case)
        file = evaluated / f"artifacts/predictions/threshold/test_post1/{case.id}.nii.gz"
        np.testing.assert_array_equal(read_volume(file, np.uint8).array, segment_by_threshold(image, breast, level))


def rows_of(values, seed=0):
    """Return rows from {(mix, domain): {case: Dice}}; the other metrics are random."""
    random = np.random.default_rng(seed)
    return [
        {
            "mix": mix,
            "domain": domain,
            "case": case,
            **dict(zip(METRICS, random.random(7), strict=True)),
            "dice": value,
        }
        for (mix, domain), found in values.items()
        for case, value in found.items()
    ]


def random_rows(mixes, domains, n=9):
    random = np.random.default_rng(4)
    return rows_of(
        {
            (mix, domain): {f"{domain[:4]}{case}": random.random() for case in range(n)}
            for mix in mixes
            for domain in domains
        }
    )


def test_statistics_are_those_of_the_patients():
    rows = random_rows(("pre", "mix"), DOMAINS)
    found = statistics_rows(rows, OPTIONS, 7)
    assert [(row["mix"], row["domain"], row["metric"]) for row in found] == [
        (mix, domain, metric) for mix in ("pre", "mix") for domain in DOMAINS for metric in METRICS
    ]
    for row in found:
        own = [one[row["metric"]] for one in rows if (one["mix"], one["domain"]) == (row["mix"], row["domain"])]
        assert (row["n"], row["mean"]) == (9, pytest.approx(np.mean(own), rel=1e-5))
        assert (row["sd"], row["median"]) == (
            pytest.approx(np.std(own, ddof=1), rel=1e-5),
            pytest.approx(np.median(own), rel=1e-5),
        )
        assert row["ci_low"] < row["mean"] < row["ci_high"]


def test_gains_pair_patients_in_any_order_of_rows():
    values = {
        ("pre", "test_pre"): {"a": 0.1, "b": 0.5, "c": 0.9, "only pre": 1.0},
        ("mix", "test_pre"): {"c": 0.95, "only mix": 0.0, "a": 0.15, "b": 0.55},
    }
    found = gain_rows(rows_of(values), [PAIR], OPTIONS, 7)
    assert {row["mix"] for row in found} == {"mix"} and [row["metric"] for row in found] == list(METRICS)
    row = found[0]
    assert list(row) == [
        "mix",
        "baseline",
        "kind",
        "domain",
        "metric",
        "difference",
        "ci_low",
        "ci_high",
        "rank_biserial",
        "n",
    ]
    assert (row["baseline"], row["difference"], row["rank_biserial"], row["n"]) == ("pre", pytest.approx(0.05), 1, 3)
    assert row["ci_high"] - row["ci_low"] < 1e-6


def test_gains_are_scipys():
    rows = random_rows(("pre", "mix"), ("test_pre",))
    for row in gain_rows(rows, [PAIR], OPTIONS, 7):
        mix, pre = ([one[row["metric"]] for one in rows if one["mix"] == name] for name in ("mix", "pre"))
        assert row["difference"] == pytest.approx(np.mean(mix) - np.mean(pre), rel=1e-4)
        wanted = paired(mix, pre, 0.95, 200, [7, 6], 3)
        assert (row["ci_low"], row["ci_high"]) == pytest.approx((wanted["ci_low"], wanted["ci_high"]), rel=1e-4)
        assert row["ci_low"] < row["difference"] < row["ci_high"]


def test_several_trainings_of_a_mix_are_averaged_by_patient():
    rows = random_rows(("pre", "mix"), ("test_pre",))
    twice = [row | {"seed": seed, "dice": row["dice"] + seed} for row in rows for seed in (1, 0)]
    (dice,) = [row for row in statistics_rows(twice, OPTIONS, 7) if (row["mix"], row["metric"]) == ("mix", "dice")]
    own = [row["dice"] for row in rows if row["mix"] == "mix"]
    assert (dice["n"], dice["mean"]) == (9, pytest.approx(np.mean(own) + 0.5, rel=1e-5))
    assert dice["ci_high"] - dice["ci_low"] > 0.9  # seeds are resampled too
    (gain,) = [row for row in gain_rows(twice, [PAIR], OPTIONS, 7) if row["metric"] == "dice"]
    (single,) = [row for row in gain_rows(rows, [PAIR], OPTIONS, 7) if row["metric"] == "dice"]
    assert (gain["n"], gain["difference"]) == (9, pytest.approx(single["difference"], rel=1e-4))
    assert gain["ci_high"] - gain["ci_low"] < 0.9  # the same seeds on both sides


def test_a_domain_of_one_side_only_is_not_compared():
    values = {("pre", "test_pre"): {"a": 0.1}, ("mix", "test_pre"): {"a": 0.2}, ("mix", "test_post2"): {"a": 0.3}}
    assert {row["domain"] for row in gain_rows(rows_of(values), [PAIR], OPTIONS, 7)} == {"test_pre"}
    assert gain_rows(rows_of(values), [Comparison("mix", "post", "baseline")], OPTIONS, 7) == []


def test_the_short_form_repeats_the_tables():
    rows = random_rows(("pre", "mix"), DOMAINS)
    statistics, gains = statistics_rows(rows, OPTIONS, 7), gain_rows(rows, [PAIR], OPTIONS, 7)
    short = summary(statistics, gains, [])
    assert list(short) == ["pre", "mix", "gain", "primary"] and list(short["gain"]) == ["mix"]
    for mix in ("pre", "mix"):
        assert list(short[mix]) == list(DOMAINS)
        for domain, cell in short[mix].items():
            own = {row["metric"]: row for row in statistics if (row["mix"], row["domain"]) == (mix, domain)}
            assert cell == {
                "dice": own["dice"]["mean"],
                "ci_low": own["dice"]["ci_low"],
                "ci_high": own["dice"]["ci_high"],
                **{
                    name: own[name]["mean"]
                    for name in ("hd95", "assd", "relative_volume_difference", "lesion_sensitivity", "false_positives")
                },
                "n": 9,
            }
    for domain, cell in short["gain"]["mix"].items():
        (row,) = [row for row in gains if (row["domain"], row["metric"]) == (domain, "dice")]
        assert cell == {
            "dice": row["difference"],
            "ci_low": row["ci_low"],
            "ci_high": row["ci_high"],
            "n": 9,
        }
    assert json.loads(json.dumps(short, allow_nan=False)) == short


def test_few_patients_keep_the_keys():
    rows = random_rows(("pre", "mix"), ("test_pre",), n=2)
    short = summary(statistics_rows(rows, OPTIONS, 7), gain_rows(rows, [PAIR], OPTIONS, 7), [])
    assert (short["mix"]["test_pre"]["ci_low"], short["gain"]["mix"]["test_pre"]["ci_low"]) == (None, None)
    assert set(short["gain"]["mix"]["test_pre"]) == {"dice", "ci_low", "ci_high", "n"}


def test_prediction_equals_nnunets_own(evaluated, tmp_path, monkeypatch):
    """nnU-Net's own predictor reads the trained folders, and its ensemble gives the same mask to the voxel."""
    import nnunetv2.training.nnUNetTrainer.nnUNetTrainer as home
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    from pre2post.segmentation import prediction
    from pre2post.segmentation.trainer import RepeatableTrainer

    trained = "Dataset200_pre2post/RepeatableTrainer__smallPlans__3d_fullres"
    folders = [evaluated / f"artifacts/segmenters/pre_{fold}" for fold in (0, 1)]
    shutil.copytree(folders[0] / trained, tmp_path / "model")
    shutil.copytree(folders[1] / trained / "fold_1", tmp_path / "model/fold_1")
    monkeypatch.setattr(home, "RepeatableTrainer", RepeatableTrainer, raising=False)
    monkeypatch.setattr(prediction, "has_bfloat16", lambda: False)
    theirs = nnUNetPredictor(use_mirroring=True, device=torch.device("cpu"), allow_tqdm=False)
    theirs.initialize_from_trained_model_folder(str(tmp_path / "model"), (0, 1))

    ours = prediction.make_predictor(prediction.load_segmenter("pre", folders, "smallPlans"), use_mirroring=True)
    file = evaluated / "artifacts/volumes/g/post1.nii"
    image, properties = theirs.plans_manager.image_reader_writer_class().read_images([str(file)])
    expected = theirs.predict_single_npy_array(image, properties)
    volume = read_volume(file)
    prepared = prediction.preprocess_array(volume.array, volume.spacing[::-1], ours)
    found = prediction.segment(ours, *prepared, threads=1)
    np.testing.assert_array_equal(found, expected)
    assert 0 < found.sum() < found.size


@pytest.mark.parametrize("damage", [lambda file: file.unlink(), lambda file: file.write_bytes(b"PK half a file")])
def test_a_fold_that_is_missing_or_damaged_is_named(evaluated, tmp_path, stage, damage):
    root = tmp_path / "study"
    shutil.copytree(evaluated, root)
    damage(next(Path(root / "artifacts/segmenters/pre_synthetic_0").rglob("checkpoint_final.pth")))
    kept = (root / "metrics/segmentation.json").read_bytes()
    with pytest.raises(InputError, match="pre_synthetic_0"):
        stage(root, "evaluate_segmentation")
    assert (root / "metrics/segmentation.json").read_bytes() == kept


def test_mixes_trained_by_different_plans_are_not_compared(evaluated, tmp_path, stage):
    root = tmp_path / "study"
    shutil.copytree(evaluated, root)
    file = next(Path(root / "artifacts/segmenters/pre_synthetic_1").rglob("plans.json"))
    plans = json.loads(file.read_text())
    plans["configurations"]["3d_fullres"]["spacing"][0] += 1
    file.write_text(json.dumps(plans))
    with pytest.raises(InputError, match="other plans"):
        stage(root, "evaluate_segmentation")


def test_folds_that_changed_after_the_training_are_noticed(evaluated, tmp_path, stage):
    root = tmp_path / "study"
    shutil.copytree(evaluated, root)
    splits = json.loads((root / "splits.json").read_text())
    (root / "splits.json").write_text(json.dumps(splits | {"folds": [["a", "d"], ["b", "c"]]}))
    kept = (root / "metrics/segmentation.json").read_bytes()
    with pytest.raises(InputError, match=r"pre_0.*folds have changed since this training.*trains this fold again"):
        stage(root, "evaluate_segmentation")
    assert (root / "metrics/segmentation.json").read_bytes() == kept


def test_patients_without_a_phase_are_left_out_of_its_domain(evaluated, tmp_path, stage, set_params, capsys):
    root = tmp_path / "study"
    shutil.copytree(evaluated, root)
    cases = json.loads((root / "artifacts/volumes/cases.json").read_text())
    next(case for case in cases if case["id"] == "e")["phases"].append("post2")
    (root / "artifacts/volumes/cases.json").write_text(json.dumps(cases))
    shutil.copyfile(root / "artifacts/volumes/e/post1.nii", root / "artifacts/volumes/e/post2.nii")
    set_params(root, train=["pre"], test_phases=["post1", "post2", "post3", "synthetic"])
    stage(root, "evaluate_segmentation")
    assert "post3 is left out: no test or external patient has this phase" in capsys.readouterr().out
    found = json.loads((root / "metrics/segmentation.json").read_text())["pre"]
    assert {domain: cell["n"] for domain, cell in found.items()} == {
        "test_post1": 2,
        "test_post2": 1,
        "test_synthetic": 2,
        "external_post1": 2,
        "external_synthetic": 2,
    }


@pytest.mark.parametrize("score_region", ["predicted_breast", "annotated_breast"])
def test_segmenters_of_one_breast_segment_both_and_score_one(evaluated, tmp_path, stage, set_params, score_region):
    root = tmp_path / "study"
    shutil.copytree(evaluated, root)
    set_params(root, train=["pre"], test_phases=["pre"], train_crop="breast", score_region=score_region)
    stage(root, "evaluate_segmentation")
    files = list((root / "artifacts/predictions/pre").rglob("*.nii.gz"))
    voxels = []
    for file in files:
        predicted = read_volume(file).array
        right, left = predicted[..., :16].sum(), predicted[..., 16:].sum()
        assert 0 in (right, left)
        assert score_region == "predicted_breast" or right == 0  # the toy tumours are in the left half
        voxels.append(right + left)
    assert len(files) == 4 and all(voxels)


def test_a_mask_with_another_geometry_is_refused(evaluated, tmp_path, stage):
    from pre2post.image.volume import Volume
    from pre2post.io.volume_file import write_volume

    root = tmp_path / "study"
    shutil.copytree(evaluated, root)
    file = root / "artifacts/volumes/h/mask.nii.gz"
    mask = read_volume(file, np.uint8)
    write_volume(Volume(mask.array, mask.spacing), file)
    with pytest.raises(InputError, match="differ in geometry") as error:
        stage(root, "evaluate_segmentation")
    assert error.value.case == "h"


def test_prediction_inside_a_box_equals_that_of_a_complete_volume_there(evaluated):
    """A box as large as the volume changes nothing; a smaller one is predicted alone, and the rest is background."""
    from pre2post.segmentation import prediction

    folder = evaluated / "artifacts/segmenters/pre_0"
    predictor = prediction.make_predictor(prediction.load_segmenter("pre", [folder], "smallPlans"), False)
    volume = read_volume(evaluated / "artifacts/volumes/e/post1.nii")
    data, notes = prediction.preprocess_array(volume.array, volume.spacing[::-1], predictor)
    whole = prediction.segment(predictor, data, notes, threads=1)
    everything = tuple(slice(0, size) for size in volume.array.shape)
    np.testing.assert_array_equal(prediction.segment(predictor, data, notes, threads=1, inside=everything), whole)
    corner = (slice(0, 8), slice(16, 32), slice(0, 16))
    found = prediction.segment(predictor, data, notes, threads=1, inside=corner)
    part = prediction.segment(
        predictor, data[:, *corner], {**notes, **_cut_notes(notes, data[0][corner].shape)}, threads=1
    )
    np.testing.assert_array_equal(found[corner], part)
    assert found[corner].any() and found.sum() == found[corner].sum()


def _cut_notes(notes, shape):
    assert notes["shape_before_cropping"] == (16, 32, 32)  # the toy volumes are neither cropped nor resampled
    return {
        "shape_before_cropping": shape,
        "shape_after_cropping_and_before_resampling": shape,
        "bbox_used_for_cropping": [[0, size] for size in shape],
    }


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ([(2, 10), (10, 30), (0, 40)], [(0, 20), (0, 16), (4, 24)]),  # axes swapped, cropped, and resampled
        ([(5, 6), (20, 22), (9, 10)], [(1, 9), (0, 16), (7, 23)]),  # as large as a window
    ],
)
def test_a_box_is_moved_to_the_grid_of_the_network(box, expected):
    from types import SimpleNamespace

    from pre2post.segmentation.prediction import _box_of_network

    predictor = SimpleNamespace(
        plans_manager=SimpleNamespace(transpose_forward=[2, 0, 1]),
        configuration_manager=SimpleNamespace(patch_size=[8, 16, 16]),
    )
    notes = {
        "bbox_used_for_cropping": [[0, 40], [2, 10], [6, 30]],
        "shape_after_cropping_and_before_resampling": (40, 8, 24),
    }
    found = _box_of_network(tuple(slice(*ends) for ends in box), (20, 16, 24), notes, predictor)
    assert [(one.start, one.stop) for one in found] == expected
