"""The contract as JSON Schema and AsyncAPI, generated from the models."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import JsonValue

from notifier.events.action import REQUESTS, WorkRequest
from notifier.events.entry import EventEntry

_COMPONENT = "#/components/schemas/{model}"
_FLAT = (
    "A stream entry has flat string fields. Only `type` is required. `data` is a JSON object as text; any other field that is "
    "not named here is a string member of data. Or the whole event is one JSON object in the field `event`, in this form "
    "or as CloudEvents 1.0."
)


def json_schema() -> dict[str, JsonValue]:
    """Return the JSON Schema (2020-12) of one event in its JSON form."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "description": "One event as a JSON object, as in the stream field `event`. " + _FLAT,
        **{
            key: value
            for key, value in EventEntry.model_json_schema().items()
            if key != "description"
        },
    }


def asyncapi(streams: Sequence[str]) -> dict[str, JsonValue]:
    """Return the AsyncAPI 3.0 document of event streams and requests."""
    events = EventEntry.model_json_schema(ref_template=_COMPONENT)
    requests = WorkRequest.model_json_schema(ref_template=_COMPONENT)
    definitions = {**events.pop("$defs", {}), **requests.pop("$defs", {})}
    channels: dict[str, JsonValue] = {
        f"events{number or ''}": {
            "address": stream,
            "title": f"Redis stream {stream}",
            "description": _FLAT,
            "messages": {"event": {"$ref": "#/components/messages/event"}},
        }
        for number, stream in enumerate(streams)
    }
    operations: dict[str, JsonValue] = {
        f"publish{name[0].upper()}{name[1:]}": {
            "action": "receive",
            "channel": {"$ref": f"#/channels/{name}"},
        }
        for name in channels
    }
    channels["requests"] = {
        "address": REQUESTS,
        "title": f"Redis stream {REQUESTS}",
        "description": "Requests from people to the claims workers; flat string fields. Read it with a consumer group of your own.",
        "messages": {"request": {"$ref": "#/components/messages/request"}},
    }
    operations["requestWork"] = {
        "action": "send",
        "channel": {"$ref": "#/channels/requests"},
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "notifier events",
            "version": "1.0.0",
            "description": "Events for Microsoft Teams channels, added with XADD, and what people ask for from the cards.",
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {
            "messages": {
                "event": {"name": "event", "payload": {"$ref": "#/components/schemas/Event"}},
                "request": {
                    "name": "request",
                    "payload": {"$ref": "#/components/schemas/WorkRequest"},
                },
            },
            "schemas": {"Event": events, "WorkRequest": requests, **definitions},
        },
    }
