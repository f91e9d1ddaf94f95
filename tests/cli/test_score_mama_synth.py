"""Folders of slices in, the challenge's table out: every value against an outside reference, every bad input named."""

import json
import os
import pickle
import subprocess
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from commands import PRE2POST, code_of, environment
from repository import ROOT
from scipy.ndimage import gaussian_filter
from skimage.metrics import structural_similarity
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from pre2post.cli.main import main
from pre2post.mama_synth.classifiers import region_features
from pre2post.mama_synth.metrics import hausdorff_95
from pre2post.mama_synth.mirror import mirrored_region

pytestmark = pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")  # pyradiomics's import
FOLDERS = {
    "predictions": "--predictions",
    "truth": "--ground-truth",
    "masks": "--masks",
    "pre": "--precontrast",
    "segmentations": "--segmentations",
}
CASES = 5  # of the last one the tumour mask is empty, of the one before the predicted mask
SHAPE = (44, 60)
PLACE = {"spacing": (0.8, 0.9, 2.5), "origin": (-10.25, 3.5, 7.0)}


@pytest.fixture(autouse=True)
def one_thread():
    """The matrices here are too small to share: waiting threads cost more than they bring."""
    with threadpool_limits(1):
        yield


def save(file: Path, array: np.ndarray, flat: bool, **place) -> None:
    """Writes (h, w) in two dimensions, or as one plane of three in a place of its own."""
    file.parent.mkdir(exist_ok=True)
    image = sitk.GetImageFromArray(array if flat else array[None])
    if not flat:
        place = PLACE | place
        image.SetSpacing(place["spacing"])
        image.SetOrigin(place["origin"])
    sitk.WriteImage(image, str(file))


