"""Time one training step against the original algorithm: same networks, same weights, same batch.

    python bench/gan_step.py                      # width 64 at 256 pixels, and the demonstration size of params.yaml
    python bench/gan_step.py --width 64 --size 512 --json bench/step.json

Variants take turns, a few steps each, so other load affects all equally: the ratios are more reliable than the times.
On a GPU it also measures the layout "channels last", torch.compile, and the fraction of the chip's peak matrix rate.
"""

import argparse
import statistics
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from contender import Contender, Variant
from reading import milliseconds_to_read

from pre2post.core.files import write_json
from pre2post.pipeline.params import load_params
from pre2post.pix2pixhd.runtime import RuntimeConfig

# Dense bfloat16 TFLOP/s of the makers' data sheets, by a part of the name that CUDA gives the chip.
PEAK_TFLOPS = {"H200": 989, "H100": 989, "A100": 312, "L40S": 362, "L4": 121, "A10": 125, "RTX 4090": 165}
# Only what the original has, too; upsampling and the output as published.
PUBLISHED = {
    "generator": "global",
    "global_epochs": 0,
    "fix_global_epochs": 0,
    "residual": False,
    "upsampling": "transposed",
    "lambda_gan": 1.0,
    "lambda_vgg": 0.0,
    "lambda_l1": 0.0,
    "lambda_enhancement": 0.0,
    "lesion_weight": 0.0,
}


def main() -> None:
    options = _options()
    gan, size = load_params().gan, load_params().slices.size
    gan = gan.model_copy(update=PUBLISHED | {"batch_size": options.batch})
    wide = gan.model_copy(update={"width": 64, "blocks": 9, "downs": 4, "discriminator_width": 64})
    cases = [(wide, 256), (gan, size)]
    if options.width or options.size:
        chosen = (
            gan
            if options.width is None
            else wide.model_copy(update={"width": options.width, "discriminator_width": options.width})
        )
        cases = [(chosen, options.size or 256)]
    results = [measure(settings, pixels, options) for settings, pixels in cases]
    for result in results:
        print(table(result))
    if options.json:
        write_json(options.json, results)


def measure(settings, size: int, options: argparse.Namespace) -> dict:
    """Every variant at one size: milliseconds a step, FLOPs, peak memory."""
    import torch

    gpu = torch.cuda.is_available()
    repeat, rounds = (10, options.rounds or 10) if gpu else (1, options.rounds or 15)
    contenders = [
        Contender(variant, settings, size, options.threads, 10 if gpu else 1) for variant in variants(options)
    ]
    for turn in range(rounds):
        for contender in contenders if turn % 2 else reversed(contenders):
            contender.measure(repeat)
    rows = [summary(contender, contenders[0]) for contender in contenders]
    flops = max((row["flops"] or 0 for row in rows[1:]), default=0)  # compiled code cannot be counted, but does as much
    for row in rows:
        row["flops"] = row["flops"] or flops
    chip = torch.cuda.get_device_name() if gpu else f"CPU, {options.threads} threads"
    return {
        "chip": chip,
        "torch": torch.__version__,
        "size": size,
        "width": settings.width,
        "discriminator_width": settings.discriminator_width,
        "blocks": settings.blocks,
        "downs": settings.downs,
        "batch": options.batch,
        "peak_tflops": options.peak_tflops or known_peak(chip),
        "rows": rows,
        "reading_ms": milliseconds_to_read(settings, size, "cuda" if gpu else "cpu"),
    }


def variants(options: argparse.Namespace) -> list[Variant]:
    """The original, then ours in every way that this machine knows, or those that were asked for."""
    import torch

    gpu = torch.cuda.is_available()
    plain = RuntimeConfig("cuda" if gpu else "cpu", batch_size=options.batch)
    ours = [plain]
    able = torch.cpu.get_capabilities()
    if torch.cuda.is_bf16_supported() if gpu else able.get("avx512_bf16") or able.get("amx_bf16"):
        ours.append(half := replace(plain, precision="bfloat16"))
        if gpu:
            ours += [last := replace(half, channels_last=True), replace(last, compile=True)]
    names = ["float32", "bfloat16", "bfloat16, channels last", "bfloat16, channels last, compiled"]
    every = [
        Variant("original", None),
        *(Variant(f"ours, {name}", run) for name, run in zip(names, ours, strict=False)),
    ]
    return [every[0], *(variant for variant in every[1:] if not options.only or variant.name in options.only)]


def summary(contender: Contender, original: Contender) -> dict:
    """The figures of a contender; `deviation` is that of its first losses, which says that it does the same thing."""
    last, times = contender.end(), contender.times
    if not times or not original.times:
        return {"name": contender.variant.name, "error": contender.error or "the original failed", "flops": None}
    deviation = max(abs(contender.first[name] - loss) / abs(loss) for name, loss in original.first.items())
    pairs = zip(original.times, times, strict=False)
    return {
        "name": contender.variant.name,
        "median_ms": statistics.median(times),
        "min_ms": min(times),
        "max_ms": max(times),
        "ratio": statistics.median(theirs / own for theirs, own in pairs),
        "ratio_of_minima": min(original.times) / min(times),
        "deviation": deviation,
        "error": contender.error,
        "flops": last.get("flops"),
        "bytes": last.get("bytes"),
    }


def known_peak(chip: str) -> float | None:
    return next((peak for name, peak in PEAK_TFLOPS.items() if name in chip), None)


def table(result: dict) -> str:
    """Markdown."""
    peak = result["peak_tflops"]
    lines = [
        f"\nWidth {result['width']} (discriminator {result['discriminator_width']}), {result['downs']} "
        f"down-samplings, {result['blocks']} blocks, {result['size']} pixels, batch {result['batch']}; "
        f"{result['chip']}, torch {result['torch']}\n",
        "| step | median ms | range | times as fast | of minima | first losses off by | peak memory | TFLOP/s |"
        + (f" of {peak:g} |" if peak else ""),
        "|---" * (9 if peak else 8) + "|",
    ]
    for row in result["rows"]:
        if "median_ms" not in row:
            lines.append(f"| {row['name']} | failed: {row['error']} |")
            continue
        rate = row["flops"] / row["median_ms"] / 1e9
        lines.append(
            f"| {row['name']} | {row['median_ms']:.1f} | {row['min_ms']:.1f} to {row['max_ms']:.1f} | "
            f"{row['ratio']:.2f} | {row['ratio_of_minima']:.2f} | {row['deviation']:.1e} | "
            f"{(row['bytes'] or 0) / 1e9:.2f} GB | {rate:.3g} |" + (f" {rate / peak:.1%} |" if peak else "")
        )
    fastest = min((row["median_ms"] for row in result["rows"][1:] if "median_ms" in row), default=None)
    if fastest:
        lines.append(
            f"\nReading, moving and turning a batch takes {result['reading_ms']:.2f} ms, "
            f"{result['reading_ms'] / fastest:.1%} of the fastest step."
        )
    return "\n".join(lines)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, help="filters of both networks' first layers")
    parser.add_argument("--size", type=int, help="pixels per side")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--rounds", type=int, help="turns of every variant")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--only", nargs="+", help='in addition to the original, such as "ours, bfloat16"; others need memory too'
    )
    parser.add_argument("--peak-tflops", type=float, help="of a chip that is not in the table here")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
