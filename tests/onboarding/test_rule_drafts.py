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
from daemon.onboarding.prometheus_rules import Alerting, read_rules
from daemon.onboarding.recording_rules import RecordingRules
from daemon.onboarding.rule_drafts import RuleDraft, draft_rules
from daemon.onboarding.shapes.measure import selector_labels

BAD = 'sum by (job) (rate(http_total{code=~"5.."}[5m]))'
GOOD = 'sum by (job) (rate(http_total{code!~"5.."}[5m]))'
TOTAL = "sum by (job) (rate(http_total[5m]))"
RECORDED = RecordingRules(
    [
        ("job:bad:rate5m", {}, BAD),
        ("job:total:rate5m", {}, TOTAL),
        ("job:ratio", {}, "job:bad:rate5m / job:total:rate5m"),
    ]
)
NO_RECORDINGS = RecordingRules(())


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
        ("sum by (a, b) (x) > 1 or sum by (a) (y) > 1", ("a",)),
        ("sum by (a) (x) or vector(0)", ("a",)),
        ("quantile_over_time(0.9, sum by (a) (x)[5m:]) > 1", ("a",)),
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


def test_counts_of_several_severities_are_one_rule_by_the_lowest_level() -> None:
    warning = alert(f"{BAD} / {TOTAL} > 0.01", labels={"severity": "warning"})
    critical = alert(f"{BAD} / {TOTAL} > 0.05", labels={"severity": "critical"})
    proposal, data = one(warning, critical)
    assert (proposal.kind, proposal.alerts) == ("counts", 2)
    assert data["problem"]["severity"] == {"sev1": "20%", "sev2": "4%", "sev3": "0.1%"}
    assert data["problem"]["confirm"] == {"failing": "1%", "drop": "0.1%"}
    assert data["problem"]["target"] == "99%"
    assert proposal.text.count("# From the alert") == 2


def test_levels_of_one_value_are_severities_of_one_threshold() -> None:
    warning = alert("free / size < 0.2", labels={"severity": "warning"})
    critical = alert("free / size < 0.05", labels={"severity": "critical"})
    problem = one(warning, critical)[1]["problem"]
    assert problem["value"] == "min(free / size)"
    assert problem["threshold"] == {"below": 0.2}
    assert problem["severity"] == {"sev2": "75%", "sev3": "0%"}


def test_alerts_of_one_name_that_ask_for_different_things_are_joined() -> None:
    hot = alert("heat > 90", labels={"severity": "warning"})
    still = alert("sum(flow) < 1", labels={"severity": "critical"})
    problem = one(hot, still)[1]["problem"]
    assert problem["threshold"] == {
        "any": [{"value": "sum(flow)", "below": 1}, {"value": "max(heat)", "above": 90}]
    }
    assert problem["severity"] == {"sev2": "0%"}


def test_an_alert_that_waits_long_is_looked_back_for_long() -> None:
    slow = one(alert("works > 0", held_for=timedelta(hours=2)))[1]["problem"]
    assert slow["baseline"] == "4h"
    counts = one(alert(f"{BAD} / {TOTAL} > 0.01", held_for=timedelta(hours=1)))[1]["problem"]
    assert counts["baseline"] == "3h15m"


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


def test_labels_that_the_expression_drops_are_not_guessed() -> None:
    said = {"summary": "{{ $labels.instance }} of {{ $labels.zone }}"}
    _, data = one(alert("min without (instance) (x) < 1", annotations=said))
    assert data["group_by"] == ["zone"]
    made = 'label_replace(x, "zone", "$1", "host", "(.*)-.*") > 1'
    assert one(alert(made, annotations=said))[1]["group_by"] == ["instance", "zone"]


def test_names_that_are_taken_are_not_taken_again() -> None:
    proposal, data = one(alert("x > 1"), taken=["high-error-rate", "high-error-rate-2"])
    assert (proposal.path, data["rule"]) == ("web/high-error-rate-3.yaml", "high-error-rate-3")


@pytest.mark.parametrize(
    ("span", "windows"),
    [
        ("10s", ["10s"]),
        ("1m", ["1m"]),
        ("5m", ["2m30s", "5m"]),
        ("1h", ["5m", "1h"]),
        ("1d", ["2h", "1d"]),
    ],
)
def test_counts_are_taken_over_the_alerts_own_range(span: str, windows: list[str]) -> None:
    query = f"{BAD} / {TOTAL} > 0.01".replace("5m", span)
    assert one(alert(query))[1]["problem"]["windows"] == windows


def test_a_name_that_no_rule_can_match_alone_is_left_out() -> None:
    nobody = Alerting(rules._NOBODYS_VALUE, "up == 0", "web")
    assert [p.rule for p in draft_rules([nobody, alert("x > 1")], RECORDED, team="shop")] == [
        "high-error-rate"
    ]


@pytest.mark.parametrize("answer", [None, [], {}, {"data": {"groups": [{"rules": [1]}]}}, "x"])
def test_what_is_no_answer_of_prometheus_is_said(answer: Any) -> None:
    with pytest.raises(Permanent, match="not what Prometheus answers"):
        read_rules(answer)


# ── names with dots, severities, moments ─────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        ('time() - timestamp(max by ("service.name") (x)) > 300', "alerts"),
        ('topk(2, sum by ("service.name") (x)) > 3', "threshold"),
        ('x > on ("service.name") group_left ("team.name") 2 * y', "threshold"),
        ('max by ("service.name") (x > 4)', "threshold"),
        ('sum by ("service.name") (x) > 3 unless on ("service.name") y == 1', "threshold"),
    ],
)
def test_an_alert_by_a_label_with_a_dot_gets_a_rule(query: str, kind: str) -> None:
    [draft] = draft_rules([Alerting("Slow", query, "shop")], NO_RECORDINGS, team="shop")
    assert draft.kind == kind


def _severities(*alerts: tuple[str, str]) -> tuple[dict[str, float], str]:
    """What the one rule of these (query, severity) rates, in percent, and its text."""
    named = [Alerting("Loss", q, "shop", labels={"severity": s}) for q, s in alerts]
    [draft] = draft_rules(named, NO_RECORDINGS, team="shop")
    [(rule, _)] = rules.load(draft.text, draft.path)
    rated = rule.problem.severity
    return {name: round(share * 100, 6) for name, share in rated.items()}, draft.text


def test_a_warning_is_not_rated_as_the_critical_alert_of_its_name() -> None:
    ratio = 'sum(rate(lost_total{why="rain"}[5m])) / sum(rate(lost_total[5m]))'
    rated, text = _severities((f"{ratio} > 0.05", "warning"), (f"{ratio} > 0.2", "critical"))
    assert rated == {"sev1": 80, "sev2": 15, "sev3": 0.5}
    assert "differ in severity" not in text


def test_where_the_numbers_do_not_tell_the_severities_apart_the_file_says_so() -> None:
    rated, text = _severities(("x < 20 and z > 1", "warning"), ("x < 10 and y > 1", "critical"))
    assert rated == {"sev2": 0}
    assert "# Review: its alerts differ in severity, and all count as the severest, sev2" in text


def test_what_is_evaluated_at_the_end_of_a_range_is_counted_by_its_alerts() -> None:
    [draft] = draft_rules(
        [Alerting("Twice", "x / x @ start() > 2", "shop")], NO_RECORDINGS, team="shop"
    )
    assert draft.kind == "alerts"
    assert "@ start()" in draft.why
