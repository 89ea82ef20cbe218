"""SPACE on rooms: several configurations side by side on one device, each with its own stream and CUDA graph.

    python study.py --runs runs.json --out OUT --limit 400

runs.json: a list of {"name": ..., setting: value, ...}; settings are those of DEFAULTS. The network is the package's
foreground (encoder, glimpse encoder and decoder), with a fixed number of encoded cells (``max_objects``), and either
the package's background of components on a smaller picture, or ``Lite`` below. Everything has fixed shapes, so that a
training step is one CUDA graph; ``max_objects`` in the package does the same.
"""
import argparse
import json
import math
import os
import sys
import time
import traceback
import types
import zipfile
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

ROOT = Path(os.environ.get("REPO", Path.cwd()))
sys.path.insert(0, str(ROOT))
for name, path in (("spacetime_env", ROOT / "spacetime_env"), ("spacetime_env.games", None), ("cv2", None)):
    if name == "cv2":
        try:
            import cv2  # noqa: F401
            continue
        except ImportError:
            pass
    module = types.ModuleType(name)  # the real packages import gymnasium, which the device machine does not have
    if path:
        module.__path__ = [str(path)]
    module.canonical = lambda game: game
    sys.modules[name] = module
from spacetime_env.config import BackgroundConfig, EncoderConfig, GlimpseConfig, ModelConfig  # noqa: E402
from spacetime_env.space.background import ComponentBackground, _Gaussian, _kl_sum, stick_breaking  # noqa: E402
from spacetime_env.space.foreground import Foreground  # noqa: E402
from spacetime_env.space.latents import HEAD, PRES_SCALE  # noqa: E402
from spacetime_env.space.transforms import _sampling_grid, tent_weights  # noqa: E402

SIZE = 128
DEFAULTS = dict(
    kind="large", seed=0, net="lite", grid=16, cells=48, window=48, batch=16, steps=10000,
    lr=1e-3, bg_lr=1e-3, clip=1.0, decay=0.6, warm=0.08,
    sigma=0.15, bg_sigma=0.0, pres="0.1,0.01,0.1,0.5", scale="-2.2,-2.8,0.1,0.5", scale_std=0.3, scale_bias=-2.2,
    tau="2.5,0.5,0.1,0.6", pres_bias=-0.3, padding=1.0, what=16, glimpse=16,
    boundary=0.0, boundary_until=0.6, boundary_width=3,
    bg="lite", k=5, bg_mask=64, comp="linear", bg_size=64, flip=1, explore=1, norm="batch", optimizer="adam",
)


def config_of(r):
    g = r["grid"]
    if r["net"] == "pub":
        layers = list(EncoderConfig().layers)
        if g == 8:
            layers[4] = (256, 3, 2, 1, 32)
        enc, gl = EncoderConfig(layers=tuple(layers)), GlimpseConfig()
    else:
        w = {"tiny": (12, 24, 48, 48), "lite": (16, 32, 64, 64), "wide": (24, 48, 96, 96)}[r["net"]]
        last = 2 if g == 8 else 1
        layers = ((w[0], 4, 2, 1, 4), (w[1], 4, 2, 1, 8), (w[2], 4, 2, 1, 8), (w[3], 3, last, 1, 8), (w[3], 3, 1, 1, 8))
        enc = EncoderConfig(layers=layers, lateral=False, norm=r["norm"])
        if r["glimpse"] == 16:
            gl = GlimpseConfig(size=16, encoder=((16, 4, 4, 0, 4), (64, 4, 1, 0, 8)),
                               decoder=((64, 8), (32, 8), (16, 4), (8, 2), (8, 2)), refine=False)
        else:
            gl = GlimpseConfig(size=32, encoder=((16, 4, 4, 0, 4), (32, 4, 2, 1, 4), (64, 4, 1, 0, 8)),
                               decoder=((64, 8), (32, 8), (32, 4), (16, 4), (8, 2), (8, 2)), refine=False)
    return ModelConfig(variant="space", grid=g, z_what_dim=32 if r["net"] == "pub" else r["what"], frame_size=(SIZE, SIZE),
                       box_padding=r["padding"], scale_bias=r["scale_bias"], max_objects=r["cells"], encoder=enc, glimpse=gl,
                       background=BackgroundConfig(components=r["k"]))


def down(channels, widths):
    out = []
    for width in widths:
        out += [nn.Conv2d(channels, width, 3, 2, 1), nn.BatchNorm2d(width), nn.ELU()]
        channels = width
    return out


