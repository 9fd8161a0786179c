"""database.url: libpq parses each accepted URL, and ignores no option."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict

from notifier.config.postgres_url import POSTGRES_OPTIONS, check_postgres_url

SOUND = [
    "postgresql://127.0.0.1:5432/notifier",
    "postgres://u:p%40ss@h/n",
    "postgresql://u:p#s?s@h/n",
    "postgresql://u:p@h1:5432,h2:5433/n?target_session_attrs=read-write",
    "postgresql://u:p@[::1]:5432/n",
    "postgresql:///n?host=/var/run/postgresql&user=u",
    "postgresql://%2Fvar%2Frun%2Fpostgresql/n",
    "postgresql://u@h",
    "postgresql://u@h/n?sslmode=verify-full&sslrootcert=/etc/ca.pem",
    "postgresql://u@h/n?sslmode=require&channel_binding=require",
    "postgresql://u@h/n?sslrootcert=system",
    "postgresql://u@h/n?options=-csearch_path%3Dapart&keepalives_idle=7",
]


@pytest.mark.parametrize("url", SOUND)
def test_what_libpq_takes_and_the_documents_name_is_taken(url: str):
    check_postgres_url(url)
    assert conninfo_to_dict(url)


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("schema=apart", "search_path"),
        ("currentSchema=apart", "search_path"),
        ("pgbouncer=true", "pgbouncer"),
        ("ssl=true", "sslmode=verify-full"),
        ("connect_timeout=3", "database.connect_timeout_seconds"),
        ("client_encoding=latin1", "UTF8"),
        ("SSLMODE=verify-full", "sslmode"),
        ("nonsense=1", "target_session_attrs"),
        ("sslmode=verify_full", "verify-full"),
        ("sslmode=allow", "verify-full"),
        ("sslmode=", "verify-full"),
        ("sslmode=verify-full&sslmode=disable", "once"),
        ("sslmode=verify-full&%73slmode=disable", "once"),
        ("sslrootcert=/etc/ca.pem", "verify-full"),
        ("sslrootcert=/etc/ca.pem&sslmode=prefer", "verify-full"),
        ("sslmode", "name=value"),
    ],
)
def test_an_option_that_would_not_be_obeyed_is_refused(query: str, named: str):
    with pytest.raises(ValueError, match=named):
        check_postgres_url(f"postgresql://u:topsecret@h/n?{query}")


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:topsecret@h/n",
        "postgresql+psycopg://u:topsecret@h/n",
        "postgresql://u:topsecret/x@h/n",
        "postgresql://u:topsecret@x@h/n",
        "postgresql://u:topsecret%@h/n",
        "postgresql://u:topsecret%00@h/n",
        "postgresql://u:topsecret@h:0/n",
        "postgresql://u:topsecret@h:99999/n",
        "postgresql://u:topsecret@h:x/n",
        "postgresql://u:topsecret@h/n\n",
        "postgresql://u@h/n?topsecret",
        "postgresql://u@h/n?topsecret=1",
        "",
    ],
)
def test_a_url_that_cannot_be_is_refused_without_its_password(url: str):
    with pytest.raises(ValueError, match=r".") as refused:
        check_postgres_url(url)
    assert "topsecret" not in str(refused.value)


PARTS = st.lists(
    st.sampled_from(
        ["u", ":", "@", "/", "?", "&", "=", ",", "%41", "%", "[", "::1", "]", "5432", "h", "#", *POSTGRES_OPTIONS[:8], "verify-full"]
    ),
    max_size=14,
)  # fmt: skip


@given(PARTS)
@example(["u", ":", "@", "h", ":", "5432", ",", "h"])
@example(["%", "dbname"])  # one byte of UTF-8 without the others
def test_libpq_reads_whatever_is_accepted(parts: list[str]):
    url = "postgresql://" + "".join(parts)
    try:
        check_postgres_url(url)
    except ValueError:
        return
    conninfo_to_dict(url)
