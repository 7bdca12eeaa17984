"""Which of several Beta draws is the largest: the exact selection probabilities of Thompson sampling.

Arm i is drawn from Beta(a_i, b_i), independently; it is chosen when its draw is the largest:

    P(i is largest) = integral of f_i(x) prod_{j != i} F_j(x) dx = integral of prod_j F_j(x) * f_i(x) / F_i(x) dx

(Thompson 1933, Biometrika 25, p. 285; Russo et al. 2018, A Tutorial on Thompson Sampling, section 3.) The second form
gives all arms from one sweep. It is integrated over t = log(x / (1 - x)), where every Beta density is smooth and
log-concave whatever its parameters, by adaptive Gauss-Kronrod quadrature (7 and 15 points: Piessens et al. 1983,
QUADPACK): all arms share the panels, and a panel is halved until the two rules agree for all of them.
"""

from __future__ import annotations

import numpy as np
from scipy.special import betainc, betaincc, betaincinv, betaln, expit, psi

from kaireon_core.column import Floats

# What one evaluation may be off by, summed over all arms; the rules' difference overstates the error by far.
ABSOLUTE_ERROR = 1e-8
# Below it more than a billionth of an arm's mass lies where doubles end; above it their incomplete beta gives way.
SMALLEST_PARAMETER = 0.03
LARGEST_PARAMETER = 1e10

_TAIL = 1e-11  # mass left out at either end of the range
# On panels this narrow, relative to the narrowest arm, the rules differ by rounding only.
_SMALLEST_PANEL = 1 / 16
_STIRLING_FROM = 20.0
# Abscissae and weights of the 15-point Kronrod rule on [-1, 1], and those of the 7-point Gauss rule inside it.
_HALF_NODES = (
    0.991455371120812639206854697526329,
    0.949107912342758524526189684047851,
    0.864864423359769072789712788640926,
    0.741531185599394439863864773280788,
    0.586087235467691130294144691693013,
    0.405845151377397166906606412076961,
    0.207784955007898467600689403773245,
)
_HALF_KRONROD = (
    0.022935322010529224963732008058970,
    0.063092092629978553290700663189204,
    0.104790010322250183839876322541518,
    0.140653259715525918745189590510238,
    0.169004726639267902826583426598550,
    0.190350578064785409913256402421014,
    0.204432940075298892414161999234649,
)
_HALF_GAUSS = (
    0.0,
    0.129484966168869693270611432679082,
    0.0,
    0.279705391489276667901467771423780,
    0.0,
    0.381830050505118944950369775488975,
    0.0,
)
_NODES = np.array([*(-node for node in _HALF_NODES), 0.0, *reversed(_HALF_NODES)])
_KRONROD = np.array([*_HALF_KRONROD, 0.209482141084727828012999174891714, *reversed(_HALF_KRONROD)])
_GAUSS = np.array([*_HALF_GAUSS, 0.417959183673469387755102040816327, *reversed(_HALF_GAUSS)])


def largest_probabilities(alphas: Floats, betas: Floats) -> Floats:
    """Return for each of K arms the probability that its draw of Beta(alpha, beta) is the largest of all; sums to 1.

    Both arrays are (K,), K >= 1; the absolute error is at most 1e-6, and in practice below 1e-9. Arms of equal
    parameters get exactly equal probabilities. Raises `ValueError` for a parameter that is out of range or not finite.
    """
    alphas, betas = np.asarray(alphas, np.float64), np.asarray(betas, np.float64)
    _require_parameters(alphas, betas)
    arms, inverse, counts = np.unique(np.column_stack((alphas, betas)), axis=0, return_inverse=True, return_counts=True)
    inverse = inverse.reshape(-1)
    if len(arms) == 1:
        return np.full(len(alphas), 1.0 / len(alphas))
    lower = _logit_quantile(arms[:, 0], arms[:, 1], _TAIL)
    upper = _logit_quantile(arms[:, 0], arms[:, 1], 1.0 - _TAIL)
    # Nothing below the highest of the lower ends is ever the largest; arms that end there cannot win.
    start, end = float(lower.max()), float(upper.max())
    is_possible = upper > start
    contenders = arms[is_possible]
    shares = np.zeros(len(arms))
    shares[is_possible] = _integrate(contenders, counts[is_possible].astype(np.float64), start, end)
    found = shares[inverse]
    return found / float(found.sum())


def _require_parameters(alphas: Floats, betas: Floats) -> None:
    if alphas.ndim != 1 or alphas.shape != betas.shape or not len(alphas):
        message = "alphas and betas must be two lists of the same length, with at least one arm"
        raise ValueError(message)
    parameters = np.concatenate((alphas, betas))
    if not np.all((parameters >= SMALLEST_PARAMETER) & (parameters <= LARGEST_PARAMETER)):
        message = f"every alpha and beta must be from {SMALLEST_PARAMETER} to {LARGEST_PARAMETER:.0e}"
        raise ValueError(message)


