"""Score folders of synthetic slices by the metrics of MAMA-SYNTH 2026, as the challenge's evaluator does."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pre2post.core.errors import InputError, error_context
from pre2post.core.paths import NNUNET, SEGMENTERS
from pre2post.core.progress import progress
from pre2post.image.volume import describe_geometry, same_geometry
from pre2post.io.single_slice import SingleSlice, match_slices, read_slice
from pre2post.mama_synth.classifiers import Classifier
from pre2post.mama_synth.score_table import METRICS, Case, Table, Tools
from pre2post.metrics.mask_metrics import dice

TASKS = {"contrast": "auroc_contrast", "tumor_roi": "auroc_tumor_roi"}  # name in the classifiers' files: metric
MASK_VALUES = ({0.0, 1.0}, {0.0, 255.0})  # the two kinds of mask that the evaluator always reads alike
Files = Mapping[str, Path]


@dataclass(frozen=True)
class ScoreOptions:
    """The folders of slices, and the tools that some metrics need; without a tool its metrics are not computed.

    segmentations: folder of tumour masks of the synthetic slices; or segmenter: folder of a trained 2D nnU-Net, with
        its fold, to predict them.
    classifiers: folder with contrast_classifier*.pkl and tumor_roi_classifier*.pkl.
    lpips_weights, lpips_sha256: file of AlexNet's weights and its hash.
    """

    predictions: Path
    ground_truth: Path
    masks: Path
    precontrast: Path | None = None
    segmentations: Path | None = None
    segmenter: Path | None = None
    fold: str = "0"
    classifiers: Path | None = None
    lpips_weights: Path | None = None
    lpips_sha256: str | None = None

    @property
    def folders(self) -> dict[str, Path]:
        """Return the given folders of slices by role."""
        roles = ("predictions", "ground_truth", "masks", "precontrast", "segmentations")
        return {role: getattr(self, role) for role in roles if getattr(self, role) is not None}


def score(options: ScoreOptions) -> dict[str, Any]:
    """Return the table of all metrics over all cases. Raises InputError for the first unusable file."""
    files = match_slices(options.folders)
    table = Table(_load_tools(options, {each["predictions"].stem: each for each in files}))
    for each in progress(files, "score-mama-synth", unit="case"):
        case = read_case(each)
        with error_context(case=case.id, file=each["predictions"]):
            table.add(case)
    return table.summary()


def describe_score(summary: Mapping[str, Any]) -> list[str]:
    """Return the table in lines of text."""
    cases, lines = len(summary["case"]), []
    for metric in METRICS:
        if metric in summary["n"]:
            lines.append(f"{metric:16}{summary[metric]:10.4f}   n = {summary['n'][metric]}")
        else:
            lines.append(f"{metric:16}         -   not computed: {summary['not_computed'][metric]}")
    for metric, left_out in summary["left_out"].items():
        lines.append(f'{metric}: {len(left_out)} of {cases} cases left out, see "left_out" in the output')
    for metric, substituted in summary["substituted"].items():
        lines.append(f'{metric}: {len(substituted)} of {cases} cases without own features, see "substituted"')
    return lines


def read_case(files: Files) -> Case:
    """Read the slices of one case. Raises InputError if their geometry is not that of the ground truth."""
    name = files["predictions"].stem
    with error_context(case=name):
        slices = {
            role: _read_mask(file) if role == "masks" else read_slice(file)
            for role, file in files.items()
            if role != "segmentations"
        }
        for role, one in slices.items():
            _check_geometry(one, slices["ground_truth"], files[role])
    return Case(name, slices["predictions"], slices["ground_truth"], slices["masks"], slices.get("precontrast"))


def _read_mask(file: Path) -> SingleSlice:
    """Read a mask as 0 and 1. Raises InputError for values other than 0 and 1, or 0 and 255."""
    found = read_slice(file)
    values = np.unique(found.image)
    if not any(set(values) <= allowed for allowed in MASK_VALUES):
        raise InputError(
            "the mask holds other labels",
            file=file,
            expected="0 and 1, or 0 and 255",
            found=", ".join(f"{value:g}" for value in values[:8]),
            hint="write 1 in the tumour and 0 elsewhere",
        )
    return SingleSlice(found.volume.like((found.volume.array > 0).astype(np.uint8)), found.flat)


def _check_geometry(one: SingleSlice, other: SingleSlice, file: Path) -> None:
    if not same_geometry(one.volume, other.volume):
        raise InputError(
            "the geometry of the slice is not that of the ground truth",
            file=file,
            found=describe_geometry(one.volume),
            expected=describe_geometry(other.volume),
            hint="write it with the size, spacing and origin of the ground truth",
        )


def _load_tools(options: ScoreOptions, files: Mapping[str, Files]) -> Tools:
    """Load the tools that the options name, with the reason for each metric that cannot be computed."""
    missing: dict[str, str] = {}
    classifiers: dict[str, dict[Path, Classifier] | None] = {task: None for task in TASKS}
    for task, metric in TASKS.items():
        if options.classifiers is None:
            missing[metric] = "no --classifiers"
            continue
        classifiers[task] = _load_classifiers(options.classifiers, task)
        if not classifiers[task]:
            missing[metric] = f"no {task}_classifier*.pkl among the --classifiers"
    if options.precontrast is None:
        missing.setdefault("auroc_contrast", "no --precontrast")
    segment = _load_segment(options, files)
    if segment is None:
        missing |= dict.fromkeys(("dice", "hausdorff_95"), "no --segmentations and no --segmenter")
    perceptual = _load_perceptual(options.lpips_weights, options.lpips_sha256)
    if perceptual is None:
        missing["lpips"] = "no --lpips-weights"
    return Tools(dice, perceptual, segment, classifiers["contrast"], classifiers["tumor_roi"], missing)


def _load_classifiers(folder: Path, task: str) -> dict[Path, Classifier]:
    """Return {file: classifier} for all <task>_classifier*.pkl, in the order of their names."""
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


def _load_segment(options: ScoreOptions, files: Mapping[str, Files]) -> Callable[[Case], np.ndarray] | None:
    """Return a function that gives the predicted tumour mask (h, w) of a case, from its file or by the network."""
    if options.segmentations is not None:
        return lambda case: _read_segmentation(case, files[case.id]["segmentations"])
    if options.segmenter is None:
        return None
    from pre2post.segmentation.nnunet import set_nnunet_folders

    set_nnunet_folders(NNUNET, SEGMENTERS)  # before nnU-Net is imported
    import torch

    from pre2post.segmentation.model_folder import load_trained_folder
    from pre2post.segmentation.prediction import preprocess_array, segment

    predictor = load_trained_folder(options.segmenter, options.fold)

    def predict(case: Case) -> np.ndarray:
        # pixels of 1 mm whatever the file says, since the evaluator gives the network bare arrays
        data, properties = preprocess_array(case.synthetic.image[None], (1.0, 1.0, 1.0), predictor)
        return segment(predictor, data, properties, torch.get_num_threads(), bfloat16=False)[0]

    return predict


def _read_segmentation(case: Case, file: Path) -> np.ndarray:
    found = read_slice(file)
    _check_geometry(found, case.real, file)
    return found.image > 0


def _load_perceptual(weights: Path | None, sha256: str | None) -> Callable[[np.ndarray, np.ndarray], float] | None:
    """Return LPIPS as a function of two images (h, w) in [-1, 1]; None without weights."""
    if weights is None or sha256 is None:
        return None
    from pre2post.features.lpips import load_lpips, lpips

    network = load_lpips(weights, sha256)
    return lambda real, synthetic: float(lpips(real[None], synthetic[None], network)[0])
