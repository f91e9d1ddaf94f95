from pre2post.figures.same_dice import draw_same_dice

ROWS = [
    {
        "epoch": str(epoch),
        "same": str(same),
        "dice": str(dice),
        "ci_low": str(dice - 0.125),
        "ci_high": str(dice + 0.125),
        "n": "7",
    }
    for epoch, same, dice in ((2, 1.0, 0.25), (4, 0.25, 0.75), (6, 0.0, 0.5))
]
CORRELATIONS = [
    {"metric": "same", "spearman": "0.5", "ci_low": "-0.25", "ci_high": "1.0", "n": "3", "note": ""},
    {
        "metric": "scaled_mae",
        "spearman": "-0.5",
        "ci_low": "",
        "ci_high": "",
        "n": "3",
        "note": "4 patients: no interval",
    },
    {"metric": "epoch", "spearman": "", "ci_low": "", "ci_high": "", "n": "3", "note": "the score is the same"},
]


def rings(axes):
    return axes.collections[-1].get_offsets().tolist()


def test_both_curves_and_the_best_of_each():
    dice, correlations, same = draw_same_dice(ROWS, CORRELATIONS).axes
    assert dice.get_lines()[0].get_ydata().tolist() == [0.25, 0.75, 0.5]
    assert same.get_lines()[0].get_ydata().tolist() == [1, 0.25, 0]
    assert [axes.get_legend().get_texts()[0].get_text() for axes in (dice, same)] == [
        "best: epoch 4",
        "best: epoch 6",
    ]
    assert dice.collections[0].get_offsets().tolist() == [[4, 0.75]]
    assert rings(same) == [[6, 0]]
    assert "7 patients" in dice.get_title()
    assert "3 checkpoints" in correlations.get_xlabel()


def test_the_band_is_the_interval():
    band = draw_same_dice(ROWS, CORRELATIONS).axes[0].collections[1].get_paths()[0].vertices
    assert {tuple(point) for point in band.tolist()} >= {(2, 0.125), (2, 0.375), (4, 0.625), (4, 0.875), (6, 0.375)}
    withheld = [{**row, "ci_low": "", "ci_high": ""} for row in ROWS]
    assert len(draw_same_dice(withheld, CORRELATIONS).axes[0].collections) == 1


def test_each_score_has_its_interval_or_its_note():
    axes = draw_same_dice(ROWS, CORRELATIONS).axes[1]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["SAMe", "MAE", "epoch"]
    assert [list(line.get_xdata()) for line in axes.get_lines()[1:]] == [[-0.25, 1.0]]
    assert [points.get_offsets().tolist() for points in axes.collections] == [[[0.5, 0]], [[-0.5, 1]]]
    assert [text.get_text() for text in axes.texts] == ["the score is the same"]


def test_without_a_trained_evaluator_the_figure_says_why():
    (axes,) = draw_same_dice([], []).axes
    assert "not trained" in axes.texts[0].get_text()
