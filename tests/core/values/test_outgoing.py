"""Which addresses are refused, in whatever way they are spelled, and what opens them."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from daemon.core.values.outgoing import (
    NOTHING_ALLOWED,
    AddressRefused,
    OutgoingPolicy,
    allowed_destinations,
    literal_address,
)

REFUSED = {
    "127.0.0.1": "loopback",
    "127.255.0.9": "loopback",
    "::1": "loopback",
    "::ffff:127.0.0.1": "loopback",
    "::127.0.0.1": "loopback",
    "64:ff9b::127.0.0.1": "loopback",
    "64:ff9b:1::a9fe:a9fe": "link-local",
    "64:ff9b:1:7f00:0:100::": "loopback",
    "2002:7f00:1::": "loopback",
    "2001:0:a9fe:a9fe::": "link-local",
    "2001:0:4136:e378:8000:63bf:80ff:fffe": "loopback",  # Teredo inverts its client
    "fe80::5efe:7f00:1": "link-local",
    "2001:db8::5efe:7f00:1": "loopback",
    "169.254.169.254": "link-local",
    "::ffff:169.254.169.254": "link-local",
    "fe80::1": "link-local",
    "fe80::1%eth0": "link-local",
    "fd00:ec2::254": "metadata",
    "fd00:ec2::23": "metadata",
    "fd20:ce::254": "metadata",
    "100.100.100.200": "metadata",
    "168.63.129.16": "metadata",
    "192.0.0.192": "metadata",
    "0.0.0.0": "unspecified",  # noqa: S104 - nothing listens
    "0.1.2.3": "unspecified",
    "::": "unspecified",
    "224.0.0.1": "multicast",
    "ff02::1": "multicast",
    "255.255.255.255": "broadcast",
}
LEFT_ALONE = [
    "10.0.0.1",
    "172.16.3.4",
    "192.168.1.1",
    "100.64.0.1",  # overlay networks
    "240.240.0.7",  # what a service mesh invents
    "203.0.113.9",
    "fd12:3456::1",
    "2001:db8::1",
    "::ffff:10.0.0.1",
    "64:ff9b::a00:1",
    "64:ff9b:1::a00:1",
    "64:ff9b:1:a00:0:100::",
]


@pytest.mark.parametrize(("address", "kind"), REFUSED.items())
def test_what_is_refused(address: str, kind: str) -> None:
    with pytest.raises(AddressRefused, match=rf"is .*{kind}.*`outgoing\.allow`"):
        NOTHING_ALLOWED.check_address("a.test", 443, ip_address(address))


@pytest.mark.parametrize("address", LEFT_ALONE)
def test_private_networks_are_where_services_live(address: str) -> None:
    NOTHING_ALLOWED.check_address("a.test", 443, ip_address(address))


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "0177.0.0.1",
        "0x7f.0.0.1",
        "0x7F000001",
        "2130706433",
        "017700000001",
        "127.0.0.1.",
        "[::1]",
        "[::ffff:7f00:1]",
        "0:0:0:0:0:0:0:1",
        "0",
        "localhost",
        "LOCALHOST.",
        "metrics.localhost",
        "localhost.localdomain",
        "1.2.3.4.5",  # no address and no name: who knows what a resolver makes of it
        "999.0.0.1",
    ],
)
def test_a_spelling_makes_no_difference(host: str) -> None:
    with pytest.raises(AddressRefused):
        NOTHING_ALLOWED.check_url("http", host, None)


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("0x0a.1", "10.0.0.1"),
        ("012.0.0.1", "10.0.0.1"),
        ("08.0.0.1", None),
        ("0xg.1", None),
        ("256.1.1.1", None),
        ("1.65536.1", None),
        ("4294967296", None),
        ("1.2.3.4.5", None),
        ("a.1", None),
        ("9" * 4000, None),
        ("", None),
    ],
)
def test_how_an_address_is_read(host: str, address: str | None) -> None:
    assert literal_address(host) == (None if address is None else ip_address(address))


@pytest.mark.parametrize("scheme", ["file", "ftp", "gopher", "ws", "unix", ""])
def test_no_other_scheme(scheme: str) -> None:
    with pytest.raises(AddressRefused, match="not a URL of http or https"):
        NOTHING_ALLOWED.check_url(scheme, "example.org", 80)


@pytest.mark.parametrize(
    ("entry", "host", "port", "address", "opens"),
    [
        ("127.0.0.0/8", "a.test", 80, "127.9.9.9", True),
        ("127.0.0.0/8", "a.test", 80, "::ffff:127.9.9.9", True),
        ("127.0.0.0/8", "a.test", 80, "::1", False),
        ("127.0.0.1", "a.test", 80, "127.0.0.1", True),
        ("127.0.0.1", "a.test", 80, "127.0.0.2", False),
        ("127.0.0.1:8080", "a.test", 8080, "127.0.0.1", True),
        ("127.0.0.1:8080", "a.test", 80, "127.0.0.1", False),
        ("[::1]:8080", "a.test", 8080, "::1", True),
        ("::1", "a.test", 1, "::1", True),
        ("a.test", "A.Test.", 80, "127.0.0.1", True),
        ("a.test:8080", "a.test", 8080, "169.254.169.254", True),
        ("a.test:8080", "a.test", 80, "127.0.0.1", False),
        ("a.test", "b.test", 80, "127.0.0.1", False),
        ("169.254.0.0/16", "a.test", 80, "169.254.169.254", True),
    ],
)
def test_what_an_entry_opens(entry: str, host: str, port: int, address: str, opens: bool) -> None:
    policy = OutgoingPolicy(allowed_destinations([entry]))
    try:
        policy.check_address(host, port, ip_address(address))
    except AddressRefused:
        assert not opens
    else:
        assert opens


@pytest.mark.parametrize(
    "entry",
    ["", "127.0.0.1/8", "http://a.test", "a.test:0", "a.test:99999", "127.1", "a b", "::1:"],
)
def test_an_entry_that_is_none_is_named(entry: str) -> None:
    with pytest.raises(ValueError, match=r"destination|ports"):
        allowed_destinations([entry])


@pytest.mark.parametrize(
    ("url", "host", "port", "ours"),
    [
        ("http://127.0.0.1:9090", "127.0.0.1", 9090, True),
        ("http://127.0.0.1:9090", "127.0.0.1", 9091, False),
        ("http://127.0.0.1:9090", "127.0.0.2", 9090, False),
        ("http://localhost", "localhost", 80, True),
        ("https://[::1]", "::1", 443, True),
        ("http://169.254.169.254", "169.254.169.254", 80, False),
        ("http://0.0.0.0:9090", "0.0.0.0", 9090, False),  # noqa: S104 - none is listened on
        ("http://metrics.test", "127.0.0.1", 80, False),
    ],
)
def test_what_the_operator_wrote_literally_is_theirs(
    url: str, host: str, port: int, ours: bool
) -> None:
    try:
        NOTHING_ALLOWED.trusting(url).check_host(host, port)
    except AddressRefused:
        assert not ours
    else:
        assert ours


def test_the_error_tells_place_address_and_mend() -> None:
    with pytest.raises(AddressRefused) as caught:
        NOTHING_ALLOWED.at("heartbeat.url").check_literally("http://u:secret@2130706433:81/secret")
    assert str(caught.value) == (
        "heartbeat.url: it leads to 127.0.0.1:81, which is loopback, where nothing goes by "
        'default; if it is meant, add "127.0.0.1:81" to `outgoing.allow` in stopgap.yaml'
    )
