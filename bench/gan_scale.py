"""Images per second with one and more processes, and the time of the published training at that rate.

    python bench/gan_scale.py                                  # demonstration size, 1 and 2 processes
    python bench/gan_scale.py --width 64 --size 512 --batch 4  # on GPUs; --batch is that of each process

Processes share the machine: on a CPU its threads are divided between them.
"""

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from gan_step import PUBLISHED

from pre2post.core.files import write_json
from pre2post.pipeline.params import load_params

# Published (arXiv 2311.10879): patients x slices per patient x epochs, batch 1, 512 pixels.
PATIENTS, SLICES, EPOCHS, SIZE = 668, 160, 200, 512
WIDE = {"width": 64, "blocks": 9, "downs": 4, "discriminator_width": 64}


def main() -> None:
    import torch

    options = _options()
    gan, size = load_params().gan.model_copy(update=PUBLISHED | {"batch_size": options.batch}), options.size
    if options.width:
        gan = gan.model_copy(update=WIDE | {"width": options.width, "discriminator_width": options.width})
    size = size or load_params().slices.size
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else None
    rows = [
        measure(gan, size, processes, options) for processes in options.processes if gpus is None or processes <= gpus
    ]
    chip = torch.cuda.get_device_name() if gpus else f"CPU, {options.threads} threads in all"
    flops, published = count_flops(gan, size), count_flops(gan.model_copy(update=WIDE), SIZE, vgg=True)
    print(
        f"\nWidth {gan.width}, {size} pixels, {options.batch} images per process and step; "
        f"{chip}; {rows[0]['runtime']}\n"
    )
    print("| processes | images per second | times one process | TFLOP/s |\n|---|---|---|---|")
    for row in rows:
        row["tflops"] = row["images_per_second"] * flops / 1e12
        print(
            f"| {row['processes']} | {row['images_per_second']:.2f} | "
            f"{row['images_per_second'] / rows[0]['images_per_second']:.2f} | {row['tflops']:.3g} |"
        )
    steps = PATIENTS * SLICES * EPOCHS
    rate = max(row["tflops"] for row in rows)
    hours = steps * published / rate / 1e12 / 3600
    print(
        f"\nThe published training: {PATIENTS} x {SLICES} x {EPOCHS} = {steps / 1e6:.1f} million images of "
        f"{published / 1e12:.2f} TFLOP at width 64 and {SIZE} pixels = {steps * published:.2g} FLOP, with VGG19; "
        f"at {rate:.3g} TFLOP/s as measured here {hours:,.0f} hours ({hours / 24:,.1f} days) on: {chip}."
    )
    if (gan.width, size) != (64, SIZE):
        print("The rate was measured at another size, so the hours are an extrapolation.")
    if options.json:
        write_json(
            options.json,
            {
                "chip": chip,
                "torch": torch.__version__,
                "width": gan.width,
                "size": size,
                "batch": options.batch,
                "rows": rows,
                "published_flops": steps * published,
                "published_hours": hours,
            },
        )


def measure(settings, size: int, processes: int, options: argparse.Namespace) -> dict:
    """Return the images per second of so many processes together."""
    import torch.multiprocessing

    from pre2post.pix2pixhd.runtime import resolve_runtime

    joint = settings.model_copy(update={"batch_size": options.batch * processes})
    runtime = replace(resolve_runtime(joint, processes), compile=options.compile)
    threads = max(1, options.threads // processes)
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(
            _work, nprocs=processes, args=(joint, runtime, size, threads, options.steps, Path(folder))
        )
        seconds = float((Path(folder) / "seconds").read_text())
    return {"processes": processes, "runtime": str(runtime), "images_per_second": options.batch * processes / seconds}


def _work(rank: int, settings, runtime, size: int, threads: int, steps: int, folder: Path) -> None:
    """One process: its share of the joint batch, steps in step with the others; the first one writes down the time."""
    import torch
    import torch.distributed as dist

    from pre2post.pix2pixhd.distributed import Group
    from pre2post.pix2pixhd.runtime import keep_freed_memory
    from pre2post.pix2pixhd.step import Pix2PixHD

    keep_freed_memory()
    torch.set_num_threads(threads)
    if runtime.device == "cuda":
        torch.cuda.set_device(rank)
    if runtime.processes > 1:
        dist.init_process_group(
            "nccl" if runtime.device == "cuda" else "gloo",
            init_method=f"file://{folder}/meet",
            rank=rank,
            world_size=runtime.processes,
        )
    torch.manual_seed(0)
    model = Pix2PixHD(settings, runtime, Group(rank, runtime.processes))
    shape = (runtime.batch_size // runtime.processes, settings.channels, size, size)
    pre, post = (torch.rand(shape, device=runtime.device) * 2 - 1 for _ in range(2))
    synchronise = torch.cuda.synchronize if runtime.device == "cuda" else lambda: None
    for step in range(steps + 3):
        if step == 3:  # after the warm-up
            synchronise()
            start = time.perf_counter()
        model.step(pre, post, share=1 / runtime.processes)
    synchronise()
    if rank == 0:
        (folder / "seconds").write_text(str((time.perf_counter() - start) / steps))
    if runtime.processes > 1:
        dist.destroy_process_group()


def count_flops(settings, size: int, vgg: bool = False) -> int:
    """Of one image's step: convolutions and matrix products, forwards and backwards, counted without computing them."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from pre2post.pix2pixhd.runtime import RuntimeConfig
    from pre2post.pix2pixhd.step import Pix2PixHD
    from pre2post.pix2pixhd.vgg import PerceptualLoss

    class Weightless(Pix2PixHD):
        def _place(self, network):
            return network  # tensors of the device "meta" have shapes alone and cannot be moved

        def _adam(self, weights):
            return torch.optim.SGD(weights)  # not counted, and Adam's fused kernel needs a real device

    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        model = Weightless(settings, RuntimeConfig())
        images = [torch.empty(1, settings.channels, size, size, requires_grad=True) for _ in range(2)]
        model.step(*(image.detach() for image in images))
        if vgg:
            PerceptualLoss()(images[0] * 1, images[1].detach()).backward()
    return counter.get_total_flops()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--width", type=int, help="filters of both networks' first layers")
    parser.add_argument("--size", type=int, help="pixels per side")
    parser.add_argument("--batch", type=int, default=1, help="images per process and step")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
