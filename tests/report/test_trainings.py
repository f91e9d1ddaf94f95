from pre2post.report.trainings import training_rows


def test_one_row_per_training_with_its_last_epoch():
    histories = {
        "pre_synthetic_0": [
            {"epoch": "1", "train_loss": "0.5", "pseudo_dice": "0.1"},
            {"epoch": "2", "train_loss": "-0.5", "pseudo_dice": "0.7"},
        ]
    }
    assert training_rows(histories) == [
        {"mix": "pre_synthetic", "fold": "0", "epochs": "2", "train_loss": "-0.5", "validation_dice": "0.7"}
    ]


def test_the_dice_of_whole_volumes_is_preferred_even_if_only_some_epochs_have_it():
    history = [
        {"epoch": "1", "validation_dice": "0.6", "pseudo_dice": "0"},
        {"epoch": "2", "validation_dice": "", "pseudo_dice": "0.9"},
    ]
    (row,) = training_rows({"pre_1": history})
    assert row["validation_dice"] == "0.6"


def test_a_history_without_epochs_or_dice_has_empty_cells():
    assert [row["validation_dice"] for row in training_rows({"pre_0": [], "pre_1": [{"epoch": "1"}]})] == ["", ""]
