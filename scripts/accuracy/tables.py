"""Runs toto on everything that docs/accuracy.md tells of, and prints its tables in Markdown.

usage: tables.py WORK TABLE...

WORK is the folder that run.sh fills; TABLE is ett, sixteen, dev, last, behaviour or groups. Environment: TOTO, the
program (build/toto); MODEL, a model in the place of the one inside (-m); ETT, the folder of ETTh1.csv and ETTh2.csv
(data); STRIDE, rows between windows of the benchmark (7).
"""
import csv
import os
import subprocess
import sys

import numpy as np

import made
import score

TOTO = os.environ.get('TOTO', 'build/toto')
MODEL = ['-m', os.environ['MODEL']] if os.environ.get('MODEL') else []
BASELINES = ('SeasonalNaive', 'AutoETS', 'AutoTheta')
QUANTILE_NAMES = [f'0.{q}' for q in range(1, 10)]


def toto(command, *args):
    """Standard output of toto."""
    return subprocess.run([TOTO, *command.split(), *MODEL, *args], check=True, stdout=subprocess.PIPE,
                          encoding='utf-8').stdout


def table(head, rows):
    """Prints a table: the first column is text, the others are numbers."""
    print('| ' + ' | '.join(head) + ' |')
    print('| ' + ' | '.join(['---'] + ['--:'] * (len(head) - 1)) + ' |')
    for row in rows:
        print('| ' + ' | '.join(cell if isinstance(cell, str) else f'{cell:.3f}' if abs(cell) < 1000 else f'{cell:.3g}'
                                for cell in row) + ' |')
    print()


def forecast_set(folder, out):
    """Forecasts a set into the CSV file out, as far as its longest horizon: a longer one leaves the steps before alone."""
    longest = max(s['horizon'] for s in score.read_set(folder))
    text = toto('forecast', '-H', str(longest), f'{folder}/context.csv')
    with open(out, 'w', encoding='utf-8', newline='\n') as f:
        f.write(text)


def print_ett():
    """Long sequence forecasting: the seven columns together and apart."""
    files = ','.join(f"{os.environ.get('ETT', 'data')}/{name}.csv" for name in ('ETTh1', 'ETTh2'))
    stride = os.environ.get('STRIDE', '7')
    scores = {}
    # Without -m, the model inside is meant; the baseline asks for its own run.
    for name, args in (('together', ('--group', 'all')), ('apart', ('--group', 'none'))):
        scores[name] = toto('eval lsf', '--data', files, '--stride', stride, '-f', 'csv', *args)
    scores['seasonal naive'] = subprocess.run(
        [TOTO, 'eval', 'lsf', '-m', 'seasonal-naive', '--data', files, '--stride', stride, '-f', 'csv'], check=True,
        stdout=subprocess.PIPE, encoding='utf-8').stdout
    cells = {}
    for name, text in scores.items():
        for r in csv.DictReader(text.splitlines()):
            data = os.path.basename(r['dataset']).removesuffix('.csv')
            cells[data, name, r['horizon']] = (float(r['mae']), float(r['mse']))
    horizons = ('96', '192', '336', '720', 'average')
    for at, measure in enumerate(('MAE', 'MSE')):
        table((measure, *horizons), [(f'{data}, {name}', *(cells[data, name, h][at] for h in horizons))
                                     for data in ('ETTh1', 'ETTh2') for name in scores])


def print_set(work, name):
    """A set of real series against the classical methods, in all and by frequency."""
    folder = f'{work}/{name}'
    series = score.read_set(folder)
    forecast_set(folder, f'{work}/forecasts/{name}/toto.csv')
    scores = {m: score.score_set(series, score.read_forecasts(f'{work}/forecasts/{name}/{m}.csv'))
              for m in (*BASELINES, 'toto')}
    table((f'{len(series)} series', 'MASE / naive', 'wQL / naive', 'Coverage of 80%'),
          [(m, *score.summary(s)[:3]) for m, s in scores.items()])
    rows = []
    for freq in dict.fromkeys(s['freq'] for s in series):
        ids = {s['id'] for s in series if s['freq'] == freq}
        part = {m: score.summary({k: v for k, v in scores[m].items() if k in ids}) for m in ('AutoETS', 'toto')}
        rows.append((freq, str(part['toto'][3]), *part['AutoETS'][:3], *part['toto'][:3]))
    table(('Frequency', 'Series', 'AutoETS MASE', 'wQL', 'coverage', 'toto MASE', 'wQL', 'coverage'), rows)


