"""One volume in, its synthetic post-contrast volume out: geometry, scale, every kind of file, every bad input."""

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
import torch
import yaml
from repository import ROOT

import predict
from pre2post.core.errors import run_stage
from pre2post.dicom.series import read_folder
from pre2post.image.n4 import log_bias_field
from pre2post.image.volume import Volume, same_geometry, to_lps
from pre2post.ingest.case_source import CaseSource
from pre2post.ingest.ingest_case import ingest_case
from pre2post.io.volume_file import read_volume, write_volume
from pre2post.pipeline.model_card import card_file, write_card
from pre2post.pipeline.params import load_params
from pre2post.pix2pixhd.architecture import Architecture
from pre2post.pix2pixhd.checkpoint import load_generator, save_generator
from pre2post.pix2pixhd.generator import make_generator
from pre2post.pix2pixhd.infer import infer
from pre2post.synthesis.volumes import synthetic_volumes

SIZE = 20  # the longer side of the fixtures' matrix of 16 x 20, so that nothing is resampled
TOLERANCE = 2e-3  # scanner units, of values up to 900: two conversions of the scale in float32
LPS = (1, 0, 0, 0, 1, 0, 0, 0, 1)
RAS = (-1, 0, 0, 0, -1, 0, 0, 0, 1)
SAGITTAL = (0, 0, -1, 1, 0, 0, 0, -1, 0)
MIRRORED = (0, -1, 0, 0, 0, 1, 1, 0, 0)
OBLIQUE = tuple(np.linalg.qr(np.array([[2, 9, 1], [-8, 2, 1.5], [-1, -2, 9.0]]))[0].ravel())


def save_weights(path: Path, change: float = 0.0, **settings) -> Path:
    """A residual generator that gives its input back, plus a random change where `change` is not 0."""
    torch.manual_seed(1)
    plan = Architecture(**{"width": 2, "downs": 1, "blocks": 1, "residual": True} | settings)
    generator = make_generator(plan)
    with torch.no_grad():
        for weight in [layer for layer in generator.modules() if isinstance(layer, torch.nn.Conv2d)][-1].parameters():
            weight *= change
    save_generator(generator, path)
    write_card(path, "a residual generator")
    return path


@pytest.fixture
def place(tmp_path, monkeypatch) -> Iterator[Path]:
    """A working directory with params.yaml and the weights that it names, which change nothing."""
    set_params(
        tmp_path, slices={"size": SIZE}, synthesis={"weights": "identity.safetensors"}, gan={"threads": 1, "downs": 1}
    )
    save_weights(tmp_path / "identity.safetensors")
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    yield tmp_path
    torch.set_num_threads(threads)


def set_params(place: Path, **sections) -> None:
    file = place / "params.yaml"
    content = yaml.safe_load((file if file.exists() else ROOT / "params.yaml").read_text())
    for section, values in sections.items():
        content[section] |= values
    file.write_text(yaml.safe_dump(content))


def run(*arguments, monkeypatch) -> None:
    """Calls the program as the command line does."""
    monkeypatch.setattr(sys, "argv", ["predict.py", *map(str, arguments)])
    run_stage(predict.main)


@pytest.fixture
def call(place, monkeypatch):
    def predicted(source, target="out/synthetic.nii.gz", *more) -> Volume:
        run("--input", source, "--output", target, *more, monkeypatch=monkeypatch)
        assert [path.name for path in Path(target).parent.iterdir()].count(Path(target).name) == 1
        assert not list(place.rglob(".*.tmp.*")), "a temporary file is left"
        return read_volume(target)

    return predicted


@pytest.mark.parametrize("direction", [LPS, RAS, SAGITTAL, MIRRORED, OBLIQUE])
@pytest.mark.parametrize(
    "source, target", [("pre.nii.gz", "post.mha"), ("pre.mha", "out/a/b.nii"), ("pre.mhd", "post.nii.gz")]
)
def test_geometry_and_values_come_back(place, call, dicom, direction, source, target):
    volume = Volume(dicom.body_array(1).astype(np.int16), (0.7, 0.9, 2.5), (-101.5, 20.25, 33.125), direction)
    image = sitk.GetImageFromArray(volume.array)
    image.SetSpacing(volume.spacing)
    image.SetOrigin(volume.origin)
    image.SetDirection(volume.direction)
    sitk.WriteImage(image, str(place / source))
    turned_shape = to_lps(read_volume(place / source)).array.shape
    set_params(place, slices={"size": max(turned_shape[1:])})
    result = call(source, target)
    assert same_geometry(result, volume, tolerance=1e-4)
    np.testing.assert_allclose(result.array, volume.array, atol=TOLERANCE)
    stored = sitk.ReadImage(target)
    assert stored.GetPixelID() == sitk.sitkFloat32 and stored.GetSize() == image.GetSize()