def up(channels, widths):
    """Each width doubles height and width."""
    out = []
    for width in widths:
        out += [nn.Conv2d(channels, width * 4, 1), nn.PixelShuffle(2), nn.CELU(), nn.GroupNorm(4, width),
                nn.Conv2d(width, width, 3, 1, 1), nn.CELU(), nn.GroupNorm(4, width)]
        channels = width
    return out


class Lite(nn.Module):
    """A background of K components that a CPU can train: SPACE's structure, with small decoders.

    Masks are decoded at ``mask`` x ``mask`` as logits and enlarged as logits, so that their edges stay sharp. A component
    is a colour with a linear slope (``comp`` = linear), or is painted at N x N and enlarged (``grid8``).
    """

    def __init__(self, k, mask, comp, zm=32, zc=16, hidden=64):
        super().__init__()
        self.k, self.comp = k, comp
        self.image_enc = nn.Sequential(*down(3, (32, 32, 64, 64)), nn.Flatten(), nn.Linear(1024, 64), nn.ELU())
        self.rnn, self.prior_rnn = nn.LSTMCell(zm + 64, hidden), nn.LSTMCell(zm, hidden)
        self.start = nn.Parameter(torch.zeros(4, hidden))
        self.z0 = nn.Parameter(torch.zeros(zm))
        self.predict_mask = _Gaussian(nn.Linear(hidden, zm * 2))
        self.prior_mask = _Gaussian(nn.Linear(hidden, zm * 2))
        self.prior_comp = _Gaussian(nn.Sequential(nn.Linear(zm, hidden), nn.ELU(), nn.Linear(hidden, zc * 2)))
        self.mask_in = nn.Sequential(nn.Linear(zm, 1024), nn.CELU())
        widths = {32: (64, 32, 16), 64: (64, 32, 16, 8)}[mask]
        self.mask_dec = nn.Sequential(*up(64, widths), nn.Conv2d(widths[-1], 1, 3, 1, 1))
        self.comp_enc = _Gaussian(nn.Sequential(*down(4, (32, 32, 64)), nn.Flatten(), nn.Linear(1024, zc * 2)))
        if comp == "linear":
            self.comp_dec = nn.Sequential(nn.Linear(zc, 64), nn.ELU(), nn.Linear(64, 9))
            side = torch.linspace(-1, 1, SIZE)
            self.register_buffer("basis", torch.stack((torch.ones(SIZE, SIZE), side.expand(SIZE, SIZE), side[:, None].expand(SIZE, SIZE))))
        else:
            n = int(comp[4:])
            side = torch.linspace(-1, 1, n)
            self.register_buffer("basis", torch.stack((side.expand(n, n), side[:, None].expand(n, n))))
            self.comp_dec = nn.Sequential(nn.Conv2d(zc + 2, 32, 3, 1, 1), nn.ELU(), nn.Conv2d(32, 32, 3, 1, 1), nn.ELU(),
                                          nn.Conv2d(32, 32, 3, 1, 1), nn.ELU(), nn.Conv2d(32, 3, 1))

    def forward(self, frames, sample):
        b, k = len(frames), self.k

        def draw(mean, std):
            return mean + std * torch.randn_like(std) if sample else mean

        small = F.avg_pool2d(frames, 2)
        features = self.image_enc(small)
        z, state, posts, zs = self.z0.expand(b, -1), (self.start[0].expand(b, -1), self.start[1].expand(b, -1)), [], []
        for _ in range(k):
            state = self.rnn(torch.cat((z, features), 1), state)
            posts.append(self.predict_mask(state[0]))
            z = draw(*posts[-1])
            zs.append(z)
        logits = self.mask_dec(self.mask_in(torch.cat(zs)).view(-1, 64, 4, 4))
        logits = F.interpolate(logits, size=(SIZE, SIZE), mode="bilinear", align_corners=False)
        masks = stick_breaking(torch.sigmoid(logits).view(k, b, 1, SIZE, SIZE).transpose(0, 1))
        tiny = F.avg_pool2d(frames, 4)
        low = F.avg_pool2d(masks.flatten(0, 1), 4)
        seen = tiny.unsqueeze(1).expand(-1, k, -1, -1, -1).flatten(0, 1)
        mean, std = self.comp_enc(torch.cat(((low + 1e-5).log(), seen), 1))
        zc = draw(mean, std)
        if self.comp == "linear":
            painted = torch.einsum("mcd,dhw->mchw", self.comp_dec(zc).view(-1, 3, 3), self.basis)
        else:
            n = self.basis.shape[1]
            painted = self.comp_dec(torch.cat((zc[:, :, None, None].expand(-1, -1, n, n), self.basis.expand(len(zc), -1, -1, -1)), 1))
            painted = F.interpolate(painted, size=(SIZE, SIZE), mode="bilinear", align_corners=False)
        comps = torch.sigmoid(painted).view(b, k, 3, SIZE, SIZE)
        mean, std = mean.view(b, k, -1), std.view(b, k, -1)
        kl, state = frames.new_zeros(b), (self.start[2].expand(b, -1), self.start[3].expand(b, -1))
        for i in range(k):
            kl = kl + _kl_sum(posts[i], self.prior_mask(state[0])) + _kl_sum((mean[:, i], std[:, i]), self.prior_comp(zs[i]))
            state = self.prior_rnn(zs[i], state)
        return comps, masks, kl


