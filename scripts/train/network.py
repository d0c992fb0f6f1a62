"""The network of Toto 2.0 in the form in which it is trained.

Rows hold several series one after another (segments), and ROWS rows form a block whose series may see each other in
the variate layers. Masks keep segments and groups apart, so a pass over such rows equals a pass over each series alone:
the rotary and xPos factors depend on differences of positions only.

The forward scale factors of the published layout (1 / sqrt(fan_in), 1 / fan_in in the head) are folded into the weights
here; `export_tensors` takes them out again.
"""
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

ROWS = 16  # rows of a block: the most variates that see each other
LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
KAPPA = 1.7667829483123283  # gain of SiLU in the residual MLPs: exp(0.8 ln sqrt(2 / (1 - 1/pi)) + 0.2 ln 2)
NORM_EPS = 1e-4


class Shape:
    """Sizes of a model. patch p, width d, heads of d/heads, layers in groups of `group`, the last of each over variates."""

    def __init__(self, patch=32, width=256, heads=4, layers=4, group=4, d_ff=None, attn_ratio=2.0, residual_mult=1.0):
        self.patch, self.width, self.heads, self.layers, self.group = patch, width, heads, layers, group
        self.d_ff = d_ff or (int(width * 4 * 2 / 3) + 7) // 8 * 8
        self.attn_ratio, self.residual_mult = attn_ratio, residual_mult
        self.head = width // heads

    def is_variate_layer(self, n):
        return n % self.group == self.group - 1

    def tau(self, n):
        """Weights of the attention and the feed-forward branch of layer n beside the residual."""
        mlp = self.residual_mult * math.sqrt(2 / (1 + self.attn_ratio**2))
        attn = self.attn_ratio * mlp
        before = self.layers + n * (attn**2 + mlp**2)
        return attn / math.sqrt(before), mlp / math.sqrt(before + attn**2)

    def config(self):
        """config.json of the published layout."""
        return {
            "attn_bias": True, "d_ff": self.d_ff, "d_model": self.width, "dropout_p": 0.0,
            "heads_per_group": 1, "layer_group_size": self.group, "mlp_bias": False, "norm_eps": NORM_EPS,
            "norm_include_weight": False, "num_groups": self.heads, "num_heads": self.heads,
            "num_layers": self.layers, "num_output_patches": 1, "num_variate_layers_per_group": 1,
            "patch_size": self.patch, "per_dim_scale": True, "pre_norm": True, "qk_dim": self.head,
            "qk_norm": False, "qk_norm_include_weight": False, "residual_attn_ratio": self.attn_ratio,
            "residual_mult": self.residual_mult, "use_xpos": True, "v_dim": self.head, "variate_layer_first": False,
        }


def rms_norm(x):
    y = x.float()
    return y * torch.rsqrt(y.square().mean(-1, keepdim=True) + NORM_EPS)


def weight(fan_out, fan_in, gain=1.0):
    return nn.Parameter(torch.randn(fan_out, fan_in) * (gain * fan_in**-0.5))


class ResidualMLP(nn.Module):
    def __init__(self, fan_in, hidden, fan_out, out_gain=1.0):
        super().__init__()
        self.w1, self.b1 = weight(hidden, fan_in), nn.Parameter(torch.zeros(hidden))
        self.w2, self.b2 = weight(fan_out, hidden, out_gain), nn.Parameter(torch.zeros(fan_out))
        self.ws, self.bs = weight(fan_out, fan_in, out_gain), nn.Parameter(torch.zeros(fan_out))

    def forward(self, x):
        h = KAPPA * F.silu(F.linear(x, self.w1, self.b1))
        return (F.linear(h, self.w2, self.b2) + F.linear(x, self.ws, self.bs)) * 0.5**0.5


