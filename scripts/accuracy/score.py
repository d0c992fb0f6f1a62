"""Scores quantile forecasts of a folder of series against the seasonal naive forecast.

usage: score.py SET NAME=FORECASTS... [--each FILE]

SET holds context.csv and future.csv (unique_id, ds, y) and meta.csv (unique_id, freq, season, horizon, n). FORECASTS is
a CSV file with unique_id and nine columns for the quantiles 0.1 to 0.9, as toto forecast and baselines.py write it;
its rows are in the order of time. Prints a table in Markdown, a row a forecast. --each writes the scores of each
series.

A series' relative MASE is the mean absolute error of its median over that of the seasonal naive forecast: the scale
of MASE (Hyndman and Koehler 2006) is the same above and below, and cancels. Its relative weighted quantile loss is the
mean pinball loss of the nine quantiles (twice, so that at the median it is the absolute error) over the same. The
tables give the geometric mean over series, each ratio at least 0.01, and the coverage: the mean over series of the
share of points between the quantiles 0.1 and 0.9, which is 0.8 for a calibrated forecast. Points without a value do not
count, nor do series on which the naive forecast is perfect.
"""
import csv
import sys

import numpy as np

QUANTILES = np.arange(1, 10) / 10
FLOOR = 0.01


def read_values(path):
    """The values of each series of a CSV file, in order; NaN where there is none."""
    out = {}
    with open(path, encoding='utf-8', newline='') as f:
        for r in csv.DictReader(f):
            out.setdefault(r['unique_id'], []).append(float(r['y'] or 'nan'))
    return {k: np.array(v) for k, v in out.items()}


def read_set(folder):
    """The series of a set: a list of dicts with id, freq, season, horizon, context and future."""
    context, future = (read_values(f'{folder}/{name}.csv') for name in ('context', 'future'))
    with open(f'{folder}/meta.csv', encoding='utf-8', newline='') as f:
        return [{'id': r['unique_id'], 'freq': r['freq'], 'season': int(r['season']), 'horizon': int(r['horizon']),
                 'context': context[r['unique_id']], 'future': future[r['unique_id']]} for r in csv.DictReader(f)]


def read_forecasts(path):
    """The forecasts of a CSV file: unique_id -> array [step, quantile]."""
    out = {}
    with open(path, encoding='utf-8', newline='') as f:
        reader = csv.DictReader(f)
        columns = []
        for q in range(1, 10):
            names = [c for c in reader.fieldnames if c in (f'0.{q}', f'q0.{q}', f'q{q * 10}', f'Toto-q-{q * 10}')]
            if len(names) != 1:
                sys.exit(f'{path}: no column, or several, for the quantile 0.{q}')
            columns.append(names[0])
        for r in reader:
            out.setdefault(r['unique_id'], []).append([float(r[c]) for c in columns])
    return {k: np.array(v) for k, v in out.items()}


def fill_forward(x):
    """x with each missing value replaced by the one before it, or by the first value at the start."""
    ok = np.isfinite(x)
    at = np.maximum.accumulate(np.where(ok, np.arange(len(x)), 0))
    at[:np.argmax(ok)] = np.argmax(ok)
    return x[at]


def seasonal_naive(x, season, horizon):
    """The last season of x again and again, horizon steps."""
    x = fill_forward(x)
    return x[len(x) - season + np.arange(horizon) % season]


def score_series(series, quantiles):
    """(relative MASE, relative weighted quantile loss, coverage) of one series; None where naive is perfect."""
    horizon, y = series['horizon'], series['future']
    ok = np.isfinite(y)
    naive = np.abs(y - seasonal_naive(series['context'], series['season'], horizon))[ok].sum()
    if naive == 0:
        return None
    y, p = y[ok], quantiles[:horizon][ok]
    miss = y[:, None] - p
    loss = 2 * np.maximum(QUANTILES * miss, (QUANTILES - 1) * miss).sum() / len(QUANTILES)
    inside = (p[:, 0] <= y) & (y <= p[:, -1])
    return np.abs(y - p[:, 4]).sum() / naive, loss / naive, inside.mean()


def score_set(series, forecasts):
    """unique_id -> scores, of the series that can be scored."""
    out = {}
    for s in series:
        p = forecasts.get(s['id'])
        if p is None or len(p) < s['horizon']:
            sys.exit(f"{s['id']}: {0 if p is None else len(p)} steps are forecast, {s['horizon']} are needed")
        scores = score_series(s, p)
        if scores is not None:
            out[s['id']] = scores
    return out


def summary(scores):
    """(geometric mean of relative MASE, of relative weighted quantile loss, mean coverage, series)."""
    a = np.array(list(scores.values()))
    log = np.log(np.maximum(a[:, :2], FLOOR)).mean(axis=0)
    return (*np.exp(log), a[:, 2].mean(), len(a))


def main():
    args = sys.argv[1:]
    each = None
    if '--each' in args:
        at = args.index('--each')
        each = args[at + 1]
        del args[at:at + 2]
    if len(args) < 2:
        sys.exit(__doc__)
    series = read_set(args[0])
    lines = []
    print('| Forecast | MASE / naive | wQL / naive | Coverage of 80% |')
    print('| --- | --- | --- | --- |')
    for arg in args[1:]:
        name, path = arg.split('=', 1)
        scores = score_set(series, read_forecasts(path))
        mase, wql, cover, _ = summary(scores)
        print(f'| {name} | {mase:.3f} | {wql:.3f} | {cover:.3f} |')
        lines += [f'{k},{name},{a:.6g},{b:.6g},{c:.6g}\n' for k, (a, b, c) in scores.items()]
    if each:
        with open(each, 'w', encoding='utf-8', newline='\n') as f:
            f.write('unique_id,method,rel_mase,rel_wql,coverage\n')
            f.writelines(lines)


if __name__ == '__main__':
    main()
