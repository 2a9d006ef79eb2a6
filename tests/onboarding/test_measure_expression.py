"""From the alerts that people have to rules that measure: the walker, and its files."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import promql_parser
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.rules import promql
from daemon.core.rules import rule as rules
from daemon.core.rules.query_templates import check_query
from daemon.core.rules.rule_checks import check_rules
from daemon.core.values.outcome import Permanent
from daemon.onboarding.measure_expression import MeasureDraft, measure, selector_labels
from daemon.onboarding.prometheus_rules import Alerting, read_rules
from daemon.onboarding.recording_rules import RecordingRules
from daemon.onboarding.rule_drafts import RuleDraft, draft_rules

BAD = 'sum by (job) (rate(http_total{code=~"5.."}[5m]))'
GOOD = 'sum by (job) (rate(http_total{code!~"5.."}[5m]))'
TOTAL = "sum by (job) (rate(http_total[5m]))"
RECORDED = RecordingRules(
    [
        ("job:bad:rate5m", {}, BAD),
        ("job:total:rate5m", {}, TOTAL),
        ("job:ratio", {}, "job:bad:rate5m / job:total:rate5m"),
        ("slo:ratio", {"slo": "a"}, "sum(rate(a_bad[5m])) / sum(rate(a_all[5m]))"),
        ("slo:ratio", {"slo": "b"}, "sum(rate(b_bad[5m])) / sum(rate(b_all[5m]))"),
        ("loop:a", {}, "loop:b"),
        ("loop:b", {}, "loop:a"),
    ]
)
NO_RECORDINGS = RecordingRules(())


def measured(query: str, recordings: RecordingRules = RECORDED) -> MeasureDraft:
    group_by = [label for label in selector_labels(query, recordings) or () if label != "le"]
    return measure("Alert", query, group_by, recordings)


BAD_COUNT = 'sum(increase(http_total{code=~"5..",job="$job"}[$window]))'
TOTAL_COUNT = 'sum(increase(http_total{job="$job"}[$window]))'


@pytest.mark.parametrize(
    ("query", "limit"),
    [
        (f"{BAD} / {TOTAL} > 0.05", 0.05),
        (f"({BAD} / {TOTAL}) * 100 >= 5", 0.05),
        (f"100 * {BAD} / {TOTAL} > bool 5", 0.05),
        (f"0.05 < {BAD} / {TOTAL}", 0.05),
        (f"{BAD} / on (job) {TOTAL} > (14.4 * 0.001)", 0.0144),
        (f"-({BAD} / {TOTAL}) < -0.05", 0.05),
        (f"max({BAD} / {TOTAL} > 0.05) without (x)", 0.05),
        ("job:ratio > 0.05", 0.05),
        ("job:bad:rate5m / job:total:rate5m > 0.05", 0.05),
    ],
)
def test_a_ratio_of_rates_is_two_counts_however_it_is_spelled(query: str, limit: float) -> None:
    found = measured(query)
    assert (found.kind, found.limit) == ("counts", limit)
    assert found.queries == {"bad": BAD_COUNT, "total": TOTAL_COUNT}


@pytest.mark.parametrize(
    "query",
    [
        f"{GOOD} / {TOTAL} < 0.99",
        f"1 - {GOOD} / {TOTAL} > 0.01",
        f"100 * (1 - {GOOD} / {TOTAL}) > 1",
        f"100 - ({GOOD} / {TOTAL}) * 100 > 1",
        f"99 > 100 * ({GOOD} / {TOTAL})",
    ],
)
def test_successes_of_a_total_leave_the_failures(query: str) -> None:
    found = measured(query)
    good = 'sum(increase(http_total{code!~"5..",job="$job"}[$window]))'
    assert found.queries["bad"] == f"{TOTAL_COUNT} - ({good} or vector(0))"
    assert found.limit == pytest.approx(0.01)


def test_a_recorded_series_is_found_by_the_labels_that_its_rule_adds() -> None:
    found = measured('slo:ratio{slo="b"} > 0.1')
    assert found.queries["bad"] == "sum(increase(b_bad[$window]))"
    assert measured("slo:ratio > 0.1").kind == "value"
    held = measured('job:ratio{job="shop"} > 0.1')
    assert held.queries["total"] == 'sum(increase(http_total{job="shop"}[$window]))'
    quoted = measured('job:ratio{job="a\\"b"} > 0.1')
    assert quoted.queries["total"] == 'sum(increase(http_total{job="a\\"b"}[$window]))'
    assert measured('job:ratio{pod="x"} > 0.1').kind == "value"
    assert measured("loop:a > 1").kind == "value"


@pytest.mark.parametrize(
    ("query", "direction", "limit", "value"),
    [
        ("queue > 1000", "lower_is_better", 1000, "max(queue)"),
        ("1000 < queue", "lower_is_better", 1000, "max(queue)"),
        ("free / size * 100 < 5", "higher_is_better", 5, "min(free / size * 100)"),
        ("3 <= days < 20", "higher_is_better", 20, "min(days)"),
        ("count(up == 0) > 2", "lower_is_better", 2, "count(up == 0)"),
        (
            "histogram_quantile(0.9, sum by (le, job) (rate(x_bucket[5m]))) > 0.5",
            "lower_is_better",
            0.5,
            'max(histogram_quantile(0.9, sum by (le, job) (rate(x_bucket{job="$job"}[5m]))))',
        ),
        # An average, and shares of time, are no counts of events.
        (
            "rate(x_sum[5m]) / rate(x_count[5m]) > 0.3",
            "lower_is_better",
            0.3,
            "max(rate(x_sum[5m]) / rate(x_count[5m]))",
        ),
        (f"{BAD} / {TOTAL} > 3", "lower_is_better", 3, None),
    ],
)
def test_what_is_compared_with_a_number_is_a_value(
    query: str, direction: str, limit: float, value: str | None
) -> None:
    found = measured(query)
    assert (found.kind, found.direction, found.limit) == ("value", direction, limit)
    assert value is None or found.queries == {"value": value}


@pytest.mark.parametrize(
    "query", ["up == 0", "a > b", 'absent(up{job="x"})', "a - b > 0", "a unless b", "a > Inf"]
)
def test_of_anything_else_the_series_are_counted_for_which_it_holds(query: str) -> None:
    found = measured(query)
    assert found.kind == "condition"
    assert found.queries["value"].startswith("count(")
    assert "calls people, no more" in found.notes[0]


def test_counts_come_first_and_what_is_left_out_is_told() -> None:
    found = measured(f"queue > 5 and on (job) {BAD} / {TOTAL} > 0.05 unless paused == 1")
    assert found.kind == "counts"
    assert found.notes == ("left out: and queue > 5", "left out: unless paused == 1")


def test_an_alert_that_always_fires_is_told_apart() -> None:
    assert "dead man's switch" in measured("vector(1)").notes[0]


@pytest.mark.parametrize(
    ("query", "labels"),
    [
        ("sum by (a, le) (x) > 1", ("a",)),
        ("x / on (a) group_left (b) y > 1", None),
        ("sum by (a) (x) / on (a) group_left (b) y > 1", ("a", "b")),
        ("sum by (a) (x) / ignoring (b) sum by (a, b) (y) > 1", ("a",)),
        ("sum without (b) (sum by (a, b) (x)) > 1", ("a",)),
        ("1 > sum by (a) (x)", ("a",)),
        ("sum(x) > 1", ()),
        ('absent(up{job="x",code!="1"})', ("job",)),
        ('label_replace(sum by (a) (x), "c", "$1", "a", "(.*)") > 1', ("a", "c")),
        ("topk(3, sum by (a) (x)) > 1", ("a",)),
        ("job:ratio > 1", ("job",)),
        ("x[", None),
    ],
)
def test_which_labels_an_alert_has(query: str, labels: tuple[str, ...] | None) -> None:
    assert selector_labels(query, RECORDED) == labels


@pytest.mark.parametrize(
    ("query", "narrowed"),
    [
        ("x / on (svc) y", 'x{svc="$svc"} / on (svc) y{svc="$svc"}'),
        ("x / on (pod) group_left (svc) y", 'x / on (pod) group_left (svc) y{svc="$svc"}'),
        ("x / on (pod) group_left () y", 'x{svc="$svc"} / on (pod) group_left () y'),
        ("x unless on (pod) y", 'x{svc="$svc"} unless on (pod) y'),
        ("sum(x)", "sum(x)"),
        ('x{svc="a"}', 'x{svc="a"}'),
        ('label_replace(x, "svc", "$1", "a", "(.*)")', None),
        ("x - scalar(y)", 'x{svc="$svc"} - scalar(y)'),
        ("x[5m] offset 1h", 'x{svc="$svc"}[5m] offset 1h'),
        ("topk by (svc) (scalar(q), x)", 'topk by (svc) (scalar(q), x{svc="$svc"})'),
        ('count_values by (svc) ("v", x)', 'count_values by (svc) ("v", x{svc="$svc"})'),
    ],
)
def test_only_series_that_the_label_may_come_from_are_held_to_it(
    query: str, narrowed: str | None
) -> None:
    spelled = promql.spelled(promql.parsed(query), {"svc": "$svc"})
    assert spelled == (narrowed or promql.spelled(promql.parsed(query)))


# ── whatever is thrown at it ─────────────────────────────────────────────────────────────────

METRICS = st.sampled_from(["http_total", "a:b", "up", "x_bucket"])
MATCHERS = st.sampled_from(["", '{job="a\\"b"}', '{code!~"5..|\\\\d"}', '{a="$x",b=""}'])
SHIFTS = st.sampled_from(
    ["", " offset 90s", " offset -1s500ms", " @ 1609746000.123", " @ start() offset 1w"]
)
SELECTORS = st.one_of(
    st.builds("{}{}{}".format, METRICS, MATCHERS, SHIFTS),
    st.builds('{{"{}.{}"}}{}'.format, st.just("http"), METRICS, SHIFTS),
    st.just('{"http.route"="$x] [5m",__name__="http.total"}'),
)
RANGES = st.builds("rate({}{}[{}]{})".format, METRICS, MATCHERS, st.just("1m500ms"), SHIFTS)
LABELS = st.sampled_from(["job", "job, svc", "pod", '"http.route", le', "svc"])
MATCHING = st.sampled_from(
    [
        *("+", "/", "^", "> bool", "> on (job)", "and", "or", "unless on (svc)", "* on ()"),
        "* ignoring (pod) group_left (le)",
        '* on ("http.route") group_right (svc)',
        "/ ignoring (svc) fill_left (0)",
    ]
)


def _deeper(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("({})".format, inner),
        st.builds("-{}".format, inner),
        st.builds("{} by ({}) ({})".format, st.sampled_from(["sum", "max"]), LABELS, inner),
        st.builds("topk without ({}) (2, {})".format, LABELS, inner),
        st.builds("quantile by ({}) (scalar({}), {})".format, LABELS, SELECTORS, inner),
        st.builds("abs({})".format, SELECTORS),
        st.builds('label_replace({}, "svc", "$1\\n\\"", "a", "(.*)")'.format, inner),
        st.builds("max_over_time({}[1h:]{})".format, inner, SHIFTS),
        st.builds("max_over_time({}[1h:5m] @ end())".format, inner),
        st.builds("({}) {} ({})".format, inner, MATCHING, inner),
        st.builds("{} {} {}".format, inner, MATCHING, inner),  # precedence makes the tree
    )


VECTORS = st.recursive(st.one_of(SELECTORS, RANGES), _deeper, max_leaves=6)
QUERIES = st.builds(
    "{} {} {}".format, VECTORS, st.sampled_from([">", "<", "==", "<="]), st.sampled_from([0, 0.5])
)


def _valid(query: str) -> bool:
    try:
        promql_parser.parse(query)
    except ValueError:
        return False
    return True


def _meant(query: str) -> str:
    """The parser's tree, to the last field."""
    return repr(promql_parser.parse(query))


