"""The design of the segmentation study in names: training mixes, their phases and baselines, and test domains."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

SYNTHETIC = "synthetic"  # the first phase of the generator
BASELINES = ("lut", "blur")  # look-up tables, which compete with the generator as training phases too
METHODS = (SYNTHETIC, *BASELINES)  # volumes that a method made: they train, but never validate
FIRST_POST = "post1"  # the real phase that the first made phase of a method imitates; others name it: lut_post2

THRESHOLD = "threshold"  # a segmenter without training, next to the mixes in the tables
BASELINE, RIVAL = "baseline", "rival"  # kinds of a comparison: what the last phase adds; what it adds to a baseline's

Mix = Mapping[str, float]  # phase: fraction of the training patients whose volume of that phase is used


class Comparison(NamedTuple):
    """A training mix and the one that it is compared with."""

    mix: str
    baseline: str
    kind: str


def is_synthetic(phase: str) -> bool:
    """Return whether a generator or a baseline made this phase."""
    return phase.partition("_")[0] in METHODS


def imitated_phase(phase: str) -> str:
    """Return the real phase that a made one imitates."""
    return phase.partition("_")[2] or FIRST_POST


def made_phases(method: str, phases: Sequence[str]) -> list[str]:
    """Return the names of the phases that a method makes; `phases` are the real ones, of slices.phases."""
    return [method, *(f"{method}_{phase}" for phase in phases[1:])]


def validation_phases(mix: Mix) -> list[str]:
    """Return the phases that validate a mix: its real ones, or those that its synthetic ones imitate."""
    return [phase for phase in mix if not is_synthetic(phase)] or [imitated_phase(phase) for phase in mix]


def phases_needed(mixes: Mapping[str, Mix], train: Iterable[str]) -> list[str]:
    """Return every phase that trains or validates one of the trained mixes, sorted, so that their order is fixed."""
    return sorted({phase for name in train for phase in (*mixes[name], *validation_phases(mixes[name]))})


def baseline_of(mix: str, mixes: Mapping[str, Mix], train: Sequence[str]) -> str | None:
    """Return the trained mix to compare a mix with: the same without its last made phase or, if it has none, its last.

    The baseline of pre + synthetic is pre, and that of pre + post + synthetic is pre + post. A mix of made volumes
    alone is compared with the real volumes that they imitate. Return None if the baseline was not trained, and for a
    single real phase.
    """
    baseline = dict(mixes[mix])
    if all(map(is_synthetic, baseline)):
        baseline = {imitated_phase(phase): fraction for phase, fraction in baseline.items()}
    else:
        made = [phase for phase in baseline if is_synthetic(phase)]
        del baseline[(made or list(baseline))[-1]]
    return _trained(baseline, mixes, train)


def rivals_of(mix: str, mixes: Mapping[str, Mix], train: Sequence[str]) -> list[str]:
    """Return the trained mixes that have volumes of a baseline in place of those of the generator.

    Their difference is what the generator adds to a look-up table: pre + synthetic against pre + lut.
    """
    phases = mixes[mix]
    if not any(phase.partition("_")[0] == SYNTHETIC for phase in phases):
        return []
    swapped = [{_swap(phase, baseline): fraction for phase, fraction in phases.items()} for baseline in BASELINES]
    return [name for rival in swapped if (name := _trained(rival, mixes, train))]


def comparisons(mixes: Mapping[str, Mix], train: Sequence[str]) -> list[Comparison]:
    """Return each trained mix with its baseline, then each with its rivals."""
    baselines = [Comparison(mix, other, BASELINE) for mix in train if (other := baseline_of(mix, mixes, train))]
    return baselines + [Comparison(mix, other, RIVAL) for mix in train for other in rivals_of(mix, mixes, train)]


def _trained(mix: Mix, mixes: Mapping[str, Mix], train: Sequence[str]) -> str | None:
    return next((name for name in train if mixes[name] == mix), None)


def _swap(phase: str, baseline: str) -> str:
    """Return the phase that a baseline makes in place of a synthetic one; other phases as they are."""
    method, _, rest = phase.partition("_")
    return "_".join(filter(None, (baseline, rest))) if method == SYNTHETIC else phase


def domain_of(split: str, phase: str) -> str:
    """Return the name of a test domain: one phase of one split."""
    return f"{split}_{phase}"


def split_and_phase(domain: str) -> tuple[str, str]:
    """Invert `domain_of`: return "test" and "post1" for "test_post1"."""
    split, _, phase = domain.partition("_")
    return split, phase


def mix_label(mix: str) -> str:
    """Return "pre + synthetic" for "pre_synthetic", and a name for the threshold, which is not trained."""
    return "single threshold" if mix == THRESHOLD else mix.replace("_", " + ")


def domain_label(domain: str) -> str:
    """Return "test, post1" for "test_post1", and a split's name as it is."""
    return domain.replace("_", ", ")
