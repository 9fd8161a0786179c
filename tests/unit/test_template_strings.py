"""Strings end where the reference's grammar ends them, in linear time."""

from __future__ import annotations

import itertools
import re

import pytest

from notifier.errors import TemplateError
from notifier.templating.parser import KEY, STRING, parse, split_text

# ExpressionAntlrLexer.g4: STRING, with its choice of reading a backslash alone or with what follows.
GRAMMAR = re.compile(r"'(?:\\['\\]|[^'])*'|\"(?:\\[\"\\]|[^\"])*\"")


def test_every_short_text_is_matched_as_the_grammar_matches_it():
    ours = re.compile(STRING)
    for length in range(9):
        for signs in itertools.product("'\\a", repeat=length):
            text = "'" + "".join(signs)
            expected, found = GRAMMAR.match(text), ours.match(text)
            assert (found and found[0]) == (expected and expected[0]), text


@pytest.mark.parametrize("quote", ["'", '"'])
def test_a_string_without_an_end_is_refused_however_many_backslashes_it_has(quote: str):
    with pytest.raises(TemplateError):
        parse(f"concat(a, {quote}" + "\\" * 9_000)


def test_every_short_key_is_matched_as_the_grammar_matches_it():
    ours, grammar = re.compile(KEY), re.compile(r"'(?:\\['\\]|[^'])*':")
    for length in range(8):
        for signs in itertools.product("'\\a:", repeat=length):
            text = "'" + "".join(signs)
            expected, found = grammar.match(text), ours.match(text)
            assert (found and found[0]) == (expected and expected[0]), text


@pytest.mark.parametrize("quote", ["'", '"'])
def test_a_key_without_an_end_leaves_the_text_as_it_is_however_many_backslashes_it_has(
    quote: str,
):
    text = "${{" + quote + "\\" * 9_000 + "."

    assert split_text(text) == [text]
