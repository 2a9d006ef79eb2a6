"""What a query selects, for queries that no parser here reads: by their tokens alone."""

from __future__ import annotations

from daemon.core.rules.promql_dialect.tokens import (
    EXTENDED,
    GROUPING,
    OPERATORS,
    Token,
    TokenKind,
    query_tokens,
)

_METRICSQL = frozenset({"default", "if", "ifnot", "keep_metric_names", "limit", "inf", "nan"})


def selector_texts(query: str) -> list[str]:
    """The instant selectors of a query as written, for a query that no parser reads: names and
    braces that are no function, no keyword and no label to group by."""
    significant = [t for t in query_tokens(query) if t.kind is not TokenKind.SPACE]
    found: list[str] = []
    grouping: list[bool] = []
    place = 0
    while place < len(significant):
        token = significant[place]
        before = significant[place - 1].text if place else ""
        after = significant[place + 1].text if place + 1 < len(significant) else ""
        place += 1
        if token.text in {"(", "["}:
            grouping.append(token.text == "[" or before in GROUPING)
        elif token.text in {")", "]"} and grouping:
            grouping.pop()
        elif any(grouping) or not _begins_selector(token, before, after):
            continue
        else:
            end = place if token.text != "{" else place - 1
            braces = _braces(significant[end:]) if token.text == "{" or after == "{" else []
            found.append("".join([token.text if token.text != "{" else "", *braces]))
            place = end + len(braces)
    return found


def _begins_selector(token: Token, before: str, after: str) -> bool:
    if token.text == "{":
        return True
    words = {*OPERATORS, *EXTENDED, *_METRICSQL}
    is_name = token.kind is TokenKind.NAME and token.text.lower() not in words
    return is_name and after not in {"(", *GROUPING} and before != "@"


def _braces(following: list[Token]) -> list[str]:
    """The tokens from `{` to its `}`."""
    texts = [token.text for token in following]
    return texts[: texts.index("}") + 1] if "}" in texts else []
