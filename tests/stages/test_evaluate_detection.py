"""The stage that compares detection in real and synthetic volumes, on lesions of known contrast."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from repository import ROOT

import evaluate_detection
from pre2post.core.errors import InputError
from pre2post.image.volume import Volume
from pre2post.io.volume_file import write_volume

SHAPE, SPACING = (10, 24, 24), (3.0, 3.0, 5.0)
CASES = {"T1": "test", "T2": "test", "T3": "test", "X1": "external", "X2": "external", "X3": "external"}
BRIGHT = {case: 20 + 10 * place for place, case in enumerate(CASES)}  # scanner units added in the synthetic lesion
REAL = 120  # and in the real one
LESION_ML = {}


def write_case(case: str, place: int) -> None:
    rng = np.random.default_rng(place)
    z, y, x = np.indices(SHAPE)
    lesion = ((z - 5) * 5) ** 2 + ((y - 14) * 3) ** 2 + ((x - 12) * 3) ** 2 < (8 + place) ** 2
    body = (y > 6) & (abs(x - 12) < 10)
    pre = np.where(body, rng.normal(150, 10, SHAPE), rng.uniform(0, 4, SHAPE))
    volume = Volume(pre.astype(np.float32), SPACING)
    folder = Path("artifacts/volumes") / case
    write_volume(volume, folder / "pre.nii")
    write_volume(volume.like((pre + REAL * lesion).astype(np.float32)), folder / "post1.nii")
    write_volume(volume.like(lesion.astype(np.uint8)), folder / "mask.nii.gz")
    write_volume(
        volume.like((pre + BRIGHT[case] * lesion).astype(np.float32)), Path(f"artifacts/synthetic/{case}.nii.gz")
    )
    LESION_ML[case] = lesion.sum() * 0.045


def write_segmentation(phases=("pre", "post1", "synthetic"), leave_out=()) -> None:
    """In synthetic volumes a lesion is detected from 50 scanner units, and its Dice grows with them."""
    rows = ["mix,domain,case,dice,detected,detected_by_chance,lesions,true_ml"]
    pieces = ["mix,domain,case,piece,score,lesion,chance"]
    for mix in ("pre", "post"):
        for case, split in CASES.items():
            for phase in phases:
                dice = max(0, BRIGHT[case] - 40) / 100 if phase == "synthetic" else 0.8
                if (case, phase) not in leave_out:
                    rows.append(f"{mix},{split}_{phase},{case},{dice},{float(dice > 0)},0.25,1,1")
                    pieces.append(f"{mix},{split}_{phase},{case},1,{0.5 + dice / 10},{int(dice > 0)},0.25")
    Path("plots").mkdir(exist_ok=True)
    Path("plots/segmentation.csv").write_text("\n".join(rows) + "\n")
    Path("plots/segmentation_pieces.csv").write_text("\n".join(pieces) + "\n")


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    content["statistics"]["min_patients"] = 3
    Path("params.yaml").write_text(yaml.safe_dump(content))
    for number, case in enumerate(CASES):
        write_case(case, number)
    Path("artifacts/volumes/cases.json").write_text(
        json.dumps(
            [
                {
                    "id": case,
                    "site": "A",
                    "phases": ["pre", "post1"],
                    "has_mask": True,
                    "low": 0.0,
                    "high": 400.0,
                    "box": None,
                    "lesions": 1,
                    "patient": case,
                    "study": "",
                    "pixels": "",
                    "predefined_split": "",
                }
                for case in CASES
            ]
        )
    )
    write_segmentation()
    return tmp_path


def table(name: str) -> list[dict]:
    with open(f"plots/{name}.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_every_patient_has_the_properties_of_both_images(place):
    evaluate_detection.main()
    rows = table("detection")
    assert [(row["mix"], row["split"], row["case"]) for row in rows] == [
        (mix, split, case) for mix in ("pre", "post") for case, split in CASES.items()
    ]
    for row in rows:
        bright = BRIGHT[row["case"]]
        assert float(row["size_ml"]) == pytest.approx(LESION_ML[row["case"]])
        assert float(row["enhancement_error"]) == pytest.approx((bright - REAL) / 400, abs=1e-4)
        assert float(row["contrast_real"]) == pytest.approx(REAL / 10, rel=0.25)
        assert float(row["contrast_synthetic"]) == pytest.approx(bright / 10, rel=0.4)
        assert float(row["heterogeneity_real"]) == pytest.approx(10 / (150 + REAL), rel=0.4)
        assert (row["detected_real"], row["chance_real"], row["dice_real"]) == ("1.0", "0.25", "0.8")
        assert float(row["detected_synthetic"]) == (bright > 40) == (float(row["dice_synthetic"]) > 0)


def test_rates_and_correlations_are_summarised(place):
    evaluate_detection.main()
    found = json.loads(Path("metrics/detection.json").read_text())
    assert list(found) == ["pre", "post", "provenance"] and list(found["post"]) == ["test", "external", "both"]
    both = found["post"]["both"]
    assert (both["synthetic"], both["real"], both["difference"], both["n"]) == (0.5, 1, -0.5, 6)
    assert both["real_by_chance"] == 0.25 and both["ci_low"] < -0.5 < both["ci_high"]
    assert both["spearman"]["enhancement_error"] > 0.9
    (strongest,) = [
        row
        for row in table("detection_properties")
        if (row["mix"], row["split"], row["domain"], row["property"])
        == ("post", "external", "synthetic", "enhancement_error")
    ]
    assert float(strongest["spearman"]) == 1 and int(strongest["n"]) == 3


def test_sensitivity_by_false_positives_is_in_a_table(place):
    evaluate_detection.main()
    found = {(row["mix"], row["domain"], float(row["false_positives"])): row for row in table("froc")}
    assert len(found) == 2 * 6 * 7
    external = found["pre", "external_synthetic", 0.5]
    assert (float(external["sensitivity"]), float(external["by_chance"])) == (1, 0.25)
    # In the volumes of the test split one of three lesions is found, and two pieces are false.
    assert [float(found["pre", "test_synthetic", rate]["sensitivity"]) for rate in (0.125, 1.0)] == [0, 0]


def test_a_patient_without_the_real_phase_is_in_no_comparison(place):
    write_segmentation(leave_out={("T2", "post1")})
    evaluate_detection.main()
    assert {row["case"] for row in table("detection")} == CASES.keys() - {"T2"}


@pytest.mark.parametrize("phases", [("pre", "post1"), ("pre", "synthetic")])
def test_without_both_domains_the_tables_are_empty_and_a_note_says_why(place, phases, capsys):
    write_segmentation(phases)
    evaluate_detection.main()
    assert "add synthetic and post1 to segmentation.test_phases" in capsys.readouterr().out
    assert table("detection") == table("detection_properties") == []
    assert list(json.loads(Path("metrics/detection.json").read_text())) == ["note", "provenance"]


def test_a_case_without_tumour_is_left_out_and_reported(place, capsys):
    write_volume(Volume(np.zeros(SHAPE, np.uint8), SPACING), Path("artifacts/volumes/T1/mask.nii.gz"))
    evaluate_detection.main()
    assert "case T1 is left out" in capsys.readouterr().out
    assert {row["case"] for row in table("detection")} == CASES.keys() - {"T1"}


def test_missing_volumes_and_other_geometries_are_named(place):
    write_volume(Volume(np.zeros(SHAPE, np.float32), SPACING, (9.0, 0.0, 0.0)), Path("artifacts/synthetic/X2.nii.gz"))
    with pytest.raises(InputError, match=r"case X2, file artifacts/synthetic/X2\.nii\.gz: .*differ in geometry"):
        evaluate_detection.main()
    Path("artifacts/synthetic/X1.nii.gz").unlink()
    with pytest.raises(InputError, match=r"case X1.*missing"):
        evaluate_detection.main()
    assert not Path("metrics/detection.json").exists()


def test_the_same_run_gives_the_same_bytes(place):
    found = []
    for _ in range(2):
        evaluate_detection.main()
        found.append(
            [
                Path(name).read_bytes()
                for name in (
                    "plots/detection.csv",
                    "plots/detection_properties.csv",
                    "plots/froc.csv",
                    "metrics/detection.json",
                )
            ]
        )
    assert found[0] == found[1]