class Published(nn.Module):
    """The package's background on a smaller picture; what it paints is enlarged."""

    def __init__(self, config, size):
        super().__init__()
        from dataclasses import replace
        self.size, self.net = size, ComponentBackground(replace(config, frame_size=(size, size)))

    def forward(self, frames, sample):
        o = self.net(frames if self.size == SIZE else F.avg_pool2d(frames, SIZE // self.size), sample)
        if self.size == SIZE:
            return o.components, o.masks, o.kl
        grow = lambda t: F.interpolate(t.flatten(0, 1), size=(SIZE, SIZE), mode="bilinear", align_corners=False).unflatten(0, t.shape[:2])  # noqa: E731
        return grow(o.components), grow(o.masks), o.kl


def kl_normal(mean, std, prior_mean=0.0, prior_std=1.0):
    ratio = (std / prior_std).square()
    return 0.5 * (ratio + ((mean - prior_mean) / prior_std).square() - 1 - ratio.clamp_min(1e-30).log()).sum()


def log_normal(x, mean, sigma):
    return -0.5 * ((x - mean) / sigma).square() - math.log(sigma) - 0.5 * math.log(2 * math.pi)


class Model(nn.Module):
    def __init__(self, r):
        super().__init__()
        self.r, self.config = r, config_of(r)
        self.fg = Foreground(self.config)
        self.bg = Lite(r["k"], r["bg_mask"], r["comp"]) if r["bg"] == "lite" else Published(self.config, r["bg_size"])
        with torch.no_grad():
            self.fg.encoder.head.bias[HEAD.pres] = r["pres_bias"]
        g = r["glimpse"] if r["net"] != "pub" else 32
        w = r["boundary_width"]
        edge = torch.full((1, 1, g, g), 1000 / 1024)
        edge[..., w:g - w, w:g - w] = 0
        self.register_buffer("edge", edge)
        self.register_buffer("margin", torch.tensor([2 * r["padding"] / SIZE] * 2 + [0.0, 0.0]))
        self.glimpse = g

    def infer(self, frames, tau, sample):
        raw = self.fg.encoder(frames).float()
        o = types.SimpleNamespace(
            scale=(raw[..., HEAD.scale_mean], F.softplus(raw[..., HEAD.scale_std])),
            shift=(raw[..., HEAD.shift_mean], F.softplus(raw[..., HEAD.shift_std])),
            depth=(raw[..., HEAD.depth_mean], F.softplus(raw[..., HEAD.depth_std])),
            logit=PRES_SCALE * torch.tanh(raw[..., HEAD.pres]))
        draw = (lambda p: p[0] + p[1] * torch.randn_like(p[1])) if sample else (lambda p: p[0])
        scale, shift, o.z_depth = draw(o.scale), draw(o.shift), draw(o.depth)
        o.z_where = torch.cat((torch.sigmoid(scale), (self.fg.offset + torch.tanh(shift)) * (2 / self.r["grid"]) - 1), 2)
        if sample:
            u = torch.rand_like(o.logit).clamp(1e-6, 1 - 1e-6)
            o.z_pres = torch.sigmoid((o.logit + u.log() - (-u).log1p()) / tau)
        else:
            o.z_pres = torch.sigmoid(o.logit)
        return o

    def forward(self, frames, tau=None, sample=False):
        r, b, n = self.r, len(frames), self.r["cells"]
        o = self.infer(frames, tau, sample)
        order = o.z_pres if sample and r["explore"] else o.logit
        cell = order.detach().squeeze(2).topk(n, 1).indices  # (B, n)
        take = lambda v: v.gather(1, cell.unsqueeze(2).expand(-1, -1, v.shape[2])).flatten(0, 1)  # noqa: E731
        where = take(o.z_where) + self.margin
        grid = _sampling_grid(where, self.glimpse).view(b, n * self.glimpse, self.glimpse, 2)
        glimpses = F.grid_sample(frames, grid, align_corners=True).view(b, 3, n, self.glimpse, self.glimpse)
        mean, std = self.fg.glimpse_encoder(glimpses.transpose(1, 2).flatten(0, 1))
        what = mean + std * torch.randn_like(std) if sample else mean
        color, alpha = self.fg.glimpse_decoder(what)
        pres = take(o.z_pres)[..., None, None]
        o.glimpse_alpha, o.where, o.cell = alpha, where, cell
        alpha = alpha * pres
        weight = alpha * 100 * torch.sigmoid(-take(o.z_depth))[..., None, None]
        maps = torch.cat((color * alpha, alpha, weight, self.edge * pres), 1)
        frame = torch.arange(b, device=frames.device).unsqueeze(1).expand(b, n).reshape(-1)
        o.image, o.alpha, o.border = self.paint(maps, where, frame, b)
        o.what = (mean, std)
        return o

    def paint(self, maps, where, frame, batch):
        s, size = min(self.r["window"], SIZE), maps.shape[-1]
        w, h, x, y = where.unbind(1)
        with torch.no_grad():
            reach = 1 + 2 / (size - 1)
            top = ((y + 1 - h * reach) * (SIZE - 1) / 2).floor().clamp(0, SIZE - s)
            left = ((x + 1 - w * reach) * (SIZE - 1) / 2).floor().clamp(0, SIZE - s)
        vertical = tent_weights(top, s, SIZE, y, h, size).unsqueeze(1)
        horizontal = tent_weights(left, s, SIZE, x, w, size).unsqueeze(1)
        spread = vertical @ maps @ horizontal.transpose(2, 3)
        weight = torch.exp(spread[:, 4:5] - 50)
        painted = torch.cat((spread[:, :4] * weight, weight - math.exp(-50), spread[:, 5:]), 1)
        row = frame * SIZE + top.long()
        row = row.unsqueeze(1) + torch.arange(s, device=maps.device)
        column = left.long().unsqueeze(1) + torch.arange(s, device=maps.device)
        pixel = (row.unsqueeze(2) * SIZE + column.unsqueeze(1)).flatten()
        canvas = maps.new_zeros(batch * SIZE * SIZE, 6).index_add(0, pixel, painted.permute(0, 2, 3, 1).reshape(-1, 6))
        rows = canvas[:, :4] / (canvas[:, 4:5] + self.r["grid"] ** 2 * math.exp(-50))
        image = torch.cat((rows, canvas[:, 5:]), 1).view(batch, SIZE, SIZE, 5).permute(0, 3, 1, 2)
        return image[:, :3], image[:, 3:4], image[:, 4:]


def line(text, p):
    a, b, begin, until = (float(v) for v in text.split(","))
    return a + (b - a) * ((p - begin) / (until - begin)).clamp(0, 1)


def behind_of(x, comps, masks, sigma):
    return torch.logsumexp(log_normal(x.unsqueeze(1), comps, sigma) + (masks + 1e-5).log(), 1)


class Run:
    """One configuration in training."""

    def __init__(self, r, data, device, work):
        self.r, self.data, self.device, self.work = {**DEFAULTS, **r}, data, device, work
        unknown = set(r) - set(DEFAULTS) - {"name"}
        assert not unknown, unknown
        r = self.r
        torch.manual_seed(r["seed"])
        self.name = r["name"]
        self.model = Model(r).to(device)
        cuda = device.type == "cuda"
        self.stream = torch.cuda.Stream() if cuda else None
        extra = dict(fused=True, capturable=True) if cuda else {}
        number = lambda v: torch.tensor(v, device=device) if cuda else v  # noqa: E731
        kind = torch.optim.Adam
        if r["optimizer"] == "rmsprop":
            self.fg_opt = torch.optim.RMSprop(self.model.fg.parameters(), lr=number(r["lr"]), **(dict(capturable=True) if cuda else {}))
        else:
            self.fg_opt = kind(self.model.fg.parameters(), lr=number(r["lr"]), **extra)
        self.bg_opt = kind(self.model.bg.parameters(), lr=number(r["bg_lr"]), **extra)
        self.p = torch.zeros((), device=device)  # progress, 0 to 1
        self.step_no, self.graphs, self.history, self.shown = 0, {}, [], {}
        self.seconds, self.done, self.failed = 0.0, False, None
        self.event = torch.cuda.Event() if cuda else None
        self.model.train()

    def train_step(self, warm):
        r, m = self.r, self.model
        images = self.data[r["kind"]]["train"]
        index = torch.randint(0, len(images), (r["batch"],), device=self.device)
        x = images[index].permute(0, 3, 1, 2).float() / 255
        if r["flip"]:
            x = torch.where(torch.rand(len(x), 1, 1, 1, device=self.device) < 0.5, x.flip(3), x)
        factor = line(f"1,0.1,{r['decay']},1.0001", self.p)
        for opt, base in ((self.fg_opt, r["lr"]), (self.bg_opt, r["bg_lr"])):
            for group in opt.param_groups:
                if torch.is_tensor(group["lr"]):
                    group["lr"].copy_(base * factor)
                else:
                    group["lr"] = base * float(factor)
        self.fg_opt.zero_grad(set_to_none=True)
        self.bg_opt.zero_grad(set_to_none=True)
        count, terms = len(x), {}
        bg_sigma = r["bg_sigma"] or r["sigma"]
        comps, masks, kl = m.bg(x, True)
        behind = behind_of(x, comps, masks, bg_sigma)
        terms["kl_bg"] = kl.mean()
        if warm:
            terms["nll"] = -behind.sum() / count
        else:
            o = m(x, line(r["tau"], self.p), True)
            front = log_normal(x, o.image, r["sigma"]) + (o.alpha + 1e-5).log()
            terms["nll"] = -torch.logaddexp(front, behind + (1 - o.alpha + 1e-5).log()).sum() / count
            prior = line(r["pres"], self.p)
            q = torch.sigmoid(o.logit)
            e = 1e-15
            terms["kl_pres"] = (q * ((q + e).log() - prior.log()) + (1 - q) * ((1 - q + e).log() - (1 - prior).log())).sum() / count
            terms["kl_what"] = kl_normal(*o.what) / count
            terms["kl_scale"] = kl_normal(*o.scale, line(r["scale"], self.p), r["scale_std"]) / count
            terms["kl_shift"] = kl_normal(*o.shift) / count
            terms["kl_depth"] = kl_normal(*o.depth) / count
            if r["boundary"]:
                on = (self.p < r["boundary_until"]).float()
                terms["boundary"] = r["boundary"] * on * 0.5 * (o.border * o.alpha / 0.7).square().sum() / count
        total = sum(terms.values())
        total.backward()
        torch.nn.utils.clip_grad_norm_([q for q in m.parameters() if q.grad is not None], r["clip"], foreach=True)
        if not warm:
            self.fg_opt.step()
            terms["pres"] = (o.logit > 0).float().sum() / count
            terms["alpha"] = o.alpha.mean()
        self.bg_opt.step()
        return {k: v.detach() for k, v in terms.items()}

    def capture(self):
        for warm in (True, False):
            with torch.cuda.stream(self.stream):
                for _ in range(3):
                    self.train_step(warm)
            self.stream.synchronize()
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, stream=self.stream):
                shown = self.train_step(warm)
            self.graphs[warm] = (graph, shown)
            torch.cuda.synchronize()

    def advance(self, progress):
        warm = progress < self.r["warm"]
        if self.graphs:
            graph, self.shown = self.graphs[warm]
            with torch.cuda.stream(self.stream):
                self.p.fill_(progress)
                graph.replay()
                self.event.record()
        else:
            self.p.fill_(progress)
            self.shown = self.train_step(warm)
        self.step_no += 1

    def report(self, progress, clock, full):
        """Losses, and with ``full`` the figures on the test split, a sheet and the JSON."""
        if self.stream:
            self.stream.synchronize()
        row = dict(step=self.step_no, pictures=self.step_no * self.r["batch"], progress=round(progress, 3), clock=round(clock, 1))
        row.update({k: round(float(v), 3) for k, v in self.shown.items()})
        if full and progress >= self.r["warm"]:
            row.update(evaluate(self.model, self.data[self.r["kind"]], self.work / f"{self.name}.png"))
        self.history.append(row)
        text = json.dumps(dict(settings=self.r, parameters={k: sum(q.numel() for q in getattr(self.model, k).parameters()) for k in ("fg", "bg")}, history=self.history))
        (self.work / f"{self.name}.json").write_text(text)
        print(self.name, json.dumps(row), flush=True)
        if not all(math.isfinite(v) for v in row.values() if isinstance(v, float)):
            self.failed = "not finite"


def iou(a, b):
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, :2] + a[:, None, 2:], b[None, :, :2] + b[None, :, 2:])
    inter = np.prod(np.clip(high - low, 0, None), 2)
    return inter / np.maximum(np.prod(a[:, None, 2:], 2) + np.prod(b[None, :, 2:], 2) - inter, 1e-9)


