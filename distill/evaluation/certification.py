"""Certify a threshold's precision on the stream from the labels of random samples of its nights.

Design: night t scores rows in bands of scores; of band h with N_th rows n_th are drawn at random, so each has the
inclusion probability pi_th = n_th / N_th. A region is all bands at or above a candidate threshold. With Q_t the share
of junk among the region's R_t rows, pi_t the smallest pi_th of the region and m_t = R_t pi_t (the labels that a uniform
sample of that density has), each 0 < c < 1 gives an e-value for the night:

    exp(c m_t Q_t) * product over the junk labels (1 - c pi_t / pi_th)

because a junk label of band h costs 1 - c pi_t / pi_th, n_th such draws have the expectation (1 - q_th c pi_t /
pi_th)^n_th <= exp(-c q_th n_th pi_t / pi_th), and the sum of q_th N_th over the bands is R_t Q_t. Draws without
replacement only make it smaller (Hoeffding 1963, Theorem 4). There is no assumption about the labels, the class share
or their drift; the weights pi_t / pi_th never exceed 1.

- Null, for each candidate: the share of junk, averaged over the labelled nights by m_t, is `1 - floor` or more.
- Filtration: the nights in the order in which their labels are complete. A night's draw is a function of the day, of
  the ids and of what earlier nights found, never of its own labels. So the product over nights is a test
  supermartingale for every c, and so is its mean over BETS. By Ville's inequality it ever reaches 1 / alpha with
  probability alpha at most: the test may be repeated after every night. The bets are those of Waudby-Smith and Ramdas
  (arXiv 2010.09686), in the form that is linear in Q_t and so allows for a precision that changes between nights.
- Candidates are tested from strict to lax up to the first failure (fixed-sequence testing, Learn-then-Test, arXiv
  2110.01052), so that their number costs nothing. Strict ones with too few labels to be certified are passed over
  (`is_open`), which depends on the design alone. Across nights this is exact as long as the first threshold below the
  floor stays the same one; the tests simulate streams where it does not.

A drawn row without a label counts as junk in the bound, so a missing difficult label never raises it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# Bets of the mixture, of equal weight: the best one is 1 - (share of junk) / (1 - floor), and there are few so that
# the mixture costs at most log(len(BETS)).
BETS = np.array([0.95, 0.8, 0.6, 0.4, 0.2])
LEAST_ESTIMATE = 20  # labels below which an estimate chooses no threshold
Counts = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Nights:
    """Counts by night and band, the bands in ascending order of score, (nights, bands) each.

    A band may be divided further, for example by decision, into adjacent columns.

    rows: scored. drawn: of these, at random. complaints, junk: labels of the drawn rows.
    """

    rows: Counts
    drawn: Counts
    complaints: Counts
    junk: Counts

    def above(self, band: int) -> "Nights":
        """The region of the bands from this one on."""
        return Nights(self.rows[:, band:], self.drawn[:, band:], self.complaints[:, band:], self.junk[:, band:])

    @property
    def missing(self) -> Counts:
        """Drawn rows without a label."""
        return self.drawn - self.complaints - self.junk


@dataclass(frozen=True)
class Candidate:
    """A threshold: its estimated precision, the lower bound, and the labels of its region.

    labels: given ones. effective: the m_t of all nights. tested: whether the test reached it. estimate: None when a
    band with rows has no label.
    """

    threshold: float
    labels: int
    effective: float
    estimate: float | None
    lower: float
    tested: bool
    certified: bool


@dataclass(frozen=True)
class Need:
    """The number of further labels, of rows at or above a threshold, that would certify it."""

    threshold: float
    labels: int


@dataclass(frozen=True)
class Certification:
    """The candidates from lax to strict, the chosen one (None without an estimate), and the missing labels."""

    candidates: list[Candidate]
    chosen: Candidate | None
    need: Need | None


def certify(
    nights: Nights, candidates: Sequence[tuple[float, int]], target: float, floor: float, confidence: float
) -> Certification:
    """Choose the lowest threshold with certified precision `floor` and estimated precision `target` or more.

    Where the certified ones are all estimated below the target, the one with the highest estimate is chosen; where none
    is certified, the lowest one that is estimated as `target` or more from enough labels, else the highest estimate.

    Args:
        nights: the counts.
        candidates: thresholds, ascending, each with the number of the band where its region begins.
        target: of the estimate.
        floor: of the certified precision.
        confidence: the probability with which the promise holds on all nights together.
    """
    error, evidence_needed = 1 - floor, -math.log(1 - confidence)
    regions = [nights.above(band) for _, band in candidates]
    staked = [stakes(region) for region in regions]
    testable = is_open([weight for weight, _ in staked], error, evidence_needed)
    tested_candidates: list[Candidate] = []
    going = True
    for number, region in reversed(list(enumerate(regions))):
        tested = going and testable[number]
        weight, lost = staked[number]
        passed = tested and log_evidence(weight, lost, error) >= evidence_needed
        going = going and (passed or not testable[number])
        labels = int(region.complaints.sum() + region.junk.sum())
        estimate, lower = precision(region), least_precision(weight, lost, confidence)
        tested_candidates.append(Candidate(candidates[number][0], labels, weight, estimate, lower, tested, passed))
    ascending = tested_candidates[::-1]
    chosen = choose(ascending, target)
    return Certification(ascending, chosen, None if chosen and chosen.certified else need(ascending, floor, confidence))


def is_open(weights: Sequence[float], error: float, evidence_needed: float) -> list[bool]:
    """Whether each candidate has enough labels for a test, by the weight of its region.

    Enough means: it would be certified with a fifth of the allowed junk, or, when no candidate has so many, without any
    junk.
    """
    for share in (0.2, 0.0):
        gain = float((BETS * error + share * error * np.log1p(-BETS)).max())
        open_flags = [weight * gain >= evidence_needed + math.log(len(BETS)) for weight in weights]
        if any(open_flags):
            return open_flags
    return [False] * len(weights)


def choose(candidates: Sequence[Candidate], target: float) -> Candidate | None:
    """The candidate to use, of candidates in ascending order."""
    certified = [one for one in candidates if one.certified and one.estimate is not None]
    usable = certified or [one for one in candidates if one.estimate is not None and one.labels >= LEAST_ESTIMATE]
    good = [one for one in usable if (one.estimate or 0) >= target]
    return good[0] if good else max(usable, key=lambda one: one.estimate or 0, default=None)


def need(candidates: Sequence[Candidate], floor: float, confidence: float) -> Need | None:
    """The candidate with the fewest missing labels at the present share of junk; None when more labels never help."""
    open_ones = []
    for one in candidates:
        if one.estimate is None or one.certified:
            continue
        # One junk label among twenty is added, so that a region without junk is not too optimistic.
        junk = (one.effective * (1 - one.estimate) + 1) / (one.effective + 20)
        gain = float((BETS * (1 - floor) + junk * np.log1p(-BETS)).max())
        if gain > 0:
            total = (math.log(len(BETS)) - math.log(1 - confidence)) / gain
            open_ones.append(Need(one.threshold, max(1, math.ceil(total - one.effective))))
    return min(open_ones, key=lambda one: one.labels, default=None)


def design(region: Nights) -> tuple[Numbers, Numbers]:
    """The weight m_t of each night, (nights,), and the costs pi_t / pi_th of a junk label, (nights, bands).

    A night without rows, or with a band without drawn rows, has no weight.
    """
    chance = np.divide(region.drawn, region.rows, out=np.ones(region.rows.shape), where=region.rows > 0)
    least = chance.min(axis=1)
    cost = np.divide(least[:, None], chance, out=np.zeros(chance.shape), where=chance > 0)
    return region.rows.sum(axis=1) * least, cost


def evidence(region: Nights, error: float) -> float:
    """The logarithm of the mean e-value against "the share of junk is `error` or more"."""
    return log_evidence(*stakes(region), error)


def stakes(region: Nights) -> tuple[float, Numbers]:
    """The weight of all nights, and the logarithm of the junk labels' cost for each bet, (bets,)."""
    weight, cost = design(region)
    lost = (np.log1p(-BETS[:, None, None] * cost) * (region.junk + region.missing)).sum(axis=(1, 2))
    return float(weight.sum()), lost


