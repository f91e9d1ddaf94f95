"""The rows of plots/trainings.csv: how every training of a segmenter ended."""

from collections.abc import Mapping, Sequence

History = Sequence[Mapping[str, str]]


def training_rows(histories: Mapping[tuple[str, int], History]) -> list[dict[str, str | int]]:
    """Return one row per training: its mix and fold, and the last epoch of its history.

    histories: rows of plots/segmenters/<mix>_<fold>.csv by (mix, fold). Some epochs only have a validation Dice; the
    row has the last one.
    """
    return [
        {
            "mix": mix,
            "fold": fold,
            "epochs": history[-1]["epoch"],
            "train_loss": history[-1]["train_loss"],
            "validation_dice": [row["validation_dice"] for row in history if row["validation_dice"]][-1],
            "restarts": history[-1]["restarts"],
        }
        for (mix, fold), history in histories.items()
    ]
