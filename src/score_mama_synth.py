"""Scores synthetic post-contrast slices by the eight metrics of MAMA-SYNTH 2026, as the challenge's evaluator does."""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

from pre2post.core.errors import InputError, error_context, run_stage
from pre2post.core.files import write_json
from pre2post.core.paths import NNUNET, SEGMENTERS
from pre2post.core.progress import progress
from pre2post.image.volume import describe_geometry, same_geometry
from pre2post.io.single_slice import SingleSlice, match_slices, read_slice
from pre2post.mama_synth.score_table import METRICS, Case, Table, Tools
from pre2post.metrics.mask_metrics import dice

EPILOG = """Every folder holds one .mha file a case, equally named, of w x h or w x h x 1 pixels. Images are z-scored
with the challenge's mean 107.41193853581365 and standard deviation 219.96180535228203; masks are 0 and 1 (or 255).
What an option is missing for is listed in the output under "not_computed". As in the challenge, cases with an empty
mask are left out of the tumour's metrics, and cases with an empty predicted mask out of Dice and HD95; the output
names them under "left_out". Anything else that does not fit ends the program with one message."""
TASKS = {"contrast": "auroc_contrast", "tumor_roi": "auroc_tumor_roi"}  # name in the classifiers' files: metric
INSIDE = ({0.0, 1.0}, {0.0, 255.0})  # the two kinds of mask that the evaluator reads the same everywhere
Files = dict[str, Path]


def main() -> None:
    arguments = read_arguments()
    files = match_slices(folders_of(arguments))
    table = Table(load_tools(arguments, {each["predictions"].stem: each for each in files}))
    for each in progress(files, "score_mama_synth", unit="case"):
        case = read_case(each)
        with error_context(case=case.id, file=each["predictions"]):
            table.add(case)
    summary = table.summary()
    write_json(arguments.output, summary)
    show(summary, len(files))


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, epilog=EPILOG)
    folder = {"type": Path, "metavar": "DIR"}
    parser.add_argument("--predictions", required=True, help="synthetic post-contrast slices", **folder)
    parser.add_argument("--ground-truth", required=True, help="real post-contrast slices", **folder)
    parser.add_argument("--masks", required=True, help="tumour masks", **folder)
    parser.add_argument("--output", required=True, type=Path, metavar="FILE.json", help="table to write")
    parser.add_argument("--precontrast", help="pre-contrast slices, for the AUROC of contrast", **folder)
    masks = parser.add_mutually_exclusive_group()
    masks.add_argument(
        "--segmentations", help="tumour masks predicted from the synthetic slices, for Dice and HD95", **folder
    )
    masks.add_argument(
        "--segmenter", help="trained 2D nnU-Net (plans.json, dataset.json, fold_0) to predict them with", **folder
    )
    parser.add_argument("--fold", default="0", help="fold of the segmenter, or all; default: 0")
    parser.add_argument(
        "--classifiers",
        help="trained contrast_classifier*.pkl and tumor_roi_classifier*.pkl of "
        "scikit-learn or xgboost, for the two AUROC; several of a kind are averaged",
        **folder,
    )
    parser.add_argument("--lpips-weights", type=Path, metavar="FILE", help="AlexNet weights, for LPIPS")
    parser.add_argument("--lpips-sha256", metavar="HEX", help="SHA-256 of these weights")
    arguments = parser.parse_args()
    if (arguments.lpips_weights is None) != (arguments.lpips_sha256 is None):
        parser.error("--lpips-weights and --lpips-sha256 go together")
    if arguments.output.is_dir():
        parser.error(f"--output is a folder: {arguments.output}")
    return arguments


def folders_of(arguments: argparse.Namespace) -> Files:
    """The folders of slices that were given, by the names of their options."""
    names = ("predictions", "ground_truth", "masks", "precontrast", "segmentations")
    return {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}


def read_case(files: Files) -> Case:
    """The slices of one case. Raises InputError unless they lie where the ground truth lies."""
    name, slices = files["predictions"].stem, {}
    with error_context(case=name):
        for role, file in files.items():
            if role != "segmentations":
                slices[role] = read_mask(file) if role == "masks" else read_slice(file)
        for role, one in slices.items():
            check_place(one, slices["ground_truth"], files[role])
    return Case(name, slices["predictions"], slices["ground_truth"], slices["masks"], slices.get("precontrast"))


def read_mask(file: Path) -> SingleSlice:
    """A mask as 0 and 1. Raises InputError for any other values than 0 and 1, or 0 and 255."""
    found = read_slice(file)
    values = np.unique(found.image)
    if not any(set(values) <= kind for kind in INSIDE):
        raise InputError(
            "the mask has labels of its own",
            file=file,
            expected="0 and 1, or 0 and 255",
            found=", ".join(f"{value:g}" for value in values[:8]),
            hint="write tumour as 1, all else as 0",
        )
    return SingleSlice(found.volume.like((found.volume.array > 0).astype(np.uint8)), found.flat)


