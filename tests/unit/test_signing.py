from __future__ import annotations

import base64
import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from standardwebhooks import Webhook, WebhookVerificationError

from notifier.errors import TokenError
from notifier.events.signing import (
    ACTIONS,
    KeySet,
    action_token,
    body_signature,
    event_mark,
    key_fault,
    key_id,
    verify_action_token,
    verify_event_mark,
    webhook_headers,
    written_key,
)

NOTIFICATION = "7f6f2c7e-4f0f-5c53-9d0e-1f6c2b1f7c11"
NOW = 1_800_000_000


def token(**changes: object) -> str:
    members: dict[str, object] = {
        "notification_id": NOTIFICATION,
        "action": "acknowledge",
        "expires_at": NOW + 60,
    }
    return action_token("key", **(members | changes))  # type: ignore[arg-type]


def test_body_signature_is_that_of_rfc_4231():
    # Test case 2 of RFC 4231.
    signature = body_signature("Jefe", b"what do ya want for nothing?")

    assert signature == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"


@pytest.mark.parametrize(
    "secret",
    ["plain text secret", "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()],
)
def test_reference_library_verifies_our_headers(secret: str):
    key = secret if secret.startswith("whsec_") else secret.encode()
    headers = webhook_headers(
        KeySet(SecretStr(secret)),
        message_id="msg_1",
        timestamp=int(time.time()),
        body=b'{"a": 1}',
    )

    assert Webhook(key).verify(b'{"a": 1}', headers) == {"a": 1}


def test_during_a_rotation_receivers_with_the_old_and_with_the_new_key_verify():
    old, new, other = (written_key(os.urandom(32)) for _ in range(3))
    keys = KeySet(SecretStr(new), (SecretStr(old),))

    headers = webhook_headers(keys, message_id="m", timestamp=int(time.time()), body=b"{}")

    assert headers["webhook-signature"].count("v1,") == 2
    assert Webhook(old).verify(b"{}", headers) == {}
    assert Webhook(new).verify(b"{}", headers) == {}
    with pytest.raises(WebhookVerificationError):
        Webhook(other).verify(b"{}", headers)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("short", "has 5 bytes, at least 16"),
        ("whsec_" + base64.b64encode(b"0123456789").decode(), "has 10 bytes"),
        ("whsec_this is no base64 at all, however long it is", "not base64"),
        ("a" * 40, "could be guessed"),
    ],
)
def test_weak_key_is_named_with_the_fix_and_not_shown(key: str, words: str):
    fault = key_fault(key)

    assert fault is not None
    assert words in fault
    assert "notifier keys new" in fault
    assert key not in fault


@pytest.mark.parametrize("hexadecimal", [False, True])
def test_new_key_is_good_and_its_id_and_repr_do_not_show_it(hexadecimal: bool):
    key = written_key(os.urandom(32), hexadecimal=hexadecimal)

    assert key_fault(key) is None
    assert key_id(key) not in key
    assert key not in repr(KeySet(SecretStr(key), (SecretStr(key),)))


@pytest.mark.parametrize("action", ACTIONS)
def test_token_allows_exactly_what_was_signed(action: str):
    claim = verify_action_token(["key"], token(action=action), now=NOW)

    assert (claim.notification_id, claim.action, claim.expires_at) == (
        NOTIFICATION,
        action,
        NOW + 60,
    )


def test_older_key_is_good_while_it_is_listed():
    assert verify_action_token(["new key", "key"], token(), now=NOW).action == "acknowledge"
    with pytest.raises(TokenError):
        verify_action_token(["new key"], token(), now=NOW)


def test_expired_token_says_so():
    with pytest.raises(TokenError, match="expired") as caught:
        verify_action_token(["key"], token(), now=NOW + 60)

    assert caught.value.expired


@given(st.data())
def test_any_change_of_any_character_is_refused(data: st.DataObject):
    good = token()
    position = data.draw(st.integers(0, len(good) - 1))
    other = data.draw(
        st.characters(min_codepoint=33, max_codepoint=126).filter(
            lambda sign: sign != good[position]
        )
    )
    changed = good[:position] + other + good[position + 1 :]

    with pytest.raises(TokenError):
        verify_action_token(["key"], changed, now=NOW)


@given(st.text(max_size=150))
def test_any_text_is_refused(text: str):
    with pytest.raises(TokenError):
        verify_action_token(["key"], text, now=NOW)


EVENT = "776e5dcf-4143-5398-a4d9-5a850a399a76"


def test_a_mark_says_which_event_a_link_is_about_by_any_key_in_force():
    mark = event_mark("key", token(), EVENT)

    assert verify_event_mark(["another", "key"], token(), mark) == EVENT
    for secrets, of in (
        (["another"], token()),
        ([], token()),
        (["key"], token(action="escalate")),
    ):
        with pytest.raises(TokenError):
            verify_event_mark(secrets, of, mark)


@given(st.data())
def test_any_change_of_any_character_of_a_mark_is_refused(data: st.DataObject):
    good = event_mark("key", token(), EVENT)
    position = data.draw(st.integers(0, len(good) - 1))
    other = data.draw(st.characters().filter(lambda sign: sign != good[position]))

    with pytest.raises(TokenError):
        verify_event_mark(["key"], token(), good[:position] + other + good[position + 1 :])


@given(st.text(max_size=80))
def test_any_text_is_no_mark(text: str):
    with pytest.raises(TokenError):
        verify_event_mark(["key"], token(), text)
