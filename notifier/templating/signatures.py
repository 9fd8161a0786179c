"""Declare the arguments and results of functions, as the reference."""

from __future__ import annotations

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
abs N 1 N
+ NS 2+ NS
addDays S 2-4 S,N,S,S
addHours S 2-4 S,N,S,S
addMinutes S 2-4 S,N,S,S
addSeconds S 2-4 S,N,S,S
addOrdinal S 1 N
addProperty O 3 *,S,*
addToTime S 3-5 S,N,S,S,S
all B 3 *
amount N 1 *
any B 3 *
&& B 1+ *
average N 1 *
base64 S 1 *
base64ToBinary O 1 *
base64ToString S 1 *
binary O 1 *
bool B 1 *
ceiling N 1 N
coalesce O 1+ *
concat SA 1+ *
contains B 2 *
convertFromUTC S 2-4 S
convertToUTC S 2-4 S
count N 1 SA
countWord N 1 S
createArray A 0+ *
dataUri S 1 *
dataUriToBinary O 1 *
dataUriToString S 1 *
date S 1 S
dateTimeDiff N 2 S
dayOfMonth N 1 S
dayOfWeek N 1 S
dayOfYear N 1 S
/ N 2+ N
empty B 1 *
endsWith B 2 S
EOL S 0 *
== B 2 *
exists B 1 *
flatten A 1-2 A,N
first O 1 *
float N 1 *
floor N 1 N
foreach A 3 *
formatDateTime S 1-3 S
formatEpoch S 1-3 N,S,S
formatNumber S 2-3 N,N,S
formatTicks S 1-3 N,S,S
getProperty O 1-2 *,S
getTimeOfDay S 1 S
> B 2 *
>= B 2 *
if O 3 *
ignore B 1 B
indexOf N 2 SA,*
indicesAndValues A 1 *
int N 1 *
intersection A 1+ A
isArray B 1 *
isBoolean B 1 *
isDate B 1 *
isDateRange B 1 *
isDateTime B 1 *
isDefinite B 1 *
isDuration B 1 *
isFloat B 1 *
isInteger B 1 *
isMatch B 2 S
isObject B 1 *
isPresent B 1 *
isString B 1 *
isTime B 1 *
isTimeRange B 1 *
join S 2-3 A,S,S
json O 1 S
jsonStringify S 1 *
last O 1 *
lastIndexOf N 2 SA,*
length N 1 S
< B 2 *
<= B 2 *
max N 1+ *
merge O 1+ *
min N 1+ *
% N 2 N
money S 1-2 *,*
month N 1 S
* N 2+ N
! B 1 *
!= B 2 *
|| B 1+ *
^ N 2+ N
range A 2 N
removeProperty O 2 *,S
replace S 3 S
replaceIgnoreCase S 3 S
resolve S 1 *
reverse SA 1 SA
round N 1-2 N
select A 3 *
sentenceCase S 1-2 S
setProperty O 3 *,S,*
skip A 2 A,N
sortBy A 1-2 A,S
sortByDescending A 1-2 A,S
split A 1-2 S
sqrt N 1 N
startOfDay S 1-3 S
startOfHour S 1-3 S
startOfMonth S 1-3 S
startsWith B 2 S
string S 1-2 *,S
stringOrValue O 1 S
subArray A 2-3 A,N,N
substring S 2-3 S,N,N
- N 2+ N
subtractFromTime S 3-5 S,N,S,S,S
sum N 1 A
take SA 2 SA,N
ticks N 1 S
ticksToDays N 1 N
ticksToHours N 1 N
ticksToMinutes N 1 N
titleCase S 1-2 S
toLower S 1-2 S
toUpper S 1-2 S
trim S 1 S
union A 1+ A
unique A 1 A
uriComponent S 1 *
uriComponentToString S 1 *
uriHost S 1 *
uriPath S 1 *
uriPathAndQuery S 1 *
uriPort N 1 *
uriQuery S 1 *
uriScheme S 1 *
where A 3 *
year N 1 S
"""


def _read(line: str) -> tuple[str, Signature]:
    name, gives, count, wants = line.split()
    least, _, most = count.partition("-")
    bounds = (
        (int(count[:-1]), _ANY) if count.endswith("+") else (int(least), int(most or least))
    )
    return name, Signature(gives, *bounds, tuple(wants.split(",")))


SIGNATURES = dict(_read(line) for line in _TABLE.strip().splitlines())


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
            f"there is no function {name}; see docs/reference/template-language.md for those there are"
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
        raise TemplateError(f"{name} wants {wanted} arguments, not {count}: {show(call)[:80]}")
    for number, argument in enumerate(call.arguments):
        wants = signature.wants[min(number, len(signature.wants) - 1)]
        given = kind_of(argument)
        if wants != "*" and "O" not in given and not set(wants) & set(given):
            raise TemplateError(
                f"{name} wants {' or '.join(_KINDS[kind] for kind in wants)}, not {show(argument)[:80]}"
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
