"""Synthetic time series, made on the device that trains. No real series is read.

A batch of series is drawn as arrays [n, T]. Each series belongs to a family (monthly, hourly, ...) that gives it its
periods, and is put together from a trend, seasonal shapes, cycles, a random walk or an exponential-smoothing process,
noise, events and a link (additive, multiplicative, counts, bounded, ...). Linear processes are convolutions of white
noise with their impulse response, so nothing loops over time.

Sources of the ingredients: exponential smoothing in innovation form (Hyndman, Koehler, Ord, Snyder 2008), ARIMA (Box,
Jenkins 1970), fractional noise (Hosking 1981), Gaussian processes as priors of series (Ansari et al. 2024, KernelSynth).
"""
import collections
import math

import torch

# Periods (fast, slow, slowest; 0: none), how apt the family is to trend, and its share of series of up to 320, 640,
# 1,280, 2,560 and 5,120 points.
FAMILIES = (
    # yearly, quarterly, monthly, weekly
    ((0, 0, 0), 0.85, (0.15, 0.04, 0.02, 0.01, 0.00)),
    ((4, 0, 0), 0.85, (0.19, 0.06, 0.02, 0.00, 0.00)),
    ((12, 0, 0), 0.80, (0.34, 0.34, 0.12, 0.02, 0.00)),
    ((52.18, 0, 0), 0.60, (0.04, 0.12, 0.12, 0.04, 0.02)),
    # daily, business days
    ((7, 30.44, 365.25), 0.42, (0.06, 0.12, 0.22, 0.15, 0.12)),
    ((5, 21.7, 260.9), 0.45, (0.04, 0.06, 0.08, 0.04, 0.04)),
    # hourly; every 30, 15, 10, 5 and 1 minutes
    ((24, 168, 8766), 0.08, (0.05, 0.10, 0.22, 0.46, 0.52)),
    ((48, 336, 17532), 0.08, (0.02, 0.03, 0.06, 0.12, 0.13)),
    ((96, 672, 35064), 0.08, (0.01, 0.02, 0.03, 0.05, 0.06)),
    ((144, 1008, 0), 0.08, (0.00, 0.01, 0.01, 0.02, 0.03)),
    ((288, 2016, 0), 0.08, (0.00, 0.01, 0.01, 0.02, 0.02)),
    ((60, 1440, 0), 0.08, (0.01, 0.01, 0.01, 0.01, 0.01)),
    # any period
    ((-1, 0, 0), 0.50, (0.09, 0.08, 0.08, 0.06, 0.05)),
)
MONTHLY, FIRST_DAILY, FIRST_HOURLY, ANY = 2, 4, 6, 12
LONG_PERIOD = 20  # steps; longer ones have a shape of many parts, as a day of hours has
PLAIN = 0.15  # share of series of few parts
LENGTHS = (320, 640, 1280, 2560, 5120)
SHORT_PERIODS = (2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0, 12.0, 24.0)
# Days and business days of the months of 28 years, over their means: many monthly totals follow them.
MONTH_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


# What families are, each bool [n, 1]: often: measured more often than daily; growing: counted by weeks, months and quarters,
# which mostly grow.
Kind = collections.namedtuple("Kind", "monthly economic growing daily often")


class Draws:
    """Random numbers of one generator, shaped for [n, T] arithmetic."""

    def __init__(self, device, generator):
        self.device, self.generator = device, generator
        self.edges = {}

    def uniform(self, *shape):
        return torch.rand(shape, device=self.device, generator=self.generator)

    def normal(self, *shape):
        return torch.randn(shape, device=self.device, generator=self.generator)

    def coin(self, p, n):
        return self.uniform(n, 1) < p

    def between(self, low, high, n):
        return low + (high - low) * self.uniform(n, 1)

    def log_between(self, low, high, n):
        return torch.exp(self.between(math.log(low), math.log(high), n))

    def pick(self, weights, n):
        """Index [n, 1] drawn by weights."""
        if weights not in self.edges:
            edges = torch.tensor(weights, dtype=torch.float64).cumsum(0)
            self.edges[weights] = (edges / edges[-1]).float().to(self.device)
        return torch.searchsorted(self.edges[weights], self.uniform(n, 1)).clamp_max(len(weights) - 1)


