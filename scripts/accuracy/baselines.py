"""Forecasts a folder of series with the classical methods of statsforecast.

usage: baselines.py SET OUT METHOD...

METHOD is SeasonalNaive, AutoETS, AutoTheta or AutoARIMA. Writes OUT/METHOD.csv with unique_id, ds and the quantiles 0.1
to 0.9, taken from the prediction intervals of 20, 40, 60 and 80%; the median is the mean forecast. As these methods do
not take long seasons, a season above 24 counts as none, and they see the last 1,500 points; SeasonalNaive sees all.
Missing values are filled with the one before.
"""
import csv
import os
import sys
from multiprocessing import Pool

import numpy as np
from statsforecast import models

import score

LONGEST_SEASON = 24
MOST_POINTS = 1500
LEVELS = [20, 40, 60, 80]


def forecast(job):
    """Array [step, quantile] for one series."""
    method, s = job
    x = score.fill_forward(s['context'])
    season = s['season']
    if method != 'SeasonalNaive':
        season = season if season <= LONGEST_SEASON else 1
        x = x[-MOST_POINTS:]
    out = getattr(models, method)(season_length=season).forecast(y=x, h=s['horizon'], level=LEVELS)
    low = [out[f'lo-{level}'] for level in reversed(LEVELS)]
    high = [out[f'hi-{level}'] for level in LEVELS]
    return np.stack([*low, out['mean'], *high], axis=1)


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    folder, out, *methods = sys.argv[1:]
    series = score.read_set(folder)
    when = {}
    with open(f'{folder}/future.csv', encoding='utf-8', newline='') as f:
        for r in csv.DictReader(f):
            when.setdefault(r['unique_id'], []).append(r['ds'])
    os.makedirs(out, exist_ok=True)
    for method in methods:
        with Pool() as pool:
            results = pool.map(forecast, [(method, s) for s in series], chunksize=1)
        with open(f'{out}/{method}.csv', 'w', encoding='utf-8', newline='\n') as f:
            f.write('unique_id,ds,' + ','.join(f'0.{q}' for q in range(1, 10)) + '\n')
            for s, p in zip(series, results):
                for ds, row in zip(when[s['id']], p):
                    f.write(f"{s['id']},{ds}," + ','.join(f'{v:.9g}' for v in row) + '\n')


if __name__ == '__main__':
    main()
