import numpy as np
import pytest

from pre2post.cohort.case import read_cases
from pre2post.io.volume_file import read_volume
from pre2post.segmentation import breasts
from pre2post.segmentation.breasts import body_halves, counted, prepare

SHAPE = (2, 3, 10)
SIDES = (slice(0, 5), slice(5, 10))


def columns(*places):
    mask = np.zeros(SHAPE, np.uint8)
    mask[..., list(places)] = 1
    return mask


@pytest.fixture
def case(cohort, monkeypatch):
    return read_cases(cohort / "artifacts/volumes")[0]


@pytest.mark.parametrize(
    ("score_region", "kept"), [("both", (1, 7, 8)), ("predicted_breast", (7, 8)), ("annotated_breast", (1,))]
)
def test_what_counts_of_a_prediction(score_region, kept, case, monkeypatch):
    monkeypatch.setattr(breasts, "body_halves", lambda _: SIDES)
    found = counted(columns(1, 7, 8), columns(2), case, score_region)
    np.testing.assert_array_equal(found, columns(*kept))
    assert found.dtype == np.uint8


@pytest.mark.parametrize("score_region", ["predicted_breast", "annotated_breast"])
def test_without_a_prediction_or_a_tumour_everything_counts(score_region, case):
    np.testing.assert_array_equal(counted(columns(), columns(2), case, score_region), columns())
    np.testing.assert_array_equal(counted(columns(7), columns(), case, score_region), columns(7))


def test_the_breast_is_picked_without_a_look_at_the_mask(case, monkeypatch):
    monkeypatch.setattr(breasts, "body_halves", lambda _: SIDES)
    for true in (columns(2), columns(8)):
        np.testing.assert_array_equal(counted(columns(1, 7, 8), true, case, "predicted_breast"), columns(7, 8))


def test_halves_are_prepared_as_the_network_learned_them(case, monkeypatch):
    """Each half by itself: nnU-Net's scaling of a volume depends on all of it."""
    seen = []
    monkeypatch.setattr(
        breasts, "preprocess_array", lambda array, spacing, _: seen.append((array, spacing)) or (array, {})
    )
    image = read_volume(case.path("pre"))
    assert len(prepare(image, case, "both", None)) == 1
    assert len(prepare(image, case, "breast", None)) == 2
    np.testing.assert_array_equal(seen[0][0], image.array)
    np.testing.assert_array_equal(np.concatenate([seen[1][0], seen[2][0]], axis=2), image.array)
    assert seen[1][0].shape[2] == body_halves(case)[0].stop
    assert all(spacing == (5.0, 2.5, 2.5) for _, spacing in seen)