@given(VECTORS.filter(_valid))
def test_what_is_spelled_says_the_same(query: str) -> None:
    spelled = promql.spelled(promql_parser.parse(query))
    # `$x` would be a label of the incident in a template, so it is spelled otherwise.
    plain = query.replace('="$x] [5m"', '=~"[$]x\\\\] \\\\[5m"').replace('="$x"', '=~"[$]x"')
    assert _meant(spelled) == _meant(plain)
    written = promql.written(promql_parser.parse(query))
    assert _meant(written) == _meant(query)
    assert "\n" not in spelled + written


@given(VECTORS.filter(_valid))
def test_holding_series_to_a_label_changes_nothing_else(query: str) -> None:
    tree = promql_parser.parse(query)
    narrowed = promql.spelled(tree, {"svc": "$svc"})
    assert check_query(narrowed, ["svc"], windowed=False) is None
    freed = narrowed.replace('svc="$svc",', "").replace(',svc="$svc"', "")
    assert _meant(freed.replace('{svc="$svc"}', "")) == _meant(promql.spelled(tree))


@given(RANGES)
def test_a_window_takes_the_place_of_the_range_alone(query: str) -> None:
    (selector,) = promql_parser.parse(query).args
    windowed = promql.windowed(selector)
    assert windowed.count("[$window]") == 1
    assert windowed.replace("[$window]", "[1m500ms]") == promql.spelled(selector)


