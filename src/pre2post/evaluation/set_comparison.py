"""Distances between the real slices of a split and other sets of slices, for all extractors.

The other sets are the synthetic slices, the baselines, and two references: real slices of other patients, the level
of a generator that ignores its input, and the two halves of the split's own patients.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from pre2post.metrics.extractors import Extractor
from pre2post.metrics.feature_sets import FeatureSet, set_distances

OTHERS = "other_patients"  # name of the set of real slices of patients outside the split
HALVES = "halves"  # name of the comparison of one half of the patients with the other


class SetComparison:
    """Collects moments and samples of features, patient by patient."""

    def __init__(self, extractors: Sequence[Extractor]) -> None:
        self._extractors = extractors
        self._real = [FeatureSet() for _ in extractors]
        self._halves = [(FeatureSet(), FeatureSet()) for _ in extractors]
        self._others: dict[str, list[FeatureSet]] = {}
        self._patients = 0

    @property
    def n(self) -> int:
        """Number of real slices so far."""
        return self._real[0].n

    def add_patient(self, real: np.ndarray, others: Mapping[str, np.ndarray]) -> None:
        """Add a patient's normalised real slices (n, h, w), and the slices of the same planes of each other set."""
        for place, extractor in enumerate(self._extractors):
            features = extractor.extract(real)
            self._real[place].add(features)
            self._halves[place][self._patients % 2].add(features)
        for name, slices in others.items():
            self.add_set(name, slices)
        self._patients += 1

    def add_set(self, name: str, slices: np.ndarray) -> None:
        """Add slices (n, h, w) to the set of this name."""
        sets = self._others.setdefault(name, [FeatureSet() for _ in self._extractors])
        for place, extractor in enumerate(self._extractors):
            sets[place].add(extractor.extract(slices))

    def rows(self) -> Iterator[dict]:
        """Yield {"distance", "compared", "value", "n_real", "n"} of each distance and set, with n in slices.

        Sets of fewer than two slices have no distance and no row.
        """
        for place, extractor in enumerate(self._extractors):
            real = self._real[place]
            if real.n < 2:
                continue
            standard = extractor.standard(real.moments)
            pairs = {name: (real, sets[place]) for name, sets in self._others.items()} | {HALVES: self._halves[place]}
            for name, (first, second) in pairs.items():
                if min(first.n, second.n) >= 2:
                    found = set_distances(first, second, standard)
                    yield {
                        "distance": extractor.frechet,
                        "compared": name,
                        "value": found["frechet"],
                        "n_real": first.n,
                        "n": second.n,
                    }
                    yield {
                        "distance": extractor.kid,
                        "compared": name,
                        "value": found["kid"],
                        "n_real": len(first.sample),
                        "n": len(second.sample),
                    }
