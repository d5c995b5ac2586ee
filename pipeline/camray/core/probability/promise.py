"""Promised sensitivity and PPV of a finding: cutoffs between which it is not judged, and what they rest on.

A *promise* holds with a stated confidence over the drawing of the validation patients, for films drawn as theirs were:

- sensitivity: of films with the finding, at least this share is not denied (reported, or not judged);
- PPV: of films on which the finding is reported, at least this share shows it, at the prevalence of these films.

A film at or above the upper cutoff is reported, one below the lower cutoff is not, and between them the finding is not
judged. The fit is in `camray.core.probability.promise_fit`.
"""

from dataclasses import dataclass, replace
from math import ceil, log
from typing import NamedTuple

from camray.core.probability.exact_bounds import highest_share, lowest_share
from camray.core.probability.logistic import odds


class Candidate(NamedTuple):
    """A cutoff, fixed in advance as a share of the patients, and what the validation patients above it show."""

    output: float  # logistic of the raw logit; a film at or above it is above the cutoff
    patients: int
    present: int


@dataclass(frozen=True)
class PromiseTerms:
    """What is to be promised.

    Parameters
    ----------
    sensitivity, ppv : float or None
        0-1; None: not promised.
    confidence : float
        Of each of the two, 0-1.
    """

    sensitivity: float | None
    ppv: float | None
    confidence: float


@dataclass(frozen=True)
class Promise:
    """The two cutoffs of a label, and what was promised with them.

    Parameters
    ----------
    label : str
        Finding.
    terms : PromiseTerms
        What was asked for.
    split : str
        Split of the films that the cutoffs come from.
    patients, present : int
        Patients of these films, one film of each; and those whose film shows the finding.
    showing : int
        Patients with any film that shows it: the sensitivity rests on one such film of each.
    lower, upper : float or None
        Cutoffs that keep sensitivity and PPV, as outputs of the network (logistic of the raw logit); None: no promise.
    candidates : tuple of Candidate
        Cutoffs that were compared for the PPV, descending; empty if it was not asked for.
    no_sensitivity, no_ppv : str
        Why there is no promise; empty if there is one, or none was asked for.
    not_judged : float or None
        Share of these patients' films between the cutoffs; None after a move to another prevalence.
    site_prevalence : float or None
        Prevalence for which the PPV is promised; None: that of these films.
    """

    label: str
    terms: PromiseTerms
    split: str
    patients: int
    present: int
    lower: float | None = None
    upper: float | None = None
    candidates: tuple[Candidate, ...] = ()
    no_sensitivity: str = ""
    no_ppv: str = ""
    not_judged: float | None = None
    site_prevalence: float | None = None
    showing: int = 0

    def cutoffs(self, output: float) -> tuple[float, float]:
        """Return the outputs below which the finding is denied, and from which it is reported.

        Parameters
        ----------
        output : float
            The cutoff that is taken where nothing is promised.

        Returns
        -------
        lower, upper : float
            ``lower <= upper``. Where one cutoff keeps both promises, both are that one: the nearest to `output`.
        """
        if self.lower is None and self.upper is None:
            return output, output
        if self.lower is None or self.upper is None:
            low = output if self.lower is None else min(self.lower, output)
            return low, output if self.upper is None else max(self.upper, output)
        if self.upper <= self.lower:
            one = min(max(output, self.upper), self.lower)
            return one, one
        return self.lower, self.upper

    @property
    def between(self) -> str:
        """Why a film between the cutoffs is not judged."""
        kept, right = f"a sensitivity of {self.terms.sensitivity}", f"a PPV of {self.terms.ppv}"
        if self.lower is not None and self.upper is not None:
            return f"between the cutoffs for {kept} and {right}"
        if self.lower is not None:
            return f"above the cutoff for {kept}, below that of a report"
        return f"below the cutoff for {right}, above that of a denial"

    def moved_to(self, prevalence: float) -> "Promise":
        """Return the promise for films of another prevalence.

        A PPV depends on prevalence: the cutoff is chosen anew from the same patients, or the promise is withdrawn.
        Sensitivity does not, as long as films with the finding look as those of validation.
        """
        return with_ppv(replace(self, site_prevalence=prevalence, not_judged=None)) if self.candidates else self


def with_ppv(promise: Promise) -> Promise:
    """Choose the lowest candidate that keeps the PPV, or say why there is none.

    Parameters
    ----------
    promise : Promise
        With candidates and terms; at its site's prevalence, if it has one.

    Returns
    -------
    Promise
        With `upper` or `no_ppv`.

    Notes
    -----
    Each candidate is tested by its exact binomial bound (Clopper and Pearson 1934) at an equal part of the error, so
    that all hold at once and any of them may be chosen. With a site's prevalence one half of the error is spent on the
    prevalence of the validation films, which is known from as many patients only.
    """
    ppv = promise.terms.ppv
    if ppv is None:
        return promise
    if not promise.candidates:
        return replace(promise, upper=None, no_ppv=_too_few(promise, ppv))
    needed, error = ppv, 1 - promise.terms.confidence
    if promise.site_prevalence is not None:
        error /= 2
        here = highest_share(promise.present, promise.patients, error)
        needed = _at_other_prevalence(ppv, promise.site_prevalence, here)
    error /= len(promise.candidates)
    kept = [each for each in promise.candidates if lowest_share(each.present, each.patients, error) >= needed]
    if kept:
        return replace(promise, upper=min(each.output for each in kept), no_ppv="")
    best = max(promise.candidates, key=lambda each: lowest_share(each.present, each.patients, error))
    low = lowest_share(best.present, best.patients, error)
    return replace(promise, upper=None, no_ppv=_not_shown(best, low, needed, promise.site_prevalence))


def _at_other_prevalence(ppv: float, site: float, here: float) -> float:
    """Return the PPV that is needed here so that it is `ppv` at the site; 1 where the site has next to no positives."""
    if here >= 1:
        return 1.0
    ratio = odds(ppv) * odds(here) / odds(site)
    return ratio / (1 + ratio)


def _too_few(promise: Promise, ppv: float) -> str:
    needed = fewest_for_ppv(ppv, promise.terms.confidence)
    return (
        f"{promise.patients} {promise.split} patients; PPV {ppv:g} needs {needed} that are reported and show it, "
        "even if no other is reported"
    )


def _not_shown(best: Candidate, low: float, needed: float, site: float | None) -> str:
    at = "" if site is None else f" (for a prevalence of {site:g})"
    return (
        f"of {best.patients} patients with the highest outputs {best.present} show it: at least {low:.2f}, "
        f"expected {needed:.2f}{at}"
    )


def fewest_for_ppv(ppv: float, confidence: float, candidates: int = 1) -> int:
    """Return how many patients above a cutoff are enough if all of them show the finding.

    Examples
    --------
    >>> fewest_for_ppv(0.5, 0.9)  # 0.5 ** 4 is below 0.1
    4
    """
    return _fewest(ppv, (1 - confidence) / candidates)


def fewest_for_sensitivity(sensitivity: float, confidence: float) -> int:
    """Return how many patients with the finding are enough to promise a sensitivity.

    Examples
    --------
    >>> fewest_for_sensitivity(0.9, 0.95)  # 0.9 ** 29 is below 0.05
    29
    """
    return _fewest(sensitivity, 1 - confidence)


def _fewest(share: float, error: float) -> int:
    """Return for how many hits of as many trials the lower bound, ``error ** (1 / n)``, reaches a share."""
    return max(1, ceil(log(error) / log(share) - 1e-9))