def centred(x, on):
    """x [n, T] less its mean over the places where `on` is 1, and 0 elsewhere; the mean and standard deviation [n, 1] there."""
    count = on.sum(1, keepdim=True).clamp_min(2)
    mean = (x * on).sum(1, keepdim=True) / count
    x = (x - mean) * on
    return x, mean, ((x * x).sum(1, keepdim=True) / count).sqrt()


def unit(x, on):
    """Mean 0 and standard deviation 1 over the places where `on` is 1, and 0 elsewhere."""
    x, _, deviation = centred(x, on)
    return x / deviation.clamp_min(1e-6)


def filtered(x, *responses):
    """Causal convolution of x [n, T] with impulse responses [n, T], of which all but one die out long before T."""
    size = 2 * x.shape[1]
    product = torch.fft.rfft(x, n=size)
    for response in responses:
        product = product * torch.fft.rfft(response, n=size)
    return torch.fft.irfft(product, n=size)[:, :x.shape[1]]


def wander(draw, response, on):
    """White noise filtered by an impulse response [n, T]. Unit variance."""
    return unit(filtered(draw.normal(*response.shape), response), on)


def smooth(draw, n, steps, width):
    """A Gaussian process with a squared-exponential kernel of `width` steps [n, 1], before scaling."""
    size = 2 * steps
    spectrum = torch.fft.rfft(draw.normal(n, steps), n=size)
    w = 2 * math.pi * torch.arange(spectrum.shape[1], device=draw.device) / size
    return torch.fft.irfft(spectrum * torch.exp(-0.5 * (w * width) ** 2), n=size)[:, :steps]


def month_tables(device):
    days, business, day = [], [], 0
    for year in range(28):
        for month in range(12):
            length = MONTH_DAYS[month] + (month == 1 and year % 4 == 0)
            days.append(length)
            business.append(sum((day + k) % 7 < 5 for k in range(length)))
            day += length
    return [torch.tensor(x, device=device, dtype=torch.float32) / (sum(x) / len(x)) - 1 for x in (days, business)]