def test_what_the_parser_cannot_write_is_not_read() -> None:
    for query in ("x @ -5", "max_over_time(x[5m:1m] @ -5)"):
        assert promql_parser.parse(query).prettify() != query  # it writes `@ 0.000`
        assert measured(f"{query} > 1").kind == "unreadable"


def test_what_is_left_out_may_be_what_no_label_can_be_added_to() -> None:
    found = measured('queue > 5 and x{a="1" or b="2"}')
    assert found.queries == {"value": "max(queue)"}
    assert found.notes == ('left out: and x{a="1" or b="2"}',)
    assert measured('x{a="1" or b="2"} > 5').kind == "unreadable"


@given(
    st.floats(0.001, 0.9).map(lambda limit: round(limit, 4)),
    st.lists(st.sampled_from(["paren", "percent", "complement", "minus"]), max_size=5),
)
def test_factors_and_complements_do_not_change_what_is_meant(
    limit: float, wraps: list[str]
) -> None:
    query, bound, above = f"{BAD} / {TOTAL}", limit, True
    for wrap in wraps:
        if wrap == "paren":
            query = f"({query})"
        elif wrap == "percent":
            query, bound = f"100 * ({query})", bound * 100
        elif wrap == "complement":
            query, bound, above = f"1 - ({query})", 1 - bound, not above
        else:
            query, bound, above = f"-({query})", -bound, not above
    found = measured(f"{query} {'>' if above else '<'} {bound!r}")
    assert found.kind == "counts"
    assert found.queries == {"bad": BAD_COUNT, "total": TOTAL_COUNT}
    assert found.limit == pytest.approx(limit, rel=1e-3)


