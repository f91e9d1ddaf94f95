"""The stage that evaluates synthetic volumes, on six patients and one of another site."""

import json
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest
import yaml
from repository import ROOT

import evaluate_synthesis
from pre2post.cohort.case import Case, read_cases, write_cases
from pre2post.core.files import atomic_path, write_json
from pre2post.evaluation import synthesis
from pre2post.image.intensity import IntensityScale
from pre2post.image.volume import Volume
from pre2post.io.volume_file import read_volume, write_volume
from pre2post.metrics.extractors import make_extractors
from pre2post.metrics.frechet import frechet_distance, moments
from pre2post.metrics.legacy_uint8 import METRICS as LEGACY
from pre2post.metrics.legacy_uint8 import legacy_uint8, to_uint8
from pre2post.splits.splits import Splits, write_splits

PARAMS = ROOT / "params.yaml"
SIZE = 40  # the volumes pass through this grid without a change
SHAPE = (4, 32, 40)  # the first slice holds air only
LESION, BREAST = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
LESION[1:3, 15:27, 24:36] = BREAST[1:, 13:30, 3:37] = True
OTHER = BREAST & (np.arange(40) < 20)
TABLES = ("synthesis", "synthesis_subtraction", "synthesis_statistics", "synthesis_gains", "synthesis_distances")
OUTPUTS = (*(f"plots/{name}.csv" for name in TABLES), "metrics/synthesis.json")
METHODS, REGIONS = ["synthetic", "pre", "lut", "blur", "oracle"], ["whole", "breast", "lesion", "contralateral"]
SETS = METHODS[:-1]  # the oracle is no method, so its slices are in no set
TEST = [f"c{i}" for i in range(6)]


def post_of(pre, mask):
    """Return a normalised post image: a table of grey levels can predict it, except for the lesion."""
    return 1.4 * pre + 0.3 * mask


def lut_of(pre):
    """Return what a look-up table makes of it; the small error keeps PSNR finite."""
    return post_of(pre, False) + 0.0005


def volume(array):
    return Volume(array, (0.7, 0.7, 2.0), (-10.0, 5.0, 3.0))


def normalised_pre(i, scale):
    """Return noise of air in front and in the first slice, texture behind."""
    rng = np.random.default_rng(i)
    array = rng.rayleigh(4, SHAPE)
    array[1:, 12:] = scale.restore(rng.uniform(0, 0.5, (3, 20, 40)))
    return scale.normalise(array)


def write_params(**changed):
    """Write params.yaml for a small run, with values changed by their full name, as in metrics__radiomics."""
    content = yaml.safe_load(PARAMS.read_text())
    small = {"slices__size": SIZE, "gan__downs": 3, "statistics__n_resamples": 100, "metrics__radiomics": False}
    for name, value in (small | changed).items():
        section, key = name.split("__")
        content[section][key] = value
    Path("params.yaml").write_text(yaml.safe_dump(content))


def make_cohort():
    """Write a cohort whose synthetic volumes are the real ones plus an error of 0.01, normalised."""
    write_params()
    cases = []
    for i in range(7):
        scale = IntensityScale(20.0 * i, 500.0 + 100 * i)
        case = Case(f"c{i}", "A" if i < 6 else "B", ("pre", "post1"), True, scale, Path("artifacts/volumes") / f"c{i}")
        pre = normalised_pre(i, scale)
        post = post_of(pre, LESION)
        for path, array in (
            (case.path("pre"), pre),
            (case.path("post1"), post),
            (Path(f"artifacts/synthetic/c{i}.nii.gz"), post + 0.01),
            (Path(f"artifacts/synthetic/c{i}__lut.nii.gz"), lut_of(pre)),
            (Path(f"artifacts/synthetic/c{i}__blur.nii.gz"), lut_of(pre) - 0.02),
        ):
            write_volume(volume(scale.restore(array)), path)
        write_volume(volume(LESION.astype(np.uint8)), case.path("mask"))
        cases.append(case)
    write_cases(Path("artifacts/volumes"), cases)
    write_splits(Path("splits.json"), Splits([], [], TEST, ["c6"], []))
    others = np.random.default_rng(9).uniform(0, 0.5, (8, SIZE, SIZE)).astype(np.float32)
    with atomic_path(Path("artifacts/slices/validation_post.npy")) as path:
        np.save(path, others**2)