def nms(boxes, score):
    keep = []
    for i in np.argsort(-score):
        if not keep or iou(boxes[i:i + 1], boxes[keep])[0].max() < 0.5:
            keep.append(i)
    return keep


def scores(found, truth):
    from scipy.optimize import linear_sum_assignment
    hit = center = 0
    for f, t in zip(found, truth):
        if len(f) and len(t):
            m = iou(f, t)
            hit += int((m[linear_sum_assignment(-(m >= 0.5).astype(float) - 1e-3 * m)] >= 0.5).sum())
            d = np.linalg.norm((f[:, None, :2] + f[:, None, 2:] / 2) - (t[None, :, :2] + t[None, :, 2:] / 2), axis=2)
            near = 1 - d / np.linalg.norm(t[:, 2:], axis=1)[None] > 0.5
            center += int(near[linear_sum_assignment(-near.astype(float))].sum())
    n, m = sum(map(len, found)), sum(map(len, truth))
    return dict(f1=2 * hit / max(1, n + m), precision=hit / max(1, n), recall=hit / max(1, m), center_f1=2 * center / max(1, n + m))


@torch.no_grad()
def evaluate(model, data, sheet):
    r = model.r
    model.eval()
    dev, truth = data["test"].device, data["truth"]
    found, tight, alphas, inside, outside, nlls = [], [], [], [], [], []
    mask_sum = mask_sq = 0
    first, total = None, 0
    for i in range(0, len(data["test"]), 32):
        x = data["test"][i:i + 32].permute(0, 3, 1, 2).float() / 255
        o = model(x)
        comps, masks, _ = model.bg(x, False)
        behind = behind_of(x, comps, masks, r["bg_sigma"] or r["sigma"])
        front = log_normal(x, o.image, r["sigma"]) + (o.alpha + 1e-5).log()
        nlls.append(float(-torch.logaddexp(front, behind + (1 - o.alpha + 1e-5).log()).sum()) / len(x))
        back = (comps * masks).sum(1)
        if first is None:
            first = [t[:6].cpu() for t in (x, o.alpha * 0 + o.image + (1 - o.alpha) * back, o.image, o.alpha.expand(-1, 3, -1, -1), back, masks)]
        mask_sum, mask_sq, total = mask_sum + masks.sum(0), mask_sq + masks.square().sum(0), total + len(x)
        alphas.append((o.alpha > 0.5).float().mean(dim=(1, 2, 3)).cpu())
        error = (back - x).abs().mean(1).cpu()
        n = r["cells"]
        where = o.where.view(len(x), n, 4).cpu()
        pres = o.logit.squeeze(2).gather(1, o.cell).cpu()
        opaque = (o.glimpse_alpha > 0.5).view(len(x), n, model.glimpse, model.glimpse)
        rows, cols = opaque.any(3).cpu().numpy(), opaque.any(2).cpu().numpy()
        for f in range(len(x)):
            on = torch.zeros(SIZE, SIZE, dtype=torch.bool)
            for bx, by, bw, bh in truth[i + f].astype(int):
                on[by:by + bh, bx:bx + bw] = True
            inside.append(float(error[f][on].mean()))
            outside.append(float(error[f][~on].mean()))
            w, h, cx, cy = where[f].unbind(1)
            pad = 2 * r["padding"] / SIZE
            full = torch.stack(((cx + 1 - w) / 2 * SIZE, (cy + 1 - h) / 2 * SIZE, w * SIZE, h * SIZE), 1).numpy()  # padded
            w, h = w - pad, h - pad
            boxes = torch.stack(((cx + 1 - w) / 2 * SIZE, (cy + 1 - h) / 2 * SIZE, w * SIZE, h * SIZE), 1).numpy()
            close = full.copy()
            for j in range(n):
                ys, xs = np.flatnonzero(rows[f, j]), np.flatnonzero(cols[f, j])
                if len(ys):
                    step = model.glimpse - 1
                    x0, x1 = (xs[0] - 0.5) / step, (xs[-1] + 0.5) / step
                    y0, y1 = (ys[0] - 0.5) / step, (ys[-1] + 0.5) / step
                    bx, by, bw, bh = full[j]
                    close[j] = bx + max(x0, 0) * bw, by + max(y0, 0) * bh, (min(x1, 1) - max(x0, 0)) * bw, (min(y1, 1) - max(y0, 0)) * bh
            clip = lambda b: np.concatenate((np.clip(b[:, :2], 0, SIZE), np.clip(b[:, :2] + b[:, 2:], 0, SIZE) - np.clip(b[:, :2], 0, SIZE)), 1)  # noqa: E731
            boxes, close = clip(boxes), clip(close)
            present = np.flatnonzero(pres[f].numpy() > 0)
            score = pres[f].numpy()[present]
            for out, b in ((found, boxes), (tight, close)):
                b = b[present]
                out.append(b[nms(b, score)] if len(b) else b.reshape(0, 4))
    model.train()
    result = scores(found, truth)
    result.update({f"tight_{k}": v for k, v in scores(tight, truth).items()})
    sizes = np.concatenate(found) if sum(map(len, found)) else np.zeros((1, 4))
    var = (mask_sq / total - (mask_sum / total).square()).clamp_min(0)
    result.update(test_nll=float(np.mean(nlls)), found=sum(map(len, found)) / len(found), true=sum(map(len, truth)) / len(truth),
                  size=float(np.median(sizes[:, 2:])), cover=float(torch.cat(alphas).mean()), mask_var=float(var.mean()) * r["k"],
                  bg_err_in=float(np.nanmean(inside)), bg_err_out=float(np.nanmean(outside)))
    draw_sheet(first, found, tight, truth, sheet)
    return {k: round(v, 4) for k, v in result.items()}


