#!/usr/bin/env python3
"""Makes a terrain out of nothing but its name: $TERRAIN, checked against $SHA256

Stands in for a download: what comes out is the same on every machine and is checked against the
digest that the task graph pins, as one does with a file from elsewhere.
"""

import hashlib
import os
import sys
from pathlib import Path

COUNT = 512
SPACING = 80  # decimetres


def numbers(seed):
    """An endless row of numbers from 0 to 65535 (a linear congruence, written out so that it never changes)."""
    while True:
        seed = (seed * 6364136223846793005 + 1442695040888963407) % 2**64
        yield seed >> 48


def smooth(heights, rounds):
    for _ in range(rounds):
        heights = [(heights[i - 1] + 2 * heights[i] + heights[(i + 1) % COUNT]) // 4 for i in range(COUNT)]
    return heights


def flats(luck):
    return smooth([next(luck) % 40 for _ in range(COUNT)], 3)


def craters(luck):
    heights = smooth([next(luck) % 60 for _ in range(COUNT)], 3)
    for _ in range(9):
        middle, radius, depth = next(luck) % COUNT, 6 + next(luck) % 14, 60 + next(luck) % 240
        for step in range(-radius, radius + 1):
            bowl = depth * (radius * radius - step * step) // (radius * radius)
            rim = depth // 5 if abs(step) > radius - 3 else 0
            heights[(middle + step) % COUNT] += rim - bowl
    return smooth(heights, 1)


def highlands(luck):
    heights = [0] * COUNT
    for width in (128, 64, 32, 16, 8):
        knots = [next(luck) % (width * 14) for _ in range(COUNT // width)]
        for i in range(COUNT):
            left, right = knots[i // width], knots[(i // width + 1) % len(knots)]
            heights[i] += left + (right - left) * (i % width) // width
    for start in range(16, COUNT, 48):  # ledges: the only places to land on
        heights[start : start + 4] = [heights[start]] * 4
    return heights


TERRAINS = {"terrain-flats": (flats, 11), "terrain-craters": (craters, 23), "terrain-highlands": (highlands, 37)}


def text_of(name):
    shape, seed = TERRAINS[name]
    heights = shape(numbers(seed))
    short = name.split("-", 1)[1]
    return "".join([f"terrain {short} {SPACING} {COUNT}\n", *(f"{height}\n" for height in heights)])


def main():
    name, expected = os.environ["TERRAIN"], os.environ["SHA256"]
    if name not in TERRAINS:
        print(f"no terrain is called {name}; there are {', '.join(TERRAINS)}", file=sys.stderr)
        return 2
    data = text_of(name).encode("ascii")
    digest = hashlib.sha256(data).hexdigest()
    if digest != expected:
        print(f"{name}: the digest is {digest}, not {expected}", file=sys.stderr)
        return 1
    Path("artifacts").mkdir(exist_ok=True)
    Path("artifacts/terrain.txt").write_bytes(data)
    print(f"{name}: {len(data)} bytes, digest as pinned")
    return 0


if __name__ == "__main__":
    sys.exit(main())
