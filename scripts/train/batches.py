"""Batches: series in rows, with the masks, scales, targets and weights of training.

The network sees what `toto forecast` feeds it: series padded on the left to whole patches, missing values filled
forward and masked, the last visible patch before a forecast counted as known throughout, scales from the values seen so
far with the fallback to the first 8, and empty patches where the forecast goes.
"""
import math

import torch

from network import ROWS, attention_masks
from series import Draws, SeriesMaker, smooth, unit, wander

MIN_SEEN = 8          # patches with fewer values behind them take the scale of the first 8
LONGEST_FORECAST = 736  # steps
FAR = 0.3               # share of the segments of FAR_STEPS and more that hide far ahead as often as near
FAR_STEPS = 2560
MOST_LAG = 96           # steps by which most followers follow
RESTLESS = 0.4          # share of the groups with followers that are mostly noise
HIDDEN_WEIGHT = 2.0     # of patches to forecast beside the next ones of what is seen
TOLD_WEIGHT = 4.0       # of what a leader has told of its followers beside other values
# How the rows of a block form groups: sizes that sum to ROWS, with their shares.
PARTITIONS = (
    ((1,) * 16, 0.5), ((2,) * 8, 0.1), ((3, 3, 3, 3, 4), 0.06), ((4,) * 4, 0.06), ((5, 5, 6), 0.06),
    ((7, 7, 2), 0.1), ((8, 8), 0.04), ((12, 4), 0.04), ((16,), 0.04),
)


def causal_scale(x, seen, patch):
    """loc, scale [n, K] float32 of patches and the count of values seen so far [n, K]; x, seen [n, K * p].

    Running mean and deviation in float64 (Welford), taken at the last step of each patch; where fewer than MIN_SEEN
    values were seen, those of the first MIN_SEEN.
    """
    v, m = x.double(), seen.double()
    count = m.cumsum(1)
    mean = (v * m).cumsum(1) / count.clamp_min(1)
    before = torch.cat((torch.zeros_like(mean[:, :1]), mean[:, :-1]), 1)
    spread = ((v - before) * (v - mean) * m).cumsum(1)
    scale = (spread / (count.clamp_min(1) - 1).clamp_min(1)).clamp_min(0).sqrt().clamp_min(1e-6)
    loc, scale, count = (z[:, patch - 1::patch].float() for z in (mean, scale, count))
    first = (seen & (m.cumsum(1) <= MIN_SEEN)).float()
    n = first.sum(1, keepdim=True).clamp_min(1)
    early_loc = (x * first).sum(1, keepdim=True) / n
    early = ((x - early_loc) ** 2 * first).sum(1, keepdim=True) / (n - 1).clamp_min(1)
    few = count < MIN_SEEN
    return torch.where(few, early_loc, loc), torch.where(few, early.sqrt().clamp_min(1e-6), scale), count


def fill_forward(y, known):
    """Values with the last known one in the place of those that are not; 0 before the first."""
    t = torch.arange(y.shape[1], device=y.device).expand_as(y)
    last = torch.where(known, t, torch.full_like(t, -1)).cummax(1).values
    return torch.where(last >= 0, y.gather(1, last.clamp_min(0)), torch.zeros_like(y))


