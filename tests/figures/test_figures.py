"""Figures show the given numbers, and the same numbers give the same file."""

import dataclasses

import numpy as np
import pytest
from matplotlib.pyplot import imread

from pre2post.figures.canvas import DOTS_PER_INCH, draw_note, save
from pre2post.figures.cohort import draw_cohort
from pre2post.figures.curves import LOSSES, PARTS, draw_losses, draw_same
from pre2post.figures.dice import draw_dice, draw_dice_paired
from pre2post.figures.examples import Example, draw_examples
from pre2post.figures.outlines import Outlined, draw_outlines, worst_cases
from pre2post.figures.synthesis import draw_synthesis


@pytest.fixture
def example():
    random = np.random.default_rng(0)
    pre, post = random.random((2, 3, 8, 10))
    mask = np.zeros((3, 8, 10), np.uint8)
    mask[1, 2:5, 2:5] = 1
    return Example("001: best", pre, post, post - 0.25, mask, aspect=1.0)


def lines(axes):
    return {line.get_label(): line.get_ydata().tolist() for line in axes.get_lines()}


def test_losses_are_drawn_by_epoch():
    history = [
        {"epoch": str(epoch), "learning_rate": "0.1", **{name: str(epoch + 1) for name in LOSSES}, "g_l1": "0.0"}
        for epoch in (1, 2)
    ]
    drawn = lines(draw_losses(history).axes[0])
    assert set(drawn) == set(LOSSES.values()) - {"L1 (G)"}  # a loss with weight 0 has no line
    assert drawn["feature matching (G)"] == [2.0, 3.0]


def test_same_marks_the_lowest():
    rows = [
        {
            "epoch": str(epoch),
            "same": str(same),
            "selection_frequency": "0.5",
            **{f"scaled_{part}": "0.5" for part in PARTS},
        }
        for epoch, same in ((10, 0.8), (20, 0.1), (30, 0.4))
    ]
    axes = draw_same(rows).axes[0]
    assert lines(axes)["SAMe"] == [0.8, 0.1, 0.4]
    assert [text.get_text() for text in axes.texts] == ["selected: epoch 20"]


def test_examples_show_the_slice_with_most_tumour_and_the_signed_difference(example):
    figure = draw_examples([example])
    images = [axes.get_images()[0].get_array() for axes in figure.axes[:4]]
    np.testing.assert_array_equal(images[0], example.pre[1])
    np.testing.assert_array_equal(images[1], example.post[1])
    np.testing.assert_allclose(images[3], -0.25)


def test_errors_are_joined_per_patient_over_the_methods():
    rows = [
        {"split": "test", "case": case, "region": region, "method": method, "mae": str(mae)}
        for region in ("lesion", "breast", "contralateral", "whole")
        for case, shift in (("a", 0), ("b", 1))
        for method, mae in (
            ("pre", 3 + shift),
            ("lut", 2 + shift),
            ("blur", 4 + shift),
            ("synthetic", 1 + shift),
            ("oracle", 0 + shift),
        )
    ]
    axes = draw_synthesis(rows).axes[0]
    assert sorted(line.get_ydata().tolist() for line in axes.get_lines()) == [[3, 2, 4, 1, 0], [4, 3, 5, 2, 1]]


def dice_row(mix, domain, dice, low=None, baseline=None, difference=None):
    return {
        "mix": mix,
        "domain": domain,
        "dice": dice,
        "ci_low": low,
        "ci_high": 0.9,
        "baseline": baseline,
        "difference": difference,
    }


