"""Fit of a label's promise on validation films, by exact bounds; each patient counts once.

**Sensitivity.** Of n patients with the finding m may be missed: so few that m or fewer would be unlikely if the share
missed were too high (probability at most the error). The lower cutoff is the output of patient m + 1 from the lowest.
This is the distribution-free tolerance bound of order statistics (Wilks 1941), exact for every n.

**PPV.** Candidates are the shares `SHARES` of the patients with the highest outputs, fixed in advance. Given the output
of the last patient of a share, those above it are a sample of all films above it, so that the exact binomial bound
holds; the error is divided among the candidates (Bonferroni). Shares so small that nothing could be promised even if
all their patients showed the finding are left out before labels are looked at.

A patient with several films gives one of them, drawn with a fixed seed: for the sensitivity among the films with the
finding, for the PPV among all.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr

from camray.core.probability.fit import KnownFilms
from camray.core.probability.logistic import probabilities_of
from camray.core.probability.promise import (
    Candidate,
    Promise,
    PromiseTerms,
    fewest_for_ppv,
    fewest_for_sensitivity,
    with_ppv,
)

SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0)
_SEED = 0


def fit_promise(label: str, films: KnownFilms, split: str, terms: PromiseTerms, output: float) -> Promise:
    """Choose a label's two cutoffs.

    Parameters
    ----------
    label : str
        Finding.
    films : KnownFilms
        Validation films; never those that are scored.
    split : str
        Their split, for the record.
    terms : PromiseTerms
        What is to be promised.
    output : float
        The cutoff that is taken where nothing is promised, for the share that is not judged.

    Returns
    -------
    Promise
        Each of the two with its cutoff, or with the reason why there is none.
    """
    outputs = probabilities_of(films.logits)
    showing = _one_film_each(films.patients[films.present])
    with_it = np.sort(outputs[films.present][showing])
    each = _one_film_each(films.patients)
    outputs, present = outputs[each], films.present[each]
    promise = Promise(label, terms, split, len(each), int(present.sum()), showing=len(with_it))
    promise = _with_sensitivity(promise, with_it)
    if terms.ppv is not None:
        candidates = _candidates(outputs, present, terms.ppv, terms.confidence)
        promise = with_ppv(replace(promise, candidates=candidates))
    lower, upper = promise.cutoffs(output)
    between = (outputs >= lower) & (outputs < upper)
    return replace(promise, not_judged=float(between.mean()) if len(between) else None)


def _one_film_each(patients: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return one position for each patient, drawn with a fixed seed, ascending."""
    order = np.random.default_rng(_SEED).permutation(len(patients))
    _, first = np.unique(patients[order], return_index=True)
    return np.sort(order[first])


def _with_sensitivity(promise: Promise, with_it: NDArray[np.float64]) -> Promise:
    """Take the highest cutoff that keeps the sensitivity; `with_it` [n] are the outputs of its patients, ascending."""
    terms = promise.terms
    if terms.sensitivity is None:
        return promise
    missed = _most_missed(len(with_it), 1 - terms.sensitivity, 1 - terms.confidence)
    if missed is not None:
        return replace(promise, lower=float(with_it[missed]))
    needed = fewest_for_sensitivity(terms.sensitivity, terms.confidence)
    why = f"{len(with_it)} {promise.split} patients with it; sensitivity {terms.sensitivity:g} needs {needed}"
    return replace(promise, no_sensitivity=why)


def _most_missed(n: int, share: float, error: float) -> int | None:
    """Return how many of n may be missed so that the true share missed is at most `share`; None if none may."""
    missed = np.arange(n + 1)
    allowed = missed[bdtr(missed, n, share) <= error]
    return int(allowed[-1]) if len(allowed) else None


def _candidates(
    outputs: NDArray[np.float64], present: NDArray[np.bool_], ppv: float, confidence: float
) -> tuple[Candidate, ...]:
    """Return the cutoffs that could keep the PPV, descending; which of them does is not looked at."""
    counts = sorted({int(share * len(outputs)) for share in SHARES})
    while counts and counts[0] - 1 < fewest_for_ppv(ppv, confidence, len(counts)):
        counts = counts[1:]
    falling = np.sort(outputs)[::-1]
    found = {}
    for count in counts:
        output = float(np.nextafter(falling[count - 1], np.inf))  # those above the last one, without it
        is_above = outputs >= output
        found[output] = Candidate(output, int(is_above.sum()), int(present[is_above].sum()))
    return tuple(each for each in found.values() if each.patients)
