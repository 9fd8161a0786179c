"""Declare the arguments and results of functions, as the reference."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from notifier.errors import TemplateError
from notifier.templating.ast import Call, Constant, Node, show
from notifier.templating.values import is_number


@dataclass(frozen=True, slots=True)
class Signature:
    """Number and kinds of arguments, and the kind of the result.

    Kinds: B(oolean), N(umber), S(tring), A(rray), O(bject, which may be anything).
    """

    gives: str
    least: int
    most: int
    wants: tuple[str, ...]


_ANY = 10_000
_KINDS = {"B": "a boolean", "N": "a number", "S": "text", "A": "a list"}

ALIASES = {
    "add": "+", "sub": "-", "mul": "*", "div": "/", "mod": "%", "exp": "^", "and": "&&", "or": "||", "not": "!",
    "equals": "==", "<>": "!=", "greater": ">", "greaterOrEquals": ">=", "less": "<", "lessOrEquals": "<=",
    "&": "concat", "??": "coalesce",
}  # fmt: skip
"""Other names of a function, and the canonical one."""

REFUSED = {
    **dict.fromkeys(
        ["rand", "newGuid", "utcNow", "getPastTime", "getFutureTime", "getNextViableDate", "getNextViableTime",
         "getPreviousViableDate", "getPreviousViableTime"],
        "a card must come out the same when it is sent again; send the value in the event",
    ),
    **dict.fromkeys(["jPath", "xPath", "xml"], "it is a language of its own; send the value in the event"),
    "dateReadBack": "it writes English phrases; use formatDateTime",
    "setPathToValue": "a card does not change the data; use setProperty",
}  # fmt: skip
"""Functions that a card may not use, and why."""

_TABLE = """
N 1 N: abs ceiling floor sqrt ticksToDays ticksToHours ticksToMinutes
NS 2+ NS: +
S 2-4 S,N,S,S: addDays addHours addMinutes addSeconds
S 1 N: addOrdinal
O 3 *,S,*: addProperty setProperty
S 3-5 S,N,S,S,S: addToTime subtractFromTime
B 3 *: all any
N 1 *: amount average float int uriPort
B 1+ *: && ||
S 1 *: base64 base64ToString dataUri dataUriToString jsonStringify resolve uriComponent
  uriComponentToString uriHost uriPath uriPathAndQuery uriQuery uriScheme
O 1 *: base64ToBinary binary dataUriToBinary first last
B 1 *: bool empty exists isArray isBoolean isDate isDateRange isDateTime isDefinite isDuration
  isFloat isInteger isObject isPresent isString isTime isTimeRange !
O 1+ *: coalesce merge
SA 1+ *: concat
B 2 *: contains == > >= < <= !=
S 2-4 S: convertFromUTC convertToUTC
N 1 SA: count
N 1 S: countWord dayOfMonth dayOfWeek dayOfYear length month ticks year
A 0+ *: createArray
S 1 S: date getTimeOfDay trim
N 2 S: dateTimeDiff
N 2+ N: / * ^ -
B 2 S: endsWith isMatch startsWith
S 0 *: EOL
A 1-2 A,N: flatten
A 3 *: foreach select where
S 1-3 S: formatDateTime startOfDay startOfHour startOfMonth
S 1-3 N,S,S: formatEpoch formatTicks
S 2-3 N,N,S: formatNumber
O 1-2 *,S: getProperty
O 3 *: if
B 1 B: ignore
N 2 SA,*: indexOf lastIndexOf
A 1 *: indicesAndValues
A 1+ A: intersection union
S 2-3 A,S,S: join
O 1 S: json stringOrValue
N 1+ *: max min
N 2 N: %
S 1-2 *,*: money
A 2 N: range
O 2 *,S: removeProperty
S 3 S: replace replaceIgnoreCase
SA 1 SA: reverse
N 1-2 N: round
S 1-2 S: sentenceCase titleCase toLower toUpper
A 2 A,N: skip
A 1-2 A,S: sortBy sortByDescending
A 1-2 S: split
S 1-2 *,S: string
A 2-3 A,N,N: subArray
S 2-3 S,N,N: substring
N 1 A: sum
SA 2 SA,N: take
A 1 A: unique
"""
"""Kind of the result, number and kinds of the arguments: the functions."""


def _read(table: str) -> Iterator[tuple[str, Signature]]:
    for line in table.replace("\n  ", " ").strip().splitlines():
        shape, _, names = line.partition(": ")
        gives, count, wants = shape.split()
        least, _, most = count.rstrip("+").partition("-")
        largest = _ANY if count.endswith("+") else int(most or least)
        signature = Signature(gives, int(least), largest, tuple(wants.split(",")))
        yield from ((name, signature) for name in names.split())


SIGNATURES = dict(_read(_TABLE))


def check_call(call: Call) -> None:
    """Refuse a call that the reference would refuse when it reads the card.

    Raises:
        TemplateError: Unknown or refused function, wrong number of arguments, or one of a kind that cannot be.
    """
    name = call.function
    if name in REFUSED:
        raise TemplateError(f"function {name} is refused: {REFUSED[name]}")
    signature = SIGNATURES.get(name)
    if signature is None:
        raise TemplateError(
            f"there is no function {name}; docs/reference/template-language.md lists all functions"
        )
    count = len(call.arguments)
    if not signature.least <= count <= signature.most:
        wanted = (
            f"{signature.least} or more"
            if signature.most == _ANY
            else str(signature.least)
            if signature.least == signature.most
            else f"{signature.least} to {signature.most}"
        )
        raise TemplateError(f"{name} needs {wanted} arguments, not {count}: {show(call)[:80]}")
    for number, argument in enumerate(call.arguments):
        wants = signature.wants[min(number, len(signature.wants) - 1)]
        given = kind_of(argument)
        if wants != "*" and "O" not in given and not set(wants) & set(given):
            raise TemplateError(
                f"{name} needs {' or '.join(_KINDS[kind] for kind in wants)}, not {show(argument)[:80]}"
            )


def kind_of(node: Node) -> str:
    """Return the kinds that a value of this expression may have."""
    match node:
        case Constant(value):
            if isinstance(value, str):
                return "S"
            if isinstance(value, bool):
                return "B"
            return "N" if is_number(value) else "O"
        case Call(function, _):
            signature = SIGNATURES.get(function)
            return "O" if signature is None else signature.gives
        case _:
            return "O"
