"""pyqlib's GRU time-series model on a panel: ``python gru_qlib.py PANEL LABELS STEPS HIDDEN BATCH BATCHES``.

Runs in an environment of its own (pyqlib and torch; of this project only gru_memory.py beside it). The data go qlib's
way: a frame into ``DataHandlerLP``, ``TSDatasetH``, its ``TSDataSampler``, the model's loader and ``train_epoch``, in
this process (no worker processes). Prints one line of JSON.
"""

import itertools
import json
import sys

import numpy as np
import pandas as pd
import torch
from gru_memory import cpu, memory, restart_peak
from qlib.contrib.model.pytorch_gru_ts import GRU
from qlib.data.dataset import TSDatasetH
from qlib.data.dataset.handler import DataHandlerLP
from qlib.model.utils import ConcatDataset
from torch.utils.data import DataLoader


def loader(values: np.ndarray, labels: np.ndarray, steps: int, batch: int) -> DataLoader:
    days = pd.bdate_range("2013-01-04", periods=len(values))
    names = [f"SH{600000 + i}" for i in range(values.shape[1])]
    index = pd.MultiIndex.from_product([days, names], names=["datetime", "instrument"])
    columns = pd.MultiIndex.from_tuples([("feature", f"f{i}") for i in range(values.shape[2])] + [("label", "y")])
    flat = np.concatenate([values.reshape(len(index), -1), labels.reshape(-1, 1)], axis=1)
    handler = DataHandlerLP.from_df(pd.DataFrame(flat, index=index, columns=columns))
    data = TSDatasetH(handler=handler, segments={"train": (days[steps - 1], days[-1])}, step_len=steps)
    sampler = data.prepare("train", col_set=["feature", "label"], data_key=DataHandlerLP.DK_L)
    sampler.config(fillna_type="ffill+bfill")
    # as in the model's fit
    return DataLoader(
        ConcatDataset(sampler, np.ones(len(sampler))), batch_size=batch, shuffle=True, num_workers=0, drop_last=True
    )


def main() -> None:
    panel, label = sys.argv[1:3]
    steps, hidden, batch, batches = (int(a) for a in sys.argv[3:])
    torch.set_num_threads(1)
    tiny = np.zeros((steps + 5, 20, 27), np.float32)
    settings = {"hidden_size": hidden, "num_layers": 1, "lr": 0.005, "batch_size": batch, "n_jobs": 0, "GPU": -1}
    model = GRU(d_feat=27, **settings, seed=0)
    model.train_epoch(loader(tiny, tiny[..., 0], steps, 10))
    restart_peak()
    before = memory("VmRSS")
    values, labels = np.load(panel), np.load(label)
    began = cpu()
    feed = loader(values, labels, steps, batch)
    prepared = cpu() - began
    model = GRU(d_feat=values.shape[2], **settings, seed=0)
    model.train_epoch(itertools.islice(feed, 1))
    began = cpu()
    model.train_epoch(itertools.islice(feed, batches))
    used = cpu() - began
    extra = memory("VmHWM") - before - values.nbytes
    figures = {"samples": batch * batches, "cpu": used, "prepare": prepared, "extra": extra, "panel": values.nbytes}
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
