"""Time the image metrics against calling the usual libraries one after the other.

    python bench/quality.py                    # all of it: some minutes
    python bench/quality.py pixel frechet      # or parts: pixel, frechet, same, memory

Both sides take turns in one run, so other load affects both equally: the ratios are more reliable than the seconds.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

import numpy as np

ROUNDS = 3
SIZE = 512  # pixels per side, as in the published slices
DIMENSIONS = 2048  # of InceptionV3's features


def main() -> None:
    options = _options()
    parts = {"pixel": pixel, "frechet": frechet, "same": same, "memory": memory}
    for name in options.parts or parts:
        parts[name](options)


def pixel(options: argparse.Namespace) -> None:
    """Time MAE, MSE, PSNR, NMSE, SSIM and MS-SSIM of pairs of slices."""
    from pre2post.metrics.slice_metrics import slice_metrics

    real, synthetic = _pairs(options.pairs, SIZE)
    pairs = list(zip(real, synthetic, strict=True))
    sides = {
        "ours": lambda: slice_metrics(real, synthetic, 1.0),
        "torchmetrics, as published": lambda: [_torchmetrics(*pair, channels=3) for pair in pairs],
        "torchmetrics, one channel": lambda: [_torchmetrics(*pair, channels=1) for pair in pairs],
        "scikit-image, MS-SSIM by torchmetrics": lambda: [_scikit_image(*pair) for pair in pairs],
    }
    print(f"\nAll pixel metrics of {options.pairs} pairs of {SIZE} x {SIZE}\n")
    _compare(sides)


def frechet(options: argparse.Namespace) -> None:
    """Time the Frechet distance of 500 vectors per side, without the features."""
    from pre2post.metrics.frechet import frechet_distance

    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(DIMENSIONS, DIMENSIONS)) / np.sqrt(DIMENSIONS)
    a, b = (rng.normal(size=(500, DIMENSIONS)) @ mixing + shift for shift in (0, 0.1))
    print(f"\nFrechet distance, {DIMENSIONS} dimensions, n = 500\n")
    _compare({"ours": lambda: frechet_distance(a, b), "scipy's sqrtm": lambda: _sqrtm_distance(a, b)}, rounds=1, own=10)


def same(options: argparse.Namespace) -> None:
    """Time SAMe of 10 checkpoints against their training, both with the parameters of params.yaml."""
    from contender import Contender, Variant

    from pre2post.core.paths import SPLITS
    from pre2post.pipeline.params import load_params
    from pre2post.pix2pixhd.runtime import resolve_runtime

    params = load_params()
    split = json.loads(SPLITS.read_text())
    steps = params.gan.epochs * params.gan.slices_per_case * len(split["gan_train"])
    training = Variant("training", resolve_runtime(params.gan, 1))
    trainer = Contender(training, params.gan, params.slices.size, params.gan.threads, warm_up=5)
    times = []
    for _ in range(ROUNDS):
        trainer.measure(60)
        times.append(_seconds(lambda: _score_ten(params, 24 * len(split["validation"]))))
    trainer.end()
    training, scoring = statistics.median(trainer.times) * steps / 1000, statistics.median(times)
    print(
        f"\nSAMe of 10 checkpoints on {24 * len(split['validation'])} slices of {params.slices.size} pixels, with "
        f"{params.same.n_resamples} resamples of patients\n\n| | seconds |\n|---|---|\n"
        f"| training, {steps} steps of {statistics.median(trainer.times):.1f} ms | {training:.1f} |\n"
        f"| SAMe, everything included | {scoring:.1f} |\n\nShare of the training: {scoring / training:.3f}"
    )


def memory(options: argparse.Namespace) -> None:
    """Measure the peak memory for few and many slices in a file, each in its own process."""
    print(
        "\nPeak memory of pixel metrics and features of two extractors, slices memory-mapped\n\n"
        "| slices of 256 x 256 | file | peak memory without the file's pages |\n|---|---|---|"
    )
    for slices in (500, 2000, 8000):
        done = subprocess.run(
            [sys.executable, __file__, "--serve-memory", str(slices)], check=True, text=True, stdout=subprocess.PIPE
        )
        print(f"| {slices} | {2 * slices * 256 * 256 * 4 / 1e6:.0f} MB | {float(done.stdout):.0f} MB |")


def _torchmetrics(real: np.ndarray, synthetic: np.ndarray, channels: int) -> list[float]:
    """Compute one metric after the other on one pair, in single precision; the published script has three channels."""
    import torch
    from torchmetrics import functional as reference

    r, s = (torch.from_numpy(image)[None, None].repeat(1, channels, 1, 1) for image in (real, synthetic))
    found = [
        reference.mean_absolute_error(s, r),
        reference.mean_squared_error(s, r),
        reference.image.peak_signal_noise_ratio(s, r, data_range=1.0),
        reference.mean_squared_error(s, r) / (r**2).mean(),
        reference.image.structural_similarity_index_measure(s, r, data_range=1.0),
        reference.image.multiscale_structural_similarity_index_measure(s, r, data_range=1.0),
    ]
    return [float(value) for value in found]


def _scikit_image(real: np.ndarray, synthetic: np.ndarray) -> list[float]:
    """Compute in double precision, like ours, except MS-SSIM, which scikit-image does not have."""
    import torch
    from skimage import metrics as reference
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as ms_ssim

    tensors = [torch.from_numpy(image)[None, None] for image in (synthetic, real)]
    real, synthetic = real.astype(np.float64), synthetic.astype(np.float64)
    return [
        float(np.abs(real - synthetic).mean()),
        reference.mean_squared_error(real, synthetic),
        reference.peak_signal_noise_ratio(real, synthetic, data_range=1.0),
        reference.normalized_root_mse(real, synthetic) ** 2,
        reference.structural_similarity(
            real, synthetic, data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        ),
        float(ms_ssim(*tensors, data_range=1.0)),
    ]


def _sqrtm_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Compute it as in most FID code."""
    from scipy.linalg import sqrtm

    first, second = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = np.trace(sqrtm(first @ second)).real
    return float(np.square(a.mean(0) - b.mean(0)).sum() + np.trace(first) + np.trace(second) - 2 * root)