def test_equal_kinds_of_file_keep_the_geometry_to_the_last_digit(place, call, dicom):
    for name in ("pre.nii", "pre.mha"):
        write_volume(Volume(dicom.body_array(2), (0.7, 0.9, 2.3), (-101.7, 20.2, 33.1), OBLIQUE), place / name)
        given, result = read_volume(name), call(name, f"post{Path(name).suffix}")
        assert (result.spacing, result.origin, result.direction) == (given.spacing, given.origin, given.direction)


def test_another_matrix_is_resampled_there_and_back(place, call):
    y, x = np.indices((30, 37)) / 37
    array = 500 + 400 * np.sin(4 * x)[None] * np.cos(3 * y)[None] * np.ones((3, 1, 1))
    write_volume(Volume(array, (0.7, 0.9, 2.5), (1, 2, 3), RAS), place / "pre.nii")
    set_params(place, slices={"size": 48})
    result = call("pre.nii")
    assert same_geometry(result, read_volume("pre.nii"), tolerance=0)
    np.testing.assert_allclose(result.array[:, 3:-3, 3:-3], array[:, 3:-3, 3:-3], atol=8)


@pytest.mark.parametrize("orientation", [(1, 0, 0, 0, 1, 0), (-1, 0, 0, 0, -1, 0), (0, 1, 0, 0, 0, -1)])
def test_a_dicom_folder_gives_what_its_volume_gives(place, call, dicom, orientation):
    weights = save_weights(place / "changing.safetensors", change=1.0)
    array = dicom.body_array(3)
    dicom.save_series(place / "series", array, orientation=orientation, descending=True)
    axes = np.stack([orientation[:3], orientation[3:], np.cross(orientation[:3], orientation[3:])], axis=1)
    volume = Volume(array.astype(np.float32), dicom.spacing, dicom.origin, tuple(map(float, axes.ravel())))
    write_volume(volume, place / "pre.nii.gz")
    from_dicom = call("series", "a.nii.gz", "--weights", weights)
    from_nifti = to_lps(call("pre.nii.gz", "b.nii.gz", "--weights", weights))
    assert same_geometry(from_dicom, from_nifti, tolerance=1e-4) and same_geometry(from_dicom, to_lps(volume), 1e-4)
    np.testing.assert_array_equal(from_dicom.array, from_nifti.array)
    assert np.abs(from_dicom.array - to_lps(volume).array).max() > 1, "the generator must change something"


@pytest.mark.parametrize("existing", [False, True])
@pytest.mark.parametrize("orientation", [(1, 0, 0, 0, 1, 0), (-1, 0, 0, 0, -1, 0), (0, 1, 0, 0, 0, -1)])
def test_a_dicom_folder_becomes_one(place, call, dicom, monkeypatch, capsys, orientation, existing):
    weights = save_weights(place / "changing.safetensors", change=1.0)
    dicom.save_series(place / "series", dicom.body_array(3), orientation=orientation, descending=True)
    expected = call("series", "a.nii.gz", "--weights", weights)
    if existing:
        Path("out").mkdir()
    capsys.readouterr()
    run("--input", "series", "--output", "out/", "--weights", weights, monkeypatch=monkeypatch)
    assert capsys.readouterr().out.startswith("out: ")
    result, step = read_folder(Path("out")), 1.0
    assert same_geometry(result, expected, tolerance=1e-4)
    np.testing.assert_allclose(result.array, expected.array, atol=step / 2 + 1e-3)
    assert np.ptp(expected.array) > 100 * step, "a step must be small, or the comparison says little"
    assert not list(place.rglob(".*.tmp.*"))


@pytest.mark.parametrize("n4", [False, True])
def test_it_is_what_ingest_and_synthesize_make(place, call, dicom, n4):
    set_params(place, ingest={"n4_bias_correction": n4})
    params, weights = load_params(), save_weights(place / "changing.safetensors", change=1.0)
    study = dicom.save_case(place / "data", "P1")
    case = ingest_case(CaseSource("P1", "A", study.parent, None), place / "volumes", params.ingest).case
    pre = read_volume(case.path("pre"))
    (theirs,) = synthetic_volumes(pre, case.scale, SIZE, lambda slices: infer(load_generator(weights), slices))
    ours = call(study / "1.000000-ax dyn pre", "out.nii.gz", "--weights", weights)
    shading = np.exp(log_bias_field(read_folder(study / "1.000000-ax dyn pre"))) if n4 else np.ones(1)
    assert same_geometry(ours, theirs, tolerance=0)
    np.testing.assert_allclose(ours.array, theirs.array * shading, rtol=1e-4, atol=TOLERANCE)
    assert not n4 or np.ptp(shading) > 0.01, "the correction must change something, or its way back is not tested"


