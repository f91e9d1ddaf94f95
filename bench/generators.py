"""Compare generators on the validation patients, next to baselines and to oracles that know the truth.

    python bench/generators.py artifacts/generator/generator.safetensors other=weights.safetensors
    python bench/generators.py --json bench/generators.json artifacts/gan/*.safetensors

Needs the volumes, slices and splits.json of this folder. Test and external patients are never read.
"""

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

import numpy as np

from pre2post.cohort.case import Case, find_cases
from pre2post.cohort.lesion import read_mask
from pre2post.core.errors import run_stage
from pre2post.core.files import write_json
from pre2post.core.paths import SLICES, SPLITS, VOLUMES
from pre2post.image.body_mask import smoothed
from pre2post.image.breast_mask import breast_mask
from pre2post.image.masks import lesions
from pre2post.io.slice_store import map_array
from pre2post.io.volume_file import read_volume
from pre2post.metrics.baselines import by_phase, fit_lookup_table
from pre2post.metrics.region_metrics import region_metrics
from pre2post.pipeline.params import load_params
from pre2post.pix2pixhd.neighbours import without_neighbours
from pre2post.splits.leakage import read_study
from pre2post.stats.summary import mean_interval
from pre2post.synthesis.volumes import translate

SMALLEST_ML = 0.5  # of a blob
COLUMNS = (
    "lesion_auc",
    "lesion_mae",
    "breast_mae",
    "whole_mae",
    "whole_ssim",
    "lesion_enhancement",
    "gland_enhancement",
    "blobs",
    "false_blobs",
)
RESAMPLES, STREAM = 2000, 21  # of patients, and the number of their random stream

Translate = Callable[[np.ndarray], np.ndarray]


def main() -> None:
    options = _options()
    params = load_params()
    splits, cases = read_study(SPLITS, VOLUMES)
    patients = [case for case in find_cases(splits.validation, cases) if case.has_mask][: options.patients]
    pre, post = (map_array(SLICES / f"train_{kind}.npy") for kind in ("pre", "post"))
    lookup = fit_lookup_table(without_neighbours(pre), by_phase(post)[0])
    networks = {"pre": lambda slices: slices, "lut": lookup, **{name: _load(file) for name, file in options.weights}}
    values: dict[str, list[dict[str, float]]] = {}
    for case in patients:
        for name, found in measure(case, networks, params).items():
            values.setdefault(name, []).append(found)
    rows = summary(values, params.seed)
    print(table(rows, len(patients)))
    if options.json:
        write_json(options.json, rows)


def measure(case: Case, networks: dict[str, Translate], params) -> dict[str, dict[str, float]]:
    """Return COLUMNS of every network and oracle for one patient, and of the real volume."""
    pre, real = (read_volume(case.path(role)) for role in ("pre", params.slices.phases[0]))
    lesion = read_mask(case).array > 0
    breast = breast_mask(pre.array, pre.spacing) | lesion
    before, after = case.scale.normalise(pre.array), case.scale.normalise(real.array)
    volumes = {name: translate(before, params.slices.size, run)[0] for name, run in networks.items()}
    volumes |= {f"oracle, {name}": volume for name, volume in oracles(before, after, lesion).items()}
    gland = breast & ~lesion & (before > _otsu(before[breast & ~lesion]))
    threshold = params.metrics.enhancement_threshold
    enhances = breast & ~lesion & (smoothed(after - before, 1.0) >= threshold)
    found = {}
    for name, volume in {"real": after, **volumes}.items():
        regions = {"whole": None, "breast": breast, "lesion": lesion}
        metrics = region_metrics(after, volume, regions, params.metrics.data_range, params.metrics.ssim_sigma)
        positive = breast & ~lesion & (smoothed(volume - before, 1.0) >= threshold)
        found[name] = {
            "lesion_auc": auc(volume[lesion], volume[breast & ~lesion]),
            **{f"{region}_mae": metrics[region]["mae"] for region in regions},
            "whole_ssim": metrics["whole"]["ssim"],
            "lesion_enhancement": float((volume - before)[lesion].mean()),
            "gland_enhancement": float((volume - before)[gland].mean()),
            "blobs": lesions(positive, pre.spacing, SMALLEST_ML)[1],
            "false_blobs": lesions(positive & ~enhances, pre.spacing, SMALLEST_ML)[1],
        }
    return found


def oracles(before: np.ndarray, after: np.ndarray, lesion: np.ndarray) -> dict[str, np.ndarray]:
    """Return volumes made with the patient's truth: what a generator could reach that knew a part of it.

    grey levels: the patient's own look-up table, so the amplitudes but no location. mask: the median enhancement added
    in the true mask.
    """
    own = fit_lookup_table(before, after)
    median = float(np.median((after - before)[lesion]))
    return {"grey levels": own(before), "mask": before + median * lesion}


def auc(positive: np.ndarray, negative: np.ndarray) -> float:
    """Return the probability that a voxel of `positive` is brighter than one of `negative`."""
    from scipy.stats import rankdata

    ranks = rankdata(np.concatenate([positive, negative]))[: len(positive)]
    n = len(positive)
    return float((ranks.sum() - n * (n + 1) / 2) / (n * len(negative)))


def summary(values: dict[str, list[dict[str, float]]], seed: int) -> list[dict[str, float | str]]:
    """Return the means over patients, and the gain in AUC over the untouched pre with its 95 % interval."""
    base = np.array([found["lesion_auc"] for found in values["pre"]])
    rows: list[dict[str, float | str]] = []
    for name, patients in values.items():
        gain = np.array([found["lesion_auc"] for found in patients]) - base
        low, high = mean_interval(gain, 0.95, RESAMPLES, [seed, STREAM])
        means = {column: float(np.mean([found[column] for found in patients])) for column in COLUMNS}
        rows.append({"name": name, **means, "auc_gain": float(gain.mean()), "ci_low": low, "ci_high": high})
    return rows


def table(rows: list[dict[str, float | str]], patients: int) -> str:
    """Return the rows as Markdown."""
    columns = [*COLUMNS, "auc_gain", "ci_low", "ci_high"]
    lines = [
        f"\n{patients} validation patients\n",
        f"| name | {' | '.join(columns)} |",
        "|---" * (len(columns) + 1) + "|",
    ]
    lines += [f"| {row['name']} | {' | '.join(f'{row[column]:.4f}' for column in columns)} |" for row in rows]
    return "\n".join(lines)


def _load(file: Path) -> Translate:
    from pre2post.pix2pixhd.checkpoint import load_generator
    from pre2post.pix2pixhd.infer import infer

    return partial(infer, load_generator(file))


def _otsu(values: np.ndarray) -> float:
    from skimage.filters import threshold_otsu

    return float(threshold_otsu(values))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", nargs="*", type=_named, help="FILE or NAME=FILE of generators")
    parser.add_argument("--patients", type=int, help="number of validation patients, by default all")
    parser.add_argument("--json", type=Path, help="file for the table")
    return parser.parse_args()


def _named(text: str) -> tuple[str, Path]:
    name, separator, file = text.partition("=")
    return (name, Path(file)) if separator else (Path(text).stem, Path(text))


if __name__ == "__main__":
    run_stage(main)
