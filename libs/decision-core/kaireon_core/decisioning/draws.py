"""Chance as an argument: numbers that follow from a customer's seed and a name, and from nothing else.

    draw(seed, name) = mix(mix(seed) XOR first 8 bytes of SHA-256(name))

`mix` is the finaliser of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014). A draw
becomes a number in (0, 1) as (draw / 2^12, rounded down, + 0.5) / 2^52.
"""

from __future__ import annotations

import hashlib
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from kaireon_core.column import Floats

Draws: TypeAlias = NDArray[np.uint64]


def name_hash(name: str) -> int:
    """Return the number that a name has in draws."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")


def uniform(seeds: Draws, names: Draws) -> Floats:
    """Return the draws of these seeds and hashed names, in (0, 1), in the shape to which both broadcast."""
    return ((_mix(_mix(seeds) ^ names) >> np.uint64(12)).astype(np.float64) + 0.5) / 2.0**52


def _mix(numbers: Draws) -> Draws:
    mixed = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
