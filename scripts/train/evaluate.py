"""Scores a network on real series while it trains. Real series choose between settings; none is trained on.

The folders of series, and their scores, are those of scripts/accuracy/score.py, which scores toto itself.
"""
import math
import os
import sys

import numpy as np
import torch

from batches import causal_scale, fill_forward
from network import ROWS, attention_masks, rotary_tables

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "accuracy"))
import score  # noqa: E402

MAX_CONTEXT = 4096


def forecast(network, contexts, horizon, groups=None):
    """Quantiles [n, horizon, 9] of contexts (arrays with NaN for what is missing), in blocks of ROWS rows; groups: the
    number of the group of each within its block (all apart by default). One pass, as toto forecasts."""
    device = next(network.parameters()).device
    p = network.shape.patch
    ahead = math.ceil(horizon / p)
    contexts = [np.asarray(c[-MAX_CONTEXT:], dtype=np.float64) for c in contexts]
    tokens = max(math.ceil(len(c) / p) for c in contexts)
    n = math.ceil(len(contexts) / ROWS) * ROWS
    y = np.full((n, tokens * p), np.nan)
    for i, c in enumerate(contexts):
        y[i, tokens * p - len(c):] = c
    y = torch.tensor(y, device=device, dtype=torch.float32)
    known = torch.isfinite(y)
    x = fill_forward(torch.where(known, y, torch.zeros_like(y)), known)
    known[:, -p:] = True
    empty = torch.zeros(n, ahead * p, device=device)
    x, seen = torch.cat((torch.where(known, x, torch.zeros_like(x)), empty), 1), torch.cat((known, empty.bool()), 1)
    loc, scale, _ = causal_scale(x, seen, p)
    shape = (n, tokens + ahead, p)
    z = torch.asinh((x.view(shape) - loc[..., None]) / scale[..., None]) * seen.view(shape)
    unseen = ~seen.view(shape).any(2)
    unseen[:, tokens:] = False
    group = torch.arange(n, device=device) % ROWS if groups is None else torch.tensor(groups, device=device)
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    masks = attention_masks(torch.zeros_like(unseen, dtype=torch.long), unseen, group[:, None].expand_as(unseen), dtype)
    rotary = rotary_tables(tokens + ahead, network.shape.head, device)
    with torch.no_grad(), torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda"):
        q = network(z, 1.0 - seen.view(shape).float(), masks, rotary)[:, tokens - 1:-1].float()
    q = torch.sinh(q) * scale[:, tokens:, None, None] + loc[:, tokens:, None, None]
    return q.sort(-1).values.flatten(1, 2)[:len(contexts), :horizon].cpu().numpy().astype(np.float64)


def score_folder(network, series):
    """The scores of a set that score.read_set read: {id: (relative MASE, relative weighted quantile loss, coverage)}."""
    forecasts, batch = {}, []
    order = sorted(series, key=lambda s: (s["horizon"], len(s["context"])))
    for item, following in zip(order, order[1:] + [None]):
        batch.append(item)
        if (following is None or following["horizon"] != item["horizon"] or len(batch) == 16 * ROWS or
                len(following["context"]) > 2 * len(batch[0]["context"]) + 64):
            quantiles = forecast(network, [s["context"] for s in batch], item["horizon"])
            forecasts.update((s["id"], q) for s, q in zip(batch, quantiles))
            batch = []
    return score.score_set(series, forecasts)


def summary(scores):
    mase, loss, coverage, n = score.summary(scores)
    return "%d series: MASE %.3f wQL %.3f (relative), coverage %.3f" % (n, mase, loss, coverage)


def ett_validation(network, path, horizons=(96, 192, 336, 720), context=2048, stride=48):
    """Mean absolute error on the validation rows of an ETT file (8,640 to 11,519), standardised by the training rows:
    {horizon: (columns together, columns apart)}."""
    with open(path) as f:
        rows = np.array([line.split(",")[1:] for line in f.read().splitlines()[1:]], dtype=np.float64)[:11520]
    rows = (rows - rows[:8640].mean(0)) / rows[:8640].std(0, ddof=1)
    together, apart = [0] * 7 + [1] * 9, list(range(ROWS))
    out = {}
    for h in horizons:
        origins = list(range(8640, 11520 - h + 1, stride))
        truth = np.stack([rows[o:o + h].T for o in origins])  # [windows, 7, h]
        pair = []
        for group in (together, apart):
            errors = []
            for k in range(0, len(origins), 8):
                blocks = []
                for o in origins[k:k + 8]:
                    block = rows[max(o - context, 0):o].T
                    blocks += list(block) + [block[0]] * (ROWS - 7)
                q = forecast(network, blocks, h, group * (len(blocks) // ROWS))
                medians = q[..., 4].reshape(-1, ROWS, h)[:, :7]
                errors.append(np.abs(medians - truth[k:k + 8]).mean((1, 2)))
            pair.append(float(np.concatenate(errors).mean()))
        out[h] = tuple(pair)
    return out