def check_place(one: SingleSlice, other: SingleSlice, file: Path) -> None:
    if not same_geometry(one.volume, other.volume):
        raise InputError(
            "the slice does not lie where the ground truth lies",
            file=file,
            found=describe_geometry(one.volume),
            expected=describe_geometry(other.volume),
            hint="write it with the ground truth's size, spacing and origin",
        )


def load_tools(arguments: argparse.Namespace, files: dict[str, Files]) -> Tools:
    """What the options give to work with, and why a metric cannot be computed without the others."""
    missing = {}
    classifiers = {task: None for task in TASKS}
    for task, metric in TASKS.items():
        if arguments.classifiers is None:
            missing[metric] = "no --classifiers"
            continue
        classifiers[task] = load_classifiers(arguments.classifiers, task)
        if not classifiers[task]:
            missing[metric] = f"no {task}_classifier*.pkl among the --classifiers"
    if arguments.precontrast is None:
        missing.setdefault("auroc_contrast", "no --precontrast")
    segment = load_segment(arguments, files)
    if segment is None:
        missing |= dict.fromkeys(("dice", "hausdorff_95"), "no --segmentations and no --segmenter")
    perceptual = load_perceptual(arguments.lpips_weights, arguments.lpips_sha256)
    if perceptual is None:
        missing["lpips"] = "no --lpips-weights"
    return Tools(dice, perceptual, segment, classifiers["contrast"], classifiers["tumor_roi"], missing)


def load_classifiers(folder: Path, task: str) -> dict[Path, object]:
    """{file: classifier} of all <task>_classifier*.pkl, in the order of their names."""
    from pre2post.mama_synth.safe_pickle import load_classifier

    if not folder.is_dir():
        raise InputError("the folder of classifiers is missing", file=folder)
    unusable = sorted(folder.glob(f"{task}_classifier*.pt"))
    if unusable:
        raise InputError(
            "classifiers that are networks cannot be used, and the evaluator gives no AUROC with them",
            file=unusable[0],
            expected="classifiers of radiomics features (.pkl)",
            hint="move it out of the folder",
        )
    found = {}
    for file in sorted(folder.glob(f"{task}_classifier*.pkl")):
        with error_context(file=file):
            found[file] = load_classifier(file.read_bytes())
    return found


def load_segment(arguments: argparse.Namespace, files: dict[str, Files]) -> Callable[[Case], np.ndarray] | None:
    """A case's predicted tumour mask (h, w), from its file or by the network."""
    if arguments.segmentations is not None:
        return lambda case: read_segmentation(case, files[case.id]["segmentations"])
    if arguments.segmenter is None:
        return None
    from pre2post.segmentation.nnunet import use_folders

    use_folders(NNUNET, SEGMENTERS)
    import torch

    from pre2post.segmentation.model_folder import load_trained_folder
    from pre2post.segmentation.prediction import preprocess_array, segment

    predictor = load_trained_folder(arguments.segmenter, arguments.fold)

    def predicted(case: Case) -> np.ndarray:
        # Pixels of 1 mm whatever the file says, since the evaluator hands the network bare arrays.
        data, properties = preprocess_array(case.synthetic.image[None], (1.0, 1.0, 1.0), predictor)
        return segment(predictor, data, properties, torch.get_num_threads(), bfloat16=False)[0]

    return predicted


def read_segmentation(case: Case, file: Path) -> np.ndarray:
    found = read_slice(file)
    check_place(found, case.real, file)
    return found.image > 0


def load_perceptual(weights: Path | None, sha256: str | None) -> Callable[[np.ndarray, np.ndarray], float] | None:
    """LPIPS of two images (h, w) in [-1, 1]."""
    if weights is None:
        return None
    from pre2post.features.lpips import load_lpips, lpips

    network = load_lpips(weights, sha256)
    return lambda real, synthetic: float(lpips(real[None], synthetic[None], network)[0])


def show(summary: dict, cases: int) -> None:
    for metric in METRICS:
        if metric in summary["n"]:
            print(f"{metric:16}{summary[metric]:10.4f}   n = {summary['n'][metric]}")
        else:
            print(f"{metric:16}         -   not computed: {summary['not_computed'][metric]}")
    for metric, left_out in summary["left_out"].items():
        print(f'{metric}: {len(left_out)} of {cases} cases left out, see "left_out" in the output')
    for metric, substituted in summary["substituted"].items():
        print(f'{metric}: {len(substituted)} of {cases} cases without features of their own, see "substituted"')


if __name__ == "__main__":
    run_stage(main)