def _score_ten(params, slices: int) -> None:
    """Run the work of select_checkpoint on random slices and untrained networks."""
    import torch

    from pre2post.metrics.extractors import make_extractors
    from pre2post.pix2pixhd.architecture import Architecture
    from pre2post.pix2pixhd.checkpoint import load_generator, save_generator
    from pre2post.pix2pixhd.generator import make_generator
    from pre2post.pix2pixhd.infer import infer
    from pre2post.same.checkpoint_scores import Slices, score_checkpoints
    from pre2post.same.stability import selection_frequency
    from pre2post.stats.bootstrap import resample_patients

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    pre, post = _pairs(slices, params.slices.size)
    patients = tuple(str(place // 24) for place in range(slices))
    with tempfile.TemporaryDirectory() as folder:
        paths = {str(epoch): Path(folder) / f"{epoch}.safetensors" for epoch in range(10)}
        for path in paths.values():
            save_generator(make_generator(Architecture.from_settings(params.gan)), path)
        checkpoints = {
            epoch: lambda path=path: lambda images: infer(load_generator(path), images) for epoch, path in paths.items()
        }
        found = score_checkpoints(
            checkpoints,
            Slices(pre, post, np.zeros_like(pre, np.uint8), patients),
            make_extractors(params.metrics, 0),
            resample_patients(slices // 24, params.same.n_resamples, 0),
            threads=params.gan.threads,
        )
    selection_frequency(found.resampled, params.same.weights.model_dump(), params.same.scaling)
    torch.set_num_threads(threads)


def _serve_memory(slices: int) -> None:
    """Print the peak memory of this process in MB, without pages of mapped files, which the system can drop."""
    import threading

    import torch

    from pre2post.metrics.extractors import make_extractors
    from pre2post.pipeline.params import load_params
    from pre2post.same.checkpoint_scores import Slices, score_checkpoints
    from pre2post.stats.bootstrap import resample_patients

    torch.set_num_threads(1)
    peak, stop = [0.0], threading.Event()

    def watch() -> None:
        while not stop.wait(0.02):
            status = Path("/proc/self/status").read_text()
            peak[0] = max(peak[0], int(status.split("RssAnon:")[1].split()[0]) / 1e3)

    with tempfile.TemporaryDirectory() as folder:
        for name in ("pre", "post"):
            mapped = np.lib.format.open_memmap(Path(folder) / f"{name}.npy", "w+", np.float32, (slices, 256, 256))
            for start in range(0, slices, 100):
                mapped[start : start + 100] = np.random.default_rng(start).random((100, 256, 256), np.float32)
            del mapped
        pre, post = (np.load(Path(folder) / f"{name}.npy", mmap_mode="r") for name in ("pre", "post"))
        lesion = np.broadcast_to(np.uint8(0), pre.shape)
        patients = tuple(str(place * 20 // slices) for place in range(slices))
        thread = threading.Thread(target=watch)
        thread.start()
        score_checkpoints(
            {"identity": lambda: lambda images: images},
            Slices(pre, post, lesion, patients),
            make_extractors(load_params().metrics, 0),
            resample_patients(20, 100, 0),
        )
        stop.set()
        thread.join()
    print(peak[0])


def _pairs(n: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    real = rng.random((n, size, size), np.float32)
    return real, np.clip(real + 0.1 * rng.standard_normal((n, size, size), np.float32), 0, 1)


def _compare(sides: dict[str, Callable], rounds: int = ROUNDS, own: int = 1) -> None:
    """Print the seconds of each side, and their ratio to the first one, which runs `own` times per round."""
    times = {name: [] for name in sides}
    first = next(iter(sides))
    for _ in range(rounds):
        for name, run in sides.items():
            repeats = own if name == first else 1
            times[name] += [_seconds(run) for _ in range(repeats)]
    print("| | seconds | times as long as ours |\n|---|---|---|")
    for name, found in times.items():
        ratio = statistics.median(found) / statistics.median(times[first])
        print(f"| {name} | {statistics.median(found):.3f} | {ratio:.1f} |", flush=True)


def _seconds(run: Callable) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help="pixel, frechet, same, memory; default: all")
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--serve-memory", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    arguments = _options()
    if arguments.serve_memory:
        _serve_memory(arguments.serve_memory)
    else:
        main()