def test_a_removed_bias_field_is_put_back(place, call, dicom):
    set_params(place, ingest={"n4_bias_correction": True})
    array = dicom.body_array(4) * np.linspace(0.5, 1.5, 20)
    write_volume(Volume(array, (0.7, 0.7, 2.5)), place / "pre.nii.gz")
    np.testing.assert_allclose(call("pre.nii.gz").array, array, atol=TOLERANCE)


@pytest.mark.parametrize("settings", [{"channels": 3}, {"kind": "local"}, {"kind": "local", "channels": 3}])
def test_published_kinds_of_network_run(place, call, dicom, settings):
    weights = save_weights(place / "other.safetensors", **settings)
    write_volume(Volume(dicom.body_array(5)), place / "pre.nii.gz")
    np.testing.assert_allclose(
        call("pre.nii.gz", "out.nii.gz", "--weights", weights).array, dicom.body_array(5), atol=TOLERANCE
    )


def test_a_bounded_network_stays_within_the_scale(place, call, dicom):
    weights = save_weights(place / "tanh.safetensors", change=50.0, channels=3, residual=False)
    write_volume(Volume(dicom.body_array(6)), place / "pre.nii.gz")
    ingest = load_params().ingest
    low, top = np.percentile(dicom.body_array(6), [ingest.low_percentile, ingest.high_percentile])
    result = call("pre.nii.gz", "out.nii.gz", "--weights", weights).array
    assert low - 1e-2 <= result.min() and result.max() <= low + ingest.headroom * (top - low) + 1e-2


def test_the_same_input_gives_the_same_bytes(place, call, dicom):
    write_volume(Volume(dicom.body_array(7)), place / "pre.nii.gz")
    call("pre.nii.gz", "a.nii.gz")
    call("pre.nii.gz", "b.nii.gz")
    call("pre.nii.gz", "a.nii.gz")  # an earlier result is replaced
    assert Path("a.nii.gz").read_bytes() == Path("b.nii.gz").read_bytes()


def nifti(name: str, array: np.ndarray) -> str:
    nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), name)
    return name


def missing(dicom):
    return {"--input": "none.nii.gz"}, ("none.nii.gz", "missing")


def four_dimensions(dicom):
    return {"--input": nifti("four.nii", np.ones((4, 4, 4, 2), np.float32))}, ("four.nii", "4 dimensions")


def colours(dicom):
    sitk.WriteImage(sitk.GetImageFromArray(np.ones((4, 4, 4, 3), np.uint8), isVector=True), "rgb.mha")
    return {"--input": "rgb.mha"}, ("rgb.mha", "3 values a voxel")


def one_plane(dicom):
    return {"--input": nifti("plane.nii", np.ones((4, 4), np.float32))}, ("plane.nii", "2 dimensions")


def not_a_volume(dicom):
    Path("text.nii.gz").write_text("a letter")
    return {"--input": "text.nii.gz"}, ("text.nii.gz", "cannot be read")


