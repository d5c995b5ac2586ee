"""Answers to STOW-RS requests: which objects were stored, and why others were not (PS3.18 section 10.5.3)."""

import json
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

_FAILED, _STORED, _REASON, _WARNING, _UID = "00081198", "00081199", "00081197", "00081196", "00081155"
_Item = dict[str, Any]


@dataclass(frozen=True)
class StowAnswer:
    """What the body of an answer says about one object.

    Parameters
    ----------
    is_stored, is_failed : bool
        Both false where the body does not mention the object.
    code : int or None
        Failure or warning reason.
    """

    is_stored: bool = False
    is_failed: bool = False
    code: int | None = None


def parse_stow_answer(body: bytes, sop_instance_uid: str) -> StowAnswer:
    """Parse the body of an answer, DICOM JSON or native XML, whatever its content type says.

    A failure that names no object counts as one of the object that was sent: requests have one object.
    """
    failed, stored = [], []
    for data_set in _data_sets(body):
        failed += [item for item in _items(data_set, _FAILED) if _text(item, _UID) in ("", sop_instance_uid)]
        stored += [item for item in _items(data_set, _STORED) if _text(item, _UID) == sop_instance_uid]
    if failed:
        return StowAnswer(is_failed=True, code=_number(failed[0], _REASON))
    if stored:
        return StowAnswer(is_stored=True, code=_number(stored[0], _WARNING))
    return StowAnswer()


def _data_sets(body: bytes) -> list[_Item]:
    text = body.removeprefix(b"\xef\xbb\xbf").strip()
    try:
        content = _xml_item(text) if text.startswith(b"<") else json.loads(text)
    except (ValueError, RecursionError, ElementTree.ParseError):
        return []
    return [item for item in (content if isinstance(content, list) else [content]) if isinstance(item, dict)]


def _xml_item(text: bytes) -> _Item:
    if b"<!" in text.replace(b"\0", b""):  # in UTF-16 too; entities of a document type may expand without limit
        raise ValueError
    return _attributes(ElementTree.fromstring(text))


def _attributes(node: ElementTree.Element) -> _Item:
    """Return the attributes of a native DICOM model (PS3.19 annex A) in the form of DICOM JSON."""
    data_set: _Item = {}
    for attribute in node:
        values: list[Any] = []
        for child in attribute:
            values.append(_attributes(child) if child.tag.endswith("Item") else child.text)
        data_set[attribute.get("tag", "")] = {"Value": values}
    return data_set


def _values(item: _Item, tag: str) -> list[Any]:
    attribute = item.get(tag)
    values = attribute.get("Value") if isinstance(attribute, dict) else None
    return values if isinstance(values, list) else []


def _items(data_set: _Item, tag: str) -> list[_Item]:
    return [item for item in _values(data_set, tag) if isinstance(item, dict)]


def _text(item: _Item, tag: str) -> str:
    return next((str(value).strip() for value in _values(item, tag) if value is not None), "")


def _number(item: _Item, tag: str) -> int | None:
    text = _text(item, tag)
    try:
        return int(float(text))
    except (ValueError, OverflowError):
        return None
