"""Settings of the two listeners."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, IPvAnyNetwork, field_validator, model_validator

from notifier.config.section import HEADER, PositiveSeconds, Section
from notifier.config.urls import check_web_url
from notifier.events.entry import Priority

_HOST_NAME = re.compile(
    r"(?=.{1,253}$)[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*"
)

_ALL, _NONE = frozenset({"1", "TRUE", "YES", "ON"}), frozenset({"0", "FALSE", "NO", "OFF"})


class _Listener(Section):
    bind: str
    user_header: Annotated[str, Field(pattern=HEADER)]
    trusted_proxies: tuple[IPvAnyNetwork, ...]

    @field_validator("bind")
    @classmethod
    def _host_port(cls, bind: str) -> str:
        host, _, port = bind.rpartition(":")
        if bind and not (host and port.isdigit() and int(port) < 65536):
            raise ValueError('must be host:port such as "127.0.0.1:9464", or empty for off')
        return bind

    @model_validator(mode="after")
    def _header_needs_a_proxy(self) -> Self:
        if self.user_header and not self.trusted_proxies:
            raise ValueError(
                "user_header is believed only from trusted_proxies; set it to the proxy's address"
            )
        return self


class AdminSettings(_Listener):
    """The listener for operators and their tools."""

    allowed_hosts: tuple[str, ...]

    @field_validator("allowed_hosts")
    @classmethod
    def _host_names(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        for host in hosts:
            if not _HOST_NAME.fullmatch(host):
                raise ValueError(
                    'each must be a host name such as "notifier.example.com", without scheme and port'
                )
        return tuple(host.lower() for host in hosts)


class PublicSettings(_Listener):
    """The listener for people who act from a card."""

    url: Annotated[str, AfterValidator(check_web_url)]
    link_ttl_seconds: PositiveSeconds
    posts_per_minute: Annotated[int, Field(ge=1, le=10_000)]
    announce_acknowledgements: tuple[Priority, ...]

    @field_validator("announce_acknowledgements", mode="before")
    @classmethod
    def _priorities(cls, value: object) -> object:
        # An environment variable arrives as a list of its words.
        words = (
            [str(each).upper() for each in value] if isinstance(value, (list, tuple)) else []
        )
        if value is True or (len(words) == 1 and words[0] in _ALL):
            return tuple(Priority)
        if value is False or (len(words) == 1 and words[0] in _NONE):
            return ()
        if not isinstance(value, (list, tuple)) or not set(words) <= set(Priority):
            raise ValueError('must be true, false, or priorities such as ["CRITICAL", "HIGH"]')
        return tuple(words)
