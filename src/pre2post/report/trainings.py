"""The rows of plots/trainings.csv: how every training of a segmenter ended."""

from collections.abc import Mapping, Sequence

VALIDATION_DICE = ("validation_dice", "val_dice", "pseudo_dice")  # columns of a history; the first that it has is taken

History = Sequence[Mapping[str, str]]


def training_rows(histories: Mapping[str, History]) -> list[dict[str, str]]:
    """Return one row per training: mix, fold, epochs, train_loss and validation_dice of the last epoch.

    histories: rows of plots/segmenters/<mix>_<fold>.csv by <mix>_<fold>.
    """
    rows = []
    for name, history in histories.items():
        mix, _, fold = name.rpartition("_")
        last = history[-1] if history else {}
        rows.append(
            {
                "mix": mix,
                "fold": fold,
                "epochs": last.get("epoch", ""),
                "train_loss": last.get("train_loss", ""),
                "validation_dice": _last_dice(history),
            }
        )
    return rows


def _last_dice(history: History) -> str:
    """Return the last validation Dice of a history, which may have it in some epochs only; empty without any."""
    for column in VALIDATION_DICE:
        found = [row[column] for row in history if row.get(column)]
        if found:
            return found[-1]
    return ""
