"""The stage that selects the generator, with three tiny networks that add a constant to their input."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from repository import ROOT
from scipy import stats

import select_checkpoint
from pre2post import load_generator, predict
from pre2post.pix2pixhd.architecture import Architecture
from pre2post.pix2pixhd.checkpoint import save_generator
from pre2post.pix2pixhd.generator import make_generator
from pre2post.same.score import same

OUTPUTS = (
    "metrics/same.json",
    "plots/same.csv",
    "plots/same_stability.csv",
    "artifacts/generator/generator.safetensors",
)
ADDED = {"2": 0.5, "4": 0.23, "10": -0.3}  # the constant of each epoch; 0.2 would be right
CASES = ["b", "a", "b", "a", "c", "c", "b", "c"]
PIXEL = ("mae", "mse", "psnr", "nmse", "ssim")
DISTANCES = ("fd_random", "kid_random", "fd_texture", "kid_texture")
WEIGHTED = ("ssim", "mse", "mae", "fd_random", "fd_texture")


def save_checkpoint(epoch: str, added: float) -> None:
    generator = make_generator(Architecture(width=2, downs=1, blocks=0, residual=True))
    last = [layer for layer in generator.modules() if isinstance(layer, torch.nn.Conv2d)][-1]
    torch.nn.init.zeros_(last.weight)
    torch.nn.init.constant_(last.bias, 2 * added)
    save_generator(generator, Path(f"artifacts/gan/epoch_{int(epoch):04d}.safetensors"))


def save_slices(**changed) -> None:
    rng = np.random.default_rng(0)
    pre = rng.uniform(0, 0.6, (8, 32, 32)).astype(np.float32)
    lesion = np.zeros(pre.shape, np.uint8)
    lesion[2, 4:8, 4:8] = lesion[5, 20:24, 10:20] = 1
    post = pre + 0.2 + 0.02 * rng.normal(size=pre.shape).astype(np.float32) + 0.3 * lesion.astype(np.float32)
    for name, array in ({"pre": pre, "post": post, "lesion": lesion} | changed).items():
        np.save(f"artifacts/slices/validation_{name}.npy", array)
    for name, array in (("pre", pre[::-1]), ("post", 1.5 * pre[::-1])):  # the look-up table learns the factor 1.5
        np.save(f"artifacts/slices/train_{name}.npy", array)
    rows = "".join(f"{case},{z}\n" for z, case in enumerate(CASES))
    Path("artifacts/slices/index_validation.csv").write_text("case,z\n" + rows)


def write_params(**same) -> None:
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    content["same"] |= {"n_resamples": 100} | same
    content["gan"]["threads"] = 1
    Path("params.yaml").write_text(yaml.safe_dump(content))


def fill() -> None:
    Path("splits.json").write_text("{}")
    Path("artifacts/slices").mkdir(parents=True)
    write_params()
    save_slices()
    for epoch, added in ADDED.items():
        save_checkpoint(epoch, added)


@pytest.fixture(autouse=True)
def same_threads_after() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    fill()
    return tmp_path


@pytest.fixture(scope="module")
def chosen(tmp_path_factory) -> Path:
    """The folder after the stage ran once."""
    folder = tmp_path_factory.mktemp("chosen")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        fill()
        select_checkpoint.main()
    return folder


def table(folder: Path, name: str) -> list[dict]:
    with open(folder / f"plots/{name}.csv", newline="") as file:
        return list(csv.DictReader(file))


def summary(folder: Path) -> dict:
    return json.loads((folder / "metrics/same.json").read_text())


def test_the_checkpoint_nearest_to_the_real_slices_becomes_the_generator(chosen):
    assert summary(chosen)["epoch"] == 4
    assert (chosen / OUTPUTS[-1]).read_bytes() == (chosen / "artifacts/gan/epoch_0004.safetensors").read_bytes()


def test_the_card_of_the_generator_is_all_that_prediction_needs(chosen):
    generator = load_generator(chosen / OUTPUTS[-1])
    params = yaml.safe_load((chosen / "params.yaml").read_text())
    trained = params["ingest"] | params["slices"]
    assert generator.settings.model_dump() == {name: trained[name] for name in generator.settings.model_dump()}
    assert predict(np.random.default_rng(0).random((2, 48, 64)), generator).shape == (2, 48, 64)


def test_the_summary_has_the_selected_checkpoint_and_its_stability(chosen):
    found = summary(chosen)
    assert list(found) == [
        "epoch",
        "same",
        *PIXEL,
        *DISTANCES,
        "lesion_mae",
        "selection_frequency",
        "selection_stability",
        "rank_correlation",
        "baselines",
        "checkpoints",
        "slices",
        "patients",
        "provenance",
    ]
    assert found["same"] == 0  # the best in every metric
    assert (found["selection_frequency"], found["selection_stability"]) == (1, 1)
    assert (found["checkpoints"], found["slices"], found["patients"]) == (3, 8, 3)
    (row,) = [row for row in table(chosen, "same") if row["epoch"] == "4"]
    for name in (*PIXEL, *DISTANCES, "lesion_mae"):
        assert found[name] == pytest.approx(float(row[name]), rel=1e-5)


def test_a_row_per_checkpoint_oldest_first(chosen):
    rows = table(chosen, "same")
    assert list(rows[0]) == [
        "epoch",
        "same",
        "selection_frequency",
        "lesion_mae",
        *PIXEL,
        *DISTANCES,
        *(f"scaled_{metric}" for metric in WEIGHTED),
    ]
    assert [row["epoch"] for row in rows] == ["2", "4", "10"]
    assert {row["epoch"]: float(row["selection_frequency"]) for row in rows} == {"2": 0, "4": 1, "10": 0}


def test_errors_are_means_over_patients(chosen):
    pre, post, lesion = (
        np.load(chosen / f"artifacts/slices/validation_{kind}.npy") for kind in ("pre", "post", "lesion")
    )
    for row in table(chosen, "same"):
        error = np.abs(pre + ADDED[row["epoch"]] - post)
        wanted = np.mean([error[np.array(CASES) == case].mean() for case in "abc"])
        assert float(row["mae"]) == pytest.approx(wanted, rel=1e-4)
        inside = np.mean([error[2][lesion[2] > 0].mean(), error[5][lesion[5] > 0].mean()])  # of patients b and c
        assert float(row["lesion_mae"]) == pytest.approx(inside, rel=1e-4)


def test_the_summary_has_the_baselines(chosen):
    """They have every metric of the selected checkpoint, and cannot be selected."""
    pre, post, lesion = (
        np.load(chosen / f"artifacts/slices/validation_{kind}.npy") for kind in ("pre", "post", "lesion")
    )
    found = summary(chosen)["baselines"]
    assert list(found) == ["pre", "lut"]
    for baseline, synthetic in (("pre", pre), ("lut", 1.5 * pre)):
        assert list(found[baseline]) == [*PIXEL, *DISTANCES, "lesion_mae"]
        error = np.abs(synthetic - post)
        wanted = np.mean([error[np.array(CASES) == case].mean() for case in "abc"])
        assert found[baseline]["mae"] == pytest.approx(wanted, rel=1e-3)
        inside = np.mean([error[2][lesion[2] > 0].mean(), error[5][lesion[5] > 0].mean()])
        assert found[baseline]["lesion_mae"] == pytest.approx(inside, rel=1e-3)
    assert summary(chosen)["checkpoints"] == 3


def test_scores_equal_same_of_the_table(chosen):
    rows = {row["epoch"]: row for row in table(chosen, "same")}
    wanted = same(
        {epoch: {metric: float(row[metric]) for metric in WEIGHTED} for epoch, row in rows.items()},
        dict.fromkeys(WEIGHTED, 1),
    )
    for epoch, row in rows.items():
        assert float(row["same"]) == pytest.approx(wanted.scores[epoch], rel=1e-5)  # the table has six digits
        assert {metric: float(row[f"scaled_{metric}"]) for metric in WEIGHTED} == pytest.approx(
            wanted.components[epoch], rel=1e-5
        )


def test_the_table_of_variations(chosen):
    rows = table(chosen, "same_stability")
    assert [row["variation"] for row in rows] == [
        *(f"without {metric}" for metric in WEIGHTED),
        "scaling max",
        "scaling zscore",
    ]
    assert {row["epoch"] for row in rows} == {"4"}


def test_the_correlation_of_same_with_the_lesion_error(chosen):
    rows = table(chosen, "same")
    wanted = stats.spearmanr([float(row["same"]) for row in rows], [float(row["lesion_mae"]) for row in rows]).statistic
    assert summary(chosen)["rank_correlation"] == {"lesion_mae": pytest.approx(wanted, rel=1e-5), "dice": None}


def test_running_again_gives_the_same_bytes(chosen, monkeypatch):
    before = [(chosen / name).read_bytes() for name in OUTPUTS]
    monkeypatch.chdir(chosen)
    select_checkpoint.main()
    assert [(chosen / name).read_bytes() for name in OUTPUTS] == before


def test_the_weights_of_same_are_used(place):
    """With a weight on the MAE only, SAMe is the scaled MAE."""
    write_params(
        weights=dict.fromkeys(("ssim", "mse", "fd_random", "fd_texture", "fid_img", "fid_rad", "lpips"), 0.0)
        | {"mae": 1.0},
        scaling="max",
    )
    select_checkpoint.main()
    rows = table(place, "same")
    assert [name for name in rows[0] if name.startswith("scaled_")] == ["scaled_mae"]
    worst = max(float(row["mae"]) for row in rows)
    assert [float(row["same"]) for row in rows] == pytest.approx([float(row["mae"]) / worst for row in rows], rel=1e-5)
    assert [row["variation"] for row in table(place, "same_stability")] == ["scaling minmax", "scaling zscore"]


def test_a_single_checkpoint_is_selected_with_a_note(place, capsys):
    for epoch in ("2", "4"):
        Path(f"artifacts/gan/epoch_{int(epoch):04d}.safetensors").unlink()
    select_checkpoint.main()
    assert "SAMe: 10 is the only checkpoint" in capsys.readouterr().out
    found = summary(place)
    assert (found["epoch"], found["same"], found["checkpoints"]) == (10, 0, 1)
    assert found["rank_correlation"] == {"lesion_mae": None, "dice": None}


def test_slices_without_lesions_have_no_lesion_error(place):
    save_slices(lesion=np.zeros((8, 32, 32), np.uint8))
    select_checkpoint.main()
    assert summary(place)["lesion_mae"] is None
    assert {row["lesion_mae"] for row in table(place, "same")} == {""}
    assert summary(place)["rank_correlation"]["lesion_mae"] is None


@pytest.mark.parametrize(
    ("rows", "wanted"),
    [("2,0.5\n4,0.7\n10,0.1\n12,0.9\n", -1), ("10,0.9\n4,0.1\n2,0.3\n", 1), ("2,0.5\n4,0.7\n", None)],
)
def test_the_correlation_of_same_with_the_dice_of_a_table(place, rows, wanted):
    """By SAMe, epoch 4 is better than 2, and 2 than 10. A high Dice is good, so -1 means agreement."""
    Path("dice.csv").write_text("epoch,dice\n" + rows)
    write_params(dice_table="dice.csv")
    select_checkpoint.main()
    best_first = sorted(table(place, "same"), key=lambda row: float(row["same"]))
    assert [row["epoch"] for row in best_first] == ["4", "2", "10"]
    assert summary(place)["rank_correlation"]["dice"] == wanted


def test_a_malformed_table_of_dice_is_refused(place, refused):
    Path("dice.csv").write_text("checkpoint,dice\n2,0.5\n")
    write_params(dice_table="dice.csv")
    refused(select_checkpoint.main, "file dice.csv", "not a table of Dice by checkpoint", "columns epoch and dice")
    assert not Path("artifacts/generator/generator.safetensors").exists() and not Path("metrics").exists()


@pytest.mark.parametrize(
    "text",
    ["epoch,score\n2,0.5\n", "epoch,dice\nlast,0.5\n", "epoch,dice\n2,good\n", "epoch,dice\n2\n", "epoch,dice\n,0.5\n"],
)
def test_every_row_needs_an_epoch_and_its_dice(tmp_path, refused, text):
    (tmp_path / "dice.csv").write_text(text)
    refused(lambda: select_checkpoint.read_dice(str(tmp_path / "dice.csv")), "dice.csv", "not a table of Dice", "found")


def test_dice_are_read_by_epoch(tmp_path):
    (tmp_path / "dice.csv").write_text("dice,fold,epoch\n0.5,1,2\n0.25,1,0010\n")
    assert select_checkpoint.read_dice(str(tmp_path / "dice.csv")) == {"2": 0.5, "10": 0.25}
    assert select_checkpoint.read_dice("") == {}


def test_a_missing_table_of_dice_is_refused(place, refused):
    write_params(dice_table="nowhere.csv")
    refused(select_checkpoint.main, "file nowhere.csv", "missing")


@pytest.mark.parametrize("missing", ["the folder", "its files"])
def test_missing_checkpoints_are_refused(place, refused, missing):
    for path in Path("artifacts/gan").iterdir():
        path.unlink()
    if missing == "the folder":
        Path("artifacts/gan").rmdir()
    refused(select_checkpoint.main, "artifacts/gan", "no checkpoint", "run `dvc repro train_gan`")


def test_a_damaged_checkpoint_is_refused_by_name(place, refused):
    path = Path("artifacts/gan/epoch_0010.safetensors")
    path.write_bytes(path.read_bytes()[:100])
    refused(select_checkpoint.main, "checkpoint 10: ", str(path), "cannot be read")
    assert not Path("metrics").exists()


def test_a_checkpoint_with_output_that_is_not_finite_is_refused_by_name(place, refused):
    save_checkpoint("4", np.nan)
    refused(select_checkpoint.main, "checkpoint 4: ", "not finite")


def test_slices_that_do_not_belong_together_are_refused(place, refused):
    save_slices(lesion=np.zeros((7, 32, 32), np.uint8))
    refused(select_checkpoint.main, "do not belong together", "run `dvc repro extract_slices`")
