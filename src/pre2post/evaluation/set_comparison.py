"""Distances between a split's real slices and other sets of slices, patient by patient, under every extractor at once.

What they must be read against stands beside them: the baselines, the real slices of other patients (what a generator would
reach that ignores its input), and the real slices of one half of the patients against the other half.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from pre2post.metrics.extractors import Extractor
from pre2post.metrics.feature_sets import FeatureSet, set_distances

OTHERS = "other_patients"
HALVES = "halves"


class SetComparison:
    """Grows patient by patient; holds moments and samples of features only."""

    def __init__(self, extractors: Sequence[Extractor]):
        self._extractors = extractors
        self._real = [FeatureSet() for _ in extractors]
        self._halves = [(FeatureSet(), FeatureSet()) for _ in extractors]
        self._others: dict[str, list[FeatureSet]] = {}
        self._patients = 0

    @property
    def n(self) -> int:
        """Real slices so far."""
        return self._real[0].n

    def add_patient(self, real: np.ndarray, others: Mapping[str, np.ndarray]) -> None:
        """Adds a patient's normalised real slices (n, h, w), and each other set's slices of the same planes."""
        for place, one in enumerate(self._extractors):
            features = one.extract(real)
            self._real[place].add(features)
            self._halves[place][self._patients % 2].add(features)
        for name, slices in others.items():
            self.add_set(name, slices)
        self._patients += 1

    def add_set(self, name: str, slices: np.ndarray) -> None:
        """Adds slices (n, h, w) to the set of this name."""
        sets = self._others.setdefault(name, [FeatureSet() for _ in self._extractors])
        for place, one in enumerate(self._extractors):
            sets[place].add(one.extract(slices))

    def rows(self) -> Iterator[dict]:
        """{"distance", "compared", "value", "n_real", "n"} of each distance and set; n are the slices that it used.

        Sets of fewer than two slices have no distance and no row.
        """
        for place, one in enumerate(self._extractors):
            real = self._real[place]
            if real.n < 2:
                continue
            standard = one.standard(real.moments)
            pairs = {name: (real, sets[place]) for name, sets in self._others.items()} | {HALVES: self._halves[place]}
            for name, (first, second) in pairs.items():
                if min(first.n, second.n) >= 2:
                    found = set_distances(first, second, standard)
                    yield {
                        "distance": one.frechet,
                        "compared": name,
                        "value": found["frechet"],
                        "n_real": first.n,
                        "n": second.n,
                    }
                    yield {
                        "distance": one.kernel,
                        "compared": name,
                        "value": found["kernel"],
                        "n_real": len(first.sample),
                        "n": len(second.sample),
                    }
