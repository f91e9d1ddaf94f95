"""A case from DICOM to volumes, on the phantom whose truth is known: every naming style, every trap."""

from itertools import product

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.ndimage import label

from pre2post.cohort.case import read_cases, write_cases
from pre2post.core.files import write_table
from pre2post.image.masks import bounding_box
from pre2post.image.registration import Motion
from pre2post.image.volume import same_geometry
from pre2post.ingest.ingest_case import ingest_case
from pre2post.io.volume_file import read_volume

STYLES = ("passes", "misspelled", "multiphase", "dynamic", "vibrant", "all_pre", "views", "spair")
TRAPS = (
    frozenset(),
    frozenset({"descending"}),
    frozenset({"rotated"}),
    frozenset({"duplicated", "plain_t1"}),
    frozenset({"descending", "rotated", "duplicated", "plain_t1"}),
)


@pytest.fixture(scope="module")
def truth():
    """Three phases (z, y, x) of one phantom patient of each site, its mask and its grid."""
    from pre2post.phantom.patient import make_patient
    from pre2post.phantom.scanner import SITES, acquire

    found = {}
    for name in SITES:
        grid = SITES[name].grid(32, 8)
        patient = make_patient(3, 1, grid)
        found[name] = acquire(patient, SITES[name], [0.0, 2.0, 4.0], np.random.default_rng(0)), patient.tumour, grid
    return found


def write(root, truth, style, traps, masked=True):
    """The phantom's own writer, with volumes that are known here; the box is there whether there is a mask or not."""
    from pre2post.phantom.annotation import annotation_box
    from pre2post.phantom.case import write_mask
    from pre2post.phantom.dicom import Frame, Series, write_series
    from pre2post.phantom.roster import STYLES as NAMES
    from pre2post.phantom.scanner import SITES

    site = "B" if style in ("views", "spair") else "A"
    volumes, tumour, grid = truth[site]
    frame = Frame((3.1, -4.2, 15.3), "rotated" in traps, "descending" in traps)
    wanted = [(phase, "") for phase in range(3)] + ([(1, "again")] if "duplicated" in traps else [])
    for phase, copy in wanted:
        series = Series(
            "P1",
            "s",
            f"{phase}{copy}",
            NAMES[style].numbers[phase],
            NAMES[style].descriptions[phase],
            36000 + 150 * phase,
            True,
            150_000 * phase if style == "vibrant" else None,
        )
        folder = root / f"Duke-Breast-Cancer-MRI/P1/s/{phase}{copy}"
        write_series(folder, volumes[phase], grid, frame, series, SITES[site])
    if "plain_t1" in traps:
        series = Series("P1", "s", "plain", 3, "ax t1", 35000, False)
        write_series(root / "Duke-Breast-Cancer-MRI/P1/s/t1", volumes[2], grid, frame, series, SITES[site])
    if masked:
        (root / "segmentations").mkdir()
        write_mask(root / "segmentations/P1.nii", tumour, grid, frame)
    (root / "cases.csv").write_text(f"case,site,mask\nP1,{site},{'segmentations/P1.nii' if masked else ''}\n")
    write_table(root / "Annotation_Boxes.csv", [{"Patient ID": "P1", **annotation_box(tumour, frame)}])
    return volumes, tumour, grid, frame


@pytest.mark.parametrize(
    "style, traps",
    [*product(STYLES, (TRAPS[0], TRAPS[-1])), *product(("passes",), TRAPS[1:-1])],
    ids=lambda value: value if isinstance(value, str) else "+".join(sorted(value)) or "plain",
)
def test_every_style_and_trap_gives_the_same_volumes(tmp_path, truth, style, traps, entries_of, ingest_settings):
    volumes, tumour, grid, frame = write(tmp_path, truth, style, traps)
    taken = ingest_case(entries_of(tmp_path)[0], tmp_path / "out", ingest_settings())
    assert taken.error is None, taken.error
    assert taken.case.phases == ("pre", "post1", "post2") and taken.case.has_mask
    pre = read_volume(taken.case.path("pre"))
    for role, expected in zip(taken.case.phases, volumes, strict=True):
        volume = read_volume(taken.case.path(role))
        np.testing.assert_array_equal(volume.array, expected.astype(np.float32))
        assert same_geometry(volume, pre, tolerance=0)
    mask = read_volume(taken.case.path("mask")).array
    np.testing.assert_array_equal(mask, tumour)
    assert taken.case.box == bounding_box(mask) and taken.row["has_box"] is True
    np.testing.assert_allclose(pre.origin, np.add(grid.origin, frame.table), atol=1e-3)
    np.testing.assert_allclose(pre.spacing, grid.spacing, atol=1e-4)
    assert taken.row["mask_ml"] == f"{tumour.sum() * grid.voxel_volume / 1000:.3f}"
    assert ("ax t1" in taken.row["series_left_out"]) == ("plain_t1" in traps)
    assert ("copy" in taken.row["series_left_out"]) == ("duplicated" in traps)


