"""Training by several processes that torchrun or accelerate started: each takes a part of every batch.

Within `join_processes`, the processes work together. Elsewhere there is one process, and these functions do nothing.
Gradients are summed as one tensor, always in the same order: torch's DistributedDataParallel reorders them after its
first step, so that a training that continues from a checkpoint would differ in the last bits.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import distributed, nn

from plada_codec.errors import InputError, first_line

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

T = TypeVar("T")


@contextmanager
def join_processes(device: str) -> Iterator[str]:
    """Join the processes that the environment names, by NCCL on GPUs and gloo elsewhere; yield this process's device.

    Only the first process prints. An error in one process ends all, and only the first to fail reports it.

    Raises:
        InputError: if the processes cannot be joined.
    """
    if not _are_several():
        yield device
        return
    if device == "cuda":
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    try:
        on_gpu = torch.device(device).type == "cuda"
        if on_gpu:
            torch.cuda.set_device(device)
        distributed.init_process_group("nccl" if on_gpu else "gloo")
    except (ValueError, RuntimeError, OSError, AssertionError) as error:  # AssertionError: this torch has no CUDA
        what = f"cannot join the other processes ({first_line(error)}): start them with torchrun"
        raise InputError(what, rule="processes") from error
    try:
        if is_first():
            yield device
        else:
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                yield device
    except Exception:  # any error of this process
        if _failed_before():
            raise SystemExit(1) from None
        raise
    finally:
        distributed.destroy_process_group()


def check_single_process(command: str) -> None:
    """Raise InputError in the first of several processes, and end the others, as each would run the whole command."""
    if _are_several():
        if os.environ.get("RANK", "0") != "0":
            raise SystemExit(1)
        raise InputError(f"{command} is for one process: start it without torchrun", rule="processes")


def _are_several() -> bool:
    return os.environ.get("WORLD_SIZE", "1") != "1"


def _failed_before() -> bool:
    """Whether another process failed before: then the error of this process is the same, or a consequence.

    The store through which the processes met counts the failures; torch has no public name for it.
    """
    try:
        store = distributed.distributed_c10d._get_default_store()
        return int(store.add("plada-failed", 1)) > 1
    except RuntimeError:  # the process that kept the store is gone
        return True


def world_size() -> int:
    """Number of joined processes; 1 if none are joined."""
    return distributed.get_world_size() if _is_joined() else 1


def rank() -> int:
    """Number of this process; 0 if none are joined."""
    return distributed.get_rank() if _is_joined() else 0


def is_first() -> bool:
    """Whether this is the first process, which writes and prints."""
    return rank() == 0


def part(items: NDArray[np.int64]) -> NDArray[np.int64]:
    """The part of a batch for this process; the sizes of parts differ by at most one."""
    return items[rank() :: world_size()]


def mean(losses: torch.Tensor) -> torch.Tensor:
    """Mean of the losses [B] of all processes. Its gradients, summed over the processes, are those of the mean."""
    if world_size() == 1:
        return losses.mean()
    total = torch.stack([losses.detach().sum(), losses.new_tensor(len(losses))])
    distributed.all_reduce(total)
    share = losses.sum() / total[1]
    return share + (total[0] / total[1] - share).detach()


def sum_gradients(module: nn.Module) -> None:
    """Replace the gradients of each process by the sums over all processes."""
    if world_size() == 1:
        return
    gradients = [parameter.grad for parameter in module.parameters() if parameter.grad is not None]
    total = torch.cat([gradient.flatten() for gradient in gradients])
    distributed.all_reduce(total)
    parts = torch.split(total, [gradient.numel() for gradient in gradients])
    for gradient, summed in zip(gradients, parts, strict=True):
        gradient.copy_(summed.view_as(gradient))


@torch.no_grad()
def broadcast(tensors: Iterable[torch.Tensor]) -> None:
    """Copy tensors (such as buffers) of the first process to all others, which have seen other images."""
    if world_size() > 1:
        for tensor in tensors:
            value = tensor.contiguous()
            distributed.broadcast(value, 0)
            tensor.copy_(value)


def broadcast_value(value: T) -> T:
    """The first process's `value`."""
    values = [value]
    if world_size() > 1:
        distributed.broadcast_object_list(values, 0)
    return values[0]


def _is_joined() -> bool:
    return distributed.is_available() and distributed.is_initialized()
