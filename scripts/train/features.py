#!/usr/bin/env python3
"""Sets made-up series beside real ones: quantiles of features of each, family by family, to see where they part.

usage: features.py DIR     DIR: a folder of real series, as scripts/accuracy/score.py reads it
"""
import sys

import numpy as np
import torch

from evaluate import score
from series import FAMILIES, Draws, SeriesMaker

# Frequencies of meta.csv, the season of the features, the family in series.FAMILIES, and the most steps.
PAIRS = (("YS", 1, 0, 320), ("QS", 4, 1, 320), ("MS", 12, 2, 320), ("D", 7, 4, 1280), ("H", 24, 6, 5120))
SHARES = (0.05, 0.25, 0.5, 0.75, 0.95)
MADE = 400


def correlation(v, lag=1):
    return np.corrcoef(v[:-lag], v[lag:])[0, 1] if len(v) > lag + 3 and v[:-lag].std() > 0 and v[lag:].std() > 0 else 0.0


def seasons(x, season):
    """The whole seasons of x, one a row."""
    return x[:len(x) // season * season].reshape(-1, season)


def momentum(x, season):
    """Whether the level goes on where it went: the correlation of its last move, from one mean of seven seasons to the next,
    with its next move. A walk has 0, a level that comes back less; NaN for a short series."""
    w = np.convolve(seasons(x, season).mean(1), np.ones(7) / 7, "valid")
    return np.corrcoef(w[7:-7] - w[:-14], w[14:] - w[7:-7])[0, 1] if len(w) > 28 and w.std() > 0 else np.nan


def echo(x, season):
    """The correlation of what is left of a season without its mean and the usual shape with the same a season later; NaN for a
    short series."""
    z = seasons(x, season)
    rest = (z - z.mean(1, keepdims=True) - z.mean(0) + z.mean()).ravel()
    return correlation(rest, season) if season > 4 and len(z) > 28 else np.nan


def origins(x, season, every):
    """The levels of 84 seasons up to an origin and the mean level of the second to fourth seven seasons from it, for origins
    `every` so many seasons."""
    level = seasons(x, season).mean(1)
    for now in range(84, len(level) - 27, every):
        yield level[now - 84:now], level[now + 7:now + 28].mean()


def after(x, season):
    """Where a level goes that has just gone far: the mean of its way in the second to fourth seven seasons after a move of
    more than four deviations of the seasons before, in lengths of that move. 0: it stays, -1: it is back; NaN where none
    is."""
    ways = []
    for past, ahead in origins(x, season, 1):
        before = past[:72]
        move = past[-1] - np.median(before)
        if abs(move) > 4 * before.std() and abs(past[-1] - past[-2]) < 0.15 * abs(move):
            ways.append((ahead - past[-1]) / move)
    return np.mean(ways) if ways else np.nan


def drift(x, season):
    """Whether a slow drift goes on: how far the level goes to the second to fourth seven seasons from now for each unit that
    the last 28 lay above the 56 before, beside what the last three come back (least squares). 0: it stays where it is; NaN
    for a short series."""
    rows = []
    for past, ahead in origins(x, season, 4):
        last, month, before = past[-3:].mean(), past[-28:].mean(), past[:-28].mean()
        rows.append((last - month, month - before, ahead - last))
    rows = np.array(rows)
    return np.linalg.lstsq(rows[:, :2], rows[:, 2], rcond=None)[0][1] if len(rows) > 12 else np.nan


def features(x, season):
    """Of one series: name -> number, or None for one that is constant or too short."""
    x = x[np.isfinite(x)]
    if len(x) < 2 * season + 8 or x.std() == 0:
        return None
    step, cycle, t, half = np.diff(x), x[season:] - x[:-season], np.arange(len(x)), len(x) // 2
    line = x - np.polyval(np.polyfit(t, x, 1), t)
    first, last = x[:half // 2].mean(), x[-half // 2:].mean()
    return {
        "step": np.log(np.abs(step).mean() / x.std()),  # log of the mean move of a step, in deviations of the series
        "cycle": np.log(np.abs(cycle).mean() / x.std() + 1e-6),  # the same of a season
        "step acf": correlation(step), "cycle acf": correlation(cycle), "cycle acf season": correlation(cycle, season),
        "tails": np.log((((step - step.mean()) / step.std()) ** 4).mean()) if step.std() > 0 else 0.0,
        "growth": np.log(last / first) if x.min() > 0 else np.nan,
        "unrest": np.log(step[half:].std() + 1e-12) - np.log(step[:half].std() + 1e-12),
        "line": 1 - line.var() / x.var(),
        "repeats": (step == 0).mean(), "momentum": momentum(x, season), "echo": echo(x, season),
        "after": after(x, season), "drift": drift(x, season),
    }


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    series = score.read_set(sys.argv[1])
    device, generator = torch.device("cpu"), torch.Generator()
    generator.manual_seed(0)
    for name, season, family, most in PAIRS:
        real = [s["context"][-most:] for s in series if s["freq"] == name]
        if not real:
            continue
        maker = SeriesMaker(most, device)
        maker.shares = tuple(float(i == family) for i in range(len(FAMILIES)))
        lengths = torch.tensor([[float(len(real[i % len(real)]))] for i in range(MADE)])
        values, start = maker.make(Draws(device, generator), MADE, most - lengths)
        made = [v[int(s):].double().numpy() for v, s in zip(values, start)]
        real, made = ([f for f in (features(x, season) for x in part) if f] for part in (real, made))
        print("%s: %d real, %d made; quantiles %s" % (name, len(real), len(made), SHARES))
        for key in real[0]:
            rows = [np.array([f[key] for f in part]) for part in (real, made)]
            rows = [v[np.isfinite(v)] for v in rows]
            if min(map(len, rows)) > 0:
                print("  %-18s real %s   made %s" % (
                    key, *(" ".join("%6.2f" % q for q in np.quantile(v, SHARES)) for v in rows)))


if __name__ == "__main__":
    main()
