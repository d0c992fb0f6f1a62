#!/usr/bin/env python3
"""Trains a small Toto 2.0 on synthetic series and exports it for toto. See README.md beside this file."""
import argparse
import contextlib
import csv
import math
import os
import time

import torch

import evaluate
from batches import BatchMaker
from export import write_checkpoint
from network import LEVELS, Network, Shape, rotary_tables


def options(arguments=None):
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--out", required=True, help="folder for model/, state.pt and loss.csv")
    p.add_argument("--resume", metavar="FILE", help="a state.pt to go on from, with the same other options")
    p.add_argument("--steps", type=int, default=30000, help="length of the schedule")
    p.add_argument("--stop", type=int, help="stop (and save) at this step of the schedule")
    p.add_argument("--time-limit", type=float, default=math.inf, metavar="S",
                   help="stop (and save) after about S seconds; the schedule does not change, so --resume goes on with it")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--patch", type=int, default=16)
    p.add_argument("--width", type=int, default=192)
    p.add_argument("--heads", type=int, default=6)
    p.add_argument("--layers", type=int, default=8)
    p.add_argument("--group", type=int, default=4, help="layers a group, the last over variates")
    p.add_argument("--d-ff", type=int)
    p.add_argument("--blocks", default="3,2,3,4,4",
                   help="blocks of 16 rows a shard, by length of segment (320, 640, 1280, 2560, 5120 steps)")
    p.add_argument("--longest", type=int, default=5120, help="steps of a row; the lengths of segments halve from it")
    p.add_argument("--shards", type=int, default=2, help="parts of a step's batch; divided among the processes")
    p.add_argument("--rate", type=float, default=4e-3, help="learning rate of matrices (Muon)")
    p.add_argument("--adam-rate", type=float, default=1.5e-3, help="of everything else (AdamW)")
    p.add_argument("--decay-from", type=float, default=0.5, help="share of the schedule after which rates fall to 0")
    p.add_argument("--weight-decay", type=float, default=0.02)
    p.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    p.add_argument("--no-compile", action="store_true")
    p.add_argument("--log-every", type=int, default=100)
    p.add_argument("--save-every", type=int, default=0, help="save not only at the end; a multiple of --log-every")
    p.add_argument("--eval-every", type=int, default=0)
    p.add_argument("--series", action="append", default=[], metavar="DIR", help="series folder to score")
    p.add_argument("--ett", action="append", default=[], metavar="CSV", help="ETT file whose validation rows to score")
    p.add_argument("--scores", metavar="FILE", help="write the scores of each series here, at the end")
    o = p.parse_args(arguments)
    if o.save_every % o.log_every:
        p.error("--save-every %d is no multiple of --log-every %d" % (o.save_every, o.log_every))
    return o


# ---- Optimiser -------------------------------------------------------------------------------------------


def orthogonal(g):
    """The nearest semi-orthogonal matrices of a stack [n, rows, columns], by the quintic Newton-Schulz iteration of Muon
    (Jordan et al. 2024)."""
    x = g.bfloat16() if g.is_cuda else g.float()
    flip = x.shape[1] > x.shape[2]
    x = x.transpose(1, 2) if flip else x
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(5):
        a = x @ x.transpose(1, 2)
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * (a @ a)) @ x
    return (x.transpose(1, 2) if flip else x).to(g.dtype)