def truncated(dicom):
    data = Path("pre.nii").read_bytes()
    Path("cut.nii").write_bytes(data[: len(data) // 2])
    return {"--input": "cut.nii"}, ("cut.nii",)


def a_single_dicom_file(dicom):
    file = dicom.save_series(Path("series"), dicom.body_array(0))[0]
    return {"--input": file}, (str(file), "no known kind", "folder of a DICOM series")


def empty_folder(dicom):
    Path("empty").mkdir()
    return {"--input": "empty"}, ("file empty", "no DICOM MR slices", "0 other files or folders")


def folder_of_other_files(dicom):
    Path("other").mkdir()
    Path("other/notes.txt").write_text("a letter")
    return {"--input": "other"}, ("file other", "no DICOM MR slices", "1 other files or folders")


def two_series(dicom):
    for file in dicom.save_series(Path("two"), dicom.body_array(0), "ax dyn pre", 4):
        file.rename(file.with_name(f"a{file.name}"))
    dicom.save_series(Path("two"), dicom.body_array(1), "ax dyn 1st pass", 5)
    return {"--input": "two"}, ("file two", "'ax dyn pre' (number 4, 6 files)", "'ax dyn 1st pass' (number 5, 6 files)")


def missing_slice(dicom):
    dicom.save_series(Path("gap"), dicom.body_array(0))[2].unlink()
    return {"--input": "gap"}, ("case gap", "missing")


def nan(dicom):
    array = dicom.body_array(0).astype(np.float32)
    array[0, 0, 0] = np.nan
    return {"--input": nifti("nan.nii.gz", array)}, ("nan.nii.gz", "1 of 1920 voxels")


def infinity(dicom):
    array = dicom.body_array(0).astype(np.float32)
    array[0, 0, :2] = np.inf
    sitk.WriteImage(sitk.GetImageFromArray(array), "inf.mha")
    return {"--input": "inf.mha"}, ("inf.mha", "2 of 1920 voxels")


def constant(dicom):
    return {"--input": nifti("constant.nii", np.full((4, 4, 4), 7, np.int16))}, ("no contrast", "7")


def unknown_output(dicom):
    return {"--output": "post.nrrd"}, ("post.nrrd", "no known kind", ".nii, .nii.gz, .mha")


def output_of_two_files(dicom):
    return {"--output": "post.mhd"}, ("post.mhd", "no known kind")


def output_is_a_folder(dicom):
    Path("out.nii").mkdir()
    return {"--output": "out.nii"}, ("out.nii", "is a folder", "no DICOM series", "pre.nii", ".nii.gz")


def folder_for_a_file(dicom):
    return {"--output": "out/"}, ("file out:", "is a folder", "no DICOM series", "pre.nii", ".nii.gz")


def folder_that_is_not_empty(dicom):
    dicom.save_series(Path("series"), dicom.body_array(0))
    Path("out").mkdir()
    Path("out/notes.txt").write_text("mine")
    return {"--input": "series", "--output": "out"}, ("file out:", "not empty", "another name")


def folder_that_is_the_input(dicom):
    dicom.save_series(Path("series"), dicom.body_array(0))
    return {"--input": "series", "--output": "series"}, ("file series:", "not empty")


def folder_that_is_a_file(dicom):
    dicom.save_series(Path("series"), dicom.body_array(0))
    Path("out").write_text("mine")
    return {"--input": "series", "--output": "out"}, ("file out:", "no folder")


def folder_inside_a_file(dicom):
    dicom.save_series(Path("series"), dicom.body_array(0))
    return {"--input": "series", "--output": "pre.nii/out"}, ("pre.nii", "cannot be used")


def folder_for_two_series(dicom):
    changed, texts = two_series(dicom)
    return changed | {"--output": "out"}, texts


def output_is_the_input(dicom):
    return {"--output": "../" + Path.cwd().name + "/pre.nii"}, ("pre.nii", "same file")


def output_is_a_link_to_the_input(dicom):
    os.symlink("pre.nii", "link.nii")
    return {"--output": "link.nii"}, ("link.nii", "same file")


def output_inside_a_file(dicom):
    return {"--output": "pre.nii/post.nii"}, ("pre.nii", "cannot be used")


def missing_weights(dicom):
    return {"--weights": "none.safetensors"}, ("none.safetensors", "missing")


def foreign_weights(dicom):
    torch.save({"x": torch.zeros(1)}, "foreign.pth")
    return {"--weights": "foreign.pth"}, ("foreign.pth", "cannot be read")


def folder_of_weights(dicom):
    Path("weights").mkdir()
    return {"--weights": "weights"}, ("file weights",)


def unsuitable_slices(dicom):
    weights = save_weights(Path("deep.safetensors"), downs=3)
    return {"--weights": weights}, (f"slices.size {SIZE}", "multiple of 8")


def slices_too_small(dicom):
    weights = save_weights(Path("deep.safetensors"), downs=4)
    set_params(Path(), slices={"size": 16})
    return {"--weights": weights}, ("slices.size 16", "at least 32")


def weights_of_another_card(dicom):
    weights = save_weights(Path("other.safetensors"), change=1.0)
    card_file(weights).write_bytes(card_file(Path("identity.safetensors")).read_bytes())
    return {"--weights": weights}, ("other.safetensors", "not those of their card", "pull weights and card again")


def weights_of_another_scale(dicom):
    weights = save_weights(Path("other.safetensors"))
    write_card(weights, "a generator", params={"ingest": {"headroom": 2.0}})
    return {"--weights": weights}, ("other.safetensors", "ingest.headroom 3.0 in params.yaml", "expected: 2.0")


def a_damaged_card(dicom):
    card_file(Path("identity.safetensors")).write_text('{"model": "x"}')
    return {}, ("identity.card.json", "no model card", "sha256")


def weights_that_give_nan(dicom):
    return {"--weights": save_weights(Path("nan.safetensors"), change=np.nan)}, ("not finite",)


def no_params(dicom):
    Path("params.yaml").unlink()
    return {}, ("params.yaml", "missing", "repository root")


BAD = [
    missing,
    four_dimensions,
    colours,
    one_plane,
    not_a_volume,
    truncated,
    a_single_dicom_file,
    empty_folder,
    folder_of_other_files,
    two_series,
    missing_slice,
    nan,
    infinity,
    constant,
    unknown_output,
    output_of_two_files,
    output_is_a_folder,
    folder_for_a_file,
    folder_that_is_not_empty,
    folder_that_is_the_input,
    folder_that_is_a_file,
    folder_inside_a_file,
    folder_for_two_series,
    output_is_the_input,
    output_is_a_link_to_the_input,
    output_inside_a_file,
    missing_weights,
    foreign_weights,
    folder_of_weights,
    unsuitable_slices,
    slices_too_small,
    weights_of_another_card,
    weights_of_another_scale,
    a_damaged_card,
    weights_that_give_nan,
    no_params,
]


@pytest.mark.parametrize("spoil", BAD, ids=lambda spoil: spoil.__name__)
def test_bad_input_ends_in_one_line(place, monkeypatch, capfd, dicom, spoil):
    nifti("pre.nii", dicom.body_array(0).astype(np.float32))
    Path("post.nii.gz").write_text("an earlier result")
    changed, texts = spoil(dicom)
    before = contents(place)
    capfd.readouterr()
    arguments = {"--input": "pre.nii", "--output": "post.nii.gz"} | changed
    with pytest.raises(SystemExit) as caught:
        run(*(text for pair in arguments.items() for text in pair), monkeypatch=monkeypatch)
    message = caught.value.code
    assert isinstance(message, str) and message.startswith("error: ") and "\n" not in message
    assert not [text for text in texts if text not in message], message
    assert capfd.readouterr() == ("", ""), "more than one line is printed"
    assert contents(place) == before, "an earlier result was detected, or something was left behind"


def contents(place: Path) -> dict[str, bytes]:
    return {str(file.relative_to(place)): file.read_bytes() for file in sorted(place.rglob("*")) if file.is_file()}


def test_a_full_disk_is_told_and_leaves_nothing(place, monkeypatch, dicom):
    def full(path, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    dicom.save_series(Path("series"), dicom.body_array(0))
    before = contents(place)
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(SystemExit, match=r"^error: the disk is full while writing .*/out; what to do: .*$"):
        run("--input", "series", "--output", "out", monkeypatch=monkeypatch)
    assert contents(place) == before and not (place / "out").exists()


def test_as_a_command(place, dicom):
    done = subprocess.run(
        [sys.executable, ROOT / "src/predict.py", "--input", "none.nii", "--output", "out/a.nii"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1 and not done.stdout and not (place / "out").exists()
    assert done.stderr.startswith("error: file none.nii: the input is missing") and done.stderr.count("\n") == 1


def test_help_loads_nothing_heavy():
    code = (
        "import sys; sys.path.insert(0, 'src'); import predict\n"
        "sys.exit(str({'torch', 'SimpleITK', 'pydicom', 'scipy', 'skimage', 'nibabel'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stderr.strip() == "set()"


def test_several_phases_become_files_or_folders_of_their_own(place, monkeypatch, dicom):
    set_params(place, slices={"phases": ["post1", "post3"]}, gan={"channels": 2})
    save_weights(place / "identity.safetensors", channels=2)
    nifti("pre.nii", dicom.body_array(0).astype(np.float32))
    run("--input", "pre.nii", "--output", "out/made.nii.gz", monkeypatch=monkeypatch)
    assert sorted(path.name for path in Path("out").iterdir()) == ["made_post1.nii.gz", "made_post3.nii.gz"]
    first, second = (read_volume(path) for path in Path("out").iterdir())  # of a network that changes nothing
    assert same_geometry(first, second)
    np.testing.assert_array_equal(first.array, second.array)
    dicom.save_series(place / "series", dicom.body_array(2))
    run("--input", "series", "--output", "made", monkeypatch=monkeypatch)
    assert sorted(path.name for path in Path("made").iterdir()) == ["post1", "post3"]
    assert all(len(list(folder.iterdir())) == dicom.shape[0] for folder in Path("made").iterdir())
