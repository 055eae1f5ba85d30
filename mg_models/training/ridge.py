"""Closed form of a ridge regression: what gradient steps on a linear model approach, in one pass over the days.

Source: Hoerl and Kennard (1970); the penalty is relative, as a share of the mean square of the scaled features.
"""

from typing import cast

import numpy as np
import torch
from torch import nn

from mg_models.data.dataset import Dataset
from mg_models.networks.mlp import Mlp


def solve_ridge(network: Mlp, data: Dataset, days: np.ndarray, penalty: float) -> float:
    """Set a linear network's weights to those of the penalised least squares over some days, each of equal weight.

    There is no intercept: features are centred over the stocks of a day, and so are labels.

    Parameters
    ----------
    network : Mlp
        Without layers, its scale set.
    data : Dataset
        With labels.
    days : ndarray of int64
        Indices of days.
    penalty : float
        Weight of the squared weights, as a share of the mean over features of their mean square.

    Returns
    -------
    float
        Mean over days of the squared error.
    """
    linear = cast(nn.Linear, network.net[0])
    count = linear.in_features
    gram, moments, square = torch.zeros(count, count).double(), torch.zeros(count).double(), 0.0
    with torch.no_grad():
        for day in days.tolist():
            batch = data.batch([day])
            x = network.scaled(batch.windows).cpu().double()  # (rows, features)
            y = batch.label[:, 0].cpu().double()
            gram += x.T @ x / len(x)
            moments += x.T @ y / len(x)
            square += float(y @ y) / len(x)
        ridge = penalty * gram.trace() / count
        weights = torch.linalg.solve(gram + ridge * torch.eye(count).double(), moments)
        linear.weight.copy_(weights[None])
        linear.bias.zero_()
        return (square - float(2 * weights @ moments - weights @ gram @ weights)) / len(days)
