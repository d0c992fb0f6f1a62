#!/usr/bin/env python3
"""The trainer on a tiny setting: the same series from the same seed, a loss that falls, a run that goes on where it stopped,
and an export that toto forecasts with as the trainer does. Prints TAP. usage: TOTO=/path/to/toto train.py"""
import csv
import math
import os
import re
import subprocess
import sys
import tempfile

root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(root, "scripts", "train"))
try:
    import numpy as np
    import torch
except ImportError as e:
    print("ok 1 - the trainer # SKIP %s (Debian: python3-torch)\n1..1" % e)
    sys.exit(0)
from batches import BatchMaker, causal_scale  # noqa: E402
from evaluate import forecast  # noqa: E402
from features import after, drift, echo, momentum  # noqa: E402
from network import ROWS, Network, Shape, export_tensors  # noqa: E402
from series import FAMILIES, FIRST_HOURLY, Draws, SeriesMaker  # noqa: E402
from train import Run, options  # noqa: E402

TINY = ["--width", "32", "--heads", "2", "--layers", "4", "--d-ff", "64", "--blocks", "1,1", "--longest", "640",
        "--shards", "1", "--device", "cpu", "--log-every", "10"]
SHAPE = Shape(16, 32, 2, 4, 4, 64)
tests = failures = 0


def check(name, good, why=""):
    global tests, failures
    tests += 1
    failures += not good
    print("%s %d - %s" % ("ok" if good else "not ok", tests, name), flush=True)
    if not good and why:
        print("# " + str(why).replace("\n", "\n# "), flush=True)


