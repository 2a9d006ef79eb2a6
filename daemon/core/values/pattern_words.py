"""What a setting whose text has to match a pattern is to be, in the words of people."""

from __future__ import annotations

PATTERN_WORDS = {
    r"\S": "this is blank; write what people can read",
    "^https?://": "this is no address; write it like https://host.example:9090",
    r"^https?://\S+$": "this is no address; write it like https://host.example/support",
    r"^.+:\d{1,5}$": "an address with its port is needed; write it like 127.0.0.1:9393",
    "^(debug|info|warning|error)$": "this is no level; write one of debug, info, warning, error",
    "^(json|console)$": "this is no format; write json or console",
    r"^[^@\s]+@[^@\s]+$": "this is no mail address; write it like stopgap@example.org",
    "^[0-9+() ./-]{3,40}$": "this is no telephone number; write it like +1 555 0100",
    "^[^:]+$": "a user name has no colon; give its password by `password`",
    "^[A-Za-z0-9-]*$": "this is no name of a header; write it like X-Signed-At",
    "^[A-Za-z0-9-]+$": "this is no name of a header; write it like X-Forwarded-User",
    "^[A-Za-z0-9._-]*$": "letters, digits, dots, dashes alone; write it like host-1",
    "^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$": "this is no repository; write it like owner/name",
    "^[A-Z][A-Z0-9_]*$": "this is no key of a project; write it in capitals, like OPS",
    r"^[^/\\]+\.ics$": "this is no calendar beside this file; write its name, like holidays.ics",
    "^[a-z0-9]+(-[a-z0-9]+)*$": "small letters, digits, single dashes; write it like bad-release",
    "^[a-z0-9_-]{0,20}$": "at most 20 small letters, digits, dashes; write it like inc-",
    "^[a-z0-9_+'-]{1,100}$": "this is no name of an emoji; write it without colons, like memo",
    "^[0-9a-f]{64}$": "this is no digest of a step; `stopgap approve` writes it",
}
"""By the pattern. Of a field that is not here the pattern itself is told."""
