import pytest
from matplotlib.colors import to_hex

from pre2post.figures.detection import DETECTED, LABELS, MISSED, draw_detection

DICE = (0.5, 0.0, 0.25, 0.0)


def rows_of(mix="post", splits=("test", "external")):
    return [
        {
            "mix": mix,
            "split": split,
            "case": f"{split}{case}",
            "size_ml": str(1 + case),
            **{f"{name}_synthetic": str(10 * case) for name in ("contrast", "heterogeneity", "entropy")},
            "enhancement_error": str(-case),
            "detected_synthetic": str(int(dice > 0)),
            "detected_real": "1",
            "chance_synthetic": "0.25",
            "chance_real": "0.5",
            "dice_synthetic": str(dice),
            "dice_real": "0.9",
        }
        for split in splits
        for case, dice in enumerate(DICE)
    ]


def correlations_of(mix="post", splits=("test", "external", "both")):
    return [
        {
            "mix": mix,
            "split": split,
            "domain": domain,
            "property": name,
            "spearman": f"0.{place}",
            "ci_low": "-0.2" if name == "size_ml" else "",
            "ci_high": "0.6" if name == "size_ml" else "",
        }
        for place, split in enumerate(splits, start=1)
        for domain in ("synthetic", "real")
        for name in LABELS
    ]


def points(axes):
    """Return {colour: points} of a panel."""
    found = {}
    for drawn in axes.collections:
        found.setdefault(to_hex(drawn.get_facecolor()[0]), []).extend(map(tuple, drawn.get_offsets().tolist()))
    return found


def test_each_patient_is_a_point_coloured_by_detection():
    figure = draw_detection(rows_of(), correlations_of(), "post")
    size, contrast = figure.axes[1:3]
    assert points(size) == {DETECTED.lower(): [(1, 0.5), (3, 0.25)] * 2, MISSED.lower(): [(2, 0), (4, 0)] * 2}
    assert points(contrast)[DETECTED.lower()][:2] == [(0, 0.5), (20, 0.25)]
    assert [axes.get_xlabel() for axes in figure.axes[1:]] == list(LABELS.values())
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "test, detected",
        "test, missed",
        "external, detected",
        "external, missed",
    ]


def test_the_titles_give_the_correlation_of_all_patients():
    figure = draw_detection(rows_of(), correlations_of(), "post")
    assert figure.axes[1].get_title() == "rank corr. +0.30 [-0.20, +0.60]"
    assert figure.axes[2].get_title() == "rank corr. +0.30"
    alone = draw_detection(rows_of(splits=("test",)), correlations_of(splits=("test",)), "post")
    assert alone.axes[1].get_title() == "rank corr. +0.10 [-0.20, +0.60]"
    none = [{**row, "spearman": ""} for row in correlations_of()]
    assert draw_detection(rows_of(), none, "post").axes[1].get_title() == "no rank correlation"


def test_the_fractions_of_every_mix_are_shown():
    rows = rows_of("pre") + rows_of("post_synthetic")
    axes = draw_detection(rows, correlations_of("pre"), "pre").axes[0]
    assert [line.get_xdata().tolist() for line in axes.get_lines()] == [[100, 50]] * 2
    assert [x for x, _ in axes.collections[0].get_offsets()] == [50, 25]  # by chance, real and synthetic
    assert [text.get_text() for text in axes.texts] == ["8 of 8", "4 of 8"] * 2
    assert [label.get_text() for label in axes.get_yticklabels()] == ["pre", "post +\nsynthetic"]


@pytest.mark.parametrize("wanted", ["post", "synthetic"])
def test_the_first_mix_replaces_one_that_was_not_trained(wanted):
    figure = draw_detection(rows_of("pre"), correlations_of("pre"), wanted)
    assert figure.get_suptitle().endswith("trained on pre")


def test_a_missing_property_is_no_point():
    rows = [{**row, "contrast_synthetic": "" if row["case"] == "test0" else "1"} for row in rows_of()]
    assert sum(map(len, points(draw_detection(rows, correlations_of(), "post").axes[2]).values())) == 7


def test_without_patients_the_figure_says_why():
    (axes,) = draw_detection([], [], "post").axes
    assert "no patient" in axes.texts[0].get_text()
    assert not axes.axison and not axes.collections
