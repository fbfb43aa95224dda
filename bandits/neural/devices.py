"""Which device a job uses, and how torch is set up on it. Torch is imported inside the functions."""

from __future__ import annotations

import importlib.util
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError

if TYPE_CHECKING:
    import torch

    from ..scheduler import Settings

__all__ = [
    "computing",
    "describe",
    "device_for",
    "gpu_count",
    "has_torch",
    "memory_limit",
    "need_packages",
    "need_torch",
    "processes_per_gpu",
    "torch_device",
    "visible_gpus",
]


def has_torch() -> bool:
    """Whether torch is installed; it is not imported."""
    return importlib.util.find_spec("torch") is not None


def need_torch(what: str) -> None:
    """Refuse what needs torch where there is none.

    Raises:
        UsageError: Torch is not installed; the message says what installs it.
    """
    if not has_torch():
        raise UsageError(f"{what} needs PyTorch, which is not installed: pip install 'bandits[neural]'")


def need_packages(what: str, *names: str) -> None:
    """Refuse what needs other packages of the extra where they are not installed; none is imported.

    Raises:
        UsageError: With the first that is missing.
    """
    for name in names:
        if importlib.util.find_spec(name) is None:
            raise UsageError(f"{what} needs {name}, which is not installed: pip install 'bandits[neural]'")


def gpu_count() -> int:
    """GPUs that this process may use; 0 without torch."""
    if not has_torch():
        return 0
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def visible_gpus() -> list[str]:
    """The GPUs that this process may use, as ``CUDA_VISIBLE_DEVICES`` names them."""
    named = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    count = gpu_count()
    return named[:count] if len(named) >= count else [str(i) for i in range(count)]


def device_for(settings: Settings, gpus: float) -> str:
    """The device of jobs that want a share of a GPU: "cuda", or "cpu" where none is wanted or there is none.

    A Ray cluster is believed to have GPUs when ``cuda`` is asked for.
    """
    if gpus <= 0 or settings.device == "cpu":
        return "cpu"
    in_cluster = settings.ray_address is not None and settings.device == "cuda"
    return "cuda" if in_cluster or gpu_count() else "cpu"


def memory_limit(share: float) -> float | None:
    """Share of a GPU's memory that torch may hold in a process with a share of the GPU; None where nothing limits it.

    Shares on a GPU sum to at most 1, so that processes leave one another what is theirs. What CUDA itself takes for
    each process (some hundred MiB) comes on top: on a full GPU a batch may be halved for it.
    """
    return share if 0 < share < 1 else None


def processes_per_gpu(share: float) -> int:
    """How many processes with such a share of a GPU run on it at once."""
    return max(1, int(1 / share + 1e-9))


def torch_device(kind: str) -> torch.device:
    """The device of this process: the first GPU that it sees, or the CPU.

    A worker sees the GPUs that its backend gave it (``CUDA_VISIBLE_DEVICES``).

    Raises:
        UsageError: A GPU was given to this process, and its torch sees none.
    """
    import torch

    if kind == "cuda" and not torch.cuda.is_available():
        given = os.environ.get("CUDA_VISIBLE_DEVICES")
        where = f"with CUDA_VISIBLE_DEVICES={given}" if given is not None else "here"
        raise UsageError(
            f"torch {torch.__version__} sees no GPU {where}: install a torch built for CUDA and its driver on this "
            "machine, or give --device cpu"
        )
    return torch.device("cuda:0" if kind == "cuda" else "cpu")


def describe(device: torch.device) -> str:
    """Name of a device: results with networks are the same to the bit on devices of one name and version of torch."""
    import torch

    if device.type == "cuda":
        return f"cuda {torch.cuda.get_device_name(device)}"
    return f"cpu {_processor()}, {torch.backends.cpu.get_cpu_capability()}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.machine()


@contextmanager
def computing(device: torch.device, share: float = 0.0) -> Iterator[None]:
    """Set torch up for a job, and put back what was before.

    One thread on the CPU, so that workers do not stand in each other's way and sums are added up in the same order
    however many there are; on a GPU full float32 precision, deterministic kernels where there are any, and no more
    memory than the share.
    """
    import torch

    threads = torch.get_num_threads()
    before: list[tuple[Any, str, Any]] = []

    def put(place: Any, name: str, value: Any) -> None:
        before.append((place, name, getattr(place, name)))
        setattr(place, name, value)

    deterministic, warn_only, limit = torch.are_deterministic_algorithms_enabled(), True, memory_limit(share)
    if threads != 1:
        torch.set_num_threads(1)
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # asked for by deterministic matrix products
        put(torch.backends.cudnn, "allow_tf32", False)
        put(torch.backends.cudnn, "benchmark", False)
        put(torch.backends.cuda.matmul, "allow_tf32", False)
        torch.use_deterministic_algorithms(True, warn_only=warn_only)
        if limit is not None:
            torch.cuda.set_per_process_memory_fraction(limit, device)
    try:
        yield
    finally:
        if threads != 1:
            torch.set_num_threads(threads)
        for place, name, value in before:
            setattr(place, name, value)
        if device.type == "cuda":
            torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
            if limit is not None:
                torch.cuda.set_per_process_memory_fraction(1.0, device)
