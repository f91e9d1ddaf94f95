"""The command `pre2post score-mama-synth`."""

from pathlib import Path

import click

FOLDER = click.Path(path_type=Path)


@click.command()
@click.option("--predictions", type=FOLDER, required=True, metavar="DIR", help="Synthetic post-contrast slices.")
@click.option("--ground-truth", type=FOLDER, required=True, metavar="DIR", help="Real post-contrast slices.")
@click.option("--masks", type=FOLDER, required=True, metavar="DIR", help="Tumour masks.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    metavar="FILE",
    help="Table to write, as JSON.",
)
@click.option("--precontrast", type=FOLDER, metavar="DIR", help="Pre-contrast slices, for the AUROC of contrast.")
@click.option(
    "--segmentations",
    type=FOLDER,
    metavar="DIR",
    help="Tumour masks predicted from the synthetic slices, for Dice and HD95.",
)
@click.option(
    "--segmenter",
    type=FOLDER,
    metavar="DIR",
    help="Trained 2D nnU-Net (plans.json, dataset.json, fold_0) to predict these masks.",
)
@click.option("--fold", default="0", show_default=True, help="Fold of the segmenter, or all.")
@click.option(
    "--classifiers",
    type=FOLDER,
    metavar="DIR",
    help="Trained contrast_classifier*.pkl and tumor_roi_classifier*.pkl of scikit-learn or xgboost, for "
    "both AUROC; several of a kind are averaged.",
)
@click.option("--lpips-weights", type=click.Path(path_type=Path), metavar="FILE", help="AlexNet weights, for LPIPS.")
@click.option("--lpips-sha256", metavar="HEX", help="SHA-256 of these weights.")
def score_mama_synth(
    output: Path,
    segmentations: Path | None,
    segmenter: Path | None,
    lpips_weights: Path | None,
    lpips_sha256: str | None,
    **options,
) -> None:
    """Score synthetic slices by the metrics of MAMA-SYNTH.

    The eight metrics of 2026 are computed as the challenge's evaluator does. Each folder holds one .mha file per case,
    with equal names, of w x h or w x h x 1 pixels. Images are z-scored with the mean 107.41193853581365 and the
    standard deviation 219.96180535228203 of the challenge; masks hold 0 and 1, or 0 and 255.

    Metrics without the necessary option are listed in the output under "not_computed". As in the challenge, cases with
    an empty mask are left out of the tumour metrics, and cases with an empty predicted mask out of Dice and HD95; the
    output names them under "left_out". Other unsuitable input ends the command with one message.

    \b
    Examples:
      pre2post score-mama-synth --predictions synthetic --ground-truth post --masks masks --output scores.json
      pre2post score-mama-synth --predictions synthetic --ground-truth post --masks masks --output scores.json \\
        --precontrast pre --classifiers classifiers --segmenter nnunet_2d
    """
    if segmentations and segmenter:
        raise click.UsageError("--segmentations and --segmenter exclude each other")
    if (lpips_weights is None) != (lpips_sha256 is None):
        raise click.UsageError("--lpips-weights and --lpips-sha256 need each other")
    from pre2post.core.files import write_json
    from pre2post.mama_synth.score import ScoreOptions, describe_score, score

    summary = score(
        ScoreOptions(
            segmentations=segmentations,
            segmenter=segmenter,
            lpips_weights=lpips_weights,
            lpips_sha256=lpips_sha256,
            **options,
        )
    )
    write_json(output, summary)
    click.echo("\n".join(describe_score(summary)))