def test_a_box_needs_no_mask_and_a_case_no_box(tmp_path, truth, entries_of, ingest_settings):
    tumour = write(tmp_path, truth, "passes", TRAPS[-1], masked=False)[1]
    case = ingest_case(entries_of(tmp_path)[0], tmp_path / "out", ingest_settings()).case
    assert case.box == bounding_box(tumour) and not case.has_mask
    (tmp_path / "Annotation_Boxes.csv").unlink()
    taken = ingest_case(entries_of(tmp_path)[0], tmp_path / "out", ingest_settings())
    assert taken.case.box is None and taken.row["has_box"] is False


def test_crumbs_of_a_mask_are_no_lesions(tmp_path, truth, entries_of, ingest_settings):
    grid = write(tmp_path, truth, "passes", frozenset())[2]
    entry = entries_of(tmp_path)[0]
    image = sitk.ReadImage(str(entry.mask))
    image[0:3, 0:3, 0:2] = 1
    image[8, 0, 0] = 1  # a voxel by itself
    sitk.WriteImage(image, str(entry.mask))
    one, every = (
        ingest_case(entry, tmp_path / "out", ingest_settings(min_lesion_ml=size))
        for size in (1.5 * grid.voxel_volume / 1000, 0.0)
    )
    assert (one.case.lesions, one.row["lesions"], one.row["multifocal"]) == (1, 1, False)
    count = label(sitk.GetArrayViewFromImage(image), np.ones((3, 3, 3)))[1]
    assert count > 1 and (every.case.lesions, every.row["lesions"], every.row["multifocal"]) == (count, count, True)
    write_cases(tmp_path / "out", [every.case])
    assert read_cases(tmp_path / "out") == [every.case]


def test_the_scale_comes_from_pre(tmp_path, truth, entries_of, ingest_settings):
    volumes = write(tmp_path, truth, "passes", frozenset())[0]
    case = ingest_case(entries_of(tmp_path)[0], tmp_path / "out", ingest_settings()).case
    low, top = np.percentile(volumes[0].astype(np.float32), [0.1, 99.9])
    assert (case.scale.low, case.scale.high) == pytest.approx((low, low + 3 * (top - low)))


def test_bias_correction_keeps_the_relation_of_the_phases(tmp_path, truth, entries_of, ingest_settings):
    volumes = write(tmp_path, truth, "passes", frozenset(), masked=False)[0]
    case = ingest_case(entries_of(tmp_path)[0], tmp_path / "out", ingest_settings(n4_bias_correction=True)).case
    pre, post = (read_volume(case.path(role)).array for role in ("pre", "post1"))
    seen = volumes[0] > 20
    assert not np.array_equal(pre, volumes[0])
    np.testing.assert_allclose(
        (post / np.maximum(pre, 1e-6))[seen], (volumes[1] / np.maximum(volumes[0], 1))[seen], rtol=1e-3
    )
    assert case.scale.high != pytest.approx(3 * np.percentile(volumes[0], 99.9), rel=1e-3)


