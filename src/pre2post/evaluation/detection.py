"""Pair each patient's results on real and synthetic volumes, and measure the lesion in both."""

from collections.abc import Mapping, Sequence

from pre2post.cohort.case import Case
from pre2post.cohort.lesion import read_mask
from pre2post.core.errors import error_context
from pre2post.core.numbers import rounded
from pre2post.core.paths import SYNTHETIC
from pre2post.evaluation.detection_table import IMAGES, OF_IMAGE
from pre2post.image.body_mask import body_mask
from pre2post.image.masks import millilitres
from pre2post.io.volume_file import read_volume
from pre2post.metrics.lesion_properties import enhancement_error, image_properties, lesion_shell
from pre2post.segmentation.design import split_and_phase, volume_file
from pre2post.segmentation.raw_dataset import check_image


def pair_domains(table: Sequence[Mapping[str, str]], phases: Mapping[str, str]) -> tuple[list[dict], str]:
    """From plots/segmentation.csv a row each mix and patient that was tested in both phases, and a note if none.

    {"mix", "split", "case", "detected_<image>": 0 or 1, "dice_<image>": float}, `phases` being those of the images.
    """
    found: dict[str, dict] = {image: {} for image in IMAGES}
    for row in table:
        split, phase = split_and_phase(row["domain"])
        for image in (image for image in IMAGES if phases[image] == phase):
            found[image][row["mix"], split, row["case"]] = {
                f"detected_{image}": int(float(row["detected"])),
                f"dice_{image}": float(row["dice"]),
            }
    synthetic, real = found.values()
    pairs = [
        dict(zip(("mix", "split", "case"), key, strict=True)) | synthetic[key] | real[key]
        for key in synthetic
        if key in real
    ]
    note = (
        ""
        if pairs
        else (
            "no patient was tested on both real and synthetic volumes, so there is no detection to "
            f"compare: name {' and '.join(phases.values())} in segmentation.test_phases"
        )
    )
    return pairs, note


def measure_lesion(case: Case, phases: Mapping[str, str]) -> dict[str, float | None]:
    """The properties of a patient's lesion, size_ml first, those of an image once each; empty without a tumour."""
    mask = read_mask(case, needs_tumour=False)
    lesion = mask.array > 0
    if not lesion.any():
        print(f"case {case.id} is left out: there is no tumour in its mask")
        return {}
    pre = read_volume(case.path("pre"))
    shell = lesion_shell(lesion, body_mask(pre.array, pre.spacing), mask.spacing)
    images, found = {}, {}
    for image, phase in phases.items():
        file = volume_file(case, phase, SYNTHETIC)
        volume = read_volume(file)
        check_image(volume, mask, case.id, file)
        images[image] = case.scale.normalise(volume.array)
        with error_context(case=case.id, file=file):
            found[image] = image_properties(images[image], lesion, shell)
    return {
        "size_ml": rounded(millilitres(lesion, mask.spacing)),
        **{f"{name}_{image}": rounded(found[image][name]) for name in OF_IMAGE for image in IMAGES},
        "enhancement_error": rounded(enhancement_error(images["real"], images["synthetic"], lesion)),
    }
