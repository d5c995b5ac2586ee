"""Bodies of STOW-RS answers: read in their forms, and no document type in any encoding."""

import pytest

from camray.adapters.pacs.stow_answer import StowAnswer, parse_stow_answer

UID = "1.2.3"
ATTRIBUTE = '<DicomAttribute tag="{}" vr="{}">{}</DicomAttribute>'
ITEM = ATTRIBUTE.format("00081155", "UI", "<Value>&uid;</Value>")
STORED = ATTRIBUTE.format("00081199", "SQ", f"<Item>{ITEM}</Item>")
ENTITY = f'<!DOCTYPE NativeDicomModel [<!ENTITY uid "{UID}">]>'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-16-be"])
def test_an_answer_with_a_document_type_says_nothing(encoding: str) -> None:
    declared = f'<?xml version="1.0" encoding="{encoding.removesuffix("-le").removesuffix("-be")}"?>'
    body = f"{declared}{ENTITY}<NativeDicomModel>{STORED}</NativeDicomModel>"
    assert parse_stow_answer(body.encode(encoding), UID) == StowAnswer()
    plain = body.replace(ENTITY, "").replace("&uid;", UID).encode(encoding)
    assert parse_stow_answer(plain, UID) == StowAnswer(is_stored=plain.strip().startswith(b"<"))
