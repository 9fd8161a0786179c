"""Signed entries: the signed bytes, valid signers, and refusals."""

from __future__ import annotations

import hmac
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from notifier.events.entry import parse_entry
from notifier.events.producer_signature import (
    ProducerKey,
    Signers,
    canonical,
    is_own,
    parse_producer_key,
    sign,
    sign_own,
)
from notifier.events.signing import KeySet

STREAM = "teams:events"
AT = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
LEAD = "b5c9c5d4-52a6-5c0c-a1f4-1a4f28d41a07"
ESCALATION = {
    "type": "notifier.escalation",
    "id": f"escalation:{LEAD}:1",
    "time": AT.isoformat(),
}
KEY, OTHER = "a key of the claims worker 01", "another key, made for rotation"
ENTRY = {"type": "a.b", "claim_id": "CLM-1"}
OWN = KeySet(SecretStr(KEY))
CHANGED = KeySet(SecretStr(OTHER), (SecretStr(KEY),))


def own_key() -> bytes:
    return hmac.digest(KEY.encode(), b"notifier own events", "sha256")


def raw(fields: dict[str, str]) -> dict[bytes, bytes]:
    return {name.encode(): value.encode() for name, value in fields.items()}


def signers(*names: str, required: bool = True, own: KeySet | None = None) -> Signers:
    keys = [ProducerKey(name, SecretStr(key)) for name in names for key in (OTHER, KEY)]
    return Signers(required, tuple(keys), own)


def test_fields_are_sorted_by_the_bytes_of_their_names_and_counted_in_bytes():
    fields = raw({"é": "1", "type": "a.b", "Z": "", "signature": "x", "payer": "التعاونية\n"})

    assert canonical(fields) == (
        "1:Z=0:\n5:payer=19:التعاونية\n\n4:type=3:a.b\n2:é=1:1\n".encode()
    )


def test_any_key_of_the_producer_counts_so_that_keys_can_change():
    for key in (KEY, OTHER):
        assert signers("claims").fault(raw(sign("claims", key.encode(), ENTRY))) is None


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (ENTRY, "is missing"),
        (ENTRY | {"signature": ""}, "must be name:"),
        (ENTRY | {"signature": "claims:" + "0" * 64}, "does not fit"),
        (ENTRY | {"signature": "claims:" + "é" * 64}, "must be name:"),
        (sign("claims", b"not its key", ENTRY), "does not fit"),
        (sign("eligibility", KEY.encode(), ENTRY), "no key"),
        (sign("claims", KEY.encode(), ENTRY) | {"priority": "CRITICAL"}, "does not fit"),
        (sign("claims", KEY.encode(), ENTRY | {"type": "c.d"}) | ENTRY, "does not fit"),
        (sign("notifier", KEY.encode(), ENTRY), "no key"),
    ],
)
def test_what_is_not_signed_rightly_is_refused_without_saying_a_value(
    fields: dict[str, str], said: str
):
    fault = signers("claims").fault(raw(fields))

    assert fault is not None
    assert said in fault
    assert "CLM" not in fault
    assert KEY not in fault


def test_a_signature_is_verified_whenever_keys_are_known_and_needed_only_when_required():
    wrong = raw(ENTRY | {"signature": "claims:" + "0" * 64})

    assert signers("claims", required=False).fault(raw(ENTRY)) is None
    assert signers("claims", required=False).fault(wrong) is not None
    assert Signers(required=False).fault(wrong) is None


def test_own_entries_pass_with_the_current_and_with_earlier_keys():
    old, new = KeySet(SecretStr(KEY)), KeySet(SecretStr(OTHER), (SecretStr(KEY),))

    for keys in (old, new):
        assert signers(own=new).fault(raw(sign_own(keys, STREAM, ENTRY))) is None
    # While keys change, not every process knows the new one yet.
    assert signers(own=old).fault(raw(sign_own(new, STREAM, ENTRY))) is None
    gone = KeySet(SecretStr(OTHER))
    assert signers(own=old).fault(raw(sign_own(gone, STREAM, ENTRY))) is not None


