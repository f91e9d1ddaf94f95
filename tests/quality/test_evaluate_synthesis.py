import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import evaluate_synthesis
from cohort.case import Case, write_cases
from cohort.splits import Splits, write_splits
from imaging.scale import IntensityScale
from imaging.volume import Volume, write_volume
from pipeline.errors import InputError
from pipeline.files import atomic_path

PARAMS = Path(__file__).parents[2] / "params.yaml"
SHAPE = (4, 20, 24)
LESION = np.zeros(SHAPE, bool)
LESION[1:3, 8:12, 10:15] = True
BREAST = np.zeros(SHAPE, bool)
BREAST[:, 4:18, 3:22] = True


def post_of(pre, mask):
    """Normalised post: what a table of grey levels can know, and in the lesion what it cannot."""
    return 1.4 * pre + 0.3 * mask


def volume(array):
    return Volume(array, (0.7, 0.7, 2.0), (-10.0, 5.0, 3.0))


@pytest.fixture
def cohort(tmp_path, monkeypatch):
    """Six test patients and one external one; the synthetic volume is the real one plus an error of 0.01 normalised."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(evaluate_synthesis, "breast_mask", lambda array, spacing: BREAST)
    Path("params.yaml").write_text(PARAMS.read_text())
    cases = []
    for i in range(7):
        scale = IntensityScale(20.0 * i, 500.0 + 100 * i)
        case = Case(f"c{i}", "A" if i < 6 else "B", ("pre", "post1"), True, scale, Path("artifacts/volumes") / f"c{i}")
        pre = np.random.default_rng(i).uniform(0, 0.5, SHAPE).astype(np.float32)
        post = post_of(pre, LESION)
        for path, array in ((case.path("pre"), pre), (case.path("post1"), post),
                            (Path(f"artifacts/synthetic/c{i}.nii.gz"), post + 0.01)):
            write_volume(volume(scale.restore(array)), path)
        write_volume(volume(LESION.astype(np.uint8)), case.path("mask"))
        cases.append(case)
    write_cases(Path("artifacts/volumes"), cases)
    write_splits(Path("splits.json"), Splits([], [], [f"c{i}" for i in range(6)], ["c6"], []))
    train = np.random.default_rng(9).uniform(0, 0.5, (8, 20, 24)).astype(np.float32)
    for name, array in (("train_pre", train), ("train_post", post_of(train, False))):
        with atomic_path(Path(f"artifacts/slices/{name}.npy")) as path:
            np.save(path, array)
    return cases


def test_writes_rows_and_a_table_of_gains(cohort):
    evaluate_synthesis.main()
    rows = pd.read_csv("plots/synthesis.csv")
    assert list(rows) == ["case", "group", "method", "region", "mae", "mse", "psnr", "ssim"]
    assert len(rows) == 7 * 3 * 3
    mae = rows.set_index(["case", "method", "region"])["mae"]
    assert mae["c3", "synthetic", "lesion"] == pytest.approx(0.01, abs=1e-4)
    assert mae["c3", "lut", "lesion"] == pytest.approx(0.3, abs=1e-3)
    assert mae["c3", "lut", "whole"] == pytest.approx(0.3 * LESION.mean(), abs=1e-3)
    pre = np.random.default_rng(3).uniform(0, 0.5, SHAPE).astype(np.float32)
    assert mae["c3", "pre", "breast"] == pytest.approx((post_of(pre, LESION) - pre)[BREAST].mean(), abs=1e-4)

    table = json.loads(Path("metrics/synthesis.json").read_text())
    lesion = table["test"]["lesion"]
    assert table["test"]["n"] == 6
    assert lesion["synthetic"]["mae"] == pytest.approx(0.01, abs=1e-4)
    assert lesion["synthetic"]["psnr"] == pytest.approx(40, abs=0.1)
    assert lesion["gain_over_lut"]["mae"] == pytest.approx(0.29, abs=1e-3)
    assert 0 < lesion["gain_over_pre"]["low"] <= lesion["gain_over_pre"]["mae"] <= lesion["gain_over_pre"]["high"]
    assert lesion["gain_over_pre"]["p"] == pytest.approx(2 / 2**6)
    wanted = 0.3 * LESION.sum() / BREAST.sum() - 0.01
    assert table["test"]["breast"]["gain_over_lut"]["mae"] == pytest.approx(wanted, abs=1e-3)
    assert table["external"]["n"] == 1
    assert table["external"]["lesion"]["gain_over_pre"]["low"] is None
    assert table["external"].keys() == table["test"].keys()


def test_running_again_gives_the_same_bytes(cohort):
    found = []
    for _ in range(2):
        evaluate_synthesis.main()
        found.append([Path(name).read_bytes() for name in ("plots/synthesis.csv", "metrics/synthesis.json")])
    assert found[0] == found[1]


def test_an_empty_group_keeps_its_keys(cohort):
    write_splits(Path("splits.json"), Splits([], [], ["c0"], [], []))
    evaluate_synthesis.main()
    table = json.loads(Path("metrics/synthesis.json").read_text())
    assert table["external"]["n"] == 0
    assert table["external"]["lesion"]["lut"]["mae"] is None
    assert table["external"]["whole"].keys() == table["test"]["whole"].keys()


def test_refuses_a_missing_or_displaced_synthetic_volume(cohort):
    path = Path("artifacts/synthetic/c2.nii.gz")
    write_volume(Volume(np.zeros(SHAPE, np.float32), (0.7, 0.7, 2.5), (-10.0, 5.0, 3.0)), path)
    with pytest.raises(InputError, match=r"c2.*elsewhere"):
        evaluate_synthesis.main()
    path.unlink()
    with pytest.raises(InputError, match=r"c2.*missing"):
        evaluate_synthesis.main()
    assert not Path("metrics").exists()


def test_what_a_metric_refuses_names_the_case(cohort):
    Path("params.yaml").write_text(PARAMS.read_text().replace("ssim_sigma: 1.5", "ssim_sigma: 5.0"))
    with pytest.raises(InputError, match=r"case c0.*smaller than the SSIM window"):
        evaluate_synthesis.main()


def test_refuses_unknown_cases_and_missing_slices(cohort):
    write_splits(Path("splits.json"), Splits([], [], ["nobody"], [], []))
    with pytest.raises(InputError, match="nobody"):
        evaluate_synthesis.main()
    Path("artifacts/slices/train_post.npy").unlink()
    with pytest.raises(InputError, match=r"train_post\.npy"):
        evaluate_synthesis.main()
