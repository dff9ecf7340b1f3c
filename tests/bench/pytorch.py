"""The work of a retrain in PyTorch, to compare with: docs/performance.md says how both were run.

    pip install torch pandas
    python tests/bench/pytorch.py rows.csv

Reads a CSV file of numbers, scales it, fits four networks of the shape and by the recipe of `outlierd` (two
processes, two networks each), and scores what calibrates and what the gate measures on.
"""

import math
import sys
import time
from multiprocessing import Pool

import numpy
import pandas
import torch
from torch.nn.functional import linear, silu, softplus

HIDDEN, LATENT, STEPS, BATCH, MOST_ROWS = 64, 32, 2000, 128, 200_000
FLOORS = [0.1, 0.2, 0.4, 1.0]
EPSILON, CONTAMINATION, CLIP, WARMUP = 0.1, 5.0, 20.0, 0.3


def layer(inputs, outputs):
    weight = torch.randn(outputs, inputs) * math.sqrt(1.0 / inputs)
    return [weight.requires_grad_(), torch.zeros(outputs, requires_grad=True)]


class Network:
    def __init__(self, columns, floor):
        self.floor = floor
        self.encoder = [layer(columns, HIDDEN), layer(HIDDEN, HIDDEN), layer(HIDDEN, 2 * LATENT)]
        self.decoder = [layer(LATENT, HIDDEN), layer(HIDDEN, HIDDEN), layer(HIDDEN, columns)]
        self.spread = layer(HIDDEN, columns)
        self.skips = [layer(columns, 2 * LATENT)[0], layer(LATENT, columns)[0]]

    def weights(self):
        layers = [*self.encoder, *self.decoder, self.spread]
        return [tensor for pair in layers for tensor in pair] + self.skips

    def loss(self, rows, beta, noise=True):
        first, second, last = self.encoder
        code = linear(silu(linear(silu(linear(rows, *first)), *second)), *last) + linear(rows, self.skips[0])
        mean, log_variance = code.chunk(2, 1)
        log_variance = log_variance.clamp(-8, 4)
        sample = mean + torch.randn_like(mean) * (log_variance / 2).exp() if noise else mean
        first, second, last = self.decoder
        inner = silu(linear(silu(linear(sample, *first)), *second))
        expected = linear(inner, *last) + linear(sample, self.skips[1])
        variance = softplus(linear(inner, *self.spread) + 0.5413) + self.floor**2
        plain = -0.5 * ((rows - expected) ** 2 / variance + variance.log() + math.log(2 * math.pi))
        wide = -0.5 * (rows**2 / CONTAMINATION**2) - math.log(CONTAMINATION * math.sqrt(2 * math.pi))
        mixed = torch.logaddexp(plain + math.log1p(-EPSILON), wide + math.log(EPSILON))
        divergence = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance)
        return -mixed.sum(1) + beta * divergence.sum(1)


def fit(rows, floor, seed):
    torch.manual_seed(seed)
    network = Network(rows.shape[1], floor)
    weights = network.weights()
    adam = torch.optim.AdamW(weights, lr=3e-3, weight_decay=0.0)
    for step in range(STEPS):
        along = step / STEPS
        for group in adam.param_groups:
            group["lr"] = 3e-3 * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * along)))
        batch = rows[torch.randint(len(rows), (BATCH,))]
        adam.zero_grad()
        network.loss(batch, min(1.0, along / WARMUP)).mean().backward()
        torch.nn.utils.clip_grad_norm_(weights, CLIP)
        adam.step()
    return network


def member(work):
    fitted, scored, floors, seed = work
    torch.set_num_threads(1)
    total = torch.zeros(len(scored))
    for number, floor in enumerate(floors):
        network = fit(torch.from_numpy(fitted), floor, seed + number)
        with torch.no_grad():
            parts = [network.loss(part, 1.0, False) for part in torch.from_numpy(scored).split(4096)]
        total += torch.cat(parts)
    return total.numpy()


def main():
    began = time.time()
    rows = pandas.read_csv(sys.argv[1]).to_numpy(numpy.float32)
    rows = (rows - rows.mean(0)) / rows.std(0)
    chosen = numpy.random.default_rng(1).permutation(len(rows))
    gate, calibration, rest = numpy.split(chosen, [len(rows) // 10, len(rows) * 28 // 100])
    scored = rows[numpy.concatenate([gate, calibration])]
    fitted = rows[rest[:MOST_ROWS]]
    print(f"read after {time.time() - began:.1f} s")
    with Pool(2) as pool:
        scores = sum(pool.map(member, [(fitted, scored, FLOORS[:2], 1), (fitted, scored, FLOORS[2:], 3)]))
    threshold = numpy.quantile(scores[len(gate) :], 0.99)
    flagged = (scores[: len(gate)] > threshold).mean()
    print(f"done after {time.time() - began:.1f} s; {flagged:.4f} of the gate's rows are flagged")


if __name__ == "__main__":
    main()
