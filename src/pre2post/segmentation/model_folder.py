"""Load a network that nnU-Net trained elsewhere, from its folder with plans.json, dataset.json and checkpoints.

Neither the checkpoint nor the plans, which name classes, can run code.
"""

import contextlib
import pydoc
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pre2post.core.errors import InputError
from pre2post.core.files import read_json
from pre2post.segmentation.checkpoint import CHECKPOINT, read_checkpoint, warn_of_other_plans
from pre2post.segmentation.prediction import Segmenter, make_predictor

if TYPE_CHECKING:
    from pre2post.segmentation.prediction import nnUNetPredictor

NETWORKS, LAYERS = "dynamic_network_architectures.architectures.", "torch.nn."  # packages of the allowed classes
NEEDED_KEYS = ("network_weights", "init_args")  # of a checkpoint
MAX_LENGTH = 200  # characters of an error of torch, which lists every weight
HINT = "give the complete folder that nnUNetv2_train wrote"


def load_trained_folder(folder: Path, fold: str = "0") -> "nnUNetPredictor":
    """Return nnU-Net's predictor for one fold, with the mirroring of its training and the defaults of nnUNetv2_predict.

    Raises InputError if a file is missing or damaged, the weights do not fit the network of the plans, or the network
    takes more than one image.
    """
    file = Path(folder) / f"fold_{fold}" / CHECKPOINT
    for needed in (Path(folder) / "plans.json", Path(folder) / "dataset.json", file):
        if not needed.is_file():
            raise InputError("a file of this trained network is missing", file=needed, hint=HINT)
    plans, dataset = read_json(Path(folder) / "plans.json"), read_json(Path(folder) / "dataset.json")
    with _numpy_allowed():
        checkpoint = read_checkpoint(file, HINT)
    absent = [key for key in NEEDED_KEYS if not isinstance(checkpoint, dict) or key not in checkpoint]
    if absent:
        raise InputError("this is not a checkpoint of nnU-Net", file=file, found=f"no {absent[0]}", hint=HINT)
    configuration = checkpoint["init_args"].get("configuration")
    _check_plans(plans, dataset, configuration, Path(folder))
    warn_of_other_plans(plans, checkpoint, Path(folder))
    axes = checkpoint.get("inference_allowed_mirroring_axes")
    segmenter = Segmenter(
        str(checkpoint.get("trainer_name")),
        plans,
        dataset,
        [checkpoint["network_weights"]],
        None if axes is None else tuple(axes),
        configuration,
    )
    try:
        predictor = make_predictor(segmenter, use_mirroring=True)
        predictor.network.load_state_dict(checkpoint["network_weights"])
    except (RuntimeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            "these weights do not fit the network of plans.json", file=file, found=_one_line(error), hint=HINT
        ) from None
    return predictor


@contextlib.contextmanager
def _numpy_allowed() -> Iterator[None]:
    """Within the block, torch also loads NumPy numbers, which nnU-Net writes into the log of a checkpoint."""
    import numpy as np
    import torch
    from numpy._core.multiarray import scalar

    kinds = [type(np.dtype(kind)) for kind in (np.float32, np.float64, np.int32, np.int64)]
    names = [(scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")]  # before and since NumPy 2
    with torch.serialization.safe_globals([np.dtype, *names, *kinds]):
        yield


def _check_plans(plans: dict[str, Any], dataset: dict[str, Any], configuration: str, folder: Path) -> None:
    """Raises InputError if plans name anything but networks and layers, or the network takes several images."""
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    try:
        found = PlansManager(plans).get_configuration(configuration)
        arguments, imported = found.network_arch_init_kwargs, found.network_arch_init_kwargs_req_import
        names = [(found.network_arch_class_name, NETWORKS), *((arguments[key], LAYERS) for key in imported)]
        channels = dataset.get("channel_names", dataset.get("modality"))
    except (RuntimeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            "these plans cannot be used",
            file=folder / "plans.json",
            found=_one_line(error),
            expected="plans.json and dataset.json as written by nnU-Net",
            hint=HINT,
        ) from None
    for name, package in names:
        if name is not None and not _is_module(name, package):
            raise InputError(
                "these plans name a class that is not allowed in a shared file",
                file=folder / "plans.json",
                found=name,
                expected=f"a class of {package.strip('.')}",
            )
    if channels is None or len(channels) != 1:
        raise InputError(
            "this network takes more than one image",
            file=folder / "dataset.json",
            expected="one channel",
            found=channels,
        )


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:MAX_LENGTH]


def _is_module(name: object, package: str) -> bool:
    """Return whether this is the name of a subclass of torch.nn.Module that is defined in the package."""
    from torch import nn

    found = pydoc.locate(name) if isinstance(name, str) and name.startswith(package) else None
    return isinstance(found, type) and issubclass(found, nn.Module) and found.__module__.startswith(package)