def make_case(number: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng([7, number])
    y, x = np.indices(SHAPE)
    texture = gaussian_filter(rng.normal(size=SHAPE), 1.5)
    pre = np.full(SHAPE, -2.2)
    for centre in (16, 44):
        pre = np.where(((x - centre) / 11) ** 2 + ((y - 20) / 16) ** 2 < 1, 0.4 + texture, pre)
    tumour = (x - 44) ** 2 + (y - 18) ** 2 < (5 + number % 2) ** 2
    post, predicted = (pre + amount * tumour + rng.normal(0, 0.2, SHAPE) for amount in (2.0, 1.4))
    segmented = ((x - 43) ** 2 + (y - 20) ** 2 < 30) & (number != CASES - 2)
    inside = 1 + 254 * (number % 2)  # masks of 0 and 1, and of 0 and 255
    return {
        "predictions": predicted.astype(np.float32),
        "truth": post.astype(np.float32),
        "pre": pre.astype(np.float32),
        "segmentations": segmented.astype(np.uint8),
        "masks": (inside * (tumour & (number != CASES - 1))).astype(np.int16),
    }


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """Folders of equally named slices, every second one of two dimensions."""
    for number in range(CASES):
        for folder, array in make_case(number).items():
            save(tmp_path / folder / f"case.{number}.mha", array, flat=number % 2 == 1)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def classifiers(tmp_path_factory) -> Path:
    """Two classifiers of either kind, trained on something."""
    folder = tmp_path_factory.mktemp("classifiers")
    rng = np.random.default_rng(0)
    features, labels = [], []
    for number in range(6):
        case = make_case(10 + number)
        mask = case["masks"] > 0
        features += [region_features(case[role] + rng.normal(0, 0.5, SHAPE), mask) for role in ("truth", "pre")]
        labels += [1, 0] if number else [0, 1]
    for task, seed in (("contrast", 1), ("tumor_roi", 2)):
        models = (
            RandomForestClassifier(8, max_depth=3, random_state=seed),
            make_pipeline(StandardScaler(), LogisticRegression(C=0.01)),
        )
        for name, model in zip(("", "_2"), models, strict=True):
            content = pickle.dumps(model.fit(features, labels))
            (folder / f"{task}_classifier{name}.pkl").write_bytes(content)
    return folder


def options(**changes) -> list[str]:
    """The options for all folders; a value changes one, None leaves it out."""
    given = {option: folder for folder, option in FOLDERS.items()} | {"--output": "out/scores.json"}
    given |= {f"--{name.replace('_', '-')}": value for name, value in changes.items()}
    return [str(part) for option, value in given.items() if value is not None for part in (option, value)]


def run(**changes) -> dict:
    main(["score-mama-synth", *options(**changes)])
    return json.loads(Path("out/scores.json").read_text())


def test_equals_outside_references(place, classifiers, monkeypatch, capsys):
    from frd_score import compute_frd

    found = run(classifiers=classifiers)
    cases = [make_case(number) for number in range(CASES)]
    names = [f"case.{number}" for number in range(CASES)]
    doubles = [{role: array.astype(np.float64) for role, array in case.items()} for case in cases]
    masked = range(CASES - 1)
    mse = [np.mean((case["predictions"] - case["truth"]) ** 2) for case in doubles]
    assert [found["case"][name]["mse"] for name in names] == pytest.approx(mse, rel=1e-12)
    maps = [
        structural_similarity(doubles[k]["truth"], doubles[k]["predictions"], data_range=10, full=True)[1]
        for k in masked
    ]
    ssim = [maps[k][cases[k]["masks"] > 0].mean() for k in masked]
    assert found["aggregates"]["ssim_tumor"] == pytest.approx({"mean": np.mean(ssim), "std": np.std(ssim)}, rel=1e-12)
    files = [[str(place / folder / f"{names[k]}.mha") for k in masked] for folder in ("truth", "predictions", "masks")]
    frd = compute_frd(files[:2], paths_masks=[files[2]] * 2, frd_version="v1", num_workers=1)
    assert found["frd"] == pytest.approx(frd, rel=1e-7)
    assert found["frd_exact"] == pytest.approx(frd, rel=1e-6)
    check_segmentation(found, cases)
    check_auroc(found, doubles, classifiers)
    assert {metric: value["mean"] for metric, value in found["aggregates"].items()} == {
        metric: found[metric] for metric in found["aggregates"]
    }
    assert found["n"] == {
        "mse": 5,
        "ssim_tumor": 4,
        "frd": 4,
        "auroc_contrast": 5,
        "auroc_tumor_roi": 4,
        "dice": 3,
        "hausdorff_95": 3,
    }
    assert list(found["not_computed"]) == ["lpips"] and "lpips" in capsys.readouterr().out
    assert found["left_out"]["dice"] == {"case.3": "the predicted mask is empty", "case.4": "the mask is empty"}
    assert found["left_out"]["frd"] == {"case.4": "the mask is empty"}
    assert list(found["substituted"]["auroc_contrast"]) == ["case.4"]


def check_segmentation(found, cases):
    from monai.metrics import compute_dice
    from torch import tensor

    for number in range(3):
        pair = [cases[number][role] > 0 for role in ("segmentations", "masks")]
        dice = float(compute_dice(*(tensor(mask)[None, None].float() for mask in pair)))
        row = found["case"][f"case.{number}"]
        assert row["dice"] == pytest.approx(dice, abs=1e-6)
        assert row["hausdorff_95"] == hausdorff_95(*pair)


def check_auroc(found, cases, folder):
    rows = {"contrast": [], "tumor_roi": []}
    for case in cases:
        mask = case["masks"] > 0
        region = mask if mask.any() else ~mask
        rows["contrast"] += [region_features(case[role], region) for role in ("predictions", "pre")]
        if mask.any():
            opposite = mirrored_region(case["predictions"], mask).mask
            rows["tumor_roi"] += [region_features(case["predictions"], part) for part in (mask, opposite)]
    for task, features in rows.items():
        models = [pickle.loads(file.read_bytes()) for file in sorted(folder.glob(f"{task}_classifier*.pkl"))]
        assert len(models) == 2
        scores = np.mean([model.predict_proba(features)[:, 1] for model in models], axis=0)
        assert found[f"auroc_{task}"] == pytest.approx(roc_auc_score([1, 0] * (len(features) // 2), scores), abs=1e-12)


def test_without_options_the_rest_says_why_it_is_absent(place, monkeypatch):
    found = run(precontrast=None, segmentations=None)
    assert set(found["n"]) == {"mse", "ssim_tumor", "frd"} and found["frd_version"] == "v1"
    assert found["not_computed"] == {
        "lpips": "no --lpips-weights",
        "auroc_contrast": "no --classifiers",
        "auroc_tumor_roi": "no --classifiers",
        "dice": "no --segmentations and no --segmenter",
        "hausdorff_95": "no --segmentations and no --segmenter",
    }


def test_too_small_a_tumour_costs_the_set_its_frd_as_in_the_challenge(place, monkeypatch):
    mask = np.zeros(SHAPE, np.uint8)
    mask[10, 10:20] = 1
    save(place / "masks/case.1.mha", mask, flat=True)
    found = run()
    assert "frd" not in found and "case.1" in found["not_computed"]["frd"]
    mask[10, 11:20] = 0
    save(place / "masks/case.1.mha", mask, flat=True)
    found = run()
    assert found["n"]["frd"] == 3 and found["left_out"]["frd"]["case.1"] == "the mask has a single pixel"


def test_equal_images_have_no_frd(place, monkeypatch):
    found = run(predictions="truth", segmentations=None)
    assert found["mse"] == 0 and found["ssim_tumor"] == pytest.approx(1)
    assert "frd" not in found and "equal" in found["not_computed"]["frd"]


def test_masks_without_any_tumour_leave_the_mean_squared_error(place, monkeypatch):
    for number in range(CASES):
        save(place / f"masks/case.{number}.mha", np.zeros(SHAPE, np.uint8), flat=number % 2 == 1)
    found = run()
    assert set(found["n"]) == {"mse"} and len(found["left_out"]["ssim_tumor"]) == CASES


def test_lpips_is_that_of_clipped_images(place, monkeypatch):
    """With a stand-in for the network, whose values have tests of their own."""
    from pre2post.features import lpips

    monkeypatch.setattr(lpips, "load_lpips", lambda path, sha256: (str(path), sha256))
    monkeypatch.setattr(lpips, "lpips", lambda real, synthetic, network: np.abs(real - synthetic).mean((1, 2)))
    found = run(lpips_weights="alexnet.pth", lpips_sha256="abc")
    case = make_case(0)
    wanted = np.abs(np.clip(case["truth"], -5, 5) - np.clip(case["predictions"], -5, 5)).mean() / 5
    assert found["case"]["case.0"]["lpips"] == pytest.approx(wanted, rel=1e-6)


def test_a_segmenter_predicts_the_masks(place, monkeypatch):
    """With a stand-in for nnU-Net, whose folder has tests of its own: it sees bare pixels of 1 mm."""
    from pre2post.segmentation import model_folder as trained_folder
    from pre2post.segmentation import prediction

    seen = []
    monkeypatch.setattr(trained_folder, "load_trained_folder", lambda folder, fold: seen.append((folder, fold)))
    monkeypatch.setattr(prediction, "preprocess_array", lambda array, spacing, _: (array, {"spacing": spacing}))

    def segment(_, data, properties, threads, bfloat16):
        assert properties["spacing"] == (1, 1, 1) and not bfloat16
        return data > 1.5

    monkeypatch.setattr(prediction, "segment", segment)
    found = run(segmentations=None, segmenter="network", fold="all")
    assert seen == [(Path("network"), "all")]
    case = make_case(2)
    predicted, true = case["predictions"] > 1.5, case["masks"] > 0
    assert found["case"]["case.2"]["dice"] == 2 * (predicted & true).sum() / (predicted.sum() + true.sum())


def spoil(file, change):
    def done(place):
        image = sitk.ReadImage(str(place / file))
        array = sitk.GetArrayFromImage(image)
        changed = sitk.GetImageFromArray(change(array))
        if changed.GetSize() == image.GetSize():
            changed.CopyInformation(image)
        sitk.WriteImage(changed, str(place / file))

    return done


def put(value):
    def change(array):
        array[..., 3, 4] = value
        return array

    return change


def move(place):
    save(place / "predictions/case.2.mha", make_case(2)["predictions"], flat=False, origin=(0, 0, 0))


def unmatched(place):
    (place / "masks/case.1.mha").rename(place / "masks/case_1.mha")


def no_masks(place):
    for file in (place / "masks").iterdir():
        file.unlink()


def text(file):
    return lambda place: (place / file).write_text("a letter")


def cut(place):
    file = place / "truth/case.2.mha"
    file.write_bytes(file.read_bytes()[:-200])


def colours(place):
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((*SHAPE, 3)), isVector=True), str(place / "truth/case.1.mha"))


BAD = {
    "not a number": (spoil("predictions/case.1.mha", put(np.nan)), ("predictions/case.1.mha", "not finite", "1 of")),
    "infinite": (spoil("pre/case.2.mha", put(np.inf)), ("pre/case.2.mha", "not finite")),
    "another size": (spoil("predictions/case.3.mha", lambda array: array[:-1]), ("predictions/case.3.mha", "60 x 43")),
    "moved": (move, ("case case.2", "predictions/case.2.mha", "not that of the ground truth")),
    "unmatched": (unmatched, ("case case.1", "masks/case.1.mha", "missing")),
    "no masks": (no_masks, ("file masks", "no slice")),
    "a label": (spoil("masks/case.0.mha", put(3)), ("masks/case.0.mha", "other labels", "0, 1, 3")),
    "text": (text("truth/case.1.mha"), ("truth/case.1.mha", "cannot be read")),
    "truncated": (cut, ("truth/case.2.mha", "cannot be read")),
    "planes": (spoil("masks/case.0.mha", lambda array: np.repeat(array, 2, axis=0)), ("masks/case.0.mha", "x 2")),
    "colours": (colours, ("truth/case.1.mha", "3 values")),
    "other mask": (spoil("segmentations/case.2.mha", lambda a: a[:, 1:]), ("segmentations/case.2.mha", "60 x 43")),
    "bad mask": (text("segmentations/case.0.mha"), ("segmentations/case.0.mha", "cannot be read")),
}


@pytest.mark.parametrize("change, texts", BAD.values(), ids=BAD)
def test_bad_input_is_one_message_and_no_output(place, monkeypatch, change, texts):
    change(place)
    with pytest.raises(SystemExit) as stopped:
        run()
    message = str(stopped.value)
    absent = [text for text in texts if text not in message]
    assert message.startswith("error: ") and "\n" not in message and not absent, f"{absent} not in {message}"
    assert not Path("out").exists()


class Malicious:
    def __reduce__(self):
        return os.system, ("touch ran",)


@pytest.mark.parametrize(
    "name, content, texts",
    [
        ("tumor_roi_classifier_9.pkl", b"letter", ("tumor_roi_classifier_9.pkl", "cannot be read")),
        ("contrast_classifier_cnn.pt", b"", ("contrast_classifier_cnn.pt", "networks")),
        (
            "tumor_roi_classifier.pkl",
            pickle.dumps(LogisticRegression().fit(np.eye(4), [0, 1, 0, 1])),
            ("tumor_roi_classifier.pkl", "cannot be used", "93"),
        ),
    ],
)
def test_bad_classifiers_are_refused(place, monkeypatch, name, content, texts):
    (place / "classifiers").mkdir()
    (place / "classifiers" / name).write_bytes(content)
    with pytest.raises(SystemExit) as stopped:
        run(classifiers="classifiers")
    assert not [text for text in texts if text not in str(stopped.value)], stopped.value
    assert not Path("out").exists()


def test_the_command_runs_no_code_of_a_classifier(place):
    """Through the real command."""
    (place / "classifiers").mkdir()
    (place / "classifiers/contrast_classifier.pkl").write_bytes(pickle.dumps(Malicious()))
    done = subprocess.run(
        [*PRE2POST, "score-mama-synth", *options(classifiers="classifiers")],
        env=environment(**code_of(ROOT)),
        text=True,
        capture_output=True,
        timeout=120,
    )
    assert done.returncode == 1 and done.stderr.startswith("error: ") and "Traceback" not in done.stderr
    assert "contrast_classifier.pkl" in done.stderr and "system" in done.stderr
    assert not (place / "ran").exists() and not (place / "out").exists()


@pytest.mark.parametrize(
    "changes", [{"predictions": None}, {"segmenter": "x"}, {"lpips_weights": "x"}, {"output": "masks"}]
)
def test_options_that_do_not_fit_are_explained(place, monkeypatch, capsys, changes):
    with pytest.raises(SystemExit) as stopped:
        run(**changes)
    assert stopped.value.code == 2 and "error: " in capsys.readouterr().err


def test_a_folder_that_is_not_there_is_named(place, monkeypatch):
    for option in ("predictions", "segmentations", "classifiers"):
        with pytest.raises(SystemExit, match="nowhere"):
            run(**{option: "nowhere"})