NAMES = st.text(min_size=1, max_size=80).filter(lambda name: name != rules._NOBODYS_VALUE)
ALERTS = st.builds(
    Alerting,
    name=NAMES,
    query=st.one_of(QUERIES, NAMES),
    group=NAMES,
    interval=st.integers(1, 7200).map(lambda s: timedelta(seconds=s)),
    labels=st.dictionaries(st.sampled_from(["severity", "team"]), NAMES, max_size=2),
    annotations=st.dictionaries(st.sampled_from(["summary", "runbook_url"]), NAMES, max_size=2),
)


@given(st.lists(ALERTS, min_size=1, max_size=4))
def test_every_proposal_is_sound_and_answers_its_alert(alerts: list[Alerting]) -> None:
    proposals = draft_rules(alerts, NO_RECORDINGS, team="shop")
    assert len({p.path for p in proposals}) == len({p.rule for p in proposals}) == len(proposals)
    loaded = [found for p in proposals for found in rules.load(p.text, p.path)]
    assert check_rules(loaded, {}, {}, ["shop"]) == []
    book = rules.RuleBook(rule for rule, _ in loaded)
    assert all(rule.mode == "observe" for rule in book.rules.values())
    for alert in alerts:
        assert len(book.find({"alertname": alert.name})) == 1
    for proposal in proposals:
        folder, _, name = proposal.path.partition("/")
        assert set(folder + name.removesuffix(".yaml")) <= set(
            "abcdefghijklmnopqrstuvwxyz0123456789-"
        )
        assert name not in {"roster.yaml", "approvals.yaml", "freezes.yaml"}


