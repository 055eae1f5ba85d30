"""The device that models are trained and read on."""

from mg_assets.errors import DataError


def torch_device(device: str = "auto", require_gpu: bool = False) -> str:
    """The torch device to compute on: the one that was requested, or the best there is.

    Parameters
    ----------
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``mps`` (the setting ``device``, ``MG_DEVICE``).
    require_gpu : bool
        Fail where the result is the CPU.

    Returns
    -------
    str
        ``auto`` gives ``cuda``, else ``mps``, else ``cpu``.

    Raises
    ------
    DataError
        The device is absent, or a GPU is required and there is none.
    """
    import torch

    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if device == "auto":
        found = "cuda" if cuda else "mps" if mps else "cpu"
    elif (device == "cuda" and not cuda) or (device == "mps" and not mps):
        raise DataError(f"device {device!r} was requested and is absent; set MG_DEVICE=auto or install it")
    else:
        found = device
    if require_gpu and found == "cpu":
        raise DataError("require_gpu is set and no GPU was found; unset it or run this step on a GPU machine")
    return found
