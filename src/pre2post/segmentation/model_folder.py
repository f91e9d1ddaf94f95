"""A network that nnU-Net trained elsewhere, out of its folder with plans.json, dataset.json and a fold's checkpoint.

Neither the checkpoint nor the plans, which name classes, may run any code of their own.
"""

import contextlib
import pydoc
from pathlib import Path

from pre2post.core.errors import InputError
from pre2post.core.files import read_json
from pre2post.segmentation.prediction import CHECKPOINT, Segmenter, make_predictor, read_checkpoint

NETWORKS, LAYERS = "dynamic_network_architectures.architectures.", "torch.nn."  # packages of what plans may name
NEEDED = ("network_weights", "init_args")  # of a checkpoint
LONGEST = 200  # characters of what an error says: torch lists every weight
TODO = "give the folder that nnUNetv2_train wrote, whole"


def load_trained_folder(folder: Path, fold: str = "0"):
    """nnU-Net's predictor for one fold, use_mirroring as trained, the rest as `nnUNetv2_predict` has it.

    Raises InputError when a file is missing or damaged, the weights are of another network than the plans', or the
    network takes more than one image.
    """
    file = Path(folder) / f"fold_{fold}" / CHECKPOINT
    for needed in (Path(folder) / "plans.json", Path(folder) / "dataset.json", file):
        if not needed.is_file():
            raise InputError("a file of this trained network is missing", file=needed, hint=TODO)
    plans, dataset = read_json(Path(folder) / "plans.json"), read_json(Path(folder) / "dataset.json")
    with _numpy_allowed():
        checkpoint = read_checkpoint(file, TODO)
    absent = [key for key in NEEDED if not isinstance(checkpoint, dict) or key not in checkpoint]
    if absent:
        raise InputError("this is no checkpoint of nnU-Net", file=file, found=f"no {absent[0]}", hint=TODO)
    configuration = checkpoint["init_args"].get("configuration")
    _check_plans(plans, dataset, configuration, Path(folder))
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
            "these weights are not of the network in plans.json", file=file, found=_one_line(error), hint=TODO
        ) from None
    return predictor


@contextlib.contextmanager
def _numpy_allowed():
    """Within the block, torch also loads NumPy numbers, which nnU-Net writes into the log of a checkpoint."""
    import numpy as np
    import torch
    from numpy._core.multiarray import scalar

    kinds = [type(np.dtype(kind)) for kind in (np.float32, np.float64, np.int32, np.int64)]
    names = [(scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")]  # before NumPy 2, and since
    with torch.serialization.safe_globals([np.dtype, *names, *kinds]):
        yield


def _check_plans(plans: dict, dataset: dict, configuration: str, folder: Path) -> None:
    """Refuses plans that name anything but networks and layers, and networks of several images."""
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
            expected="plans and dataset.json as nnU-Net writes them",
            hint=TODO,
        ) from None
    for name, package in names:
        if name is not None and not _is_module(name, package):
            raise InputError(
                "these plans name a class that may not be loaded from a shared file",
                file=folder / "plans.json",
                found=name,
                expected=f"a class of {package.strip('.')}",
            )
    if channels is None or len(channels) != 1:
        raise InputError(
            "this network does not take one image", file=folder / "dataset.json", expected="one channel", found=channels
        )


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:LONGEST]


def _is_module(name, package: str) -> bool:
    """Whether this is the name of a class of torch modules that is defined in the package."""
    from torch import nn

    found = pydoc.locate(name) if isinstance(name, str) and name.startswith(package) else None
    return isinstance(found, type) and issubclass(found, nn.Module) and found.__module__.startswith(package)