class Layer(nn.Module):
    def __init__(self, shape, n):
        super().__init__()
        d = shape.width
        self.heads, self.head, self.over_variates = shape.heads, shape.head, shape.is_variate_layer(n)
        self.tau_attn, self.tau_mlp = shape.tau(n)
        self.wq, self.wk, self.wv, self.wo = (weight(d, d) for _ in range(4))
        self.bq, self.bk, self.bv, self.bo = (nn.Parameter(torch.zeros(d)) for _ in range(4))
        # A bias of keys that no position turns shifts all scores of a query alike, which softmax takes out: with no
        # gradient but rounding it wandered off, until bfloat16 held no more of the key beside it. It has no part.
        turned = torch.zeros(self.heads, self.head)
        turned[:, :0 if self.over_variates else self.head // 2] = 1
        self.register_buffer("turned", turned.flatten(), persistent=False)
        self.per_dim_scale = nn.Parameter(torch.zeros(self.head))
        self.w_gate, self.w_silu, self.w_down = weight(shape.d_ff, d), weight(shape.d_ff, d), weight(d, shape.d_ff)

    def key_bias(self):
        """Bias of the keys [d]: in the half of each head that positions turn, nowhere over variates."""
        return self.bk * self.turned

    def attend(self, x, masks, rotary):
        rows, tokens, d = x.shape
        split = (rows, tokens, self.heads, self.head)
        q, k, v = (F.linear(x, w, b).view(split) for w, b in
                   ((self.wq, self.bq), (self.wk, self.key_bias()), (self.wv, self.bv)))
        q = q * (F.softplus(self.per_dim_scale) / math.log(2)).to(q.dtype)
        if self.over_variates:
            blocks = rows // ROWS
            q, k, v = (z.view(blocks, ROWS, tokens, self.heads, self.head).permute(0, 2, 3, 1, 4) for z in (q, k, v))
            scores = torch.matmul(q, k.transpose(-1, -2)).float() / self.head
            w = torch.softmax(scores.masked_fill(~masks["variate"], -1e30), -1)
            a = torch.matmul(w.to(v.dtype), v).permute(0, 3, 1, 2, 4)
        else:
            cos, sin, grow = rotary
            q, k = rotate(q, cos, sin, grow), rotate(k, cos, sin, 1 / grow)
            q, k, v = (z.transpose(1, 2) for z in (q, k, v))
            if hasattr(F, "scaled_dot_product_attention") and q.is_cuda:
                a = F.scaled_dot_product_attention(q, k, v, attn_mask=masks["time"], scale=1 / self.head)
            else:
                scores = torch.matmul(q, k.transpose(-1, -2)).float() / self.head
                a = torch.matmul(torch.softmax(scores + masks["time"], -1).to(v.dtype), v)
            a = a.transpose(1, 2)
        return F.linear(a.reshape(rows, tokens, d), self.wo, self.bo)

    def forward(self, x, masks, rotary):
        t = self.tau_attn
        x = (self.attend(rms_norm(x), masks, rotary) * t + x) / math.sqrt(1 + t * t)
        t, y = self.tau_mlp, rms_norm(x)
        y = F.linear(F.linear(y, self.w_gate) * F.silu(F.linear(y, self.w_silu)), self.w_down)
        return (y * t + x) / math.sqrt(1 + t * t)


def rotate(z, cos, sin, grow):
    """Rotary positions of pairs in the first half of each head, times the xPos factor. z [rows, tokens, heads, head]."""
    half = z.shape[-1] // 2
    pairs = z[..., :half].float()
    even, odd = pairs[..., 0::2], pairs[..., 1::2]
    turned = torch.stack(((even * cos - odd * sin) * grow, (odd * cos + even * sin) * grow), -1).flatten(-2)
    return torch.cat((turned.to(z.dtype), z[..., half:]), -1)


def rotary_tables(tokens, head, device):
    """cos, sin and xPos growth, each [tokens, 1, head/4]."""
    half = head // 2
    i = torch.arange(0, half, 2, device=device, dtype=torch.float32)
    positions = torch.arange(tokens, device=device, dtype=torch.float32)[:, None]
    angle = positions * 10000.0 ** (-i / half)
    base = (i + 0.4 * half) / (1.4 * half)
    grow = base ** ((positions - tokens // 2) / 256)
    return tuple(z[:, None, :] for z in (angle.cos(), angle.sin(), grow))


def attention_masks(segment, unseen, group, dtype):
    """Who sees whom. segment [rows, S]: which series of the row; unseen [rows, S]: no value of the patch is known and
    it is not one to be forecast; group [rows, S]: the group's number within the block.

    Returns {"time": additive [rows, 1, S, S], "variate": bool [blocks, S, 1, ROWS, ROWS]}.
    """
    rows, tokens = segment.shape
    code = segment * 2 + unseen.long()
    causal = torch.ones(tokens, tokens, dtype=torch.bool, device=segment.device).tril()
    time = (code[:, :, None] == code[:, None, :]) & causal
    bias = torch.zeros(time.shape, dtype=dtype, device=segment.device).masked_fill_(~time, float("-inf"))
    member = torch.where(unseen, torch.full_like(group, -1), group)
    member = member.view(rows // ROWS, ROWS, tokens).transpose(1, 2)
    return {"time": bias[:, None], "variate": (member[..., :, None] == member[..., None, :])[:, :, None]}


class Network(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.shape = shape
        self.patch_proj = ResidualMLP(2 * shape.patch, 4 * shape.width, shape.width)
        # A patch of zeros must not become a vector of zeros, whose norm has no useful gradient.
        nn.init.normal_(self.patch_proj.b1, std=0.5)
        self.layers = nn.ModuleList(Layer(shape, n) for n in range(shape.layers))
        # The head of the published layout divides by fan_in: small at the start.
        self.head = ResidualMLP(shape.width, 4 * shape.width, len(LEVELS) * shape.patch, 0.1)

    def forward(self, z, hidden, masks, rotary):
        """z, hidden [rows, S, p]: scaled values (0 where hidden) and 1 where hidden. Returns [rows, S, p, 9]: what token
        i says of patch i + 1, in asinh space."""
        exact = torch.autocast(z.device.type, enabled=False)  # values and quantiles need more digits than bfloat16 has
        with exact:
            x = self.patch_proj(torch.cat((z, hidden), -1))
        for layer in self.layers:
            x = layer(x, masks, rotary)
        x = rms_norm(x)
        with exact:
            y = self.head(x)
        return y.unflatten(-1, (self.shape.patch, len(LEVELS)))


def export_tensors(network):
    """Name -> float32 tensor of the published layout."""
    s, out = network.shape, {}

    def linear(name, w, b, divisor):
        out[name + ".weight"] = w.detach() * divisor
        if b is not None:
            out[name + ".bias"] = b.detach() * divisor

    def mlp(name, m, d1, d2, ds):
        linear(name + ".linear1", m.w1, m.b1, d1)
        linear(name + ".linear2", m.w2, m.b2, d2)
        linear(name + ".skip_proj", m.ws, m.bs, ds)

    d = s.width
    mlp("patch_proj", network.patch_proj, math.sqrt(2 * s.patch), math.sqrt(4 * d), math.sqrt(2 * s.patch))
    for n, layer in enumerate(network.layers):
        name = "transformer.layers.%d." % n
        out[name + "attn_tau"], out[name + "mlp_tau"] = (torch.tensor(t) for t in s.tau(n))
        linear(name + "attn.in_proj", torch.cat((layer.wq, layer.wk, layer.wv)),
               torch.cat((layer.bq, layer.key_bias(), layer.bv)), math.sqrt(d))
        linear(name + "attn.out_proj", layer.wo, layer.bo, math.sqrt(d))
        out[name + "attn._pds.per_dim_scale"] = layer.per_dim_scale.detach()
        linear(name + "ffn.fc1", torch.cat((layer.w_gate, layer.w_silu)), None, math.sqrt(d))
        linear(name + "ffn.fc2", layer.w_down, None, math.sqrt(s.d_ff))
    mlp("output_head.param_projection.proj", network.head, math.sqrt(d), 4 * d, d)
    return out