def own_fault(
    fields: dict[str, str],
    *,
    keys: KeySet | None = OWN,
    stream: str = STREAM,
    hours_later: float = 0,
) -> str | None:
    added = AT + timedelta(hours=hours_later)
    entry_id = f"{added.timestamp() * 1000:.0f}-1"
    event = parse_entry(stream, entry_id, raw(fields), max_bytes=10_000)
    return Signers(required=False, own=keys).own_fault(
        event, raw(fields), now=added, fresh_seconds=86_400
    )


def test_an_own_event_is_taken_from_its_stream_while_its_id_keeps_copies_out():
    signed = sign_own(OWN, STREAM, ESCALATION)

    assert own_fault(signed) is None
    assert own_fault(signed, keys=KeySet(SecretStr(OTHER), (SecretStr(KEY),))) is None
    assert own_fault(signed, hours_later=23) is None
    assert own_fault(sign_own(CHANGED, STREAM, ESCALATION)) is None
    assert own_fault(sign("notifier", own_key(), ESCALATION)) is None  # by an earlier version
    assert own_fault(ESCALATION, keys=None) is None


@pytest.mark.parametrize(
    "forged",
    [
        ESCALATION,
        ESCALATION | {"signature": ""},
        ESCALATION | {"signature": "notifier:" + "0" * 64},
        sign("notifier", KEY.encode(), ESCALATION),
        sign("claims", KEY.encode(), ESCALATION),
        sign_own(KeySet(SecretStr(OTHER)), STREAM, ESCALATION),
        sign_own(OWN, STREAM, ESCALATION) | {"priority": "LOW"},
        sign_own(CHANGED, STREAM, ESCALATION) | {"priority": "LOW"},
        ESCALATION | {"signature": "notifier:" + "0" * 64, "signed_before": "0" * 64 + " x"},
        sign(
            "claims",
            KEY.encode(),
            ESCALATION
            | {"signed_before": sign_own(CHANGED, STREAM, ESCALATION)["signed_before"]},
        ),
        sign_own(OWN, "teams:others", ESCALATION),
    ],
)
def test_an_event_that_only_notifier_publishes_needs_its_signature(forged: dict[str, str]):
    assert own_fault(forged) is not None


def test_a_copy_of_an_own_event_is_refused_by_its_age_or_in_another_stream():
    signed = sign_own(OWN, STREAM, ESCALATION)

    assert own_fault(signed, hours_later=25) is not None
    assert own_fault(signed, stream="teams:others") is not None


@pytest.mark.parametrize(
    ("members", "own"),
    [
        ({"type": "notifier.escalation"}, True),
        ({"type": "Notifier.Escalation"}, True),
        ({"type": "NOTIFIER.anything"}, True),
        ({"event": '{"type":"\\u006eotifier.escalation"}'}, True),
        ({"event": '{"specversion":"1.0","type":"notifier.acknowledged","id":"1","source":"x"}'}, True),
        ({"event": '{"id":"x"}', "type": "notifier.escalation"}, True),
        ({"type": "a.b", "id": ESCALATION["id"]}, True),
        ({"type": "a.b", "id": ESCALATION["id"].upper()}, True),
        ({"type": "a.b", "id": "acknowledged:" + LEAD}, True),
        ({"type": "a.b", "id": "escalation:of my own"}, False),
        ({"type": "notifier"}, False),
        ({"type": "notifiers.a"}, False),
        ({"type": "my.notifier.escalation"}, False),
    ],
)  # fmt: skip
def test_what_only_notifier_publishes_is_known_in_every_form(
    members: dict[str, str], own: bool
):
    assert is_own(parse_entry(STREAM, "1-1", raw(members), max_bytes=10_000)) is own


@given(
    st.dictionaries(st.binary(max_size=5), st.binary(max_size=5), max_size=4),
    st.dictionaries(st.binary(max_size=5), st.binary(max_size=5), max_size=4),
)
def test_two_entries_never_share_what_is_signed(
    one: dict[bytes, bytes], two: dict[bytes, bytes]
):
    assert (canonical(one) == canonical(two)) == (one == two)


@pytest.mark.parametrize(
    "text", ["", KEY, "notifier:" + KEY, "Claims:" + KEY, "claims:short", "claims:" + "a" * 40]
)
def test_an_unusable_key_is_refused_without_showing_it(text: str):
    with pytest.raises(ValueError, match=r"name|key") as caught:
        parse_producer_key(text)

    assert not text or text.partition(":")[2] not in str(caught.value) or ":" not in text
    assert KEY not in str(caught.value)
