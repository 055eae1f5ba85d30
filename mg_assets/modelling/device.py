"""The device that models are trained and read on."""

from mg_assets.errors import DataError


def torch_device(device: str = "auto", require_gpu: bool = False, promised_by: str = "") -> str:
    """The torch device to compute on: the one that was requested, or the best there is.

    Parameters
    ----------
    device : str
        ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps`` (the setting ``device``, ``MG_DEVICE``).
    require_gpu : bool
        Fail where the result is the CPU.
    promised_by : str
        What was to give this run a GPU. Fail where it is named and there is none; ``cpu`` asks for none.

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
    elif (device.startswith("cuda") and not cuda) or (device == "mps" and not mps):
        raise DataError(f"device {device!r} was requested and is absent; set MG_DEVICE=auto or install it")
    else:
        found = device
    if promised_by and found == "cpu" != device:
        raise DataError(
            f"{promised_by} gives a GPU to every run that trains where dagster.yaml names TrainingRunCoordinator, and "
            "none was found here: name it as deploy/cluster/dagster.yaml does, or, without GPUs, set device: cpu in "
            "the settings (MG_DEVICE=cpu for every process of the deployment, those of the nodes too)"
        )
    if require_gpu and found == "cpu":
        raise DataError("require_gpu is set and no GPU was found; unset it or run this step on a GPU machine")
    return found