class SegmentMaker:
    """Batches of one length of segment: `blocks` blocks of ROWS rows with S / K segments of K patches."""

    def __init__(self, patch, tokens, segment_tokens, blocks, device):
        self.patch, self.tokens, self.k, self.blocks = patch, tokens, segment_tokens, blocks
        self.per_row = tokens // segment_tokens
        self.cells = blocks * self.per_row  # groups of ROWS series that are drawn together
        self.n, self.steps = self.cells * ROWS, segment_tokens * patch
        self.maker = SeriesMaker(self.steps, device)
        self.far = FAR if self.steps >= FAR_STEPS else 0.0
        self.device = device
        self.place = torch.arange(self.n, device=device)
        table = [[g for g, size in enumerate(sizes) for _ in range(size)] for sizes, _ in PARTITIONS]
        self.partitions = torch.tensor(table, device=device)
        self.firsts = torch.tensor([[row.index(g) for g in row] for row in table], device=device)

    def groups(self, draw):
        """Number of the group of each row [cells, ROWS], and the row of its first variate [n]."""
        which = draw.pick(tuple(share for _, share in PARTITIONS), self.cells)[:, 0]
        cell = torch.arange(self.cells, device=self.device)[:, None]
        return self.partitions[which], (cell * ROWS + self.firsts[which]).reshape(-1)

    def relate(self, draw, y, start, group, first):
        """Variates of a group become related: sums of common factors, followers of the first with a delay, copies. Also
        returns the steps by which each follows the first [n, 1], 0 for those that do not."""
        cells, t = self.cells, self.maker.t
        on = (t >= start).float()
        own = unit(y, on)
        cube = own.view(cells, ROWS, self.steps)
        same = (group[:, :, None] == group[:, None, :]).float()
        loads = draw.normal(cells, ROWS, ROWS) * same * torch.exp(0.8 * draw.normal(cells, 1, 1) - 0.7)
        loads = loads * (draw.uniform(cells, ROWS, ROWS) < draw.uniform(cells, 1, 1))
        eye = torch.eye(ROWS, device=self.device)
        mixed = torch.matmul(loads * (1 - eye) + eye, cube).reshape(self.n, self.steps)

        alone = (same.sum(2) == 1).view(-1, 1)
        kind = draw.pick((0.3, 0.25, 0.45), cells).expand(cells, ROWS).reshape(-1, 1)
        delayed = (kind == 2) & ~alone
        led = delayed & (first != self.place)[:, None]
        # Some groups are mostly noise: what their followers do next can be known from the leader alone.
        restless = delayed & draw.coin(RESTLESS, cells).expand(cells, ROWS).reshape(-1, 1)
        fade = torch.exp(t * torch.log(draw.between(0.01, 0.98, self.n)))
        noise = wander(draw, fade, on)
        own = torch.where(restless, noise + own * draw.between(0, 0.5, self.n), own)

        longest = (self.steps - start) / 4
        longest = torch.where(draw.coin(0.85, self.n), longest.clamp_max(MOST_LAG), longest)
        lag = torch.floor(torch.exp(draw.uniform(self.n, 1) * torch.log(longest + 1)))
        lag = torch.where(draw.coin(0.15, self.n), torch.zeros_like(lag), lag)
        past = own[first].gather(1, (t - lag).clamp_min(0).long())
        side = torch.where(draw.coin(0.85, self.n), 1.0, -1.0)
        follower = past * side + own * draw.log_between(0.01, 1.0, self.n)

        scale = torch.exp(2 * draw.normal(self.n, 1))
        offset = draw.normal(self.n, 1) * torch.exp(draw.normal(self.n, 1))
        related = torch.where(kind == 1, mixed, own)
        related = torch.where(led, follower, related)
        related = torch.where((kind > 0) & ~alone, related * scale + offset * scale, y)
        late = (start[first] + lag).clamp_max(self.steps - 1)
        start = torch.where(led, torch.maximum(start, late), start)
        return related, start, torch.where(led, lag, torch.zeros_like(lag))

    def told(self, lag, seen, first):
        """Steps [n, T] whose value in the leader, `lag` steps before, is seen [n, T] when their patch is forecast."""
        t = self.maker.t
        source = (t - lag).clamp_min(0).long()
        return (t >= lag) & (t % self.patch < lag) & seen[first].gather(1, source)

    def missing(self, draw, n):
        """Values that were not measured [n, T]: here and there, or in stretches."""
        here = draw.uniform(n, self.steps) < draw.log_between(0.003, 0.4, n)
        wave = smooth(draw, n, self.steps, draw.log_between(1, 40, n))
        wave = wave / wave.std(1, keepdim=True).clamp_min(1e-6)
        kind = draw.pick((0.86, 0.08, 0.06), n)
        return ((kind == 1) & here) | ((kind == 2) & (wave > draw.between(1.0, 2.5, n)))

    def hide(self, draw, start, first):
        """Patches to forecast [n, K], and the number of patches before the last stretch of them [n, 1] (K: none)."""
        n, k = self.n, self.k
        alive = ((self.steps - start) / self.patch).clamp_min(1)
        most = torch.minimum(torch.floor(alive * torch.where(draw.coin(0.8, n), 0.5, 0.8)),
                             torch.full_like(alive, math.ceil(LONGEST_FORECAST / self.patch))).clamp_min(1)
        share = draw.uniform(n, 1)
        ahead = torch.floor(torch.exp(share * torch.log(most + 0.999)))
        ahead = torch.where(draw.coin(self.far, n), 1 + torch.floor(share * most), ahead)
        ahead = torch.where(draw.coin(0.1, n), torch.zeros_like(ahead), ahead)[first]
        index = torch.arange(k, device=self.device)[None]
        context = k - ahead
        known_ahead = draw.coin(0.1, n)[first] & draw.coin(0.4, n) & (first != self.place)[:, None]
        last = (index >= context) & ~known_ahead
        born = torch.floor(start / self.patch)
        begin = born + 1 + torch.floor(draw.uniform(n, 1) * (context - born - 1).clamp_min(1))
        length = torch.floor(draw.log_between(1, 9, n) * 32 / self.patch).clamp_max(
            (context - born).clamp_min(1) * 0.4).ceil()
        middle = (index >= begin) & (index < begin + length) & (index < context - 1) & draw.coin(0.3, n)
        return last | middle, torch.where(known_ahead, torch.full_like(context, k), context)

    def make(self, draw):
        n, k, p = self.n, self.k, self.patch
        group, first = self.groups(draw)
        start = self.maker.lives(draw, n)
        start = torch.where(draw.coin(0.85, n), start[first], start)
        y, start = self.maker.make(draw, n, start)
        y, start, lag = self.relate(draw, y, start, group, first)
        known = (self.maker.t >= start) & ~self.missing(draw, n)
        hidden, context = self.hide(draw, start, first)
        index = torch.arange(k, device=self.device)[None]
        visible = ~hidden.repeat_interleave(p, 1)
        forced = (index == context - 1).repeat_interleave(p, 1) & visible
        shown = known & visible
        seen = shown | forced
        x = torch.where(seen, fill_forward(y, shown), torch.zeros_like(y))
        loc, scale, count = causal_scale(x, seen, p)
        patches = (n, k, p)
        z = torch.asinh((x.view(patches) - loc[..., None]) / scale[..., None]) * seen.view(patches)
        # Token i says what patch i + 1 is, in the scale of what was seen up to patch i.
        ahead = (y.view(patches)[:, 1:] - loc[:, :-1, None]) / scale[:, :-1, None]
        target = torch.zeros_like(z)
        target[:, :-1] = torch.asinh(ahead.clamp(-1e4, 1e4))
        counts = known * torch.where(self.told(lag, shown, first), TOLD_WEIGHT, 1.0)
        counts = counts.view(patches) * torch.where(hidden, HIDDEN_WEIGHT, 1.0)[..., None]
        weight = torch.zeros_like(z)
        weight[:, :-1] = counts[:, 1:] * (count[:, :-1, None] >= MIN_SEEN)
        unseen = ~(known | forced).view(patches).any(2) & ~hidden
        parts = {"z": z, "hidden": 1.0 - seen.view(patches).float(), "target": target, "weight": weight,
                 "unseen": unseen, "group": group.view(self.cells, ROWS, 1).expand(self.cells, ROWS, k).reshape(n, k)}
        return {name: self.rows(part) for name, part in parts.items()}

    def rows(self, part):
        """[cells * ROWS, K, ...] -> [blocks * ROWS, S, ...]: the segments of a row stand behind each other."""
        rest = part.shape[2:]
        cube = part.reshape(self.blocks, self.per_row, ROWS, self.k, *rest)
        return cube.transpose(1, 2).reshape(self.blocks * ROWS, self.tokens, *rest)