def _logit_quantile(alphas: Floats, betas: Floats, level: float) -> Floats:
    """Return the log-odds of each arm's quantile, from the side where its odds do not round to 0 or 1."""
    low: Floats = betaincinv(alphas, betas, level)
    high: Floats = betaincinv(betas, alphas, 1.0 - level)
    tiny = np.finfo(np.float64).tiny
    low, high = np.maximum(low, tiny), np.maximum(high, tiny)
    return np.where(
        low < high, np.log(low) - np.log1p(-np.minimum(low, 0.5)), np.log1p(-np.minimum(high, 0.5)) - np.log(high)
    )


def _integrate(arms: Floats, counts: Floats, start: float, end: float) -> Floats:
    """Return the probability of one arm of each kind, (U,), by halving the panels on which the rules disagree."""
    # The standard deviation, sqrt(trigamma(a) + trigamma(b)), to a tenth.
    widths = np.sqrt((1.0 / arms + 1.0 / arms**2).sum(axis=1))
    edges = _edges(psi(arms[:, 0]) - psi(arms[:, 1]), widths, start, end)
    lefts, rights = edges[:-1], edges[1:]
    smallest = _SMALLEST_PANEL * float(widths.min())
    done = np.zeros(len(arms))
    while len(lefts):
        values, errors = _panels(arms, counts, lefts, rights)
        # Each panel may be off by its share of the range, and all the narrow ones together by a little more.
        allowed = ABSOLUTE_ERROR * np.maximum((rights - lefts) / (end - start), 1e-3)
        is_settled = (errors <= allowed) | (rights - lefts <= smallest)
        done += values[is_settled].sum(axis=0)
        lefts, rights = lefts[~is_settled], rights[~is_settled]
        middles = 0.5 * (lefts + rights)
        lefts, rights = np.concatenate((lefts, middles)), np.concatenate((middles, rights))
    return done


def _edges(centres: Floats, widths: Floats, start: float, end: float) -> Floats:
    """Return where panels begin and end at first: around the bulk of every arm, so that no rule steps over one."""
    steps = np.array([-6.0, -2.0, 0.0, 2.0, 6.0])
    points = (centres[:, None] + widths[:, None] * steps).ravel()
    scales = np.repeat(widths, len(steps))
    order = np.argsort(points)
    kept = [start]
    for point, scale in zip(points[order].tolist(), scales[order].tolist(), strict=True):
        # Arms that lie close together share their edges.
        if point - kept[-1] > scale and point < end:
            kept.append(point)
    return np.array([*kept, end])


def _panels(arms: Floats, counts: Floats, lefts: Floats, rights: Floats) -> tuple[Floats, Floats]:
    """Return the integrals over P panels, (P, U), and by how much the two rules differ, (P,), over all arms."""
    halves = 0.5 * (rights - lefts)
    points = (0.5 * (lefts + rights))[:, None] + halves[:, None] * _NODES
    integrand = _integrand(arms, counts, points)
    kronrod = np.einsum("pnu,n,p->pu", integrand, _KRONROD, halves)
    gauss = np.einsum("pnu,n,p->pu", integrand, _GAUSS, halves)
    return kronrod, np.abs(kronrod - gauss) @ counts


def _integrand(arms: Floats, counts: Floats, points: Floats) -> Floats:
    """Return f_i / F_i * prod_j F_j at the points' log-odds, (P, N, U); no F is 0 within the range."""
    alphas, betas, at = arms[:, 0], arms[:, 1], points[:, :, None]
    below: Floats = betainc(alphas, betas, expit(at))
    above: Floats = betaincc(betas, alphas, expit(-at))
    logarithms = np.log(np.where(at < 0, below, above))
    product = (logarithms @ counts)[:, :, None]
    found: Floats = np.exp(log_density(alphas, betas, at) - logarithms + product)
    return found


def log_density(alphas: Floats, betas: Floats, at: Floats) -> Floats:
    """Return the log-density over the log-odds, relative to its peak at log(a / b), so that large counts cancel."""
    share = alphas / (alphas + betas)
    distance = at - (np.log(alphas) - np.log(betas))
    # log(1 - x + x e^d), taken from whichever end does not overflow.
    bend = np.log1p(np.where(distance > 0, 1.0 - share, share) * np.expm1(-np.abs(distance)))
    fall = np.where(distance > 0, betas, alphas) * np.abs(distance)
    found: Floats = _log_peak(alphas, betas) - (alphas + betas) * bend - fall
    return found


def _log_peak(alphas: Floats, betas: Floats) -> Floats:
    """Return the log-density at its peak; with large parameters by Stirling's series, which has nothing to cancel."""
    total = alphas + betas
    direct = alphas * np.log(alphas / total) + betas * np.log(betas / total) - betaln(alphas, betas)
    series = 0.5 * np.log(alphas / total * betas / (2 * np.pi))
    series += _stirling(total) - _stirling(alphas) - _stirling(betas)
    found: Floats = np.where(np.minimum(alphas, betas) < _STIRLING_FROM, direct, series)
    return found


def _stirling(argument: Floats) -> Floats:
    """Return log Gamma(z) minus (z - 1/2) log z - z + log(2 pi) / 2 (NIST DLMF 5.11.1)."""
    found: Floats = (1 / 12 - (1 / 360 - (1 / 1260 - 1 / 1680 / argument**2) / argument**2) / argument**2) / argument
    return found