def print_behaviour(work):
    """Series made for their kind: is each forecast a number, in order and sane, and how good is it?"""
    folder = f'{work}/behaviour'
    series = score.read_set(folder)
    path = f'{folder}/toto.csv'
    forecast_set(folder, path)
    forecasts = score.read_forecasts(path)
    rows = []
    for kind in (k.__name__ for k in made.KINDS):
        part = [s for s in series if s['id'].startswith(kind + '_')]
        p = [forecasts[s['id']][:s['horizon']] for s in part]
        finite = sum(bool(np.isfinite(q).all()) for q in p)
        ordered = sum(bool((np.diff(q, axis=1) >= 0).all()) for q in p)
        near = 0
        for s, q in zip(part, p):
            low, high = np.nanmin(s['context']), np.nanmax(s['context'])
            # The scale of the network's input is never below 1e-6.
            room = high - low or max(0.01 * abs(high), 1e-5)
            near += bool((q >= low - room).all() and (q <= high + room).all())
        scores = score.score_set(part, forecasts)
        mase, wql, cover, _ = score.summary(scores) if scores else ('-', '-', '-', 0)
        rows.append((kind, *map(str, (len(part), finite, ordered, near)), mase, wql, cover))
    table(('Kind', 'Series', 'Finite', 'Ordered', 'Near', 'MASE / naive', 'wQL / naive', 'Coverage of 80%'), rows)


def read_columns(path):
    with open(path, encoding='utf-8', newline='') as f:
        head, *rows = csv.reader(f)
    return dict(zip(head, np.array(rows, float).T))


def ratios_together(path, future):
    """variate -> its mean absolute error forecast together with the file's others over that apart."""
    errors = []
    for group in ('all', 'none'):
        medians = {}
        text = toto('forecast', '--group', group, '-H', str(max(map(len, future.values()))), path)
        for r in csv.DictReader(text.splitlines()):
            medians.setdefault(r['unique_id'], []).append(float(r['0.5']))
        errors.append({name: np.abs(y - medians[name][:len(y)]).mean() for name, y in future.items()})
    return {name: errors[0][name] / errors[1][name] for name in future}


def mean_ratio(name, ratios):
    """A row of the table: the geometric mean."""
    return name, str(len(ratios)), float(np.exp(np.mean(np.log(ratios))))


def print_groups(work):
    """The error of variates forecast together over that of the same variates apart."""
    folder = f'{work}/groups'
    ratios = {'unrelated': [], **{f'follower of a leader, {lag} steps': [] for lag in made.LAGS}}
    for i in range(made.GROUPS):
        path = f'{folder}/unrelated_{i}'
        ratios['unrelated'] += ratios_together(f'{path}.csv', read_columns(f'{path}.future.csv')).values()
        path = f'{folder}/leading_{i}'
        lag = made.LAGS[i % len(made.LAGS)]
        future = {'follower': read_columns(f'{path}.future.csv')['follower'][:lag]}
        ratios[f'follower of a leader, {lag} steps'] += ratios_together(f'{path}.csv', future).values()
    ratios['monthly series it was chosen on, four of different sources'] = real_ratios(f'{work}/dev', f'{folder}/real.csv')
    table(('Variates', 'Number', 'Error together / apart'), [mean_ratio(*item) for item in ratios.items()])


def real_ratios(folder, path):
    """The ratios for the last 96 points of monthly series side by side; the file at path is made for it."""
    with open(f'{folder}/sources.csv', encoding='utf-8', newline='') as f:
        source = {r['unique_id']: r['source'] for r in csv.DictReader(f)}
    points = 96
    of_source = {}
    for s in score.read_set(folder):
        if s['freq'] == 'MS' and len(s['context']) >= points and np.isfinite(s['context'][-points:]).all():
            of_source.setdefault(source[s['id']], s)
    series = list(of_source.values())
    ratios = []
    for at in range(0, len(series) - 3, 4):
        four = series[at:at + 4]
        with open(path, 'w', encoding='utf-8', newline='\n') as f:
            f.write(','.join(s['id'] for s in four) + '\n')
            for row in zip(*(s['context'][-points:] for s in four)):
                f.write(','.join(repr(float(v)) for v in row) + '\n')
        ratios += ratios_together(path, {s['id']: s['future'] for s in four}).values()
    os.remove(path)
    return ratios


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    work, *names = sys.argv[1:]
    titles = {'ett': 'Long sequence forecasting', 'sixteen': 'Sixteen real series',
              'dev': 'Real series that the model was chosen on', 'last': 'Real series looked at last',
              'behaviour': 'Input of every kind', 'groups': 'Variates together'}
    for name in names:
        if name not in titles:
            sys.exit(f'{name}: no such table; there are {", ".join(titles)}')
        print(f'## {titles[name]}\n')
        if name == 'ett':
            print_ett()
        elif name == 'behaviour':
            print_behaviour(work)
        elif name == 'groups':
            print_groups(work)
        else:
            print_set(work, name)


if __name__ == '__main__':
    main()
