"""Promises in words: what is promised of a finding and on which patients, or why it is not."""

from camray.core.probability.promise import Promise

OLDER_PROMISES = "thresholds of an earlier version, which promised nothing; repeat `camray localize RUN --force`"


def promise_words(promise: Promise) -> str:
    """Say what is promised of a finding, with confidence, patients and the share that is not judged.

    Parameters
    ----------
    promise : Promise
        Of the run.

    Returns
    -------
    str
        Empty if nothing was asked for.
    """
    terms = promise.terms
    asked = {
        f"sensitivity {terms.sensitivity}": (terms.sensitivity, promise.lower, promise.no_sensitivity),
        f"PPV {terms.ppv}{_at(promise)}": (terms.ppv, promise.upper, promise.no_ppv),
    }
    given = [name for name, (target, cutoff, _) in asked.items() if target is not None and cutoff is not None]
    refused = [f"no promise of {name}: {why}" for name, (target, _, why) in asked.items() if target is not None and why]
    parts = [f"{' and '.join(given)} promised ({patients_words(promise)})"] if given else []
    if given and promise.not_judged is not None:
        parts.append(f"{percent(promise.not_judged)} not judged")
    return "; ".join((*parts, *refused))


def patients_words(promise: Promise) -> str:
    """Return confidence and patients of a promise as text."""
    return (
        f"confidence {percent(promise.terms.confidence)}, {promise.patients} {promise.split} patients, "
        f"{promise.showing} with it"
    )


def percent(share: float) -> str:
    """Return a share in percent.

    Examples
    --------
    >>> percent(0.125)
    '12.5 %'
    """
    return f"{100 * share:.3g} %"


def _at(promise: Promise) -> str:
    return "" if promise.site_prevalence is None else f" at a prevalence of {promise.site_prevalence:g}"
