"""Networks over the price-volume features beside ``price_volume_mlp``'s: a ranking loss, earlier weeks, other stocks.

    python benchmarks/real_candidates.py ../shared/data [--out /tmp/mg-real-panel] [--half-years 2016H2 ...]
        [--networks mlp mlp_ic mlp_pairs week_gru week_attention stock_attention] [--epochs 25]

Candidates of docs/real_panel.md that the catalog does not hold. All train in one loop, on the same days, labels,
features and validation as the catalog's MLP (every fifth day of all A-shares from 2010 on, the last half-year
validates, rank label of ten days, one seed), so that a difference is the network's or the loss's:

- ``mlp``: the catalog's network, squared error.
- ``mlp_ic``, ``mlp_pairs``: the same with -IC of the day, or with the logistic loss of 8 pairs a stock, weighted by
  the distance of its labels.
- ``week_gru``, ``week_attention``: features of the day and of 5, 10, 15 and 20 trading days before, each through one
  layer; a GRU over them, or additive attention that the last asks; beside the day's own layer.
- ``stock_attention``: the day's layer attends to 16 summaries of the day's stocks, which attend to all of them (the
  induced set attention of Lee et al. 2019): what a stock's neighbours are like, at a cost linear in the stocks.

Scores are stored below ``--out``; RankIC as ``real_panel.py`` measures it, and by day less ``mlp``'s.
"""

import argparse
import copy
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from real_panel import DEVELOPMENT, HORIZON, UNIVERSES, Market, differences, read_market, store, table
from torch import Tensor, nn

from mg_models.catalog import get
from mg_models.data.day_statistics import rank_ic
from mg_models.data.label_transforms import transform
from mg_models.data.price_volume import FEATURES
from mg_models.data.splits import label_end_days, split
from mg_models.networks.attention import AdditiveAttention
from mg_models.networks.mlp import TO_STD

BACK = (20, 15, 10, 5, 0)
"""Days before a scored day whose features the week networks read, the earliest first."""
WIDTH, DROPOUT, PAIRS, SUMMARIES, PATIENCE = 64, 0.5, 8, 16, 6
Day = tuple[Tensor, Tensor]


