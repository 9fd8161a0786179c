"""Functions on text."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

from notifier.templating.functions.arguments import (
    MAX_TEXT,
    bounded,
    given_text,
    items,
    text,
    whole,
)
from notifier.templating.functions.regex import compile_pattern, replaced
from notifier.templating.values import (
    UNDEFINED,
    EvaluationError,
    Value,
    is_nothing,
    joined,
    strictly_equal,
    to_json,
    to_text,
    units,
)

SPACES = " \t\n\v\f\r\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
"""Characters that ECMAScript's trim removes."""

_WORD = re.compile(rf"[A-Za-z0-9_][^{SPACES}]*")
_LOCALE = re.compile(
    r"(?:[a-z]{2,3}|[a-z]{5,8})(?:-[a-z]{4})?(?:-(?:[a-z]{2}|[0-9]{3}))?(?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*"
    r"(?:-[a-wyz0-9](?:-[a-z0-9]{2,8})+)*(?:-x(?:-[a-z0-9]{1,8})+)?",
    re.IGNORECASE,
)
"""A language tag as Intl.Locale takes it."""

_TURKIC = frozenset({"tr", "az"})
_WORDS = re.compile(f"[{SPACES}]+")


def stringify(value: Value) -> str:
    """Write a value as concat and string do: lists and objects as JSON."""
    if is_nothing(value):
        return ""
    return to_json(value) if isinstance(value, list | dict | bytes) else to_text(value)


def concat(*values: Value) -> Value:
    """Join texts, or lists."""
    result = values[0]
    for value in values[1:]:
        if is_nothing(result) and (is_nothing(value) or isinstance(value, list)):
            result = UNDEFINED if is_nothing(value) else value
        elif isinstance(result, list) and (is_nothing(value) or isinstance(value, list)):
            result = result if is_nothing(value) else [*result, *value]  # type: ignore[misc]
        else:
            result = bounded(stringify(result) + stringify(value))
    return result


def _changed(change: Callable[[str, str], str]) -> Callable[..., Value]:
    def changed(value: Value, locale: Value = "en") -> Value:
        for given in (value, locale):
            text(given)
        name = locale if isinstance(locale, str) else "en"
        if not _LOCALE.fullmatch(name):
            raise EvaluationError("names no language")
        return change(text(value), name[:2].lower())

    return changed


def _upper(value: str, language: str) -> str:
    return (value.replace("i", "İ") if language in _TURKIC else value).upper()


def _lower(value: str, language: str) -> str:
    if language in _TURKIC:
        value = value.replace("İ", "i").replace("I", "ı")
    return value.lower()


def _sentence(value: str, language: str) -> str:
    lowered = _lower(value, language)
    return lowered[:1].upper() + lowered[1:]


def _title(value: str, language: str) -> str:
    return _WORD.sub(lambda match: match[0][0].upper() + match[0][1:], _lower(value, language))


def _replace(subject: Value, old: Value, new: Value) -> Value:
    if type(subject) is str and type(old) is str and type(new) is str and old not in subject:
        return bounded(subject)
    subject, old, new = text(subject), text(old), text(new)
    if not old:
        raise EvaluationError("replaces an empty text")
    if subject.count(old) * len(new) > 400_000:
        raise EvaluationError("makes a text that is too long")
    return bounded(subject.replace(old, new))


def _replace_ignoring_case(subject: Value, old: Value, new: Value) -> Value:
    if not text(old):
        raise EvaluationError("replaces an empty text")
    return bounded(replaced(compile_pattern(text(old), "i"), text(subject), text(new)))


def _split(subject: Value, separator: Value = UNDEFINED) -> Value:
    whole_text, by = text(subject), text(separator)
    if by:
        return whole_text.split(by)
    return [joined(unit) for unit in units(whole_text)]


def _substring(subject: Value, start: Value, length: Value = None) -> Value:
    if subject is UNDEFINED:
        return ""
    characters, begin = units(given_text(subject)), whole(start)
    if not 0 <= begin <= len(characters):
        raise EvaluationError("starts beyond the text")
    size = len(characters) - begin if length is None else whole(length)
    if size < 0 or begin + size > len(characters):
        raise EvaluationError("reaches beyond the text")
    return joined(characters[begin : begin + size])


def _index(container: Value, item: Value, *, last: bool) -> Value:
    if isinstance(container, list):
        places = range(len(container))[:: -1 if last else 1]
        return next((at for at in places if strictly_equal(container[at], item)), -1)
    subject = units("" if container is None else text(container, "needs text or a list"))
    wanted = units(text(item))
    if not last:
        return subject.find(wanted)
    # The reference starts at the last character, so an empty text is found one before the end.
    return subject.rfind(wanted) if wanted else max(len(subject) - 1, 0)


def _join(values: Value, separator: Value, *final_separator: Value) -> Value:
    texts = ["" if is_nothing(item) else to_text(item) for item in items(values)]
    between = "," if separator is UNDEFINED else js_text(separator)
    if len(between) * len(texts) > MAX_TEXT:
        raise EvaluationError(f"makes more than {MAX_TEXT} characters")
    if not final_separator:
        return bounded(between.join(texts))
    [last] = final_separator
    if len(texts) < 3:
        return bounded(("," if last is UNDEFINED else js_text(last)).join(texts))
    final = items(values)[-1]
    return bounded(between.join(texts[:-1]) + js_text(last) + js_text(final))


def js_text(value: Value) -> str:
    """Write a value as String(value) does in JavaScript."""
    if is_nothing(value):
        return "null" if value is None else "undefined"
    return to_text(value)


def _is_match(subject: Value, pattern: Value) -> Value:
    wanted = given_text(pattern)
    # With bytes, RE2 need not find the character of the match, which takes longer than the match.
    found = compile_pattern(wanted).search(text(subject).encode())  # type: ignore[call-overload]
    return found is not None


def _add_ordinal(value: Value) -> Value:
    number = whole(value)
    shown = to_text(value)
    if number <= 0:
        return shown
    of_teens = number % 100 in {11, 12, 13}
    return f"{shown}{'th' if of_teens else _ORDINALS.get(number % 10, 'th')}"


_ORDINALS = {1: "st", 2: "nd", 3: "rd"}


def _end(value: Value, at: int) -> Value:
    if isinstance(value, str) and value:
        return joined(units(value)[at])
    return value[at] if isinstance(value, list) and value else UNDEFINED


FUNCTIONS: dict[str, Callable[..., Value]] = {
    "concat": concat,
    "length": lambda value: len(units(text(value))),
    "toUpper": _changed(_upper),
    "toLower": _changed(_lower),
    "trim": lambda value: text(value).strip(SPACES),
    "sentenceCase": _changed(_sentence),
    "titleCase": _changed(_title),
    "startsWith": lambda value, start: text(value).startswith(text(start)),
    "endsWith": lambda value, end: text(value).endswith(text(end)),
    "replace": _replace,
    "replaceIgnoreCase": _replace_ignoring_case,
    "split": _split,
    "substring": _substring,
    "indexOf": partial(_index, last=False),
    "lastIndexOf": partial(_index, last=True),
    "join": _join,
    "countWord": lambda value: len(_WORDS.split(text(value).strip(SPACES))),
    "isMatch": _is_match,
    "addOrdinal": _add_ordinal,
    "first": lambda value: _end(value, 0),
    "last": lambda value: _end(value, -1),
    "EOL": lambda: "\n",
}