def train(out, *more):
    run = subprocess.run([sys.executable, os.path.join(root, "scripts/train/train.py"), "--out", out] + TINY + list(more),
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    return [float(v) for v in re.findall(r"loss ([0-9.]+)", run.stdout)], run.stdout


def series_are_as_promised():
    maker = BatchMaker(16, [1, 1], torch.device("cpu"), 640)
    one, again, other = maker.make(0, 3, 0), BatchMaker(16, [1, 1], torch.device("cpu"), 640).make(0, 3, 0), maker.make(0, 8, 0)
    names = ("z", "hidden", "target", "weight")
    check("the same seed gives the same bytes", all(torch.equal(one[n], again[n]) for n in names))
    check("another step gives other series", not torch.equal(one["z"], other["z"]))
    check("all numbers are finite, no weight is negative",
          all(torch.isfinite(one[n]).all() for n in names) and (one["weight"] >= 0).all() and one["weight"].sum() > 0)
    check("a hidden value is 0 and has its flag", bool((one["z"][one["hidden"] == 1] == 0).all()))
    segments, draw = maker.makers[0], maker.draw
    maker.seed(1)
    lengths, ahead, kept, members = [], [], [], set()
    for _ in range(20):
        group, first = segments.groups(draw)
        members |= set((group[:, :, None] == group[:, None]).sum(2).flatten().tolist())
        start = segments.maker.lives(draw, segments.n)
        hidden, context = segments.hide(draw, start, first)
        lengths.append(segments.steps - start)
        ahead.append(segments.k - context)
        kept.append((hidden == hidden[first])[:, -1].float())
    lengths, ahead, kept = torch.cat(lengths), torch.cat(ahead), torch.cat(kept)
    check("series stand alone and in groups of up to 16", 1 in members and 7 in members and 16 in members, members)
    check("lives reach from about 20 steps to the whole segment", lengths.min() < 30 and lengths.max() > 0.95 * segments.steps,
          (lengths.min(), lengths.max()))
    check("no patch to many are hidden at the end", ahead.min() == 0 and ahead.max() >= 10 and (ahead > 0).float().mean() > 0.8,
          (ahead.min(), ahead.max()))
    check("variates of a group are hidden together, but for those known ahead", 0.9 < kept.mean() < 1, kept.mean())


def hourly_series_wander():
    maker, generator = SeriesMaker(2560, torch.device("cpu")), torch.Generator()
    generator.manual_seed(1)
    draw, t = Draws(maker.device, generator), torch.arange(2560)
    long, short = (maker.echo(draw, 200, torch.full((200, 1), period)) for period in (24.0, 12.0))
    again = long[:, 24]
    check("noise comes again a long season later, fainter each time", 0.45 < (again > 0.01).float().mean() < 0.75 and
          again.max() < 1 and not long[:, t % 24 != 0].any() and torch.allclose(long[:, 48], again ** 2), again.tolist())
    check("noise of short seasons does not", torch.allclose(short, (t == 0).float().expand_as(short)))
    on, line = torch.ones(200, 2560), t / 2560.0
    maker.life = torch.full((200, 1), 2560.0)
    lines = [(torch.corrcoef(torch.stack((walk, line)))[0, 1] ** 2).item() for walk in maker.walk(
        draw, 200, on, 0.5, 0.0, 0.8 / 2560 ** 0.5)]
    check("walks of hours go some way or other, and few straight on", np.quantile(lines, 0.25) < 0.5 and
          np.mean(np.array(lines) > 0.95) < 0.1, np.quantile(lines, (0.25, 0.5, 0.75)))
    maker.shares = tuple(float(i == FIRST_HOURLY) for i in range(len(FAMILIES)))
    values, _ = maker.make(draw, 120, torch.zeros(120, 1))
    values = [v for v in values.double().numpy() if v.std() > 0]
    moves, echoes = (np.nanmedian([f(v, 24) for v in values]) for f in (momentum, echo))
    check("the level of most hourly series comes back rather than goes on", -0.6 < moves < 0, moves)
    check("what is left of a day is like that of the day before in most", 0 < echoes < 0.4, echoes)
    maker = SeriesMaker(5120, torch.device("cpu"))
    maker.shares = tuple(float(i == FIRST_HOURLY) for i in range(len(FAMILIES)))
    values, _ = maker.make(draw, 400, torch.zeros(400, 1))
    values = values.double().numpy()
    slow = np.array([drift(v, 24) for v in values if v.std() > 0])
    check("a slow drift of hours goes on nearly as often as it ends", -0.2 < np.median(slow) < 0.05,
          np.quantile(slow, (0.25, 0.5, 0.75)))
    ways = np.array([after(v, 24) for v in values])
    ways = ways[np.isfinite(ways)]
    check("levels of hours that have gone far stay or come back, and seldom go on", len(ways) > 20 and
          -0.5 < np.median(ways) < 0.05 and np.mean(ways > 0.3) < 0.25, (len(ways), np.quantile(ways, (0.1, 0.5, 0.9))))
    noise = np.sin(np.arange(3600.0))
    jump = np.where(np.arange(3600) >= 2400, 50.0, 0.0)
    back = np.where(np.arange(3600) >= 2460, -50.0, 0.0)
    check("the way after a far move: none where it stays, back, none to tell",
          abs(after(noise + jump, 24)) < 0.05 and after(noise + jump + back, 24) < -0.9 and np.isnan(after(noise, 24)))
    hours = np.arange(5112)
    weather = np.repeat(np.random.RandomState(1).randn(213), 24)
    year = np.sin(hours * 2 * np.pi / 8766)
    found = [drift(v, 24) for v in (weather, 2 * year + weather, weather[:3000])]
    check("the year drifts on, weather about a mean comes back, a short series has none to tell",
          found[0] < -0.4 and found[1] > 0.2 and np.isnan(found[2]), found)


def likeness(leader, follower, start):
    """The best correlation of a follower with its leader up to a quarter of their life before."""
    steps = len(leader)
    return max(abs(float(torch.corrcoef(torch.stack((leader[start:steps - lag], follower[start + lag:])))[0, 1]))
               for lag in range((steps - start) // 4 + 1))


def followers_follow():
    maker = BatchMaker(16, [1, 1], torch.device("cpu"), 640)
    segments, draw = maker.makers[1], maker.draw
    maker.seed(2)
    found = []
    for _ in range(20):
        group, first = segments.groups(draw)
        own = draw.normal(segments.n, segments.steps)
        start = torch.full((segments.n, 1), 40.0)
        y, _, lag = segments.relate(draw, own, start, group, first)
        found += [likeness(y[first[i]], y[i], 40) for i in lag[:, 0].nonzero()[:, 0].tolist()]
    seen = draw.uniform(segments.n, segments.steps) < 0.7
    told = segments.told(lag, seen, first)
    right = torch.zeros_like(told)
    for i, late in enumerate(lag[:, 0].int().tolist()):
        for step in range(late, segments.steps if late else 0):
            token_end = step // segments.patch * segments.patch  # all before it is behind the token that forecasts `step`
            right[i, step] = step - late < token_end and seen[first[i], step - late]
    check("what a leader has told is what it shows before a patch of its follower begins", told.any() and torch.equal(told, right))
    found = torch.tensor(found)
    check("a follower repeats its leader, which stays as it was, with a delay and noise",
          len(found) > 30 and found.median() > 0.9 and found.min() > 0.6, found.sort().values.tolist())


def scales_are_those_of_the_specification():
    # Worked by hand: the running mean and deviation of 1 2 3 4 | 10 - 12 14, with 8 values seen from the second patch of 8.
    x = torch.tensor([[1.0, 2, 3, 4, 10, 99, 12, 14, 0, 0, 0, 0]])
    seen = torch.tensor([[True] * 5 + [False] + [True] * 2 + [False] * 4])
    loc, scale, count = causal_scale(x, seen, 4)
    mean, deviation = 46 / 7, math.sqrt(sum((v - 46 / 7) ** 2 for v in (1, 2, 3, 4, 10, 12, 14)) / 6)
    check("fewer than 8 values: those of the first 8", torch.allclose(loc, torch.full((1, 3), mean)) and
          torch.allclose(scale, torch.full((1, 3), deviation)) and count[0].tolist() == [4, 7, 7], (loc, scale, count))
    x = torch.cat((x[:, :8], torch.tensor([[5.0, 6, 7, 8]]), torch.zeros(1, 4)), 1)
    seen = torch.cat((seen[:, :8], torch.tensor([[True] * 4 + [False] * 4])), 1)
    loc, scale, _ = causal_scale(x, seen, 4)
    values = np.array([1, 2, 3, 4, 10, 12, 14, 5, 6, 7, 8])
    check("later patches: all values so far, kept where none is seen",
          np.allclose(loc[0, 2:], values.mean()) and np.allclose(scale[0, 2:], values.std(ddof=1)), (loc, scale))


def write_series(folder):
    """Two monthly series of 60 steps and the 12 that follow, one with gaps, in the form that evaluate.py reads."""
    os.mkdir(folder)
    t = np.arange(72)
    columns = {"a": 10 + 0.1 * t + np.sin(t * 2 * np.pi / 12), "b": np.cos(t * 2 * np.pi / 12) + 0.3 * np.sin(t)}
    columns["b"][[5, 63]] = np.nan
    for name, part in (("context", slice(0, 60)), ("future", slice(60, 72))):
        with open("%s/%s.csv" % (folder, name), "w") as f:
            f.write("unique_id,ds,y\n")
            for key, values in columns.items():
                f.writelines("%s,%d,%s\n" % (key, at, "" if np.isnan(v) else repr(float(v)))
                             for at, v in list(enumerate(values))[part])
    with open(folder + "/meta.csv", "w") as f:
        f.write("unique_id,freq,season,horizon,n\na,MS,12,12,60\nb,MS,12,12,60\n")


def training_goes_on(folder):
    write_series(folder + "/series")
    whole, said = train(folder + "/whole", "--steps", "60", "--series", folder + "/series", "--scores", folder + "/scores.csv")
    check("the loss falls", len(whole) == 6 and whole[-1] < 0.8 * whole[0], said)
    with open(folder + "/scores.csv", newline="") as f:
        scores = {row["unique_id"]: float(row["rel_mase"]) for row in csv.DictReader(f)}
    check("real series are scored", "series: 2 series: MASE" in said and set(scores) == {"a", "b"} and
          all(0 < v < 100 for v in scores.values()), (scores, said))
    run = subprocess.run([sys.executable, os.path.join(root, "scripts/train/features.py"), folder + "/series"],
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    check("real and made-up series are set side by side", run.returncode == 0 and "MS: 2 real, 4" in run.stdout and
          "nan" not in run.stdout, run.stdout)
    first, said = train(folder + "/parts", "--steps", "60", "--stop", "30")
    check("a run stops where it is told", len(first) == 3, said)
    second, said = train(folder + "/parts", "--steps", "60", "--resume", folder + "/parts/state.pt", "--save-every", "20")
    parts = first + second
    check("a run in two parts, saved in between, has the losses of one", len(parts) == 6 and
          all(abs(a - b) < 0.01 * b for a, b in zip(parts, whole)), (parts, whole, said))
    with open(folder + "/parts/loss.csv", newline="") as f:
        steps = [row["step"] for row in csv.DictReader(f)]
    check("the losses of both parts are in one file", steps == ["10", "20", "30", "40", "50", "60"], steps)


def overflow_is_passed_over(folder):
    """A run from a state whose gradients are not finite on two batches, then on all."""
    run = Run(options(["--out", folder + "/over", "--steps", "60"] + TINY))
    run.resume(folder + "/whole/state.pt")
    run.first, run.o.steps, before = 0, 4, {}

    def gradients(step):
        for p in run.network.parameters():
            p.grad = torch.full_like(p, math.nan if step < broken else 1e-3)
        if step == broken:
            before.update((n, p.clone()) for n, p in run.network.named_parameters() if n.endswith("w_gate"))
        return torch.ones(())

    run.gradients, broken = gradients, 2
    begin = {n: p.clone() for n, p in run.network.named_parameters()}
    run.train()
    now = dict(run.network.named_parameters())
    check("batches that overflow leave the matrices as they are, the next one moves them",
          len(before) == 4 and all(torch.equal(p, begin[n]) and not torch.equal(p, now[n]) for n, p in before.items()))
    check("and all stays finite", all(torch.isfinite(p).all() for p in now.values()))
    run.first, broken = 0, 4
    try:
        run.train()
        check("a run that overflows all the time ends", False)
    except SystemExit as e:
        check("a run that overflows all the time ends", "not finite at step 4; what was saved before stays" in str(e) and
              torch.load(folder + "/over/state.pt")["step"] == 4, e)


def toto_forecasts_alike(folder, toto):
    model = folder + "/whole/model"
    say = subprocess.run([toto, "inspect", model], stdout=subprocess.PIPE, universal_newlines=True).stdout
    network = Network(SHAPE)
    network.load_state_dict(torch.load(folder + "/whole/state.pt", map_location="cpu")["network"])
    tensors = export_tensors(network)
    parameters = sum(p.numel() for p in network.parameters())
    check("toto finds the export usable", "usable: yes" in say and "parameters: %d\n" % parameters in say, say)
    biases = [tensors["transformer.layers.%d.attn.in_proj.bias" % n].view(3, SHAPE.heads, 2, -1)[1] for n in range(4)]
    check("keys have a bias where positions turn them, and nowhere else", all(
        bool(b[:, 0].any()) != SHAPE.is_variate_layer(n) and not b[:, 1].any() for n, b in enumerate(biases)), biases)
    t = np.arange(300)
    wave = 10 + 3 * np.sin(t * 2 * np.pi / 12) + 0.02 * t + np.random.RandomState(0).randn(300) * 0.3
    gappy = wave.copy()
    gappy[[40, 41, 42, 130, 295, 299]] = np.nan
    gappy[160:200] = np.nan
    cases = {"a long series": [wave], "gaps, also at the end": [gappy], "20 values": [wave[:20]],
             "3 variates": [wave, np.roll(wave, 5) * 100, gappy]}
    for name, columns in cases.items():
        text = ",".join("v%d" % i for i in range(len(columns))) + "\n" + "".join(
            ",".join("NA" if np.isnan(v) else repr(float(np.float32(v))) for v in row) + "\n" for row in zip(*columns))
        run = subprocess.run([toto, "forecast", "-m", model, "-d", "cpu", "-H", "40", "-"], input=text,
                             stdout=subprocess.PIPE, universal_newlines=True)
        rows = list(csv.DictReader(run.stdout.splitlines()))
        ours = np.array([[float(r["0.%d" % q]) for q in range(1, 10)] for r in rows]).reshape(len(columns), -1, 9)
        group = [0] * len(columns) + list(range(1, ROWS - len(columns) + 1))
        theirs = forecast(network, columns, 40, group)
        error = (np.abs(ours - theirs).max((1, 2)) / (theirs.max((1, 2)) - theirs.min((1, 2)))).max()
        # Weights stand in float16 in the export, in float32 in the trainer.
        check("toto and the trainer forecast alike: %s" % name, error < 0.01, error)


series_are_as_promised()
hourly_series_wander()
followers_follow()
scales_are_those_of_the_specification()
with tempfile.TemporaryDirectory() as work:
    training_goes_on(work)
    overflow_is_passed_over(work)
    toto_forecasts_alike(work, os.environ.get("TOTO", os.path.join(root, "build", "toto")))
print("1..%d" % tests)
sys.exit(failures > 0)
