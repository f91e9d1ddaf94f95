"""FROC: how many lesions are found at how many false positives per volume, from the score of every predicted piece.

The score is the mean probability of tumour in the piece. Pieces below a falling limit are dropped; each limit gives a
point of the curve (Bunch et al. 1978). A curve ends where all pieces of the masks are kept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import getitem
from typing import Any

import numpy as np

from pre2post.core.files import rounded
from pre2post.stats.bootstrap import resample_patients
from pre2post.stats.params import StatisticsParams
from pre2post.stats.summary import Seed
from pre2post.stats.tables import grouped

RATES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)  # false positives per volume, of LUNA16 (Setio et al. 2017)

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Curve:
    """Pieces by falling score of the volumes of one mix and domain.

    owner: volume of each piece. false: whether it finds no lesion. new: whether it is the first that finds its lesion.
    chance: of finding one at a random place. lesions: number in each volume.
    """

    owner: np.ndarray
    false: np.ndarray
    new: np.ndarray
    chance: np.ndarray
    lesions: np.ndarray

    def points(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return false positives per volume, sensitivity, and sensitivity by chance after each piece, from 0 on."""
        missed = np.ones(len(self.lesions))
        by_chance = [0.0]
        for owner, chance in zip(self.owner, self.chance, strict=True):
            missed[owner] *= 1 - chance
            by_chance.append(float(((1 - missed) * self.lesions).sum() / self.lesions.sum()))
        return (
            np.concatenate([[0], self.false.cumsum()]) / len(self.lesions),
            np.concatenate([[0], self.new.cumsum()]) / self.lesions.sum(),
            np.array(by_chance),
        )

    def sensitivities(self, counts: np.ndarray) -> np.ndarray:
        """Return the sensitivity at each of RATES in each resample, (n_resamples, rates).

        counts: how often each volume is drawn, (n_resamples, volumes).
        """
        weights = counts[:, self.owner]
        false, found = ((weights * kept).cumsum(axis=1) for kept in (self.false, self.new))
        found = np.concatenate([np.zeros((len(counts), 1)), found], axis=1)
        total = np.maximum(counts @ self.lesions, 1)
        volumes = counts.sum(axis=1)
        last = np.stack([(false <= rate * volumes[:, None]).sum(axis=1) for rate in RATES], axis=1)
        return np.take_along_axis(found, last, axis=1) / total[:, None]


def curves(segmentation: Sequence[Row], pieces: Sequence[Row]) -> dict[tuple[str, str], Curve]:
    """Return the curve of each mix and domain with a lesion.

    segmentation: rows of plots/segmentation.csv. pieces: rows of plots/segmentation_pieces.csv.
    """
    of_cell = {tuple(key.values()): own for key, own in grouped(pieces, ("mix", "domain"), getitem)}
    found = {}
    for key, volumes in grouped(segmentation, ("mix", "domain"), getitem):
        lesions = np.array([int(float(row["lesions"])) for row in volumes])
        if lesions.sum():
            cell = tuple(key.values())
            found[cell] = _curve(volumes, lesions, of_cell.get(cell, []))
    return found


def froc_rows(curves: Mapping[tuple[str, str], Curve], options: StatisticsParams, seed: Seed) -> list[dict]:
    """Return one row per mix, domain and rate of RATES.

    sensitivity: share of the lesions that are found at up to so many false positives per volume, with its percentile
    bootstrap interval over volumes. by_chance: the same for the same pieces at random places in the breasts.
    """
    table = []
    for (mix, domain), curve in curves.items():
        n = len(curve.lesions)
        found = curve.sensitivities(np.ones((1, n)))[0]
        false, _, by_chance = curve.points()
        low, high = [None] * len(RATES), [None] * len(RATES)
        if n >= options.min_patients:
            resampled = curve.sensitivities(resample_patients(n, options.n_resamples, seed))
            level = options.confidence_level
            low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2], axis=0).tolist()
        table += [
            {
                "mix": mix,
                "domain": domain,
                "false_positives": rate,
                "sensitivity": rounded(float(found[place])),
                "ci_low": rounded(low[place]),
                "ci_high": rounded(high[place]),
                "by_chance": rounded(float(by_chance[np.flatnonzero(false <= rate)[-1]])),
                "n": n,
            }
            for place, rate in enumerate(RATES)
        ]
    return table


def _curve(volumes: Sequence[Row], lesions: np.ndarray, pieces: Sequence[Row]) -> Curve:
    # several trainings of a mix have volumes of their own
    places = {_volume(row): place for place, row in enumerate(volumes)}
    ordered = sorted(pieces, key=lambda row: -float(row["score"]))
    found = [(places[_volume(row)], int(float(row["lesion"]))) for row in ordered]
    first = {pair: place for place, pair in reversed(list(enumerate(found))) if pair[1]}
    return Curve(
        np.array([owner for owner, _ in found], int),
        np.array([lesion == 0 for _, lesion in found], bool),
        np.array([first.get(pair) == place for place, pair in enumerate(found)], bool),
        np.array([float(row["chance"]) for row in ordered]),
        lesions,
    )


def _volume(row: Row) -> tuple[str, str]:
    return row["case"], row.get("seed") or ""
