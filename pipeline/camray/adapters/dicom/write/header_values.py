"""Header values that break the standard's rules, kept or normalised where their meaning is plain."""

import re
from collections.abc import Callable
from datetime import date

_LENGTHS = {"SH": 16, "LO": 64, "PN": 64, "CS": 16, "LT": 10240, "ST": 1024}  # characters (PS3.5, 6.2)
_KEPT_LONG = {"AccessionNumber", "PatientID", "IssuerOfPatientID", "PatientName"}
_SEXES = {"M": "M", "MALE": "M", "F": "F", "FEMALE": "F", "O": "O", "OTHER": "O"}
_COMPONENTS = 5  # of a person's name


def normalised(keyword: str, representation: str, values: list[str]) -> tuple[str, str]:
    """Return a value that objects can repeat, and what was changed.

    Parameters
    ----------
    keyword : str
        Of the element.
    representation : str
        Value representation, for instance ``DA``.
    values : list of str
        The value as read, without padding; several parts where text contains a backslash against the standard.

    Returns
    -------
    value : str
        Empty where no meaning is plain. Identifiers that link to the patient or the order are kept at any length.
    change : str
        For instance ``StudyTime normalised``; empty where the value is as it was. It quotes no value.

    Examples
    --------
    >>> normalised("StudyTime", "TM", ["10:11:12"])
    ('101112', 'StudyTime normalised')
    >>> normalised("PatientAge", "AS", ["062"])
    ('062Y', 'PatientAge normalised')
    >>> normalised("AccessionNumber", "SH", ["A1234567890123456789"])
    ('A1234567890123456789', 'AccessionNumber longer than 16 characters kept')
    """
    given = "\\".join(values)
    if keyword == "PatientSex":
        value = _SEXES.get(given.strip().upper(), "")
    elif keyword == "TimezoneOffsetFromUTC":
        value = _zone(given.strip())
    elif representation in _FORMS:
        value = _FORMS[representation](given.strip())
    else:
        value = _text(" ".join(values), representation)
    limit = _LENGTHS.get(representation)
    longest = max(map(len, value.split("="))) if representation == "PN" else len(value)
    if limit is not None and longest > limit:
        if keyword in _KEPT_LONG:
            return value, f"{keyword} longer than {limit} characters kept"
        groups = value.split("=") if representation == "PN" else [value]
        return "=".join(group[:limit].rstrip() for group in groups), f"{keyword} cut to {limit} characters"
    if value == given:
        return value, ""
    return value, f"{keyword} normalised" if value else f"{keyword} left out"


def _date(text: str) -> str:
    match = re.fullmatch(r"(\d{4})[-./ ]?(\d{2})[-./ ]?(\d{2})", text)
    if match is None:
        return ""
    try:
        return date(*map(int, match.groups())).strftime("%Y%m%d")
    except ValueError:
        return ""


def _time(text: str) -> str:
    match = re.fullmatch(r"([01]\d|2[0-3])(?::?([0-5]\d)(?::?([0-5]\d|60)(\.\d{1,6})?)?)?", text)
    return "".join(filter(None, match.groups())) if match else ""


def _zone(text: str) -> str:
    match = re.fullmatch(r"([+-])(0\d|1[0-4]):?([0-5]\d)", text)
    value = "".join(match.groups()) if match else "+0000" if text == "Z" else ""
    return "+0000" if value == "-0000" else value


def _age(text: str) -> str:
    match = re.fullmatch(r"(\d{1,3})([DWMY]?)", text.upper())
    return f"{int(match[1]):03d}{match[2] or 'Y'}" if match else ""


def _decimal(text: str) -> str:
    return text if re.fullmatch(r"[-+]?\d+(\.\d*)?([eE][-+]?\d+)?", text) and len(text) <= 16 else ""


def _integer(text: str) -> str:
    return str(int(text)) if re.fullmatch(r"[-+]?\d{1,9}", text) else ""


def _text(text: str, representation: str) -> str:
    kept = "\t\n\f\r" if representation in ("LT", "ST", "UT") else ""
    text = "".join(letter if letter in kept or ord(letter) >= 32 else " " for letter in text)
    if representation == "CS":
        text = " ".join(text.upper().split())
        return text if re.fullmatch(r"[A-Z0-9_ ]*", text) else ""
    if representation == "PN":
        groups = [group.split("^", _COMPONENTS - 1) for group in text.split("=")[:3]]
        return "=".join("^".join([*group[:-1], group[-1].replace("^", " ")]) for group in groups)
    return text


_FORMS: dict[str, Callable[[str], str]] = {"DA": _date, "TM": _time, "AS": _age, "DS": _decimal, "IS": _integer}