class Optimiser:
    """Muon for the matrices inside the network, AdamW for its edges, biases and scales."""

    def __init__(self, network, weight_decay):
        inner = [p for layer in network.layers for p in layer.parameters() if p.ndim == 2]
        inner += [network.patch_proj.w2, network.head.w1]
        chosen = {id(p) for p in inner}
        self.outer = [p for p in network.parameters() if id(p) not in chosen]
        self.stacks = {}
        for p in inner:
            self.stacks.setdefault(tuple(p.shape), []).append(p)
        self.momentum = {s: torch.zeros(len(ps), *s, device=ps[0].device) for s, ps in self.stacks.items()}
        matrices = [p for p in self.outer if p.ndim == 2]
        rest = [p for p in self.outer if p.ndim != 2]
        self.adam = torch.optim.AdamW([{"params": matrices, "weight_decay": weight_decay},
                                       {"params": rest, "weight_decay": 0.0}], lr=1.0, betas=(0.9, 0.98), eps=1e-9)
        self.weight_decay = weight_decay

    @torch.no_grad()
    def step(self, rate, adam_rate):
        """rate may be a tensor; a step of Muon is as long as it says, whatever the size of the gradient."""
        for shape, params in self.stacks.items():
            g, m = torch.stack([p.grad for p in params]), self.momentum[shape]
            m.lerp_(g, 0.05)
            update = orthogonal(g.lerp(m, 0.95))  # Nesterov
            scale = 0.2 * math.sqrt(max(shape))  # the size of an AdamW update (Liu et al. 2025)
            for p, u in zip(params, update):
                p.mul_(1 - rate * self.weight_decay).sub_(u * (rate * scale))
        for group in self.adam.param_groups:
            group["lr"] = adam_rate
        self.adam.step()

    def state(self):
        return {"adam": self.adam.state_dict(), "momentum": {s: m.bfloat16() for s, m in self.momentum.items()}}

    def load(self, state):
        self.adam.load_state_dict(state["adam"])
        for shape, m in state["momentum"].items():
            self.momentum[shape].copy_(m)