def place(folder, patch):
    patch.chdir(folder)
    patch.setattr(synthesis, "breast_mask", lambda array, spacing: BREAST)
    make_cohort()


@pytest.fixture
def cohort(tmp_path, monkeypatch):
    place(tmp_path, monkeypatch)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Return the folder after one run of the stage."""
    folder = tmp_path_factory.mktemp("measured")
    with pytest.MonkeyPatch.context() as patch:
        place(folder, patch)
        evaluate_synthesis.main()
    return folder


def table(folder, name):
    return pd.read_csv(Path(folder) / f"plots/{name}.csv")


def metrics(folder="."):
    return json.loads((Path(folder) / "metrics/synthesis.json").read_text())


def test_one_row_per_patient_region_and_method(measured):
    rows = table(measured, "synthesis")
    assert list(rows) == [
        "split",
        "case",
        "region",
        "method",
        "mae",
        "mse",
        "psnr",
        "nmse",
        "ssim",
        "auc",
        "continuity_z",
        "continuity_y",
        "continuity_x",
    ]
    keys = rows[["split", "case", "region", "method"]].apply(tuple, axis=1)
    assert sorted(keys) == sorted(
        ("test" if case in TEST else "external", case, region, method)
        for case in [*TEST, "c6"]
        for region, method in [*((region, method) for region in REGIONS for method in METHODS), ("lesion", "real")]
    )
    rows = rows[rows["method"] != "real"]
    assert not rows[["mae", "mse", "psnr", "nmse", "ssim"]].isna().any(axis=None)


def test_errors_are_those_of_the_normalised_volumes(measured):
    mae = table(measured, "synthesis").set_index(["case", "method", "region"])["mae"]
    assert mae["c3", "synthetic", "lesion"] == pytest.approx(0.01, abs=1e-4)
    assert mae["c3", "lut", "lesion"] == pytest.approx(0.3, abs=1e-3)
    assert mae["c3", "lut", "whole"] == pytest.approx(0.3 * LESION.mean(), abs=1e-3)
    pre = normalised_pre(3, IntensityScale(60.0, 800.0))
    error = np.abs(post_of(pre, LESION) - pre)
    assert mae["c3", "pre", "breast"] == pytest.approx(error[BREAST].mean(), abs=1e-4)
    assert mae["c3", "pre", "contralateral"] == pytest.approx(error[OTHER].mean(), abs=1e-4)
    assert mae["c3", "pre", "whole"] == pytest.approx(error.mean(), abs=1e-4)


def test_the_oracle_knows_the_mask_and_the_median_enhancement(measured):
    mae = table(measured, "synthesis").set_index(["case", "method", "region"])["mae"]
    pre = normalised_pre(3, IntensityScale(60.0, 800.0))
    change = (post_of(pre, LESION) - pre)[LESION]
    assert mae["c3", "oracle", "lesion"] == pytest.approx(np.abs(change - np.median(change)).mean(), abs=1e-4)
    assert mae["c3", "oracle", "contralateral"] == pytest.approx(mae["c3", "pre", "contralateral"], rel=1e-5)


def test_every_baseline_passes_through_the_grid_of_the_generator(cohort):
    """The untouched pre-contrast volume loses what resampling costs the generator."""
    found = {}
    for size in (32, 40):
        write_params(slices__size=size)
        write_splits(Path("splits.json"), Splits([], [], ["c0"], [], []))
        np.save("artifacts/slices/validation_post.npy", np.zeros((2, size, size), np.float32))
        evaluate_synthesis.main()
        found[size] = table(".", "synthesis").set_index(["method", "region"])["mae"]
    pre = normalised_pre(0, IntensityScale(0.0, 500.0))
    exact = np.abs(post_of(pre, LESION) - pre)[BREAST].mean()
    assert found[40]["pre", "breast"] == pytest.approx(exact, abs=1e-4)
    assert found[32]["pre", "breast"] > exact + 0.01


def test_the_range_of_ssim_is_that_of_the_patient_whatever_the_headroom(cohort):
    """Normalised intensities with half the headroom are twice as large; SSIM and PSNR do not change."""
    write_splits(Path("splits.json"), Splits([], [], ["c0"], [], []))
    evaluate_synthesis.main()
    before = table(".", "synthesis").set_index(["method", "region"])
    cases = json.loads(Path("artifacts/volumes/cases.json").read_text())
    half = [case | {"high": case["low"] + (case["high"] - case["low"]) / 2} for case in cases]
    write_json(Path("artifacts/volumes/cases.json"), half)
    content = yaml.safe_load(Path("params.yaml").read_text())
    write_params(ingest__headroom=content["ingest"]["headroom"] / 2)
    evaluate_synthesis.main()
    after = table(".", "synthesis").set_index(["method", "region"])
    for metric in ("ssim", "psnr"):
        np.testing.assert_allclose(after[metric], before[metric], rtol=1e-3)
    assert after["mae"]["pre", "breast"] == pytest.approx(2 * before["mae"]["pre", "breast"], rel=1e-3)


def test_the_subtraction_image_has_its_own_rows(measured):
    rows = table(measured, "synthesis_subtraction")
    assert list(rows) == [
        "split",
        "case",
        "region",
        "method",
        "nmse",
        "ssim",
        "false",
        "missed",
        "auc",
        "pieces",
        "any_pieces",
        "false_pieces",
        "any_false_pieces",
        "missed_pieces",
        "any_missed_pieces",
    ]
    found = rows.set_index(["case", "method", "region"])
    assert found["nmse"]["c2", "pre", "lesion"] == pytest.approx(1)
    pre = normalised_pre(2, IntensityScale(40.0, 700.0))
    change = (post_of(pre, LESION) - pre)[BREAST & ~LESION]
    false = ((change + 0.01 >= 0.1) & (change < 0.1)).mean()
    assert found["false"]["c2", "synthetic", "outside_lesion"] == pytest.approx(false, abs=1e-3)
    assert found["missed"]["c2", "pre", "outside_lesion"] == pytest.approx((change >= 0.1).mean(), abs=1e-3)
    assert false > 0.02


def test_continuity_is_in_the_row_of_the_breast(measured):
    found = table(measured, "synthesis").set_index(["case", "method", "region"])
    for axis in "zyx":
        column = found[f"continuity_{axis}"]
        assert column["c1", "synthetic", "breast"] == pytest.approx(1, abs=1e-3)
        assert column["c1", "pre", "breast"] < 0.9
        assert np.isnan(column["c1", "synthetic", "whole"])


def test_statistics_are_over_the_patients_of_a_split(measured):
    rows = table(measured, "synthesis_statistics").set_index(["split", "image", "region", "metric", "method"])
    own = table(measured, "synthesis").query("split == 'test' and region == 'breast' and method == 'pre'")["mae"]
    found = rows.loc["test", "post", "breast", "mae", "pre"]
    assert (found["mean"], found["sd"]) == pytest.approx((own.mean(), own.std()), rel=1e-4)
    assert found["ci_low"] < found["mean"] < found["ci_high"]
    assert found["n"] == 6 and pd.isna(found["note"])


def test_a_split_with_few_patients_has_no_interval_and_a_note(measured):
    for name in ("synthesis_statistics", "synthesis_gains"):
        rows = table(measured, name).query("split == 'external'")
        assert len(rows) and rows[["ci_low", "ci_high"]].isna().all(axis=None)
        assert set(rows["note"]) == {"1 patient: no interval and no test with fewer than 5"}
    assert metrics(measured)["external"]["lesion"]["gain_over_pre"]["ci_low"] is None
    assert metrics(measured)["external"]["lesion"]["gain_over_pre"]["mae"] > 0


def test_gains_over_the_baselines(measured):
    lesion = metrics(measured)["test"]["lesion"]
    assert lesion["synthetic"]["mae"] == pytest.approx(0.01, abs=1e-4)
    assert lesion["gain_over_lut"]["mae"] == pytest.approx(0.29, abs=1e-3)
    assert 0 < lesion["gain_over_pre"]["ci_low"] <= lesion["gain_over_pre"]["mae"] <= lesion["gain_over_pre"]["ci_high"]
    rows = table(measured, "synthesis_gains").set_index(["split", "image", "region", "metric", "baseline"])
    found = rows.loc["test", "post", "lesion", "mae", "pre"]
    assert found["rank_biserial"] == 1 and "p" not in found
    # Outside the lesion the table is perfect, so the generator loses there.
    wanted = 0.3 * LESION.sum() / BREAST.sum() - 0.01
    assert metrics(measured)["test"]["breast"]["gain_over_lut"]["mae"] == pytest.approx(wanted, abs=1e-3)
    assert metrics(measured)["test"]["contralateral"]["gain_over_lut"]["mae"] == pytest.approx(-0.01, abs=1e-3)


def test_distances_are_between_the_slices_with_tissue(measured):
    """Three of the four slices of each patient; as many of other patients, or all if there are fewer."""
    rows = table(measured, "synthesis_distances").set_index(["split", "distance", "compared"]).sort_index()
    assert set(rows.loc["test"].index) == {
        (distance, compared)
        for distance in ("fd_random", "kid_random", "fd_texture", "kid_texture")
        for compared in (*SETS, "other_patients", "halves")
    }
    assert tuple(rows.loc["test", "fd_random", "synthetic"][["n_real", "n"]]) == (18, 18)
    assert tuple(rows.loc["test", "fd_random", "other_patients"][["n_real", "n"]]) == (18, 8)
    assert tuple(rows.loc["test", "fd_random", "halves"][["n_real", "n"]]) == (9, 9)
    assert tuple(rows.loc["external", "fd_random", "other_patients"][["n_real", "n"]]) == (3, 3)
    assert "halves" not in rows.loc["external", "fd_random"].index
    found = rows["value"]["test", "fd_texture"]
    assert found["synthetic"] < found["lut"] < found["pre"]
    short = metrics(measured)["test"]["distances"]["fd_texture"]
    assert short == {"n": 18} | {name: pytest.approx(value) for name, value in found.items()}


def test_a_distance_by_hand(measured, monkeypatch):
    from pre2post.image.slices import to_slices
    from pre2post.pipeline.params import load_params

    monkeypatch.chdir(measured)
    params = load_params()
    real, lut = [], []
    for case in read_cases(Path("artifacts/volumes"))[:6]:
        pre, post = (case.scale.normalise(read_volume(case.path(phase)).array) for phase in ("pre", "post1"))
        real.append(to_slices(post[1:], SIZE))
        lut.append(to_slices(lut_of(pre)[1:], SIZE))
    (texture,) = [each for each in make_extractors(params.metrics, params.seed) if each.frechet == "fd_texture"]
    real, lut = texture.extract(np.concatenate(real)), texture.extract(np.concatenate(lut))
    spread = real.std(axis=0)
    wanted = frechet_distance(moments(real / spread), moments(lut / spread))
    rows = table(".", "synthesis_distances").set_index(["split", "distance", "compared"])
    assert rows["value"]["test", "fd_texture", "lut"] == pytest.approx(wanted, rel=1e-4)


def test_the_short_table_has_the_same_keys_for_each_split(measured):
    found = metrics(measured)
    assert list(found) == ["test", "external", "provenance"]
    assert (found["test"]["n"], found["external"]["n"]) == (6, 1)
    for key in found["test"]:
        if isinstance(found["test"][key], dict):
            assert found["external"][key].keys() == found["test"][key].keys(), key
    assert (
        found["test"].keys()
        == found["external"].keys()
        == {
            "n",
            *REGIONS,
            "auc",
            "enhancement",
            "continuity",
            "distances",
        }
    )
    assert found["test"]["continuity"]["z"] == pytest.approx(1, abs=1e-3)


def test_running_again_gives_the_same_bytes(measured, monkeypatch):
    before = [(measured / name).read_bytes() for name in OUTPUTS]
    monkeypatch.chdir(measured)
    monkeypatch.setattr(synthesis, "breast_mask", lambda array, spacing: BREAST)
    evaluate_synthesis.main()
    assert [(measured / name).read_bytes() for name in OUTPUTS] == before


def test_an_empty_split_keeps_its_keys(cohort, capsys):
    write_splits(Path("splits.json"), Splits([], [], ["c0"], [], []))
    evaluate_synthesis.main()
    assert capsys.readouterr().out == "test: 1 patient: no interval and no test with fewer than 5\n"
    found = metrics()
    assert found["external"]["n"] == 0
    assert found["external"]["lesion"]["lut"]["mae"] is None
    assert found["external"].keys() == found["test"].keys()
    assert found["external"]["whole"].keys() == found["test"]["whole"].keys()
    assert found["external"]["distances"] == {}


def test_the_published_metrics_are_optional(cohort):
    write_splits(Path("splits.json"), Splits([], [], ["c0", "c1"], [], []))
    write_params(metrics__legacy_uint8=True)
    evaluate_synthesis.main()
    rows = table(".", "synthesis")
    assert list(rows)[-3:] == list(LEGACY)
    case = read_cases(Path("artifacts/volumes"))[1]
    real, pre = (to_uint8(read_volume(case.path(phase)).array) for phase in ("post1", "pre"))
    found = rows.set_index(["case", "region", "method"]).loc["c1", "whole", "pre"]
    assert tuple(found[list(LEGACY)]) == pytest.approx(tuple(legacy_uint8(real, pre).values()), rel=0.02)
    assert rows.query("region != 'whole'")[list(LEGACY)].isna().all(axis=None)
    assert set(LEGACY) < set(table(".", "synthesis_statistics")["metric"])
    assert "legacy" not in Path("metrics/synthesis.json").read_text()


def test_radiomics_are_optional(cohort):
    write_splits(Path("splits.json"), Splits([], [], ["c0", "c1", "c2", "c3"], [], []))
    write_params(metrics__radiomics=True)
    evaluate_synthesis.main()
    rows = table(".", "synthesis_distances").set_index(["distance", "compared"])
    for version in ("frd_v0", "frd_v1"):
        assert set(rows.loc[version].index) == {*SETS, "halves"}
        assert tuple(rows.loc[version, "lut"][["n_real", "n"]]) == (8, 8)
        assert rows["value"][version, "synthetic"] < rows["value"][version, "pre"]
        assert metrics()["test"]["distances"][version]["n"] == 8


def test_tumours_on_both_sides_leave_no_contralateral_region(cohort):
    both = LESION | LESION[..., ::-1]
    write_volume(volume(both.astype(np.uint8)), Path("artifacts/volumes/c0/mask.nii.gz"))
    write_splits(Path("splits.json"), Splits([], [], ["c0", "c1"], [], []))
    evaluate_synthesis.main()
    rows = table(".", "synthesis")
    assert set(rows.query("case == 'c0'")["region"]) == {"whole", "breast", "lesion"}
    assert "contralateral" in set(rows.query("case == 'c1'")["region"])


def refuses(refused, *texts):
    """Check that the stage refuses with these texts, and writes no output."""
    refused(evaluate_synthesis.main, *texts)
    assert not Path("metrics").exists() and not Path("plots").exists()


@pytest.mark.parametrize("name", ["synthetic/c2.nii.gz", "synthetic/c2__blur.nii.gz", "volumes/c2/post1.nii"])
def test_refuses_a_missing_volume(cohort, refused, name):
    Path(f"artifacts/{name}").unlink()
    refuses(refused, "case c2", f"artifacts/{name}", "missing")


@pytest.mark.parametrize("name", ["synthetic/c2.nii.gz", "volumes/c2/post1.nii", "volumes/c2/mask.nii.gz"])
def test_refuses_another_geometry(cohort, refused, name):
    array = LESION.astype(np.uint8) if "mask" in name else np.zeros(SHAPE, np.float32)
    write_volume(Volume(array, (0.7, 0.7, 2.5), (-10.0, 5.0, 3.0)), Path(f"artifacts/{name}"))
    refuses(refused, "case c2", f"artifacts/{name}", "is not that of the pre-contrast volume", "2.5 mm", "2 mm")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["synthetic/c2.nii.gz", "volumes/c2/post1.nii"])
def test_refuses_a_volume_with_values_that_are_not_finite(cohort, refused, name, bad):
    path = Path(f"artifacts/{name}")
    image = nibabel.load(path, mmap=False)  # the same file is written
    array = image.get_fdata(dtype=np.float32)
    array[5, 6, 2] = bad
    nibabel.save(nibabel.Nifti1Image(array, image.affine, image.header), path)
    refuses(refused, str(path), "not finite", f"1 of {LESION.size} voxels")


def test_refuses_an_empty_mask(cohort, refused):
    write_volume(volume(np.zeros(SHAPE, np.uint8)), Path("artifacts/volumes/c2/mask.nii.gz"))
    refuses(refused, "case c2", "artifacts/volumes/c2/mask.nii.gz", "no tumour")


def test_refuses_a_volume_without_a_breast(cohort, refused, monkeypatch):
    monkeypatch.setattr(synthesis, "breast_mask", lambda array, spacing: np.zeros(SHAPE, bool))
    refuses(refused, "case c0", "artifacts/volumes/c0/pre.nii", "no breast")


def test_an_error_of_a_metric_names_the_case(cohort, refused):
    write_params(metrics__ssim_sigma=5.0)
    refuses(refused, "case c0", "smaller than the SSIM window")


@pytest.mark.parametrize("name", ["validation_post"])
def test_refuses_missing_slices(cohort, refused, name):
    Path(f"artifacts/slices/{name}.npy").unlink()
    refuses(refused, f"artifacts/slices/{name}.npy", "missing", "run `dvc repro extract_slices`")


def test_refuses_a_patient_that_was_not_ingested(cohort, refused):
    write_splits(Path("splits.json"), Splits([], [], ["absent"], [], []))
    refuses(refused, "case absent")


def test_a_further_phase_has_its_own_splits_and_the_first_does_not_change(cohort, measured):
    for path in Path("artifacts/volumes").iterdir():
        if path.is_dir():
            shutil.copy(path / "post1.nii", path / "post2.nii")
            for made, further in (("", "__post2"), ("__lut", "__lut_post2"), ("__blur", "__blur_post2")):
                shutil.copy(*(f"artifacts/synthetic/{path.name}{end}.nii.gz" for end in (made, further)))
    cases = json.loads(Path("artifacts/volumes/cases.json").read_text())
    write_json(Path("artifacts/volumes/cases.json"), [case | {"phases": ["pre", "post1", "post2"]} for case in cases])
    slices = np.load("artifacts/slices/validation_post.npy")
    np.save("artifacts/slices/validation_post.npy", np.stack([slices, slices], 1))
    content = yaml.safe_load(Path("params.yaml").read_text())
    content["slices"]["phases"], content["gan"]["channels"] = ["post1", "post2"], 2
    Path("params.yaml").write_text(yaml.safe_dump(content))
    evaluate_synthesis.main()
    found, single = metrics(), metrics(measured)
    assert list(found) == ["test", "external", "test_post2", "external_post2", "provenance"]
    assert (
        found["test"]["whole"]["synthetic"]
        == found["test_post2"]["whole"]["synthetic"]
        == (single["test"]["whole"]["synthetic"])
    )
    assert set(table(".", "synthesis")["split"]) == {"test", "external", "test_post2", "external_post2"}
