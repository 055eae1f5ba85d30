"""Train a model of the catalog on one's own panel, in two processes, and predict: python examples/train_and_predict.py.

A plain script, without a `__main__` guard: the processes do not run it again.
"""

import pandas as pd
from sample_market import adjusted

from mg_models import Panel, get, override, predict, train

close, volume = adjusted("close"), adjusted("volume")
table = pd.concat(  # a row a date and symbol, a column a feature
    {
        "ret_1": close.pct_change(fill_method=None).stack(),
        "ret_20": (close / close.shift(20) - 1).stack(),
        "volume_5_60": (volume.rolling(5).mean() / volume.rolling(60).mean()).stack(),
    },
    axis=1,
)
returns = close.shift(-11) / close.shift(-1) - 1  # from T+1 to T+11

panel = Panel.from_frame(table)
spec = override(get("hf_gru"), steps=5, hidden=8, every=1, max_epochs=3, min_train_days=20, min_valid_days=5)
models = train(spec, {"hf": panel}, returns, None, "2022H2", seeds=[0, 1], workers=2)

days = panel.days[panel.days >= pd.Timestamp("2022-07-01").to_datetime64()]
scores = pd.DataFrame(predict(models, {"hf": panel}, days), days, panel.symbols)
print(scores.iloc[-3:, :5].round(3))
