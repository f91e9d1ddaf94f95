"""Score every checkpoint with SAMe on the validation patients, and describe the selected one."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pre2post.core.errors import InputError, error_context
from pre2post.core.files import read_table, rounded, sha256_of
from pre2post.core.paths import CHECKPOINTS, GENERATOR, SLICES, SPLITS
from pre2post.core.progress import progress
from pre2post.core.section import Seed, StageParams
from pre2post.image.params import SlicesParams
from pre2post.ingest.params import IngestParams
from pre2post.io.slice_store import map_array
from pre2post.metrics.baselines import by_phase, fit_lookup_table
from pre2post.metrics.extractors import make_extractors, perceptual_metric
from pre2post.metrics.params import MetricsParams
from pre2post.pipeline.model_card import SAME_AS_TRAINED
from pre2post.pipeline.provenance import cohort_hash, made_with
from pre2post.pix2pixhd.checkpoint import load_generator, read_trained_on
from pre2post.pix2pixhd.generator import Generator
from pre2post.pix2pixhd.infer import infer
from pre2post.pix2pixhd.neighbours import without_neighbours
from pre2post.pix2pixhd.params import GanParams
from pre2post.same.checkpoint_scores import CheckpointScores, Infer, Slices, score_checkpoints
from pre2post.same.params import SameParams
from pre2post.same.score import Same
from pre2post.same.stability import rank_correlation, under_each_scaling, without_each_metric
from pre2post.stats.bootstrap import resample_patients
from pre2post.stats.params import StatisticsParams

INGEST_ON_CARD = [key for section, key in SAME_AS_TRAINED if section == "ingest"]  # the intensity scale
PIXEL_METRICS = ("mae", "mse", "psnr", "nmse", "ssim")  # on the card: means over patients
SELECTION_STREAM = 8  # number of this stage's random stream, so that no other stage draws the same numbers


class SelectionParams(StageParams):
    """The parameters that this stage reads."""

    seed: Seed
    statistics: StatisticsParams
    metrics: MetricsParams
    same: SameParams
    slices: SlicesParams
    gan: GanParams
    ingest: IngestParams


def card_facts(params: SelectionParams, found: CheckpointScores, best: str, slices: Slices) -> dict[str, Any]:
    """Return the content of the generator's card. Its metrics are means over the validation patients."""
    trained_on, settings, n = read_trained_on(GENERATOR), params.model_dump(), len(set(slices.patients))
    return {
        "n_patients": None if trained_on is None else len(trained_on),
        "data": cohort_hash(),
        "split": sha256_of(SPLITS),
        "made_with": made_with(GENERATOR),
        "source": f"epoch {best}, the lowest SAMe of {len(found.table)} checkpoints",
        "params": {name: settings[name] for name in ("seed", "slices", "gan")}
        | {"ingest": {key: settings["ingest"][key] for key in INGEST_ON_CARD}},
        "metrics": {
            metric: {
                "value": rounded(found.table[best][metric]),
                "n": n,
                **interval(found.resampled[best][metric], n, params.statistics),
            }
            for metric in PIXEL_METRICS
        },
        "metrics_of": "slices of the validation patients, with bootstrap intervals over patients; for the test "
        "patients see metrics/synthesis.json of the same commit",
    }


def interval(resampled: np.ndarray, n: int, settings: StatisticsParams) -> dict[str, float | None]:
    """Return the percentile interval of a metric over resamples of n patients; None if n is too small."""
    if n < settings.min_patients:
        return {"ci_low": None, "ci_high": None}
    tail = (1 - settings.confidence_level) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail])  # NaN, hence None, if a resample has no value
    return {"ci_low": rounded(low), "ci_high": rounded(high)}


def find_checkpoints() -> dict[str, Path]:
    """Return the kept checkpoints by epoch, oldest first."""
    found = {path.stem.removeprefix("epoch_").lstrip("0"): path for path in sorted(CHECKPOINTS.glob("epoch_*"))}
    if not found:
        raise InputError(
            "there is no checkpoint",
            file=CHECKPOINTS,
            expected="epoch_*.safetensors",
            hint="run `dvc repro train_gan`, or `dvc pull artifacts/gan`",
        )
    return found


