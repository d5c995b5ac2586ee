"""Which device computes, and in which precision."""

import torch


def choose_device(name: str, local_rank: int = 0) -> torch.device:
    """Pick the device.

    Parameters
    ----------
    name : str
        ``auto`` (a GPU where there is one), ``cpu`` or ``cuda``.
    local_rank : int
        Which of the machine's GPUs, where several processes train together.

    Raises
    ------
    ValueError
        If the name is not one of these, or ``cuda`` is asked for and there is none.
    """
    if name not in {"auto", "cpu", "cuda"}:
        raise ValueError(f"no device '{name}'; expected auto, cpu or cuda")
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise ValueError("device 'cuda' is asked for, and torch finds no CUDA device; set device=auto or device=cpu")
    if name == "cpu" or not available:
        return torch.device("cpu")
    return torch.device("cuda", local_rank)


def autocast_dtype(device: torch.device, wanted: bool) -> torch.dtype | None:
    """Return bfloat16 where the device gains from it, else None for float32.

    Notes
    -----
    Only GPUs that compute in bfloat16. CPUs without bfloat16 instructions (AVX2) emulate it, and are slower for it.
    """
    if not wanted or device.type != "cuda":
        return None
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else None