def test_each_cell_has_the_dice_its_interval_and_its_difference():
    axes = draw_dice(
        [
            dice_row("pre", "test_pre", 0.5, 0.4),
            dice_row("pre", "test_post1", 0.25),
            dice_row("pre_post", "test_pre", 0.1, 0.0, "pre", -0.4),
            dice_row("pre_post", "test_post1", 0.249, 0.2, "pre", -0.001),
        ]
    ).axes[0]
    assert [text.get_text() for text in axes.texts] == [
        "0.50\n0.40 to 0.90",
        "0.25",
        "0.10\n0.00 to 0.90\n-0.40",
        "0.25\n0.20 to 0.90\n+0.00",
    ]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["pre", "pre + post\nbaseline: pre"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["test,\npre", "test,\npost1"]


def test_cells_are_coloured_by_the_difference_around_0():
    (image,) = (
        draw_dice(
            [
                dice_row("pre", "test_pre", 0.5),
                dice_row("pre", "external_pre", 0.5),
                dice_row("mix", "test_pre", 0.8, None, "pre", 0.3),
                dice_row("mix", "external_pre", 0.4, None, "pre", -0.1),
            ]
        )
        .axes[0]
        .get_images()
    )
    np.testing.assert_array_equal(image.get_array().filled(9), [[9, 9], [0.3, -0.1]])
    assert image.get_clim() == (-0.3, 0.3)
    grey, better, worse = image.to_rgba(image.get_array())[[0, 1, 1], [0, 0, 1], :3]
    assert np.ptp(grey) == 0 and better[2] > better[0] and worse[0] > worse[2]
    np.testing.assert_allclose(image.cmap(image.norm(0.0))[:3], 0.97, atol=0.01)  # white


def test_small_differences_stay_pale_and_a_missing_cell_is_left_out():
    axes = draw_dice(
        [
            dice_row("pre", "test_pre", 0.5),
            dice_row("mix", "test_pre", 0.51, None, "pre", 0.01),
            dice_row("mix", "test_post2", 0.2),
        ]
    ).axes[0]
    assert axes.get_images()[0].get_clim() == (-0.05, 0.05)
    assert len(axes.texts) == 3


SEGMENTATION = [
    {
        "mix": mix,
        "domain": f"{split}_{phase}",
        "case": f"{split}{case}",
        "true_ml": str(1 + case),
        "dice": str(dice),
    }
    for mix, values in (
        ("pre", (0.25, 0.0, 0.0, 0.0)),
        ("post", (0.75, 0.0, 0.5, 0.0)),
        ("pre_post", (1.0, 0.25, 0.25, 0.5)),
    )
    for split in ("test", "external")
    for phase in ("pre", "post1")
    for case, dice in enumerate(values)
]


def gain(mix, baseline, domain, difference="0.1", low="-0.001", metric="dice"):
    return {
        "mix": mix,
        "baseline": baseline,
        "domain": domain,
        "difference": difference,
        "ci_low": low,
        "ci_high": low and "0.25",
        "metric": metric,
    }


def test_paired_dice_joins_each_patient_from_baseline_to_mix():
    figure = draw_dice_paired(
        SEGMENTATION,
        [
            gain("pre_post", "pre", "test_pre"),
            gain("pre_post", "pre", "external_pre", low=""),
            gain("pre_post", "pre", "test_pre", metric="hd95"),
        ],
    )
    axes = figure.axes
    assert len(axes) == 2
    assert sorted(line.get_ydata().tolist() for line in axes[0].get_lines()) == [
        [0, 0.25],
        [0, 0.25],
        [0, 0.5],
        [0.25, 1],
    ]
    assert [one.get_title() for one in axes] == ["+0.10 [-0.00, +0.25]", "+0.10"]
    assert axes[0].get_ylabel() == "Dice\npre + post\nbaseline: pre"
    means = [bar.get_segments()[0][0, 1] for bar in axes[0].collections if hasattr(bar, "get_segments")]
    assert means == [pytest.approx(0.0625), pytest.approx(0.5)]


def test_paired_dice_needs_both_sides_of_a_patient_and_reports_panels_without_any():
    rows = [row for row in SEGMENTATION if (row["mix"], row["case"]) != ("pre", "test1")]
    figure = draw_dice_paired(
        rows, [gain("pre_post", "pre", "test_pre"), gain("pre_post", "pre", "test_post1", difference="", low="")]
    )
    assert len(figure.axes[0].get_lines()) == 3
    assert figure.axes[1].get_title() == "no patient in both"
    assert not any(axes.axison for axes in draw_dice_paired(rows, []).axes)


def test_the_worst_of_the_best_baseline_are_chosen_large_tumours_first():
    gains = [
        gain("pre_post", "post", "test_pre"),
        gain("pre_post_synthetic", "pre_post", "test_pre"),
        gain("post_synthetic", "post", "test_pre"),
    ]
    rows = SEGMENTATION + [{**row, "mix": "post_synthetic", "dice": "1"} for row in SEGMENTATION[:16]]
    rows = [{**row, "dice": "0.01"} if row["mix"] == "pre_post" else row for row in rows]  # a poor baseline
    rows = [{**row, "dice": "0"} if row["domain"].endswith("pre") else row for row in rows]
    found = worst_cases(rows, gains)
    assert [(one.domain, one.case) for one in found] == [
        ("test_post1", "test3"),
        ("test_post1", "test1"),
        ("external_post1", "external3"),
        ("external_post1", "external1"),
    ]
    assert found[0].dice == {"post": 0.0, "pre_post": 0.01}  # the first one that is compared with it


def test_without_baselines_the_best_mix_is_shown_alone():
    found = worst_cases([row for row in SEGMENTATION if row["mix"] != "pre_post"], [])
    assert [list(one.dice) for one in found] == [["post"]] * 4
    assert found[0].case == "test3" and found[0].domain == "test_pre"


def test_outlines_show_the_slices_with_most_tumour_and_most_false_positives():
    image, annotated = np.random.default_rng(0).random((4, 8, 10)), np.zeros((4, 8, 10), np.uint8)
    annotated[1, 2:5, 2:5] = 1
    one, other = annotated.copy(), np.zeros_like(annotated)
    one[1, 2, 6], one[3, 4, 4:7] = 1, 1
    figure = draw_outlines([Outlined("001", image, annotated, {"pre": one, "pre_post": other}, 1.0)])
    shown = [axes.get_images()[0].get_array() for axes in figure.axes]
    for found, z in zip(shown, (1, 1, 3), strict=True):
        np.testing.assert_array_equal(found, image[z])
    assert [len(axes.collections) for axes in figure.axes] == [0, 2, 1]  # an empty mask has no outline
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "annotated",
        "trained on pre",
        "trained on pre + post",
    ]