def load_slices() -> Slices:
    """Map the validation slices into memory."""
    pre, post, lesion = (map_array(SLICES / f"validation_{kind}.npy") for kind in ("pre", "post", "lesion"))
    return Slices(pre, post, lesion, tuple(row["case"] for row in read_table(SLICES / "index_validation.csv")))


def score(params: SelectionParams, checkpoints: dict[str, Path], slices: Slices, device: str) -> CheckpointScores:
    """Compute every metric of every checkpoint, also for resampled patients."""
    settings = params.metrics
    bar = progress(None, "SAMe", unit="checkpoint")

    def load(path: Path) -> Infer:
        bar.update()
        return partial(run, path, load_generator(path).to(device))

    def run(path: Path, generator: Generator, images: np.ndarray) -> np.ndarray:
        with error_context(file=path):
            return infer(generator, images, phases=len(params.slices.phases))

    pre, post = (map_array(SLICES / f"train_{kind}.npy") for kind in ("pre", "post"))
    lookups = [fit_lookup_table(without_neighbours(pre), phase) for phase in by_phase(post)]
    counts = resample_patients(len(set(slices.patients)), params.same.n_resamples, [params.seed, SELECTION_STREAM])
    with bar:
        return score_checkpoints(
            {epoch: partial(load, path) for epoch, path in checkpoints.items()},
            slices,
            make_extractors(settings, params.seed, device),
            counts,
            settings.normalised_range(params.ingest.headroom),
            settings.ssim_sigma,
            perceptual_metric(settings, device),
            params.gan.threads,
            {
                "pre": lambda images: np.stack([without_neighbours(images)] * len(lookups), 1),
                "lut": lambda images: np.stack([lookup(without_neighbours(images)) for lookup in lookups], 1),
            },
        )


def as_rows(found: CheckpointScores, result: Same, frequency: dict[str, float]) -> list[dict[str, Any]]:
    """Return a row per checkpoint: SAMe, selection frequency, the metrics, and each metric scaled as in SAMe."""
    metrics = list(next(iter(result.components.values())))
    return [
        {
            "epoch": epoch,
            "same": result.scores.get(epoch),
            "selection_frequency": frequency[epoch],
            "lesion_mae": found.lesion_mae[epoch],
            **found.table[epoch],
            **{f"scaled_{metric}": result.components.get(epoch, {}).get(metric) for metric in metrics},
        }
        for epoch in found.table
    ]


def vary(found: CheckpointScores, weights: dict[str, float], scaling: str) -> list[dict[str, str]]:
    """Return a row per variation of SAMe (without a metric, other scaling) with the epoch that it selects."""
    left_out = without_each_metric(found.table, weights, scaling)
    scaled = under_each_scaling(found.table, weights)
    return [{"variation": f"without {metric}", "epoch": epoch} for metric, epoch in left_out.items()] + [
        {"variation": f"scaling {name}", "epoch": epoch} for name, epoch in scaled.items() if name != scaling
    ]


def summary(
    found: CheckpointScores,
    result: Same,
    frequency: dict[str, float],
    variations: list[dict[str, str]],
    slices: Slices,
    dice: dict[str, float],
) -> dict[str, Any]:
    """Return the content of metrics/same.json: the selected checkpoint, its metrics, stability, and the baselines."""
    return {
        "epoch": int(result.best),
        "same": result.scores[result.best],
        **found.table[result.best],
        "lesion_mae": found.lesion_mae[result.best],
        "selection_frequency": frequency[result.best],
        "selection_stability": float(np.mean([row["epoch"] == result.best for row in variations])),
        "rank_correlation": {
            "lesion_mae": rank_correlation(result.scores, found.lesion_mae),
            "dice": rank_correlation(result.scores, dice),
        },
        "baselines": {
            baseline: {**metrics, "lesion_mae": found.lesion_mae[baseline]}
            for baseline, metrics in found.baselines.items()
        },
        "checkpoints": len(found.table),
        "slices": len(slices.post),
        "patients": len(set(slices.patients)),
    }


def read_dice(path: str) -> dict[str, float]:
    """Read the Dice of segmented checkpoints by epoch from the table same.dice_table; empty without a table."""
    try:
        return {str(int(row["epoch"])): float(row["dice"]) for row in read_table(Path(path))} if path else {}
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            "this is not a table of Dice by checkpoint",
            file=path,
            found=f"no usable {error}",
            expected="columns epoch and dice",
            hint="correct it, or empty same.dice_table",
        ) from None