def draw_sheet(first, found, tight, truth, path):
    from PIL import Image, ImageDraw
    x, recon, fg, alpha, back, masks = first
    palette = torch.tensor([[.9, .2, .2], [.2, .8, .2], [.2, .3, .9], [.9, .9, .2], [.9, .3, .9], [.2, .9, .9], [.6, .6, .6], [1, 1, 1]])[:masks.shape[1]]
    seg = (masks * palette[None, :, :, None, None]).sum(1)
    sheet = Image.new("RGB", (128 * 6, 128 * 7))
    for i in range(len(x)):
        for j, t in enumerate((x, x, recon, fg, alpha, back, seg)):
            im = Image.fromarray((t[i].clamp(0, 1) * 255).byte().permute(1, 2, 0).numpy())
            if j < 2:
                d = ImageDraw.Draw(im)
                for boxes, color in ((truth, (0, 255, 0)),) if j == 0 else ((found, (255, 255, 255)), (tight, (255, 0, 255))):
                    for bx, by, bw, bh in boxes[i]:
                        d.rectangle([bx, by, bx + max(bw, 1) - 1, by + max(bh, 1) - 1], outline=color)
            sheet.paste(im, (128 * i, 128 * j))
    sheet.save(path)


def load(folder, kinds, device, count):
    out = {}
    for kind in kinds:
        a, b = np.load(folder / f"{kind}_train.npz"), np.load(folder / f"{kind}_test.npz")
        out[kind] = dict(train=torch.from_numpy(a["images"][:count]).to(device), test=torch.from_numpy(b["images"][:count]).to(device),
                         truth=[b["boxes"][i, :b["counts"][i]].astype(float) for i in range(min(count, len(b["images"])))])
    return out


