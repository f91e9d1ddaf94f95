"""Score every kept checkpoint on the validation patients; the one with the lowest SAMe becomes the generator."""

import shutil

import torch

from pre2post.core.device import best_device
from pre2post.core.errors import run_stage
from pre2post.core.files import atomic_path, write_tracked_table
from pre2post.core.paths import GENERATOR, METRICS, PLOTS
from pre2post.pipeline.model_card import write_card
from pre2post.pipeline.provenance import write_metrics
from pre2post.same.score import same
from pre2post.same.selection import (
    SelectionParams,
    as_rows,
    card_facts,
    find_checkpoints,
    load_slices,
    read_dice,
    score,
    summary,
    vary,
)
from pre2post.same.stability import selection_frequency


def main() -> None:
    params = SelectionParams.read()
    torch.set_num_threads(1)  # checkpoints are scored in parallel instead, which is faster than waiting threads
    device = best_device()
    slices, checkpoints, dice = load_slices(), find_checkpoints(), read_dice(params.same.dice_table)
    found = score(params, checkpoints, slices, device)
    weights = params.same.weights.model_dump()
    result = same(found.table, weights, params.same.scaling)
    for note in result.notes:
        print(f"SAMe: {note}")
    frequency = selection_frequency(found.resampled, weights, params.same.scaling)
    write_tracked_table(PLOTS / "same.csv", as_rows(found, result, frequency))
    variations = vary(found, weights, params.same.scaling)
    write_tracked_table(PLOTS / "same_stability.csv", variations)
    print(
        f"SAMe: epoch {result.best} is selected, also in {frequency[result.best]:.1%} of {params.same.n_resamples} "
        f"resamples of patients and in {sum(row['epoch'] == result.best for row in variations)} of {len(variations)} "
        "variations"
    )
    write_metrics(METRICS / "same.json", summary(found, result, frequency, variations, slices, dice))
    with atomic_path(GENERATOR) as temporary:
        shutil.copyfile(checkpoints[result.best], temporary)
    write_card(GENERATOR, "Pix2PixHD generator", **card_facts(params, found, result.best, slices))


if __name__ == "__main__":
    run_stage(main)