class Embedded(nn.Module):
    """A layer over the features of a day, and what a network adds to it before the last layer."""

    def __init__(self, kind: str):
        super().__init__()
        self.kind = kind
        self.embed = nn.Sequential(nn.Linear(len(FEATURES), WIDTH), nn.ReLU(), nn.Dropout(DROPOUT))
        self.steps = len(BACK) if kind.startswith("week") else 1
        if kind == "week_gru":
            self.rnn = nn.GRU(WIDTH, WIDTH // 2)
        elif kind == "week_attention":
            self.place = nn.Parameter(torch.zeros(len(BACK), 1, WIDTH))
            self.attention = AdditiveAttention(WIDTH, query=True)
        elif kind == "stock_attention":
            self.summaries = nn.Parameter(torch.randn(SUMMARIES, WIDTH) / WIDTH**0.5)
            self.gather, self.ask = (nn.MultiheadAttention(WIDTH, 4, batch_first=True) for _ in range(2))
        more = {"week_gru": WIDTH // 2, "week_attention": WIDTH, "stock_attention": WIDTH}
        self.head = nn.Linear(WIDTH + more.get(kind, 0), 1)

    def forward(self, window: Tensor) -> Tensor:
        """Predictions ``(stocks,)`` of windows ``(steps, stocks, features)``, features scaled."""
        states = self.embed(window)
        today = states[-1]
        if self.kind == "week_gru":
            today = torch.cat([today, self.rnn(states)[1][0]], dim=1)
        elif self.kind == "week_attention":
            today = torch.cat([today, self.attention(states + self.place)], dim=1)
        elif self.kind == "stock_attention":
            stocks = today[None]
            summaries = self.gather(self.summaries[None], stocks, stocks, need_weights=False)[0]
            today = torch.cat([today, self.ask(stocks, summaries, summaries, need_weights=False)[0][0]], dim=1)
        return self.head(today).squeeze(1)


def squared_error(score: Tensor, label: Tensor) -> Tensor:
    return (score - label).square().mean()


def negative_ic(score: Tensor, label: Tensor) -> Tensor:
    a, b = score - score.mean(), label - label.mean()
    return -(a * b).sum() / (a.norm() * b.norm() + 1e-8)


def pairs(score: Tensor, label: Tensor) -> Tensor:
    """Logistic loss of random pairs, each weighted by how far its labels are apart."""
    other = torch.stack([torch.randperm(len(score)) for _ in range(PAIRS)])  # (pairs, stocks)
    apart = label - label[other]
    return (apart.abs() * nn.functional.softplus(-(score - score[other]) * apart.sign())).mean()


NETWORKS: dict[str, tuple[str, Callable[[Tensor, Tensor], Tensor]]] = {
    "mlp": ("mlp", squared_error),
    "mlp_ic": ("mlp", negative_ic),
    "mlp_pairs": ("mlp", pairs),
    "week_gru": ("week_gru", squared_error),
    "week_attention": ("week_attention", squared_error),
    "stock_attention": ("stock_attention", squared_error),
}


class Days:
    """Windows and labels of days, features divided by their scale on the training days and bounded."""

    def __init__(self, market: Market, train_days: np.ndarray, clip: float):
        self.market, self.clip = market, clip
        values = market.price_volume.values
        middles = np.stack([np.nanmedian(np.abs(values[d]), axis=0) for d in train_days])  # (days, features)
        count = (middles > 0).sum(0)
        self.scale = np.where(count > 0, TO_STD * middles.sum(0) / np.maximum(count, 1), 1.0).astype(np.float32)
        self._scaled: dict[int, np.ndarray] = {}

    def scaled(self, d: int) -> np.ndarray:
        """Features of a day ``(stocks, features)`` float16, 0 where a stock has none."""
        if d not in self._scaled:
            part = np.clip(self.market.price_volume.values[d] / self.scale, -self.clip, self.clip)
            self._scaled[d] = np.nan_to_num(part).astype(np.float16)
        return self._scaled[d]

    def window(self, d: int, rows: np.ndarray, steps: int) -> Tensor:
        """``(steps, rows, features)`` of a day."""
        back = BACK[-steps:]
        return torch.from_numpy(np.stack([self.scaled(d - b)[rows] for b in back]).astype(np.float32))

    def present(self, d: int) -> np.ndarray:
        """Whether a stock has features on a day."""
        return np.isfinite(self.market.price_volume.values[d, :, 0])

    def labelled(self, days: np.ndarray, steps: int) -> Iterator[Day]:
        """Window and label of each day with enough stocks."""
        for d in days:
            rows = np.flatnonzero(self.present(d) & np.isfinite(self.market.returns[HORIZON][d]))
            if len(rows) >= 30:
                label = transform("normal_rank", self.market.returns[HORIZON][d, rows, None])[:, 0]
                yield self.window(d, rows, steps), torch.from_numpy(label.astype(np.float32))


def fit(days: Days, parts: tuple[np.ndarray, ...], name: str, epochs: int) -> nn.Module:
    """A network trained on the first part's days, as it was at its best validation on the second's."""
    kind, loss = NETWORKS[name]
    torch.manual_seed(0)
    model, draw = Embedded(kind), np.random.default_rng(0)
    adam = torch.optim.Adam(model.parameters(), lr=0.001)
    train_days, valid_days = parts
    best, kept, since, epoch = -np.inf, copy.deepcopy(model.state_dict()), 0, 0
    while epoch < epochs and since < PATIENCE:
        epoch += 1
        model.train()
        for window, label in days.labelled(draw.permutation(train_days), model.steps):
            adam.zero_grad()
            loss(model(window), label).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            adam.step()
        model.eval()
        with torch.no_grad():
            found = [rank_ic(model(w).numpy(), y.numpy()) for w, y in days.labelled(valid_days, model.steps)]
        since += 1
        if np.mean(found) > best:
            best, kept, since = float(np.mean(found)), copy.deepcopy(model.state_dict()), 0
    print(f"  {name}: {epoch} epochs, validation RankIC {best:.3f}", flush=True)
    model.load_state_dict(kept)
    return model.eval()


def make(market: Market, half_year: str, names: list[str], epochs: int, kept: Path) -> None:
    """Store the scores of each network that has none yet for a half-year."""
    files = {n: kept / f"candidate_{n}-{half_year}-.npy" for n in names}
    if all(f.exists() for f in files.values()):
        return
    spec = get("price_volume_mlp")
    present = np.zeros(len(market.days), bool)
    present[market.read_days] = [np.isfinite(market.price_volume.values[d, :, 0]).sum() >= 30 for d in market.read_days]
    made = split(market.days, half_year, HORIZON, spec.split, label_end_days(market.days, HORIZON), present)
    # those whose earlier weeks are there, for every network
    parts = tuple(p[np.isin(p - BACK[0], market.read_days) & present[p]] for p in (made.train, made.valid))
    days = Days(market, parts[0], spec.network.clip)
    for name, file in files.items():
        if file.exists():
            continue
        began = time.process_time()
        model = fit(days, parts, name, epochs)
        tested = market.tested(half_year)
        out = np.full((len(tested), len(market.symbols)), np.nan)
        with torch.no_grad():
            for row, d in zip(out, tested, strict=True):
                rows = np.flatnonzero(days.present(d))
                row[rows] = model(days.window(d, rows, model.steps)).numpy()
        store(file, out)
        print(f"{name} {half_year}: {time.process_time() - began:.0f} s of CPU", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path, help="folder of real data, as real_panel.py takes it")
    parser.add_argument("--out", type=Path, default=Path("/tmp/mg-real-panel"))
    parser.add_argument("--half-years", nargs="+", default=list(DEVELOPMENT))
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--epochs", type=int, default=25)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    market = read_market(chosen.data, "alla", chosen.out / "alla")
    names = list(dict.fromkeys(["mlp", *chosen.networks]))
    for half_year in chosen.half_years:
        make(market, half_year, names, chosen.epochs, market.kept / "scores")
    stored = [f"candidate_{n}" for n in names]
    for universe in UNIVERSES:
        print("\n" + table(market, stored, chosen.half_years, universe, None))
    print("\n" + differences(market, stored, chosen.half_years, stored[0], None))


if __name__ == "__main__":
    main()
