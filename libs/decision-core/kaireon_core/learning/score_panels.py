"""Panels: where the densities of scores are smooth, and fine enough to integrate over them.

A panel has 16 Gauss-Legendre nodes over t, where s = l + (r - l) / (1 + e^-t) runs from one kink of a law to the next:
over t every density is smooth and falls off exponentially at both ends. A panel is halved until the rule finds the mass
that the incomplete beta function says is there, for every law: of the whole panel and, since the integrals up to the
nodes converge only half as fast, of its beginning up to some of them. (Trefethen, Approximation Theory and
Approximation Practice, 2013, chapter 19; for the substitution Stenger, Numerical Methods Based on Sinc and Analytic
Functions, 1993.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import NDArray
from scipy.special import betainc, betaincc, expit

from kaireon_core.column import Floats, Mask
from kaireon_core.learning.beta_order import log_density
from kaireon_core.learning.score_laws import Laws

Indices: TypeAlias = NDArray[np.int64]
NODES = 16
# By how much the mass of a panel may be missed.
_RELATIVE, _ABSOLUTE = 1e-9, 1e-11
_MOST_HALVINGS = 40
_HALF = 0.5
# The nodes up to which the mass is checked.
_CHECKED = (3, 7, 11)
# Beyond it, over t, a density that falls off like e^-t has nothing left.
_REACH = 38.0
_FIRST = np.array([-16.0, -8.0, -4.0, -2.0, 0.0, 2.0, 4.0, 8.0, 16.0])


def _less(alpha: Floats, beta: Floats, share: Floats) -> Floats:
    found: Floats = betainc(alpha, beta, share)
    return found


def _more(alpha: Floats, beta: Floats, share: Floats) -> Floats:
    found: Floats = betaincc(alpha, beta, share)
    return found


def _rule() -> tuple[Floats, Floats, Floats]:
    """Return nodes and weights on [-1, 1], and the weights (N, N) of the integrals from -1 to each node."""
    nodes, weights = legendre.leggauss(NODES)
    # From samples to the coefficients of the polynomial through them, and on to those of its integral.
    coefficients = np.linalg.inv(legendre.legvander(nodes, NODES - 1))
    integrals = np.asarray(legendre.legint(np.eye(NODES), lbnd=-1).T, np.float64)
    return nodes, weights, legendre.legvander(nodes, NODES) @ integrals.T @ coefficients


_AT, WEIGHTS, UP_TO = _rule()
_UP_TO_CHECKED = np.vstack((UP_TO[_CHECKED, :], WEIGHTS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Panels:
    """P panels: `below` and `density` (n, P, N) at their nodes, the latter over t; half their widths, (P,)."""

    below: Floats
    density: Floats
    halves: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stretch:
    """What lies between two neighbouring kinks; the laws that are drawn here are `active`, (A,)."""

    laws: Laws
    active: Indices
    left: float
    right: float

    def shares(self, at: Floats) -> tuple[Floats, Floats]:
        """Return log x and log(1 - x) of the active laws at t = `at`, (A, ...), precise at either end."""
        shape = (-1, *(1 for _ in at.shape))
        scale, exponent = (one[self.active].reshape(shape) for one in (self.laws.scale, self.laws.exponent))
        width = self.right - self.left
        inside = (self.left + width * expit(at)) / scale
        missing = ((scale - self.right) + width * expit(-at)) / scale
        with np.errstate(divide="ignore"):
            near_one: Floats = np.log1p(-np.minimum(missing, 1.0))
            log_share: Floats = np.where(missing < _HALF, near_one, np.log(inside)) / exponent
            return log_share, np.log(-np.expm1(log_share))

    def masses(self, at: Floats) -> tuple[Floats, Floats]:
        """Return the probabilities of less and of more than the scores at t = `at` (E,), both (A, E)."""
        log_share, log_rest = self.shares(at)
        alpha, beta = self.laws.alpha[self.active][:, None], self.laws.beta[self.active][:, None]
        share, rest = np.exp(log_share), np.exp(log_rest)
        less: Floats = np.where(share < _HALF, _less(alpha, beta, share), _more(beta, alpha, rest))
        more: Floats = np.where(share < _HALF, _more(alpha, beta, share), _less(beta, alpha, rest))
        return less, more

    def density(self, at: Floats) -> Floats:
        """Return the densities over t, (A, P, N)."""
        log_share, log_rest = self.shares(at)
        alpha, beta = self.laws.alpha[self.active][:, None, None], self.laws.beta[self.active][:, None, None]
        exponent = self.laws.exponent[self.active][:, None, None]
        width = self.right - self.left
        slope = width * expit(at) * expit(-at) / (self.left + width * expit(at))
        with np.errstate(invalid="ignore"):
            found = np.exp(log_density(alpha, beta, log_share - log_rest) - log_rest) * (slope / exponent)
        return np.where(np.isfinite(found), found, 0.0)


def panels_between(laws: Laws, left: float, right: float, lowest: float) -> Panels:
    """Return the panels between two neighbouring kinks, none where no law has a density; from `lowest` on."""
    active = np.flatnonzero(laws.is_drawn & (laws.least <= left) & (laws.scale >= right))
    count = len(laws.alpha)
    if not len(active):
        empty = np.zeros((count, 0, NODES))
        return Panels(below=empty, density=empty, halves=np.zeros(0))
    stretch = _Stretch(laws=laws, active=active, left=left, right=right)
    edges = _first_edges(stretch, lowest)
    lefts, rights = edges[:-1], edges[1:]
    done = list[_Measured]()
    for halving in range(_MOST_HALVINGS + 1):
        found = _measured(stretch, lefts, rights)
        is_fine = found.is_fine | (halving == _MOST_HALVINGS)
        done.append(found.only(is_fine))
        lefts, rights = lefts[~is_fine], rights[~is_fine]
        if not len(lefts):
            break
        middles = 0.5 * (lefts + rights)
        lefts, rights = np.concatenate((lefts, middles)), np.concatenate((middles, rights))
    return _joined(laws, active, done, left)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    """Panels as they were measured: `less` (A, P) at their left ends, `is_fine` (P,) where every mass was found."""

    lefts: Floats
    halves: Floats
    density: Floats
    less: Floats
    is_fine: Mask

    def only(self, kept: Mask) -> _Measured:
        """Return these panels."""
        return _Measured(
            lefts=self.lefts[kept],
            halves=self.halves[kept],
            density=self.density[:, kept],
            less=self.less[:, kept],
            is_fine=self.is_fine[kept],
        )


def _first_edges(stretch: _Stretch, lowest: float) -> Floats:
    """Return where panels begin and end at first: as far as anything has mass."""
    laws, active, width = stretch.laws, stretch.active, stretch.right - stretch.left
    ends = laws.beta[active][laws.scale[active] == stretch.right]
    begins = (laws.alpha / laws.exponent)[active][(laws.least[active] == stretch.left) & (laws.floor[active] == 0)]
    first, last = -_REACH / min(1.0, *begins.tolist(), 1.0), _REACH / min(1.0, *ends.tolist(), 1.0)
    if lowest > stretch.left:
        first = float(np.log((lowest - stretch.left) / (width - (lowest - stretch.left))))
    inner = _FIRST[(first + 1 < _FIRST) & (last - 1 > _FIRST)]
    return np.array([first, *inner, max(last, first + 1.0)])


def _measured(stretch: _Stretch, lefts: Floats, rights: Floats) -> _Measured:
    halves = 0.5 * (rights - lefts)
    nodes = (lefts + halves)[:, None] + halves[:, None] * _AT
    ends = np.column_stack((nodes[:, _CHECKED], rights))
    edges = np.unique(np.concatenate((lefts, ends.ravel())))
    less, more = stretch.masses(edges)
    before, behind = np.searchsorted(edges, lefts), np.searchsorted(edges, ends)
    start, rest = less[:, before, None], more[:, before, None]
    # From the side where the difference loses nothing; up to the checked nodes, and of the whole panel.
    masses = np.where(start < _HALF, less[:, behind] - start, rest - more[:, behind])
    density = stretch.density(nodes)
    found = density @ _UP_TO_CHECKED.T * halves[:, None]
    mass, whole = masses[:, :, -1], found[:, :, -1]
    is_found = np.abs(found - masses) <= _RELATIVE * mass[:, :, None] + _ABSOLUTE
    is_fine: Mask = np.all(is_found, axis=(0, 2))
    # What is known exactly corrects what the density's rounding has lost.
    is_sure = is_found[:, :, -1] & (mass > _ABSOLUTE)
    density *= np.where(is_sure, mass / np.where(is_sure, whole, 1.0), 1.0)[:, :, None]
    return _Measured(
        lefts=lefts,
        halves=halves,
        density=density,
        less=less[:, before],
        is_fine=is_fine,
    )


def _joined(laws: Laws, active: Indices, done: list[_Measured], left: float) -> Panels:
    """Return the panels of all laws from left to right."""
    order = np.argsort(np.concatenate([one.lefts for one in done]))
    halves = np.concatenate([one.halves for one in done])[order]
    mine = np.concatenate([one.density for one in done], axis=1)[:, order]
    less = np.concatenate([one.less for one in done], axis=1)[:, order]
    shape = (len(laws.alpha), len(halves), NODES)
    density = np.zeros(shape)
    density[active] = mine
    # A law that is not drawn here ends before it, or begins behind it.
    ends_before = np.where(laws.is_drawn, laws.scale <= left, laws.least <= left)
    below = np.broadcast_to(ends_before[:, None, None], shape).astype(np.float64)
    below[active] = np.clip(less[:, :, None] + mine @ UP_TO.T * halves[:, None], 0.0, 1.0)
    return Panels(below=below, density=density, halves=halves)
