from pre2post.report.trainings import training_rows


def row(epoch: int, loss: float, dice: str, restarts: int = 0) -> dict[str, str]:
    return {"epoch": str(epoch), "train_loss": str(loss), "validation_dice": dice, "restarts": str(restarts)}


def test_one_row_per_training_with_its_last_epoch_and_last_validation():
    histories = {
        ("pre_synthetic", 0): [row(1, 0.5, "0.1"), row(2, -0.5, "0.7"), row(3, -0.6, "")],
        ("pre", 2): [row(1, 0.5, "0.2", restarts=1)],
    }
    assert training_rows(histories) == [
        {
            "mix": "pre_synthetic",
            "fold": 0,
            "epochs": "3",
            "train_loss": "-0.6",
            "validation_dice": "0.7",
            "restarts": "0",
        },
        {"mix": "pre", "fold": 2, "epochs": "1", "train_loss": "0.5", "validation_dice": "0.2", "restarts": "1"},
    ]
