"""Choice of the device and of its precision."""

import torch

from camray.domain.errors import SettingsError


def choose_device(name: str, local_rank: int = 0) -> torch.device:
    """Pick the device.

    Parameters
    ----------
    name : str
        ``auto`` (a GPU where there is one), ``cpu`` or ``cuda``.
    local_rank : int
        Index of the machine's GPU, where several processes train together.

    Returns
    -------
    torch.device
        The CPU, or the GPU with that index.

    Raises
    ------
    SettingsError
        If the name is not one of these, or ``cuda`` is requested and there is none.
    """
    if name not in {"auto", "cpu", "cuda"}:
        raise SettingsError(f"device: no device '{name}'; expected auto, cpu or cuda")
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise SettingsError(
            "device: 'cuda' is requested, but torch finds no CUDA device; set device=auto or device=cpu"
        )
    if name == "cpu" or not available:
        return torch.device("cpu")
    return torch.device("cuda", local_rank)


def autocast_dtype(device: torch.device, enabled: bool) -> torch.dtype | None:
    """Return the reduced precision of a device.

    Parameters
    ----------
    device : torch.device
        Computes.
    enabled : bool
        Whether reduced precision is allowed.

    Returns
    -------
    torch.dtype or None
        bfloat16 on GPUs that compute in it, else None for float32: CPUs without bfloat16 instructions (AVX2) emulate
        it, which is slower.
    """
    if not enabled or device.type != "cuda":
        return None
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else None