def test_masks_that_do_not_fit_are_refused(tmp_path, dicom, entries_of, ingest_settings):
    dicom.save_cohort(tmp_path, 1)
    entry = entries_of(tmp_path)[0]
    bad = [
        (lambda: dicom.save_mask(tmp_path, "P1", origin=(-10, -20, 300)), "does not lie inside"),
        (lambda: dicom.save_mask(tmp_path, "P1", np.zeros(dicom.shape, np.uint8)), "mask is empty"),
        (lambda: entry.mask.write_bytes(entry.mask.read_bytes()[:900]), "truncated"),
        (entry.mask.unlink, "missing"),
    ]
    for spoil, words in bad:
        spoil()
        taken = ingest_case(entry, tmp_path / "out", ingest_settings())
        assert taken.case is None and words in str(taken.error) and "case P1" in str(taken.error)
        assert "P1.nii" in str(taken.error) and taken.row["status"] == "left out"


def test_phases_that_do_not_lie_together_are_refused(tmp_path, dicom, entries_of, ingest_settings):
    study = dicom.save_case(tmp_path, "P1")
    dicom.save_table(tmp_path, [("P1", "A", "")])
    (study / "2.000000-ax dyn 1st pass" / "1-006.dcm").unlink()
    taken = ingest_case(entries_of(tmp_path)[0], tmp_path / "out", ingest_settings())
    assert "post1 does not lie where pre lies" in str(taken.error) and "20 x 16 x 5" in str(taken.error)


def test_an_error_survives_the_way_out_of_a_worker(tmp_path, dicom, entries_of, ingest_settings):
    import pickle

    dicom.save_table(tmp_path, [("P1", "A", "")])
    (tmp_path / "Duke-Breast-Cancer-MRI").mkdir()
    taken = ingest_case(entries_of(tmp_path)[0], tmp_path / "out", ingest_settings())
    back = pickle.loads(pickle.dumps(taken))
    assert str(back.error) == str(taken.error) and back.error.case == "P1" and back.row == taken.row


def test_a_phase_on_another_grid_is_resampled_and_told(tmp_path, dicom, entries_of, ingest_settings):
    study = dicom.save_case(tmp_path, "P1", phases=1)
    dicom.save_table(tmp_path, [("P1", "A", "")])
    z, y, x = np.mgrid[:6, :10, :12]
    spacing, origin = (1.5, 1.5, 2.5), np.subtract(dicom.origin, (1.5, 1.5, 0))
    array = 100 * z + 30 * y + 15 * x
    dicom.save_series(
        study / "2.000000-ax dyn 1st pass", array, "ax dyn 1st pass", 2, "090100", "P1", spacing=spacing, origin=origin
    )
    taken = ingest_case(entries_of(tmp_path)[0], tmp_path / "out", ingest_settings())
    assert taken.error is None, taken.error
    assert taken.row["notes"].startswith("post1 resampled from 12 x 10 x 6 voxels of 1.5 x 1.5 x 2.5 mm")
    pre, post = (read_volume(taken.case.path(role)) for role in ("pre", "post1"))
    assert same_geometry(pre, post, tolerance=0)
    z, y, x = np.indices(dicom.shape)
    np.testing.assert_allclose(post.array, 100 * z + 30 * (y / 2 + 1) + 15 * (x / 2 + 1), atol=1e-2)


@pytest.mark.parametrize("limit, moved", [(0.0, False), (3.0, True), (9.0, False)])
def test_a_phase_is_moved_only_where_it_lies_further_off_than_the_limit(
    tmp_path, dicom, entries_of, ingest_settings, monkeypatch, limit, moved
):
    asked = []

    def found(volume, pre):
        asked.append(volume.array.shape)
        return Motion((0.0, 0.0, 0.0, 0.75, 0.0, 0.0), (0.0, 0.0, 0.0), 5.0)

    monkeypatch.setattr("pre2post.ingest.ingest_case.rigid_motion", found)
    dicom.save_cohort(tmp_path, 1)
    taken = ingest_case(entries_of(tmp_path)[0], tmp_path / "out", ingest_settings(register_above_mm=limit))
    assert len(asked) == (2 if limit else 0)
    assert ("post1 moved by up to 5.0 mm onto pre" in taken.row["notes"]) == moved
    post, still = (read_volume(taken.case.path("post1")).array, dicom.body_array(0) + 100)
    assert np.array_equal(post[0, :, :-1], still[0, :, 1:] if moved else still[0, :, :-1])
