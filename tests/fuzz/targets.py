"""Define the targets of fuzzing and the rules that hold for any input."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

from notifier.broker.consumer import Consumer
from notifier.broker.entries import Entry
from notifier.broker.hop import pack
from notifier.cards.fit import fitted_body
from notifier.cards.library import load_cards
from notifier.cards.renderer import CardRenderer
from notifier.config import Config, assets, load_config
from notifier.config.load import masked
from notifier.dead_letters.model import DeadLetter, Reason
from notifier.dead_letters.replay import Replayer
from notifier.errors import (
    ConfigError,
    NotifierError,
    TemplateError,
    TokenError,
)
from notifier.events.masking import Masking
from notifier.events.notification import decode, notification_id
from notifier.events.producer_signature import Signers
from notifier.events.routing import Catalogue
from notifier.events.signing import ACTIONS, action_token, verify_action_token
from notifier.pipeline.intake import Intake, IntakeRules
from notifier.teams.envelope import counted_size
from notifier.templating import Template
from notifier.templating.signatures import ALIASES, REFUSED, SIGNATURES
from tests.fuzz.mutation import NASTY, ODD_TIMES, bytes_of, json_of, spoiled, text_of

PATIENT = "PAT-7391864250"
PASSWORD = "hunter2hunter2"
NOW = datetime(2026, 1, 31, 10, 15, tzinfo=UTC)
STREAM = "teams:events"


@dataclass(frozen=True)
class Target:
    """A parser under test.

    `make` takes an input from a Random; an error that `feed` raises is a finding.
    """

    name: str
    share: int
    """Of 100 inputs, how many it gets."""
    make: Callable[[Random], Any]
    feed: Callable[[Any], None]


def targets(folder: Path) -> list[Target]:
    """Return all targets; `folder` takes the files that some of them need."""
    config = load_config(None, {})
    return [_decoder(config), _template(), _card(config), _config(folder), _token()]


def _samples() -> list[dict[str, Any]]:
    paths = sorted((assets.cards_dir() / "samples").glob("*.json"))
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]


def _decoder(config: Config) -> Target:
    masking = Masking.of(config.masking.fields, config.masking.exempt)
    catalogue = Catalogue(config.routes, config.channels)
    group: Consumer = None  # type: ignore[assignment]  # decide() does no I/O
    rules = IntakeRules(catalogue, masking, config.intake, Signers(required=False))
    intake = Intake(group, STREAM, rules, redis_settings=config.redis, now=lambda: NOW)
    replayer = Replayer(catalogue, masking, config.intake.max_event_bytes)
    samples = _samples()

    def make(random: Random) -> tuple[str, dict[bytes, bytes]]:
        event = json.loads(json.dumps(random.choice(samples)))
        event.setdefault("type", "nphies.claim.rejected")
        event.setdefault("data", {})["patient_id"] = PATIENT
        if random.random() < 0.1:
            event["time"] = random.choice(ODD_TIMES)
        if random.random() < 0.5:
            event = spoiled(random, event)
        fields = _as_fields(random, event)
        if random.random() < 0.7 and fields:
            name = random.choice(list(fields))
            fields[name] = bytes_of(random, fields[name])
        if random.random() < 0.2:
            fields[bytes_of(random, b"source")] = bytes_of(random, b"clinic")
        return random.choice(("1769854500000-0", "1-1", "18446744073709551615-9")), fields

    def feed(made: tuple[str, dict[bytes, bytes]]) -> None:
        entry_id, fields = made
        decision = intake.decide(Entry(STREAM, entry_id, fields), fields)
        keys, argv = pack("notifier", [decision.move])
        # redis-py encodes str as strict UTF-8: what it cannot encode would stop the stage.
        for each in (*keys, *argv):
            str(each).encode() if not isinstance(each, bytes) else each.decode()
        read = decision.dead not in (Reason.INVALID_EVENT, Reason.POISON)
        for target, values in decision.move.targets:
            if ":lane:" in target:
                decode(bytes(values["notification"]))  # type: ignore[arg-type]
            else:
                _replayed(replayer, {name: _text(value) for name, value in values.items()})
            if read and _names_patient(fields):
                assert all(PATIENT not in _text(value) for value in values.values()), target
        assert PATIENT not in str(decision.detail)

    return Target("decoder", 40, make, feed)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _as_fields(random: Random, event: Any) -> dict[bytes, bytes]:
    def encoded(value: Any) -> bytes:
        text = (
            value
            if isinstance(value, str)
            else json.dumps(value, ensure_ascii=random.random() < 0.5)
        )
        return str(text).encode(errors="surrogatepass")

    form = random.randrange(4)
    if form == 0 or not isinstance(event, dict):
        return {b"event": encoded(event)}
    if form == 1:
        renamed = {"specversion": "1.0", "id": "1", "source": "/x", **event}
        return {b"event": encoded(renamed)}
    flat = {key: value for key, value in event.items() if key != "data"}
    data = event.get("data")
    if form == 2 and isinstance(data, dict):
        flat = {**data, **flat}
    else:
        flat["data"] = data
    return {encoded(key): encoded(value) for key, value in flat.items()}


def _names_patient(fields: dict[bytes, bytes]) -> bool:
    """Tell whether the event says which member is the patient.

    A spoiled name cannot.
    """
    if fields.get(b"patient_id") == PATIENT.encode():
        return True
    for name in (b"data", b"event"):
        try:
            value = json.loads(fields.get(name, b""))
        except (ValueError, RecursionError):
            continue
        data = value.get("data") if name == b"event" and isinstance(value, dict) else value
        if isinstance(data, dict) and data.get("patient_id") == PATIENT:
            return True
    return False


def _replayed(replayer: Replayer, letter: dict[str, str]) -> None:
    try:
        replayer.targets(DeadLetter("1-1", STREAM, letter, letter["event"]))
    except NotifierError as exc:
        assert PATIENT not in str(exc)  # noqa: PT017 - the error is expected, its text is not


def _template() -> Target:
    names = [*SIGNATURES, *ALIASES, *REFUSED, "noSuchFunction"]
    words = [name for name in names if name.isalpha()]
    signs = [
        "+",
        "-",
        "*",
        "/",
        "%",
        "^",
        "&&",
        "||",
        "==",
        "!=",
        "<",
        "<=",
        ">",
        ">=",
        "&",
        "??",
    ]
    data = {
        "claim_id": "CLM-1", "n": 3, "f": 2.5, "none": None, "yes": True, "time": "2026-01-31T10:15:00Z", "text": "${data.n}",
        "items": [{"a": 1, "b": "x"}, {"a": None}, "three"], "deep": {"a": {"b": [1, 2, [3]]}}, "json": '{"a":[1]}', "big": 10**300,
    }  # fmt: skip
    leaves = [
        "data.claim_id", "data.n", "data.none", "data.items", "data.items[0].a", "data.deep.a.b", "$root", "$data", "$index", "data['text']",
        "'text'", "\"it's\"", "3", "-1", "0.5", "1e3", "true", "null", "data.time", "data.json", "data.missing.x", "'yyyy-MM-dd'", "`a${data.n}`",
        "[1, 2]", "{'a': 1}", "data.big",
    ]  # fmt: skip

    def expression(random: Random, depth: int = 0) -> str:
        if depth > 3 or random.random() < 0.3:
            return random.choice(leaves)
        match random.randrange(6):
            case 0:
                left, right = expression(random, depth + 1), expression(random, depth + 1)
                return f"({left} {random.choice(signs)} {right})"
            case 1:
                return f"{expression(random, depth + 1)}[{expression(random, depth + 1)}]"
            case 2:
                word = random.choice(("select", "where", "foreach", "any", "all"))
                return f"{word}(data.items, x, {expression(random, depth + 1)})"
            case _:
                count = random.choice((0, 1, 1, 2, 2, 3, 4))
                inside = ", ".join(expression(random, depth + 1) for _ in range(count))
                return f"{random.choice(words)}({inside})"

    def make(random: Random) -> tuple[Any, Any]:
        text = f"a ${{{expression(random)}}}"[random.choice((0, 2)) :]
        if random.random() < 0.4:
            text = text_of(random, text)
        card: Any = {"type": "TextBlock", "text": text}
        if random.random() < 0.2:
            card["$data"] = random.choice(("${data.items}", "${$root}", [1, 2], text, {}))
        if random.random() < 0.2:
            card["$when"] = random.choice(("${data.yes}", text, False, "x"))
        given = {"data": data}
        if random.random() < 0.2:
            given = {"data": spoiled(random, data)}
        return card, given

    def feed(made: tuple[Any, Any]) -> None:
        card, given = made
        try:
            template = Template(card)
        except TemplateError:
            return
        for missing in (None, lambda _: "—"):
            try:
                shown = template.expand(given, missing=missing)
            except TemplateError:
                continue
            json.dumps(shown)

    return Target("template", 25, make, feed)


def _card(config: Config) -> Target:
    """Shipped cards with any data: a body parses and fits."""
    renderer = CardRenderer(load_cards(assets.cards_dir()), config, None)
    catalogue = Catalogue(config.routes, config.channels)
    samples = _samples()

    def make(random: Random) -> dict[str, Any]:
        event = json.loads(json.dumps(random.choice(samples)))
        data = event.get("data", {})
        for _ in range(random.randint(1, 3)):
            data = spoiled(random, data)
        data = data if isinstance(data, dict) else {"value": data}
        if random.random() < 0.02:
            data["errors"] = [{"field": "x" * 300, "message": json_of(random)}] * 200
        lang = random.choice(("en", "ar"))
        return {"event": event, "data": _encodable(data), "lang": lang}

    def feed(made: dict[str, Any]) -> None:
        name, route = catalogue.find(str(made["event"].get("type")))
        record = {
            "id": notification_id(STREAM, "e", "sre"), "channel": "sre", "stakeholders": ["sre"], "priority": "HIGH",
            "card": route.card if route else "generic", "stream": STREAM, "entry_id": "1-1", "event_id": "e", "event_type": name,
            "correlation_id": "c", "event_time": NOW.isoformat(), "lang": made["lang"], "source": None, "traceparent": None,
            "data": made["data"],
        }  # fmt: skip
        try:
            rendered = renderer.render(decode(json.dumps(record).encode()))
        except TemplateError:
            return
        _, body = fitted_body(
            rendered.card, max_card_bytes=27_500, more_link=rendered.more_link
        )
        content = json.loads(body)["attachments"][0]["content"]
        assert content["type"] == "AdaptiveCard"
        text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
        assert counted_size(text) <= 28_672

    return Target("card", 5, make, feed)


def _encodable(value: Any) -> Any:
    """The decoder lets no half surrogate pair through."""
    return json.loads(json.dumps(value, ensure_ascii=False).encode(errors="replace"))


def _config(folder: Path) -> Target:
    file = folder / "own.toml"
    sound = (
        f'[redis]\nurl = "redis://user:{PASSWORD}@127.0.0.1:6379/0"\nblock_seconds = 1.5\n[intake]\nbatch = 50\n',
        f'[database]\nurl = "postgresql://u:{PASSWORD}@127.0.0.1/n?sslmode=require"\n[retry]\nmax_retries = 2\n',
        'streams = ["a:b", "c:d"]\n[channels]\nops = { title = "Ops" }\n[routes]\n"x.*" = { stakeholders = ["ops"], priority = "low" }\n',
        '[rate_limit]\nrequests = 0\n[http]\nallowed_hosts = ["*.example.com"]\n[public]\nurl = "https://n.example.com/"\n',
    )
    settings = [
        f"TEAMS_{section.upper()}__{key.upper()}"
        for section, table in load_config(None, {}).model_dump().items()
        if isinstance(table, dict) and section not in ("channels", "routes")
        for key in table
    ]
    seeds = ("REDIS_URL", "DATABASE_URL", "TEAMS_MAX_RETRIES", "TEAMS_EVENT_TTL", "TEAMS_X__Y")

    def make(random: Random) -> tuple[str, dict[str, str]]:
        text = random.choice(sound)
        if random.random() < 0.8:
            text = text_of(random, text)
        env = {
            random.choice((*settings, *seeds)): random.choice(
                (*NASTY, "1", "0", "127.0.0.1:0", '["a"]', f"redis://:{PASSWORD}@h")
            )
            for _ in range(random.randrange(3))
        }
        return text, env

    def feed(made: tuple[str, dict[str, str]]) -> None:
        text, env = made
        file.write_bytes(text.encode(errors="surrogatepass"))
        try:
            config = load_config(file, env)
        except ConfigError as exc:
            assert PASSWORD not in str(exc)  # noqa: PT017 - as above
        else:
            shown = masked(config)
            urls = [shown[name]["url"] for name in ("redis", "database")]  # type: ignore[index,call-overload]
            assert PASSWORD not in str(urls)

    return Target("config", 2, make, feed)


def _token() -> Target:
    secrets = ["a" * 64, "b" * 64, "whsec_" + "c" * 40]
    now = 1_800_000_000

    def make(random: Random) -> tuple[str, str | None]:
        secret = random.choice((*secrets, "d" * 64))
        sound = action_token(
            secret, notification_id=str(uuid.UUID(int=random.getrandbits(128))), action=random.choice(ACTIONS),
            expires_at=random.choice((now - 1, now, now + 60)),
        )  # fmt: skip
        token = sound if random.random() < 0.1 else text_of(random, sound)
        good = secret in secrets and token == sound and int(token.split(".")[3]) > now
        return token, sound if good else None

    def feed(made: tuple[str, str | None]) -> None:
        token, sound = made
        try:
            claim = verify_action_token(secrets, token, now=now)
        except TokenError:
            assert sound is None
        else:
            assert sound == token
            assert claim.action == ACTIONS[int(token.split(".")[2])]

    return Target("token", 28, make, feed)