def test_outlines_of_a_perfect_prediction_stay_at_the_tumour():
    image, annotated = np.ones((3, 5, 5)), np.zeros((3, 5, 5), bool)
    annotated[2, 1:3, 1:3] = True
    image[2] = 2
    figure = draw_outlines([Outlined("001", image, annotated, {"pre": annotated}, 1.0)])
    assert [axes.get_images()[0].get_array().max() for axes in figure.axes] == [2, 2, 2]


def test_a_saved_figure_has_its_size_its_content_and_the_same_bytes_each_time(example, tmp_path):
    for name in ("a.png", "b.png"):
        save(draw_examples([example]), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    pixels = imread(tmp_path / "a.png")
    assert pixels.shape[:2] == (round(2.3 * DOTS_PER_INCH), 14 * DOTS_PER_INCH)
    brighter = dataclasses.replace(example, post=example.post + 0.5)
    save(draw_examples([brighter]), tmp_path / "c.png")
    assert np.abs(imread(tmp_path / "c.png") - pixels).max() > 0.1
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["a.png", "b.png", "c.png"]  # no temporary file


def test_a_note_is_the_only_content_of_its_figure():
    (axes,) = draw_note("nothing to draw").axes
    assert [text.get_text() for text in axes.texts] == ["nothing to draw"]
    assert not axes.axison


def cohort_row(case, site="A", role="test", times="0 90 ?", mask_ml="2.5"):
    return {
        "case": case,
        "site": site,
        "role": role,
        "status": "skipped" if role == "skipped" else "used",
        "phases": "pre post1 post2",
        "times_s": times,
        "spacing_mm": "0.7 x 0.7 x 2.5",
        "mask_ml": mask_ml,
    }


def test_the_cohort_shows_every_case_in_its_panel():
    rows = [
        cohort_row("1"),
        cohort_row("2", role="validation"),
        cohort_row("3", "B", "external", "0 110 200"),
        cohort_row("4", "B", "skipped"),
    ]
    figure = draw_cohort(rows)
    roles, times, voxels, tumours = figure.axes
    assert figure.get_suptitle() == "Cohort: 3 cases used, 1 skipped"
    assert sum(patch.get_height() for patch in roles.patches) == 4
    assert [label.get_text() for label in times.get_xticklabels()] == ["post1\nn = 3", "post2\nn = 1"]
    assert {tuple(point) for part in voxels.collections for point in part.get_offsets()} == {(0.7, 2.5)}
    assert sum(len(part.get_offsets()) for part in tumours.collections) == 3


def test_a_cohort_without_masks_times_or_cases_is_drawn():
    figure = draw_cohort([cohort_row("1", times="", mask_ml="")])
    assert [axes.texts[0].get_text() for axes in (figure.axes[1], figure.axes[3])] == [
        "no times in the headers",
        "no masks",
    ]
    (axes,) = draw_cohort([cohort_row("1", role="skipped")]).axes
    assert [text.get_text() for text in axes.texts] == ["no case of the cohort is used"]