def pack(work, out, weights):
    """Few files come back: all of ``work`` as two archives, each put in place whole."""
    for name, suffixes in (("results.zip", (".png", ".json", ".txt")), ("weights.zip", (".pt",))):
        if name == "weights.zip" and not weights:
            continue
        with zipfile.ZipFile(work / "tmp", "w", zipfile.ZIP_DEFLATED) as z:
            for file in sorted(work.iterdir()):
                if file.suffix in suffixes:
                    z.write(file, file.name)
        (out / name).write_bytes((work / "tmp").read_bytes())


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--runs", type=Path)
    p.add_argument("--out", type=Path)
    p.add_argument("--data", type=Path, default=Path(__file__).parent)
    p.add_argument("--limit", type=float, default=400, help="seconds of the whole program, start to end")
    p.add_argument("--only", default="", help="one run's name; used for the fall-back")
    p.add_argument("--evals", type=int, default=6)
    p.add_argument("--count", type=int, default=10**6)
    p.add_argument("--eager", action="store_true")
    p.add_argument("--fallback", action="store_true")
    p.add_argument("--least", type=int, default=0, help="steps that the runs shall reach: the last runs are dropped after 25 s if they will not")
    a = p.parse_args()
    began = float(os.environ.get("BEGAN", time.time()))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = True, False
    torch.set_num_threads(1)
    work = Path(os.environ.get("WORK", "/tmp/rooms_work"))
    work.mkdir(parents=True, exist_ok=True)
    a.out.mkdir(parents=True, exist_ok=True)
    todo = [r for r in json.loads(a.runs.read_text()) if not a.only or r["name"] == a.only]
    data = load(a.data, sorted({r.get("kind", "large") for r in todo}), device, a.count)
    print(f"data {time.time() - began:.1f} s", flush=True)
    runs = []
    for r in todo:
        try:
            runs.append(Run(r, data, device, work))
            if device.type == "cuda" and not a.eager:
                runs[-1].capture()
            print(r["name"], f"ready {time.time() - began:.1f} s", flush=True)
        except Exception:
            traceback.print_exc()
            if device.type == "cuda" and not a.eager and not a.only:
                if not a.fallback:
                    sys.exit("capture failed")
                return fall_back(a, todo, began, work)
    reserve = 4 + 1.5 * len(runs)  # the last evaluations
    start = time.time()
    last_pack = start
    while any(not r.done for r in runs):
        idle = True
        for r in runs:
            if r.done or (r.event and r.graphs and not r.event.query()):
                continue
            idle = False
            now = time.time()
            progress = max(r.step_no / r.r["steps"], (now - start) / max(a.limit - reserve - (start - began), 1))
            if progress >= 1 or r.failed:
                r.done = True
                r.report(min(progress, 1), now - start, True)
                torch.save({k: v.cpu().half() if v.is_floating_point() else v.cpu() for k, v in r.model.state_dict().items()}, work / f"{r.name}.pt")
                pack(work, a.out, False)
                continue
            r.advance(progress)
            wanted = int((progress - r.r["warm"]) / (1 - r.r["warm"]) * a.evals) if progress > r.r["warm"] else 0
            if wanted > getattr(r, "evaluated", 0):
                r.evaluated = wanted
                r.report(progress, now - start, True)
            elif r.step_no in (20, 200) or r.step_no % 1000 == 0:
                r.report(progress, now - start, False)
            if now - last_pack > 45:
                last_pack = now
                pack(work, a.out, False)
        if a.least and time.time() - start > 25:
            clock = time.time() - start
            rest = a.limit - reserve - (start - began)
            share = sorted(r.step_no for r in runs)[len(runs) // 2] / clock * rest / a.least
            if share < 1:
                keep = max(6, int(len(runs) * share))
                print("dropped for time:", [r.name for r in runs[keep:]], flush=True)
                runs = runs[:keep]
            a.least = 0
        if idle:
            time.sleep(0.0002)
    pack(work, a.out, True)
    print(f"end {time.time() - began:.1f} s; steps/s", {r.name: round(r.step_no / (time.time() - start), 1) for r in runs}, flush=True)


def fall_back(a, todo, began, work):
    """Without CUDA graphs: a process for each run."""
    import subprocess
    print("no CUDA graphs: a process for each run", flush=True)
    torch.cuda.empty_cache()
    jobs = []
    for r in todo:
        folder = work / r["name"]
        env = {**os.environ, "BEGAN": str(began), "WORK": str(folder)}
        jobs.append((r["name"], subprocess.Popen([sys.executable, __file__, "--runs", str(a.runs), "--out", str(folder / "out"), "--data", str(a.data),
                                                  "--limit", str(a.limit), "--only", r["name"], "--evals", str(a.evals), "--eager"], env=env)))
    while any(j.poll() is None for _, j in jobs):
        time.sleep(10)
        for name, _ in jobs:
            for file in (work / name).glob(f"{name}.*"):
                (work / file.name).write_bytes(file.read_bytes())
        pack(work, a.out, False)
    pack(work, a.out, True)


if __name__ == "__main__":
    main()
