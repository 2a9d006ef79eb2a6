"""Which server reads the queries, and which version of Prometheus knows what.

Versions are those of Prometheus' changelog, tried on 2.42, 2.53 and 3.5.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

Version = tuple[int, int]
OLDEST: Version = (2, 42)
"""The oldest Prometheus that Stopgap supports: Debian 12's."""
USUAL: Version = (3, 5)
"""The newest of Debian's: what needs a flag there needs one."""
VICTORIAMETRICS = "victoriametrics"
_PROMETHEUS = "prometheus"
_VERSION = re.compile(r"v?(\d+)\.(\d+)")


def parse_version(text: str) -> Version | None:
    """Major and minor of `2.53.3+ds1`; None if the text is no version."""
    match = _VERSION.match(text.strip())
    return (int(match[1]), int(match[2])) if match else None


@dataclass(frozen=True, slots=True)
class PromqlServer:
    """Who reads the queries. What is not known is left to any supported version.

    `flavour` as in `prometheus.flavour`; `version` is that of a Prometheus, for others number
    theirs differently; `flags` are its `--enable-feature`s, None if nobody asked.
    """

    flavour: str = _PROMETHEUS
    version: Version | None = None
    flags: frozenset[str] | None = None

    @property
    def reads_metricsql(self) -> bool:
        """Whether it reads more than PromQL, by rules of its own."""
        return self.flavour == VICTORIAMETRICS

    @property
    def numbered(self) -> Version | None:
        """The version, where it is one of Prometheus."""
        return self.version if self.flavour == _PROMETHEUS else None


ANY_SERVER = PromqlServer()


@dataclass(frozen=True, slots=True)
class Feature:
    """Something of PromQL that not every version knows: from `since` until before `gone`.

    `flag` of `--enable-feature` is needed before `stable`. `mend` says what to write instead.
    """

    what: str
    since: Version = OLDEST
    gone: Version | None = None
    flag: str = ""
    stable: Version | None = None
    mend: str = ""

    def refusal(self, server: PromqlServer) -> str:
        """Why this server refuses it; empty if it does not, or nobody knows."""
        version = server.numbered
        if version is None:
            return ""
        here = f"this one is {spelled_version(version)}"
        if version < self.since:
            return f"{self._needs()}; {here}{self._mend()}"
        if self.gone is not None and version >= self.gone:
            return (
                f"{self.what} is gone since Prometheus {spelled_version(self.gone)}{self._mend()}"
            )
        if self._behind_flag(version) and server.flags is not None:
            if self.flag in server.flags:
                return ""
            return f"{self.what} is experimental; it needs --enable-feature={self.flag}"
        return ""

    def hint(self, server: PromqlServer) -> str:
        """What to know about it where the server, or all about it, is not known."""
        version = server.numbered
        if server.reads_metricsql or (version is not None and server.flags is not None):
            return ""
        if version is None and self.gone is not None:
            gone = f"gone since Prometheus {spelled_version(self.gone)}"
            return f"{self.what} is {gone}{self._mend()}"
        new = version is None and self.since > OLDEST
        flag = f"--enable-feature={self.flag}" if self._behind_flag(version or USUAL) else ""
        if flag:
            return (
                f"{self._needs() if new else f'{self.what} needs'} {'with ' if new else ''}{flag}"
            )
        return self._needs() if new else ""

    def _behind_flag(self, version: Version) -> bool:
        return bool(self.flag) and (self.stable is None or version < self.stable)

    def _needs(self) -> str:
        return f"{self.what} needs Prometheus {spelled_version(self.since)} or newer"

    def _mend(self) -> str:
        return f"; {self.mend}" if self.mend else ""


def spelled_version(version: Version) -> str:
    """`3.5`."""
    return f"{version[0]}.{version[1]}"


_EXPERIMENTAL = "promql-experimental-functions"


def _experimental(name: str, since: Version, stable: Version | None = None) -> Feature:
    return Feature(f"{name}()", since, flag=_EXPERIMENTAL, stable=stable)


FUNCTIONS: Mapping[str, Feature] = MappingProxyType(
    {
        "histogram_stddev": Feature("histogram_stddev()", (2, 47)),
        "histogram_stdvar": Feature("histogram_stdvar()", (2, 47)),
        "histogram_avg": Feature("histogram_avg()", (2, 51)),
        "holt_winters": Feature(
            "holt_winters()", gone=(3, 0), mend="there it is double_exponential_smoothing()"
        ),
        "double_exponential_smoothing": Feature(
            "double_exponential_smoothing()",
            (3, 0),
            flag=_EXPERIMENTAL,
            mend="before it was holt_winters()",
        ),
        "mad_over_time": _experimental("mad_over_time", (2, 49)),
        "sort_by_label": _experimental("sort_by_label", (2, 49)),
        "sort_by_label_desc": _experimental("sort_by_label_desc", (2, 49)),
        "limitk": _experimental("limitk", (2, 54)),
        "limit_ratio": _experimental("limit_ratio", (2, 54)),
        "info": _experimental("info", (2, 55)),
        "ts_of_min_over_time": _experimental("ts_of_min_over_time", (3, 5)),
        "ts_of_max_over_time": _experimental("ts_of_max_over_time", (3, 5)),
        "ts_of_last_over_time": _experimental("ts_of_last_over_time", (3, 5)),
        "first_over_time": _experimental("first_over_time", (3, 7), (3, 14)),
        "ts_of_first_over_time": _experimental("ts_of_first_over_time", (3, 7)),
        "histogram_quantiles": _experimental("histogram_quantiles", (3, 11)),
        "start": _experimental("start", (3, 12)),
        "end": _experimental("end", (3, 12)),
        "range": _experimental("range", (3, 12)),
        "step": _experimental("step", (3, 12)),
        "min_of": _experimental("min_of", (3, 13)),
        "max_of": _experimental("max_of", (3, 13)),
        "start_timestamp": Feature("start_timestamp()", (3, 14), flag="use-start-timestamps"),
    }
)
"""Functions and aggregations that not every version has; all others every one has."""

QUOTED_NAMES = Feature("a name in quotes", (2, 53))
QUOTED_LABELS = Feature("a quoted or UTF-8 label name", (3, 0))
SECONDS = Feature("a duration without a unit", (2, 54), mend="write its unit: 300s")
DURATION_NUMBERS = Feature("a duration as a number", (2, 54), mend="write it in seconds")
UNDERSCORES = Feature("a number with _ in it", (2, 54), mend="leave the _ out")
LENIENT_DURATIONS = Feature(
    "a duration of 0, with + or with a space in it", (3, 0), mend="leave that out"
)
DURATION_ARITHMETIC = Feature(
    "arithmetic in a duration",
    (3, 4),
    flag="promql-duration-expr",
    stable=(3, 14),
    mend="write the duration itself",
)
EXTENDED_RANGE = Feature("`anchored` or `smoothed`", (3, 7), flag="promql-extended-range-selectors")
FILLED = Feature("`fill` between series", (3, 10), flag="promql-binop-fill-modifiers")
TRIMMED = Feature("`</` or `>/`", (3, 11))
NAMED_GROUP = Feature("`(?<name>…)` in a regular expression", (2, 53), mend="write (?P<name>…)")
LOOSE_REGEX = Feature(
    "an unclosed \\Q, or a byte that is no UTF-8, in a regular expression", (2, 53)
)
