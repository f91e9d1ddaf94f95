"""Results of the synthesis as sets of slices, and the choice of the checkpoint."""

from pre2post.report.image_quality import BASELINES
from pre2post.report.markdown import listed, number, table
from pre2post.report.results import Results, figure, find
from pre2post.segmentation.design import domain_label

DISTANCES = {
    "fd_random": "random-network features",
    "kid_random": "random-network features (KID)",
    "fd_texture": "texture features",
    "kid_texture": "texture features (KID)",
}
METHODS = {"synthetic": "synthetic"} | BASELINES
COMPARED = (*METHODS, "other_patients", "halves")


def distances(results: Results) -> str:
    rows = []
    found = results.tables["synthesis_distances"]
    for split in results.splits:
        for distance, name in DISTANCES.items():
            cells = [find(found, split=split, distance=distance, compared=compared) for compared in COMPARED]
            if cells[0]["value"]:
                rows.append(
                    [f"{domain_label(split)}, {name}", cells[0]["n"], *(number(cell["value"], 1) for cell in cells)]
                )
    header = ["", "n", *METHODS.values(), "other patients", "halves (half the n)"]
    return (
        "Distance to the set of real slices; lower is better. n counts slices. The last two columns are "
        "reference values: the real slices of other patients, and one half of the real patients against the other."
        "\n\n" + table(header, rows)
    )


def checkpoint_choice(results: Results) -> str:
    same = results.metrics["same"]
    stability = results.tables["same_stability"]
    agreeing = [row["variation"] for row in stability if row["epoch"] == str(same["epoch"])]
    differing = [f"{row['variation']} (epoch {row['epoch']})" for row in stability if row["variation"] not in agreeing]
    return "\n\n".join(
        [
            f"SAMe selects epoch {same['epoch']} among {same['checkpoints']} checkpoints, on {same['patients']} "
            f"validation patients with {same['slices']} slices. The choice is the same in {len(agreeing)} of "
            f"{len(stability)} variations (any single metric dropped, other scalings)"
            + (f"; it differs {listed(differing)}" if differing else "")
            + f", and in {number(100 * same['selection_frequency'], 1)} % of bootstrap resamples of the patients. "
            "Spearman's correlation of SAMe with the lesion error over the checkpoints is "
            f"{number(same['rank_correlation']['lesion_mae'], 2)}.",
            figure("same", "SAMe and its parts by checkpoint, and how often each checkpoint is selected"),
            figure("gan_losses", "Losses of the generator's training"),
        ]
    )
