"""The contract with producers as JSON Schema and AsyncAPI, generated from the model that validates."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import JsonValue

from notifier.events import EventEntry

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
    """Return the AsyncAPI 3.0 document of the event streams."""
    schema = EventEntry.model_json_schema(ref_template="#/components/schemas/{model}")
    definitions = schema.pop("$defs", {})
    channels: dict[str, JsonValue] = {
        f"events{number or ''}": {
            "address": stream,
            "title": f"Redis stream {stream}",
            "description": _FLAT,
            "messages": {"event": {"$ref": "#/components/messages/event"}},
        }
        for number, stream in enumerate(streams)
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "notifier events",
            "version": "1.0.0",
            "description": "Events for Microsoft Teams channels, added with XADD.",
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": {
            f"publish{name[0].upper()}{name[1:]}": {
                "action": "receive",
                "channel": {"$ref": f"#/channels/{name}"},
            }
            for name in channels
        },
        "components": {
            "messages": {
                "event": {"name": "event", "payload": {"$ref": "#/components/schemas/Event"}}
            },
            "schemas": {"Event": schema, **definitions},
        },
    }
