"""Suggestions where a name does not exist: the existing names that are spelt most alike."""

import difflib
from collections.abc import Iterable

MIN_SIMILARITY = 0.6  # of difflib: twice the equal letters, over the letters of both names
MAX_SUGGESTIONS = 3


def nearest_names(name: str, known: Iterable[str]) -> list[str]:
    """Return the existing names that are spelt most alike, the nearest first; case does not count.

    Examples
    --------
    >>> nearest_names("GradCam", ["cam", "gradcam", "occlusion"])
    ['gradcam', 'cam']
    """
    spelt = {each.casefold(): each for each in known}
    near = difflib.get_close_matches(name.casefold(), spelt, n=MAX_SUGGESTIONS, cutoff=MIN_SIMILARITY)
    return [spelt[each] for each in near]


def did_you_mean(names: str | Iterable[str], known: Iterable[str], listed_as: str = "known:") -> str:
    """Return a question that names the nearest existing names, then all of them.

    Parameters
    ----------
    names : str or iterable of str
        What does not exist.
    known : iterable of str
        What exists, in the order of the list.
    listed_as : str
        Words before the list; without any, only the question is returned, ending in a blank unless it is empty.

    Examples
    --------
    >>> did_you_mean("nodle", ["Nodule", "Mass"], "the labels are")
    "did you mean 'Nodule'? the labels are Nodule, Mass"
    >>> did_you_mean("zzz", ["Nodule", "Mass"])
    'known: Nodule, Mass'
    """
    existing = list(known)
    given = [names] if isinstance(names, str) else names
    near = dict.fromkeys(near for name in given for near in nearest_names(name, existing))
    question = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
    return f"{question}{listed_as} {', '.join(existing)}" if listed_as else question