def schedule(step, steps, decay_from):
    """Share of the learning rate: a short rise, a plateau, then a line to 0."""
    rise = min(1.0, (step + 1) / max(1, min(300, steps // 10)))
    return rise * min(1.0, (1 - step / steps) / (1 - decay_from))


# ---- Loss ------------------------------------------------------------------------------------------------


class Loss(torch.nn.Module):
    """Weighted mean of the pinball loss of the nine quantiles, in asinh space."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, z, hidden, masks, rotary, target, weight, levels):
        error = target[..., None] - self.network(z, hidden, masks, rotary)
        loss = torch.maximum(levels * error, (levels - 1) * error).mean(-1)
        return (loss * weight).sum() / weight.sum()


# ---- The run ---------------------------------------------------------------------------------------------


class Run:
    def __init__(self, o):
        self.o = o
        self.rank, self.world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
        if o.shards % self.world:
            raise SystemExit("train.py: --shards %d is no multiple of %d processes" % (o.shards, self.world))
        self.device = torch.device(o.device, self.rank) if o.device == "cuda" else torch.device(o.device)
        self.cuda = self.device.type == "cuda"
        if self.cuda:
            torch.cuda.set_device(self.device)
            torch.set_float32_matmul_precision("high")
        if self.world > 1:
            torch.distributed.init_process_group("nccl" if self.cuda else "gloo")
        torch.manual_seed(o.seed)
        shape = Shape(o.patch, o.width, o.heads, o.layers, o.group, o.d_ff)
        self.network = Network(shape).to(self.device)
        self.optimiser = Optimiser(self.network, o.weight_decay)
        self.loss = Loss(self.network)
        if self.cuda and not o.no_compile:
            self.loss = torch.compile(self.loss)
        self.batches = BatchMaker(o.patch, [int(b) for b in o.blocks.split(",")], self.device, o.longest)
        self.rotary = rotary_tables(self.batches.tokens, shape.head, self.device)
        self.levels = torch.tensor(LEVELS, device=self.device)
        self.first = 0
        self.folders = {d: evaluate.score.read_set(d) for d in o.series}

    def say(self, text):
        if self.rank == 0:
            print(text, flush=True)

    def gradients(self, step):
        """Adds the gradients of this process's shards; the mean over all shards. Returns the loss."""
        total = torch.zeros((), device=self.device)
        for shard in range(self.rank, self.o.shards, self.world):
            b = self.batches.make(self.o.seed, step, shard)
            cast = torch.autocast("cuda", dtype=torch.bfloat16) if self.cuda else contextlib.nullcontext()
            with cast:
                loss = self.loss(b["z"], b["hidden"], b["masks"], self.rotary, b["target"], b["weight"], self.levels)
            (loss / self.o.shards).backward()
            total += loss.detach() / self.o.shards
        if self.world > 1:
            flat = torch.cat([p.grad.flatten() for p in self.network.parameters()] + [total[None]])
            torch.distributed.all_reduce(flat)
            for p, g in zip(self.network.parameters(), flat.split([p.numel() for p in self.network.parameters()] + [1])):
                p.grad.copy_(g.view_as(p))
            total = flat[-1]
        return total

    def train(self):
        o, history, seen, began = self.o, [], [], time.time()
        stop = min(o.stop or o.steps, o.steps)
        norms = []
        for step in range(self.first, stop):
            self.network.zero_grad(set_to_none=True)
            seen.append(self.gradients(step))
            norms.append(torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0))
            fits = torch.isfinite(norms[-1])  # a batch that overflows is passed over
            for p in self.network.parameters():
                p.grad = torch.where(fits, p.grad, torch.zeros_like(p.grad))
            share = schedule(step, o.steps, o.decay_from)
            self.optimiser.step(fits * (o.rate * share), o.adam_rate * share)
            if (step + 1) % o.log_every == 0 or step + 1 == stop:
                loss, norms = float(torch.stack(seen).nanmean()), torch.stack(norms)
                passed = int((~torch.isfinite(norms)).sum())
                history.append((step + 1, "%.6f" % loss))
                self.say("step %d loss %.5f norm %.3f rate %.2e %.1f s%s" % (
                    step + 1, loss, norms.nanmean(), o.rate * share, time.time() - began,
                    ", %d batches passed over" % passed if passed else ""))
                overflows = not math.isfinite(loss) or 2 * passed > len(norms)
                seen, norms = [], []
                if overflows:
                    raise SystemExit("train.py: losses or gradients are not finite at step %d; what was saved before stays" %
                                     (step + 1))
                if self.out_of_time(began):
                    stop = step + 1
                    break
                if o.save_every and (step + 1) % o.save_every == 0 and step + 1 < stop:
                    self.save(step + 1, history)
                    history = []
            if o.eval_every and (step + 1) % o.eval_every == 0 and step + 1 < stop:
                self.evaluate()
        self.evaluate(o.scores)
        self.save(stop, history)

    def out_of_time(self, began):
        """Whether the first process's time is over: all must stop at one step."""
        over = torch.tensor(float(time.time() - began > self.o.time_limit), device=self.device)
        if self.world > 1:
            torch.distributed.broadcast(over, 0)
        return bool(over)

    def evaluate(self, file=None):
        if self.rank:
            return
        rows = []
        for folder, series in self.folders.items():
            scores = evaluate.score_folder(self.network, series)
            self.say("  %s: %s" % (os.path.basename(folder.rstrip("/")), evaluate.summary(scores)))
            rows += [(folder, name) + tuple("%.4f" % v for v in s) for name, s in scores.items()]
        for path in self.o.ett:
            scores = evaluate.ett_validation(self.network, path)
            self.say("  %s: " % os.path.basename(path) + ", ".join(
                "%d %.4f (apart %.4f)" % (h, a, b) for h, (a, b) in scores.items()))
        if file:
            with open(file, "w", newline="") as f:
                csv.writer(f).writerows([("folder", "unique_id", "rel_mase", "rel_wql", "coverage")] + rows)

    def save(self, step, history):
        """Leaves state.pt, model/ and, with the losses since the last time, loss.csv."""
        if self.rank:
            return
        os.makedirs(self.o.out, exist_ok=True)
        path = os.path.join(self.o.out, "state.pt")
        torch.save({"step": step, "network": self.network.state_dict(), "optimiser": self.optimiser.state()}, path + ".part")
        os.replace(path + ".part", path)
        with open(os.path.join(self.o.out, "loss.csv"), "a" if self.first else "w", newline="") as f:
            csv.writer(f).writerows(([] if self.first else [("step", "loss")]) + history)
        write_checkpoint(self.network, os.path.join(self.o.out, "model"))
        self.first = step

    def resume(self, path):
        state = torch.load(path, map_location=self.device)
        self.network.load_state_dict(state["network"])
        self.optimiser.load(state["optimiser"])
        self.first = state["step"]


def main():
    o = options()
    run = Run(o)
    if o.resume:
        run.resume(o.resume)
    run.say("%d parameters, %d rows of %d patches a shard" % (
        sum(p.numel() for p in run.network.parameters()), run.batches.segment.shape[0], run.batches.tokens))
    run.train()
    if run.world > 1:
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