class BatchMaker:
    """Batches of rows of longest / p patches; blocks: blocks a length of segment, shortest first.

    Series are drawn for AT_ONCE steps together, since a GPU draws many in hardly more time than few.
    """

    AT_ONCE = 4

    def __init__(self, patch, blocks, device, longest=5120):
        self.tokens, self.device = longest // patch, device
        kinds = len(blocks)
        self.makers = [SegmentMaker(patch, self.tokens, self.tokens >> (kinds - 1 - i), b * self.AT_ONCE, device)
                       for i, b in enumerate(blocks) if b]
        self.generator = torch.Generator(device=device)
        self.draw = Draws(device, self.generator)
        index = torch.arange(self.tokens, device=device)
        self.segment = torch.cat([(index // m.k).expand(m.blocks // self.AT_ONCE * ROWS, self.tokens)
                                  for m in self.makers])
        self.mask_dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
        self.graph = None
        self.held = {}  # shard -> (number of the draw, its parts)

    def seed(self, *words):
        """The same words give the same series. Words are mixed as SplitMix64 does."""
        state = 0
        for word in words:
            state = (state + word + 0x9E3779B97F4A7C15) & (2**64 - 1)
            state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & (2**64 - 1)
            state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & (2**64 - 1)
            state ^= state >> 31
        self.generator.manual_seed(state >> 1)

    def build(self):
        """A part a length of segment, each for AT_ONCE steps."""
        return [maker.make(self.draw) for maker in self.makers]

    def drawn(self, *words):
        """What `build` makes of these words. On a GPU the launches are recorded once and replayed."""
        self.seed(*words)
        if self.device.type != "cuda":
            return self.build()
        if self.graph is None:
            self.build()  # plans of FFTs and tables of weights are made outside the recording
            torch.cuda.synchronize()
            self.graph = torch.cuda.CUDAGraph()
            self.graph.register_generator_state(self.generator)
            with torch.cuda.graph(self.graph):
                self.recorded = self.build()
            self.seed(*words)
        self.graph.replay()
        return [{name: part.clone() for name, part in parts.items()} for parts in self.recorded]

    @torch.no_grad()
    def make(self, seed, step, shard):
        """The batch of a step and shard: z, hidden, target, weight [rows, S, p] and the masks of attention."""
        number, place = divmod(step, self.AT_ONCE)
        if self.held.get(shard, (None,))[0] != number:
            self.held[shard] = number, self.drawn(seed, number, shard)
        parts = []
        for maker, part in zip(self.makers, self.held[shard][1]):
            rows = maker.blocks // self.AT_ONCE * ROWS
            parts.append({name: x[place * rows:(place + 1) * rows] for name, x in part.items()})
        batch = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
        batch["masks"] = attention_masks(self.segment, batch.pop("unseen"), batch.pop("group"), self.mask_dtype)
        return batch