class SeriesMaker:
    """Draws series of a fixed number of steps."""

    def __init__(self, steps, device):
        self.steps, self.device = steps, device
        self.column = min(range(len(LENGTHS)), key=lambda i: abs(LENGTHS[i] - steps))
        self.t = torch.arange(steps, device=device, dtype=torch.float32)[None]
        self.periods = torch.tensor([f[0] for f in FAMILIES], device=device, dtype=torch.float32)
        self.trendiness = torch.tensor([f[1] for f in FAMILIES], device=device)
        self.shares = tuple(f[2][self.column] for f in FAMILIES)
        self.short = torch.tensor(SHORT_PERIODS, device=device)
        self.weekend = torch.zeros(48, device=device)
        self.weekend[5:7] = 1.0
        self.month_days, self.month_business = month_tables(device)

    # ---- Parts ---------------------------------------------------------------------------------------

    def seasonal_shape(self, draw, n, period):
        """One cycle's shape, as a function of time: harmonics, a free profile, spikes, on and off, or bumps."""
        phase = draw.uniform(n, 1)
        u = self.t / period + phase
        part = u - torch.floor(u)
        decay = draw.between(0.4, 2.2, n)
        y = torch.zeros(n, self.steps, device=self.device)
        for k in range(1, 7):
            a, b = draw.normal(n, 1), draw.normal(n, 1)
            keep = (draw.coin(0.7, n) | (k == 1)) & (period > 1.99 * k)
            size = torch.exp(-decay * math.log(k)) * keep
            y = y + size * (a * torch.sin(2 * math.pi * k * u) + b * torch.cos(2 * math.pi * k * u))
        # A free profile of up to 48 places, in steps for short periods, in lines for long ones.
        places = 48
        profile = draw.normal(n, places)
        rough = torch.where(draw.coin(0.5, n), profile, profile.cumsum(1) * 0.5)
        rough = torch.where(draw.coin(0.15, n), torch.exp(1.2 * profile), rough)
        used = torch.where(period <= places, torch.round(period), torch.full_like(period, 24.0))
        where = part * used
        low = torch.floor(where).clamp_max(places - 1)
        high = torch.where(low + 1 >= used, torch.zeros_like(low), low + 1).long()
        low = low.long()
        share = torch.where(period <= places, torch.zeros_like(where), where - low)
        free = rough.gather(1, low) * (1 - share) + rough.gather(1, high) * share
        width = draw.between(0.03, 0.6, n)
        on_off = torch.where(part < torch.maximum(width, 1 / period), 2.0, 0.0)
        bump = torch.exp(draw.log_between(1, 60, n) * (torch.cos(2 * math.pi * u) - 1))
        kind = draw.pick((0.45, 0.33, 0.10, 0.12), n)
        kind = torch.where((period > LONG_PERIOD) & (kind == 1) & draw.coin(0.5, n), torch.zeros_like(kind), kind)
        y = torch.where(kind == 1, free, y)
        y = torch.where(kind == 2, on_off, y)
        return torch.where(kind == 3, bump * torch.where(draw.coin(0.8, n), 1.0, -1.0), y)

    def season(self, draw, n, period, on):
        """A season whose shape may drift, and whose size may swing, grow, or, where a cycle has many steps, change from one
        cycle to the next. Unit variance, but for the size."""
        y = unit(self.seasonal_shape(draw, n, period), on)
        other = unit(self.seasonal_shape(draw, n, period), on)
        pace = 4 + 20 * draw.uniform(n, 1) ** 2
        turn = torch.sigmoid((self.x - draw.between(-0.2, 1.2, n)) * pace)
        blend = torch.where(draw.coin(0.5, n), turn, draw.between(0.0, 0.5, n) * self.x)
        y = torch.where(draw.uniform(n, 1) < torch.where(period > LONG_PERIOD, 0.1, 0.2), y * (1 - blend) + other * blend, y)
        swing = 1 + draw.between(0.1, 0.8, n) * torch.sin(
            2 * math.pi * (self.x * draw.between(0.2, 3.0, n) + draw.uniform(n, 1)))
        growth = torch.exp(draw.normal(n, 1) * 0.8 * self.x)
        fade = torch.exp(-self.t / (period * draw.log_between(0.4, 12, n)))
        restless = torch.relu(1 + draw.between(0.1, 0.9, n) * wander(draw, fade, on))
        kind = draw.pick((0.5, 0.08, 0.12, 0.3), n)
        y = torch.where(kind == 1, y * swing, torch.where(kind == 2, y * growth, y))
        return torch.where((kind == 3) & (period > LONG_PERIOD), y * restless, y)

    def trend(self, draw, n, on, rising):
        """A trend over the life of the series, upwards with the odds of `rising` [n, 1]. Unit variance."""
        x = self.x
        knots = draw.normal(n, 1) * x
        for _ in range(3):
            knots = knots + draw.normal(n, 1) * 2.5 * torch.relu(x - draw.between(0, 1, n)) * draw.coin(0.7, n)
        power = torch.exp((draw.between(0.3, 3.0, n)) * torch.log(x + 0.02))
        growth = torch.exp(draw.between(0.3, 4.0, n) * x)
        wide = draw.between(4, 24, n)
        logistic = torch.sigmoid((x - draw.between(-0.2, 1.2, n)) * wide)
        damped = 1 - torch.exp(-x * draw.log_between(1, 20, n))
        wave = smooth(draw, n, self.steps, self.life * draw.log_between(0.06, 0.6, n))
        kind = draw.pick((0.22, 0.2, 0.08, 0.12, 0.08, 0.1, 0.2), n)
        y = x.expand(n, self.steps)
        for i, other in enumerate((knots, power, growth, logistic, damped, wave), 1):
            y = torch.where(kind == i, other, y)
        y = unit(y, on)
        turned = (y * x).sum(1, keepdim=True) < 0
        return torch.where(turned == (draw.uniform(n, 1) < rising), -y, y)

    def colour(self, draw, n, fine):
        """Impulse responses [n, T] of stationary noise: white, two real or complex roots, fractional. The finer the series
        (`fine` [n, 1]: 2 less than a day, 1 days, 0 others), the less of it is white."""
        j = self.t + 1
        near = torch.where(fine > 1, draw.between(0.7, 0.98, n), draw.between(0.2, 0.95, n))
        r1 = torch.where(draw.coin(0.72, n), near, 1 - draw.log_between(0.002, 0.1, n))
        r2 = torch.where(draw.coin(0.5, n), torch.zeros_like(r1), draw.between(-0.6, 0.9, n) * r1)
        r2 = torch.where((r1 - r2).abs() < 0.02, r1 - 0.05, r2)
        real = (torch.exp(j * torch.log(r1)) - torch.sign(r2) ** j * torch.exp(
            j * torch.log(r2.abs().clamp_min(1e-6)))) / (r1 - r2)
        r, angle = 1 - draw.log_between(0.01, 0.4, n), 2 * math.pi / draw.log_between(2.5, 60, n)
        cycle = torch.exp((j - 1) * torch.log(r)) * torch.sin(j * angle) / torch.sin(angle)
        fraction = draw.between(0.1, 0.49, n)
        long = torch.exp((fraction - 1) * torch.log(j)) * torch.where(self.t == 0, 1.0, 0.6)
        white = (self.t == 0).float().expand(n, self.steps)
        kind = draw.pick((0.35, 0.4, 0.13, 0.12), n)
        dull = (kind == 0) | ((kind == 3) & (fine > 1))
        kind = torch.where(dull & (draw.uniform(n, 1) < 0.45 * fine), torch.ones_like(kind), kind)
        y = torch.where(kind == 1, real, white)
        return torch.where(kind == 2, cycle, torch.where(kind == 3, long, y))

    def echo(self, draw, n, period):
        """Impulse responses [n, T] by which the noise of some series comes again, ever fainter, a long season later
        (seasonal autoregression)."""
        turn = torch.round(period).clamp_min(2)
        cycles = torch.floor(self.t / turn)
        echoes = draw.coin(0.6, n) & (period > LONG_PERIOD)
        strength = torch.where(echoes, draw.between(0.05, 0.85, n), 0.0)
        return torch.exp(cycles * torch.log(strength.clamp_min(1e-9))) * (self.t == cycles * turn)

    def shocks(self, draw, n):
        """White noise, some of it with heavy tails."""
        e = draw.normal(n, self.steps)
        mixed = torch.exp(0.9 * draw.normal(n, self.steps))
        return torch.where(draw.coin(0.25, n), e * mixed * 0.7, e)

    def walk(self, draw, n, on, rising, lasting, drift):
        """An integrated process: random walks, growth that is itself autocorrelated (with the odds of `lasting` [n, 1]), rare
        jumps. `drift` [n, 1]: the typical mean of a step, in deviations of a step. Unit variance."""
        e = self.shocks(draw, n)
        jumps = e * (draw.uniform(n, self.steps) < draw.log_between(0.005, 0.2, n)) * 4
        e = torch.where(draw.coin(0.12, n), jumps, e) * on
        persistence = torch.where(draw.coin(0.85, n), draw.between(0.1, 0.9, n), 1 - draw.log_between(0.01, 0.1, n))
        persistence = torch.where(draw.uniform(n, 1) < lasting, persistence, torch.zeros_like(persistence))
        e = filtered(e, torch.exp(self.t * torch.log(persistence.clamp_min(1e-6))))
        e = unit(e, on)
        side = torch.where(draw.uniform(n, 1) < rising, 1.0, -1.0)
        drift = side * draw.normal(n, 1).abs() * drift * draw.coin(0.6, n)
        return unit(torch.cumsum(e + drift * on, 1), on)

    def smoothing(self, draw, n, period, on, often):
        """The innovations of additive exponential smoothing, ETS(A, Ad, A), as one filter: level, trend and season all
        move with the same shocks; no trend where values are measured `often` [n, 1]. In units of the shocks."""
        alpha = torch.where(draw.coin(0.2, n), torch.zeros(n, 1, device=self.device), draw.uniform(n, 1))
        level = draw.coin(0.5, n) | often
        beta = torch.where(level, torch.zeros(n, 1, device=self.device), alpha * draw.uniform(n, 1) ** 3)
        phi = torch.where(draw.coin(0.5, n), torch.full_like(alpha, 0.9999), draw.between(0.8, 0.98, n))
        gamma = torch.where(draw.coin(0.4, n), torch.zeros(n, 1, device=self.device),
                            (1 - alpha) * draw.uniform(n, 1) ** 2)
        turn = torch.round(period)
        again = (self.t - turn * torch.floor(self.t / turn) == 0) & (period > 1.5)
        j = self.t
        response = alpha + beta * (1 - torch.exp(j * torch.log(phi))) / (1 - phi) + gamma * again
        response = torch.where(j == 0, torch.ones_like(response), response)
        return filtered(self.shocks(draw, n) * on, response)

    # ---- The whole -----------------------------------------------------------------------------------

    def lives(self, draw, n):
        """First step [n, 1] of each series."""
        if self.steps <= LENGTHS[0]:
            length = draw.log_between(22, self.steps + 1, n)
        else:
            length = torch.where(draw.coin(0.3, n), torch.full((n, 1), float(self.steps), device=self.device),
                                 draw.between(self.steps / 2, self.steps + 1, n))
        return (self.steps - torch.floor(length)).clamp_min(0)

    def draw_periods(self, draw, n):
        family = draw.pick(self.shares, n)
        fast, slow, slowest = (self.periods[:, i][family] for i in range(3))
        anything = torch.exp(draw.uniform(n, 1) * math.log(self.steps / 6)) * 3
        anything = torch.where(draw.coin(0.7, n), torch.round(anything), anything)
        fast = torch.where(fast < 0, anything, fast)
        spare = self.short[(draw.uniform(n, 1) * len(SHORT_PERIODS)).long()]
        too_long = (fast * 2.2 > self.life) & draw.coin(0.85, n)
        fast = torch.where(too_long, torch.where(draw.coin(0.5, n), spare, torch.zeros_like(fast)), fast)
        return family, fast, slow * ~too_long, slowest * ~too_long

    def kind(self, family):
        economic = self.trendiness[family] > 0.55
        return Kind(monthly=family == MONTHLY, economic=economic, growing=economic & (family > 0),
                    daily=(family >= FIRST_DAILY) & (family < FIRST_HOURLY), often=(family >= FIRST_HOURLY) & (family < ANY))

    def make(self, draw, n, start=None):
        """n series: values [n, T] and first step [n, 1]. Values before the first step mean nothing."""
        t, steps = self.t, self.steps
        start = self.lives(draw, n) if start is None else start
        on = (t >= start).float()
        self.life = steps - start
        self.x = ((t - start) / self.life).clamp_min(0)
        family, fast, slow, slowest = self.draw_periods(draw, n)
        trendy, kind = self.trendiness[family], self.kind(family)
        daily, often, growing = kind.daily, kind.often, kind.growing
        rising = torch.where(growing, 0.88, torch.where(often, 0.5, 0.58))
        plain = draw.coin(PLAIN, n)
        seasonal = (fast > 1.5) & (draw.uniform(n, 1) < torch.where(plain, 0.5, 0.85))
        one = torch.where(fast > 1.5, fast, torch.full_like(fast, 7.0))

        # Seasons: the fast one, the slow one as another shape or as a profile of whole fast cycles, the slowest.
        s1 = self.season(draw, n, one, on)
        two = torch.where(slow > 1.5, slow, 3.0 * one)
        cycles = torch.round(two / one).clamp(2, 48)
        cycle_index = torch.floor(t / one + draw.uniform(n, 1))
        place = (cycle_index - cycles * torch.floor(cycle_index / cycles)).long()
        levels = draw.normal(n, 48)
        levels = torch.where(draw.coin(0.6, n), self.weekend * draw.between(-3, 1, n) + 0.15 * levels, levels)
        by_cycle = levels.gather(1, place)
        s2 = torch.where(draw.coin(0.5, n), unit(by_cycle, on), self.season(draw, n, two, on))
        damp = torch.where(draw.coin(0.4, n), (1 + 0.35 * by_cycle).clamp(0, 2), torch.ones_like(by_cycle))
        use_two = (slow > 1.5) & draw.coin(0.55, n) & seasonal & ~plain
        s1 = torch.where(use_two, s1 * damp, s1)
        three = torch.where(slowest > 1.5, slowest, 5.0 * two)
        u = 2 * math.pi * (t / three + draw.uniform(n, 1))
        s3 = torch.sin(u) + draw.normal(n, 1) * 0.3 * torch.sin(2 * u + draw.uniform(n, 1) * 6)
        # What is measured more often than daily mostly follows the year.
        yearly = often & (slowest > 1.5) & draw.coin(0.6, n)
        use_three = (slowest > 1.5) & (draw.uniform(n, 1) < torch.where(often, 0.35, 0.5)) & ~plain | yearly
        annual_swing = torch.where(use_three & draw.coin(0.4, n), 1 + draw.between(-0.7, 0.7, n) * torch.sin(u), 1.0)
        season = (s1 * annual_swing + s2 * use_two * torch.exp(0.6 * draw.normal(n, 1) - 0.4)) * seasonal
        season = season + s3 * use_three * torch.exp(0.7 * draw.normal(n, 1) - 0.5 * often + 1.2 * yearly)

        # Cycles whose period wanders, bent so that they rise and fall at different paces.
        pace = draw.log_between(5, 80, n)
        turns = torch.cumsum((1 + draw.log_between(0.02, 0.6, n) * draw.normal(n, steps)) / pace, 1)
        bend = draw.between(0, 0.8, n) * torch.sin(2 * math.pi * turns)
        cycle = torch.sin(2 * math.pi * (turns + draw.uniform(n, 1)) + bend)
        cycle = torch.where(draw.coin(0.3, n), torch.exp(draw.between(0.5, 2, n) * cycle), cycle)
        cycle = unit(cycle, on) * torch.exp(0.6 * draw.normal(n, 1) - 0.3) * (draw.coin(0.12, n) & ~plain)

        # What is measured more often than daily departs from its ways as the weather does: where it follows the year, for days;
        # elsewhere also for weeks or months. It comes back at a pace, or by a power of time (fractional noise). Neither tells
        # where it goes next.
        power = torch.where(draw.coin(0.7, n) & ~yearly, draw.between(-0.5, -0.05, n), 0.0)
        days = torch.where(yearly, draw.log_between(0.5, 12, n), draw.log_between(3, 150, n))
        days = torch.where(power < 0, draw.log_between(30, 1500, n), days)
        fade = torch.exp(power * torch.log1p(t / (one * draw.log_between(0.1, 2, n))) - t / (one * days))
        spell = wander(draw, fade, on) * torch.exp(0.7 * draw.normal(n, 1))
        spell = spell * ((draw.coin(0.6, n) & ~plain | yearly) & often)

        size = torch.exp(0.8 * draw.normal(n, 1))
        noise_size = torch.exp((draw.normal(n, 1) * 0.9 - 1.1 + 0.3 * often).clamp(-3, 1))
        noise_size = torch.where(draw.coin(0.1, n), draw.log_between(0.005, 0.1, n), noise_size)
        y = season * torch.exp(0.7 * draw.normal(n, 1)) * size + cycle + spell
        strength = torch.exp(0.9 * draw.normal(n, 1) + 0.7 * growing)
        apt = trendy * torch.where(plain, 0.4, 0.8) * torch.where(often, 0.5, 1.0)
        y = y + self.trend(draw, n, on, rising) * strength * (draw.uniform(n, 1) < apt)
        walks = draw.uniform(n, 1) < torch.where(plain, 0.5, torch.where(yearly, 0.1, 0.2 + 0.3 * trendy + 0.3 * often))
        noise_size = torch.where(plain & walks & draw.coin(0.6, n), 0.1 * noise_size, noise_size)
        # A drift of much of a deviation a step makes thousands of steps a straight line, and hardly a real series of hours or
        # days is one: there it goes as far as the walk wanders, or less. Levels of hours that went far seldom go on.
        lasting = torch.where(often, 0.0, torch.where(daily, 0.2, 0.45))
        drift = torch.where(often | daily, (torch.where(often, 0.8, 2.0) / self.life.sqrt()).clamp_max(0.4), 0.4)
        y = y + self.walk(draw, n, on, rising, lasting, drift) * torch.exp(0.9 * draw.normal(n, 1)) * walks
        smoothing = draw.coin(0.3 if steps <= 1280 else 0.12, n)
        y = y + self.smoothing(draw, n, fast, on, often) * noise_size * smoothing
        noise = self.shocks(draw, n)
        fine = ((family >= FIRST_HOURLY) & (fast > LONG_PERIOD)).float() + (daily | often).float()
        coloured = unit(filtered(noise, self.colour(draw, n, fine), self.echo(draw, n, fast)), on)
        white = unit(noise, on)
        mixed = draw.uniform(n, 1) < 0.3 - 0.1 * fine
        noise = torch.where(mixed, coloured + white * draw.log_between(0.05, 2, n) / (1 + fine), coloured)
        busy = torch.exp(draw.between(0.1, 0.7, n) * s1.clamp(-2, 2))
        stormy = torch.exp(0.6 * unit(smooth(draw, n, steps, draw.log_between(3, 60, n)), on))
        unrest = draw.pick((0.65, 0.18, 0.17), n)
        noise = noise * torch.where(unrest == 1, busy, torch.where(unrest == 2, stormy, torch.ones_like(busy)))
        y = y + noise * noise_size * torch.where(smoothing, 0.3 * draw.coin(0.3, n), 1.0)
        y = y + s1 * s2 * draw.between(0.2, 1.0, n) * (seasonal & use_two & draw.coin(0.15, n))

        y = torch.where(plain, y, self.events(draw, n, y, on, often))
        y = self.link(draw, n, y, on, kind, seasonal)
        y = torch.where(draw.uniform(n, 1) < torch.where(kind.economic, 0.03, torch.where(often, 0.5, 0.1)), -y, y)
        y = y * torch.exp(2.0 * draw.normal(n, 1))
        return y.nan_to_num(0, 0, 0).clamp(-1e12, 1e12), start

    def events(self, draw, n, y, on, often):
        """Level shifts, outliers, shocks that die away, holidays, stops. Where values are measured `often` [n, 1], shifts may
        be far larger than all else, and meters stand still, or nearly, for hours or for months."""
        t, steps = self.t, self.steps
        rare = draw.uniform(n, steps) < 1.5 / self.life
        shift = torch.cumsum(draw.normal(n, steps) * rare, 1)
        y = torch.where(draw.coin(0.15, n), y + shift * torch.exp(torch.where(often, 1.0, 0.5) * draw.normal(n, 1)), y)
        hit = (draw.uniform(n, steps) < draw.log_between(0.002, 0.03, n)).float()
        side = torch.where(draw.coin(0.5, n), torch.sign(draw.normal(n, steps)), torch.sign(draw.normal(n, 1)))
        blow = hit * side * torch.exp(0.7 * draw.normal(n, steps)) * draw.log_between(0.5, 6, n)
        y = torch.where(draw.coin(0.12, n), y + blow, y)
        fade = filtered(blow, torch.exp(-t / draw.log_between(1, 40, n)))
        y = torch.where(draw.coin(0.06, n), y + fade, y)
        day = t - 365.25 * torch.floor(t / 365.25) - draw.between(0, 365, n)
        holiday = (day.abs() < draw.between(0.5, 5, n)) * draw.normal(n, 1) * 2
        y = torch.where(draw.coin(0.04, n) & (self.life > 400), y + holiday, y)
        begin = steps - self.life * draw.uniform(n, 1)
        length = torch.where(often, draw.log_between(0.02, 2, n), draw.log_between(0.01, 0.2, n))
        stop = (t >= begin) & (t < begin + self.life * length)
        rest, mean, deviation = centred(y, on)
        held = mean + deviation * draw.normal(n, 1) * torch.exp(0.7 * draw.normal(n, 1) + 0.7)
        low = torch.where(draw.coin(0.5, n), y.amin(1, keepdim=True), draw.normal(n, 1))
        low = torch.where(often & draw.coin(0.6, n), held, low)
        low = low + (often & draw.coin(0.3, n)) * draw.log_between(0.002, 0.3, n) * rest
        return torch.where(draw.uniform(n, 1) < torch.where(often, 0.08, 0.03), torch.where(stop, low, y), y)

    def link(self, draw, n, y, on, kind, seasonal):
        """What is measured of the process: itself, its exponential, what is above zero, a share, counts, sums, rounded."""
        t = self.t
        z = unit(y, on).nan_to_num(0, 0, 0)
        spread = torch.where(kind.growing, draw.log_between(0.1, 1.5, n), draw.log_between(0.04, 1.3, n))
        spread = torch.where(kind.often, spread.clamp_max(0.7), spread)
        grown = torch.exp((z * spread).clamp(-8, 8))
        level = draw.between(1.5, 12, n)
        shifted = torch.relu(z - draw.normal(n, 1))
        share = torch.sigmoid(z * draw.log_between(0.3, 4, n) + draw.normal(n, 1))
        rate = torch.exp((z * draw.between(0.1, 1.2, n)).clamp(-5, 5)) * draw.log_between(0.2, 300, n)
        uneven = rate * torch.exp(draw.log_between(0.03, 0.8, n) * draw.normal(n, self.steps))
        counts = torch.poisson(torch.where(draw.coin(0.5, n), rate, uneven).clamp(0, 1e5), generator=draw.generator)
        some = draw.uniform(n, self.steps) < draw.between(0.08, 0.8, n)
        intermittent = torch.where(some, torch.ceil(rate * torch.exp(0.5 * draw.normal(n, self.steps))), 0.0)
        clipped = torch.minimum(torch.maximum(z, draw.between(-3, -0.3, n)), draw.between(0.3, 3, n))
        rise = torch.relu(z + draw.between(-1, 3, n)) * torch.exp(draw.between(-3, 3, n) * self.x)
        total = torch.cumsum(rise * on, 1)
        total = total / total.amax(1, keepdim=True).clamp_min(1e-6)
        how = draw.pick((0.35, 0.15, 0.27, 0.035, 0.035, 0.075, 0.035, 0.025, 0.025), n)
        grows = kind.economic & (draw.uniform(n, 1) < torch.where(kind.growing, 0.45, 0.3))
        how = torch.where(grows, torch.full_like(how, 2), how)
        how = torch.where(kind.economic & (how > 5) & draw.coin(0.6, n), torch.ones_like(how), how)
        how = torch.where(kind.often & (how == 8) & draw.coin(0.85, n), torch.zeros_like(how), how)  # sums of hours are rare
        for i, other in enumerate((z + level, grown, shifted, share, counts, intermittent, clipped, total), 1):
            y = torch.where(how == i, other, y)
        # Months have unequal lengths and business days.
        step = (t + torch.floor(draw.uniform(n, 1) * 336)).long() % 336
        calendar = torch.where(draw.coin(0.6, n), self.month_days[step], self.month_business[step])
        monthly = kind.monthly & seasonal & draw.coin(0.3, n)
        scale = (y.abs() * on).sum(1, keepdim=True) / on.sum(1, keepdim=True)
        y = torch.where(monthly, y + calendar * scale, y)
        _, _, deviation = centred(y, on)
        grain = deviation.clamp_min(1e-6) * draw.log_between(0.003, 0.6, n)
        return torch.where(draw.coin(0.1, n), torch.round(y / grain) * grain, y)
