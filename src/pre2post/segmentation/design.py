"""The design of the segmentation study in names: training mixes, their phases and baselines, and test domains."""

from collections.abc import Iterable, Mapping, Sequence

SYNTHETIC = "synthetic"  # the first phase of the generator; synthetic volumes train, but never validate
SYNTHETIC_PREFIX = f"{SYNTHETIC}_"  # of further ones, such as synthetic_post2
FIRST_POST = "post1"  # the real phase that the first synthetic phase imitates

Mix = Mapping[str, float]  # phase: fraction of the training patients whose volume of that phase is used


def is_synthetic(phase: str) -> bool:
    """Return whether a generator made this phase."""
    return phase == SYNTHETIC or phase.startswith(SYNTHETIC_PREFIX)


def imitated_phase(phase: str) -> str:
    """Return the real phase that a synthetic one imitates."""
    return FIRST_POST if phase == SYNTHETIC else phase.removeprefix(SYNTHETIC_PREFIX)


def validation_phases(mix: Mix) -> list[str]:
    """Return the phases that validate a mix: its real ones, or those that its synthetic ones imitate."""
    return [phase for phase in mix if not is_synthetic(phase)] or [imitated_phase(phase) for phase in mix]


def phases_needed(mixes: Mapping[str, Mix], train: Iterable[str]) -> list[str]:
    """Return every phase that trains or validates one of the trained mixes, sorted, so that their order is fixed."""
    return sorted({phase for name in train for phase in (*mixes[name], *validation_phases(mixes[name]))})


def baseline_of(mix: str, mixes: Mapping[str, Mix], train: Sequence[str]) -> str | None:
    """Return the trained mix to compare a mix with: the same without the phase that it lists last.

    The baseline of pre + synthetic is pre, and that of pre + post + synthetic is pre + post. A mix of synthetic
    volumes alone is compared with the real volumes that they imitate. Return None if the baseline was not trained, and
    for a single real phase.
    """
    baseline = dict(mixes[mix])
    if all(map(is_synthetic, baseline)):
        baseline = {imitated_phase(phase): fraction for phase, fraction in baseline.items()}
    else:
        baseline.popitem()
    return next((name for name in train if mixes[name] == baseline), None)


def domain_of(split: str, phase: str) -> str:
    """Return the name of a test domain: one phase of one split."""
    return f"{split}_{phase}"


def split_and_phase(domain: str) -> tuple[str, str]:
    """Invert `domain_of`: return "test" and "post1" for "test_post1"."""
    split, _, phase = domain.partition("_")
    return split, phase


def mix_label(mix: str) -> str:
    """Return "pre + synthetic" for "pre_synthetic"."""
    return mix.replace("_", " + ")


def domain_label(domain: str) -> str:
    """Return "test, post1" for "test_post1", and a split's name as it is."""
    return domain.replace("_", ", ")