@pytest.mark.parametrize("name", ["\x85", "a\x85b", "\u2028", " x ", "\x0b", "\ufeff", "\\n", '"'])
def test_a_name_that_yaml_could_change_stays_as_it_is(name: str) -> None:
    (proposal,) = draft_rules(
        [Alerting(name=name, query="up == 0", group="g", interval=timedelta(seconds=30))],
        NO_RECORDINGS,
        team="shop",
    )
    [(rule, _)] = rules.load(proposal.text, proposal.path)
    assert rules.RuleBook([rule]).find({"alertname": name}) == [rule]


# ── the files ────────────────────────────────────────────────────────────────────────────────


def one(*alerts: Alerting, **more: Any) -> tuple[RuleDraft, dict[str, Any]]:
    [proposal] = draft_rules(alerts, RECORDED, team="shop", **more)
    return proposal, yaml.safe_load(proposal.text)


def alert(query: str, **more: Any) -> Alerting:
    return Alerting("HighErrorRate", query, "web", **more)


def test_an_alert_of_several_severities_is_one_rule_after_the_severest() -> None:
    warning = alert(f"{BAD} / {TOTAL} > 0.01", labels={"severity": "warning"})
    critical = alert(f"{BAD} / {TOTAL} > 0.05", labels={"severity": "critical"})
    proposal, data = one(warning, critical)
    assert proposal.alerts == 2
    assert data["problem"]["severity"] == {"sev1": "20%", "sev2": "5%"}
    assert data["problem"]["confirm"] == {"drop": "5%", "traffic": "30/m"}
    assert proposal.text.count("# From the alert") == 2


def test_labels_that_an_alert_cannot_have_make_no_group() -> None:
    query = "sum by (cluster, service, team) (x) > 1"
    _, data = one(alert(query, labels={"team": "a"}), labels={"service", "team"})
    assert data["group_by"] == ["service"]
    firing = ({"alertname": "HighErrorRate", "service": "shop"},)
    assert one(alert(query, active=firing))[1]["group_by"] == ["service"]
    said = {"summary": "{{ $labels.instance }} of {{.Labels.zone}}"}
    proposal, data = one(alert("x > 1", annotations=said))
    assert data["group_by"] == ["instance", "zone"]
    assert "guessed" in proposal.text
    assert data["description"] == "<instance> of <zone>"


def test_names_that_are_taken_are_not_taken_again() -> None:
    proposal, data = one(alert("x > 1"), taken=["high-error-rate", "high-error-rate-2"])
    assert (proposal.path, data["rule"]) == ("web/high-error-rate-3.yaml", "high-error-rate-3")


@pytest.mark.parametrize(
    ("query", "by"), [("x > 10", 5), ("x < 99", 1), ("x < 0.9", 0.1), ("x < 20", 10)]
)
def test_how_much_worse_matters_goes_by_the_threshold(query: str, by: float) -> None:
    assert one(alert(query))[1]["problem"]["confirm"]["by"] == by


def test_windows_hold_four_evaluations_or_are_the_expressions_own() -> None:
    slow = alert("x > 1", interval=timedelta(minutes=2))
    assert one(slow)[1]["problem"]["windows"] == ["8m", "16m"]
    quick = alert("rate(x[10s]) > 1", interval=timedelta(seconds=1))
    assert one(quick)[1]["problem"]["windows"] == ["10s", "20s"]


def test_a_name_that_no_rule_can_match_alone_is_left_out() -> None:
    nobody = Alerting(rules._NOBODYS_VALUE, "up == 0", "web")
    assert [p.rule for p in draft_rules([nobody, alert("x > 1")], RECORDED, team="shop")] == [
        "high-error-rate"
    ]


@pytest.mark.parametrize("answer", [None, [], {}, {"data": {"groups": [{"rules": [1]}]}}, "x"])
def test_what_is_no_answer_of_prometheus_is_said(answer: Any) -> None:
    with pytest.raises(Permanent, match="not what Prometheus answers"):
        read_rules(answer)
