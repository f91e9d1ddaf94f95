"""The device on which trained networks run, and threads for them."""

from concurrent.futures import Executor, ThreadPoolExecutor


def best_device() -> str:
    """Return "cuda" if there is a GPU, else "cpu"."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def instructions() -> str:
    """Return the best instructions of this CPU for matrices, which oneDNN uses: they decide the last digits."""
    import torch

    checks = {
        "amx_bf16": torch.cpu._is_amx_tile_supported,
        "avx512_bf16": torch.cpu._is_avx512_bf16_supported,
        "avx512": torch.cpu._is_avx512_supported,
        "avx2": torch.cpu._is_avx2_supported,
    }
    return next((name for name, check in checks.items() if check()), "other")


def torch_workers(workers: int, threads: int = 1) -> Executor:
    """Return worker threads, in each of which torch computes with so many threads."""
    import torch

    return ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(threads,))
