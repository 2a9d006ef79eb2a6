"""`auth` of stopgap.yaml: how people prove who they are, and what a delivery must bring."""

from __future__ import annotations

import ipaddress
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema

from daemon.core.people.contact_methods import Reference
from daemon.core.values.units import Duration, Frozen, parse_duration, unset

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _network(value: object) -> Network:
    try:
        network = ipaddress.ip_network(str(value))
    except ValueError:
        text = f"{value!r} is no network; write it like 10.0.3.0/24, or 127.0.0.1/32 for one host"
        raise ValueError(text) from None
    if network.prefixlen == 0:
        raise ValueError(f"{value} is everybody, who could then say they are anybody")
    return network


Cidr = Annotated[
    Network,
    BeforeValidator(_network),
    PlainSerializer(str),
    WithJsonSchema({"type": "string", "description": "a network: 10.0.3.0/24"}),
]


class ProxySettings(Frozen):
    """`header`: where a reverse proxy says who asks; null: it says only from where, by
    X-Forwarded-For. Only what comes from `from` is believed."""

    header: str | None = Field(default=None, pattern="^[A-Za-z0-9-]+$")
    peers: tuple[Cidr, ...] = Field(alias="from", min_length=1)

    def trusts(self, peer: str | None) -> bool:
        """Whether that address is such a proxy's."""
        try:
            address = ipaddress.ip_address((peer or "").partition("%")[0])
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in self.peers)


class GroupAccess(Frozen):
    """Which groups, as `claim` names them, give which access to people of the roster."""

    claim: str = "groups"
    responder: tuple[str, ...] = ()
    admin: tuple[str, ...] = ()


def _with_openid(value: tuple[str, ...]) -> tuple[str, ...]:
    if "openid" not in value:
        raise ValueError("`openid` is missing; without it the provider tells nobody's identity")
    return value


class OidcSettings(Frozen):
    """An OpenID Connect provider. `claim`: what of the ID token names the person.

    `anyone`: what people may do whom the roster does not know; null refuses them.
    """

    issuer: str = Field(pattern="^https?://")
    client_id: str = Field(min_length=1)
    client_secret: Reference | None = None
    scopes: Annotated[tuple[str, ...], AfterValidator(_with_openid)] = (
        "openid",
        "profile",
        "email",
    )
    claim: str = "email"
    access: GroupAccess = unset(GroupAccess)
    anyone: Literal["viewer"] | None = None


class AuthSettings(Frozen):
    """`webhook_token`: what Alertmanager must send as bearer token or basic password.

    `webhook_certificates`: names in a client's certificate that do as well.
    `webhook_signing_secret`: with what a sender may sign instead, as Grafana does;
    `webhook_timestamp_header`: the header with the time that is signed, too, if it sends one.
    `session`: how long a login lasts. `key_grace`: how long the documents open that a key has
    linked to before it was rotated. `proxy` and `oidc`: other ways to say who one is.
    """

    webhook_token: Reference | None = None
    webhook_certificates: tuple[str, ...] = ()
    webhook_signing_secret: Reference | None = None
    webhook_timestamp_header: str = Field(default="", pattern=r"^[A-Za-z0-9-]*$", max_length=100)
    session: Duration = Field(default=parse_duration("12h"), ge=timedelta(minutes=1))
    key_grace: Duration = Field(default=parse_duration("90d"), ge=timedelta(days=1))
    proxy: ProxySettings | None = None
    oidc: OidcSettings | None = None

    @property
    def longest(self) -> timedelta:
        """What lives longest of what keys sign; the links in pages live for a day."""
        return max(self.session, self.key_grace)