def log_evidence(weight: float, lost: Numbers, error: float) -> float:
    """As `evidence`, from the `stakes`."""
    logs = BETS * (error * weight) + lost
    most = logs.max()
    return float(most + np.log(np.exp(logs - most).mean()))


def lower_bound(region: Nights, confidence: float) -> float:
    """The lower bound of the region's precision, averaged over the nights by their weights; 0 without labels."""
    return least_precision(*stakes(region), confidence)


def least_precision(weight: float, lost: Numbers, confidence: float) -> float:
    """As `lower_bound`, from the `stakes`.

    It is 1 minus the share of junk at which the evidence suffices. Newton's method finds it from above: the logarithm
    is convex and rising, so no step overshoots.
    """
    evidence_needed, error = -math.log(1 - confidence), 1.0
    if log_evidence(weight, lost, error) <= evidence_needed:
        return 0.0
    for _ in range(30):
        logs = BETS * (error * weight) + lost
        most = logs.max()
        likely = np.exp(logs - most)
        total = likely.sum()
        excess = float(most + np.log(total / len(BETS))) - evidence_needed
        if excess < 1e-9:
            break
        error -= excess / (weight * float(BETS @ likely / total))
    return 1 - error


def precision(region: Nights) -> float | None:
    """The estimated share of complaints among all rows of the region, each label for 1 / pi of them."""
    labelled = region.complaints.sum(axis=0) + region.junk.sum(axis=0)
    rows = region.rows.sum(axis=0)
    if not rows.sum() or (labelled[rows > 0] == 0).any():
        return None
    given = region.complaints + region.junk
    # A band without labels in a night is estimated from the other nights.
    whole = region.complaints.sum(axis=0) / np.maximum(labelled, 1)
    share = np.where(given > 0, region.complaints / np.maximum(given, 1), whole)
    return float((share * region.rows).sum() / rows.sum())
