"""Makes series of seeded numbers, for what a forecast must do on input of every kind.

usage: made.py OUT

OUT/behaviour is a set as score.py reads it, daily series with a season of 7 but for the last two kinds; a series is called
KIND_NUMBER:

    constant      one value: 0, 5, -3, 1e6, 0.1 and so on
    short         20 points of level, trend, season or a walk
    gappy         a season and a trend, a third of the points missing, half of those in blocks of 7
    huge          a season and noise at 1e30, and at 1e10 about 1e12
    tiny          the same at 1e-12, and at 1e-30
    count         Poisson counts with a weekly rate
    intermittent  counts of which four in five are zero
    stuck         hours with a season of 24, whose meter stands nearly still for the last 2 to 20 days and goes on so
    fallen        the same, whose level falls or rises 10 to 40 times its size in the last 2 to 10 days and stays there

OUT/groups holds files of several variates, one column each, that forecast reads together or apart:

    unrelated_N.csv  four variates with nothing in common
    leading_N.csv    `leader`, and `follower`, which is the leader LAGS[N % 3] steps ago, scaled, with a little noise

and FILE.future.csv, the GROUP_HORIZON steps that follow each.
"""
import collections
import datetime as dt
import os
import sys

import numpy as np

Frequency = collections.namedtuple('Frequency', 'name season step points horizon time')
DAILY = Frequency('D', 7, dt.timedelta(days=1), 364, 28, '%Y-%m-%d')
HOURLY = Frequency('H', 24, dt.timedelta(hours=1), 2048, 336, '%Y-%m-%d %H:%M:%S')
EACH = 8
LAGS = (6, 12, 24)
GROUP_HORIZON = 24
GROUP_POINTS = 512
GROUPS = 32


def wave(rng, n, season=7):
    """A season of its own, a slow drift and noise, about zero, of the size of one."""
    shape = rng.normal(size=season)
    walk = np.cumsum(rng.normal(size=n)) * 0.02
    return np.tile(shape, n // season + 1)[:n] + walk + 0.3 * rng.normal(size=n)


def constant(rng, n, i):
    return np.full(n, (0.0, 5.0, -3.0, 1e6, 0.1, 1e-9, 1e12, -1e5)[i])


def short(rng, n, i):
    t = np.arange(n) - (n - DAILY.horizon - 20)
    kind = i % 4
    if kind == 0:
        return 50 + 3 * rng.normal(size=n)
    if kind == 1:
        return 10 + 2 * t + rng.normal(size=n)
    if kind == 2:
        return 20 + 5 * wave(rng, n)
    return 100 + np.cumsum(rng.normal(size=n))


def gappy(rng, n, i):
    y = 30 + 0.05 * np.arange(n) + 5 * wave(rng, n)
    known = n - DAILY.horizon
    y[:known][rng.random(known) < 1 / 6] = np.nan
    for start in rng.integers(0, known - 7, size=known // 42):
        y[start:start + 7] = np.nan
    y[known - 1] = 30 + 0.05 * known
    return y


def huge(rng, n, i):
    return 1e30 * (3 + wave(rng, n)) if i % 2 else 1e12 + 1e10 * wave(rng, n)


def tiny(rng, n, i):
    return (1e-30 if i % 2 else 1e-12) * (3 + wave(rng, n))


def count(rng, n, i):
    rate = np.exp(rng.uniform(0, 3) + 0.5 * rng.normal(size=7))
    return rng.poisson(np.tile(rate, n // 7 + 1)[:n]).astype(float)


def intermittent(rng, n, i):
    return np.where(rng.random(n) < 0.2, 1 + rng.poisson(rng.uniform(1, 10), size=n), 0).astype(float)


def fault(n, i, most):
    """Where the last 2 to `most` days before the forecast begin."""
    return n - HOURLY.horizon - round(24 * (2 + (most - 2) * i / (EACH - 1)))


def stuck(rng, n, i):
    y, begin = wave(rng, n, 24), fault(n, i, 20)
    y[begin:] = rng.uniform(-4, 4) + 0.01 * y[begin:]
    return y


def fallen(rng, n, i):
    y, begin = wave(rng, n, 24), fault(n, i, 10)
    y[begin:] += (-1) ** i * rng.uniform(10, 40)
    return y


KINDS = (constant, short, gappy, huge, tiny, count, intermittent, stuck, fallen)
OF_HOURS = (stuck, fallen)


def write_behaviour(folder):
    os.makedirs(folder, exist_ok=True)
    context = ['unique_id,ds,y\n']
    future = ['unique_id,ds,y\n']
    meta = ['unique_id,freq,season,horizon,n\n']
    for number, kind in enumerate(KINDS):
        for i in range(EACH):
            f = HOURLY if kind in OF_HOURS else DAILY
            n = 20 if kind is short else f.points
            y = kind(np.random.default_rng([6, number, i]), n + f.horizon, i)
            uid = f'{kind.__name__}_{i}'
            for at, v in enumerate(y):
                time = (dt.datetime(2022, 1, 1) + at * f.step).strftime(f.time)
                (context if at < n else future).append(f"{uid},{time},{'' if np.isnan(v) else repr(float(v))}\n")
            meta.append(f'{uid},{f.name},{f.season},{f.horizon},{n}\n')
    for name, lines in (('context', context), ('future', future), ('meta', meta)):
        with open(f'{folder}/{name}.csv', 'w', encoding='utf-8', newline='\n') as f:
            f.writelines(lines)


def unrelated(rng, n, i):
    """Four variates: a season, a walk, an autoregression and a trend with another season, in any order and scale."""
    t = np.arange(n)
    slow = np.zeros(n)
    shock = rng.normal(size=n)
    for at in range(1, n):
        slow[at] = 0.9 * slow[at - 1] + shock[at]
    rows = [wave(rng, n, int(rng.choice([7, 12, 24]))), np.cumsum(rng.normal(size=n)), slow,
            0.02 * t * rng.normal() + np.sin(2 * np.pi * t / rng.uniform(10, 60)) + 0.3 * rng.normal(size=n)]
    order = rng.permutation(4)
    return {f'v{k}': 10 ** rng.uniform(-2, 4) * (rows[at] + rng.uniform(-5, 5)) for k, at in enumerate(order)}


def leading(rng, n, i):
    """A leader that cannot be forecast far ahead, and its follower."""
    lag = LAGS[i % len(LAGS)]
    step = rng.normal(size=n + lag)
    level = np.zeros(n + lag)
    for at in range(1, n + lag):
        level[at] = 0.8 * level[at - 1] + step[at]
    follower = 10 ** rng.uniform(-1, 2) * (level[:n] + 0.1 * rng.normal(size=n))
    return {'leader': level[lag:], 'follower': follower}


def write_groups(folder):
    os.makedirs(folder, exist_ok=True)
    for number, make in enumerate((unrelated, leading)):
        for i in range(GROUPS):
            columns = make(np.random.default_rng([7, number, i]), GROUP_POINTS + GROUP_HORIZON, i)
            path = f'{folder}/{make.__name__}_{i}'
            for name, part in ((f'{path}.csv', slice(0, GROUP_POINTS)),
                               (f'{path}.future.csv', slice(GROUP_POINTS, None))):
                with open(name, 'w', encoding='utf-8', newline='\n') as f:
                    f.write(','.join(columns) + '\n')
                    for row in zip(*(v[part] for v in columns.values())):
                        f.write(','.join(repr(float(v)) for v in row) + '\n')


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    write_behaviour(f'{sys.argv[1]}/behaviour')
    write_groups(f'{sys.argv[1]}/groups')


if __name__ == '__main__':
    main()
