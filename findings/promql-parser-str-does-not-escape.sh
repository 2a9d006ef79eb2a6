#!/usr/bin/env bash
# promql-parser 0.12.0 (Python): after a change only str() shows a selector, and it does not escape.
#
# Behaviour: the package's docs say "Use str() to convert to PromQL after modifications". str()
#   writes label values without escaping quotes and backslashes, cuts ranges to whole seconds
#   ([1500ms] becomes [1s], which parses), and leaves the colon out of a subquery without a step.
#   prettify() escapes and keeps all of it, but goes on showing a changed selector as it was
#   before; transform() ignores the change, too, when the selector is given back to it.
# Matters to: whoever adds a matcher whose value holds a backslash or a quote (Windows volumes and
#   services, patterns): the query asks for something else, matches nothing, or does not parse.
# Way out: write the selector oneself (escaped), parse() it, and return that from transform();
#   print by prettify().
#
# Seen 2026-11-29:
#   promql-parser 0.12.0
#   value meant: D:\backup
#   str():       up{volume="D:\backup"}
#   parsed back: 'D:\x08ackup'
#   prettify():  up
#   transform(): up
#   up[1500ms] by str(): up{}[1s] by prettify(): up[1s500ms]
#   max_over_time(up[1h:]) by str(): max_over_time(up{}[1h]) by prettify(): max_over_time(up[1h:])
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -qq --no-compile promql-parser==0.12.0
"$dir/venv/bin/python" - <<'PY'
from importlib.metadata import version

import promql_parser as p

VALUE = r"D:\backup"


def changed(node):
    if isinstance(node, p.VectorSelector):
        node.matchers = p.Matchers([p.Matcher(p.MatchOp.Equal, "volume", VALUE)])
    return node


selector = changed(p.parse("up"))
text = str(selector)
again = p.parse(text).matchers.matchers[0].value
old, ignored = selector.prettify(), p.transform(p.parse("up"), changed).prettify()
short, open_ended = p.parse("up[1500ms]"), p.parse("max_over_time(up[1h:])")
print("promql-parser", version("promql-parser"))
print("value meant:", VALUE)
print("str():      ", text)
print("parsed back:", ascii(again))
print("prettify(): ", old)
print("transform():", ignored)
for node, was in ((short, "up[1500ms]"), (open_ended, "max_over_time(up[1h:])")):
    print(was, "by str():", str(node), "by prettify():", node.prettify())
seen = text, again, old, ignored, str(short), short.prettify(), str(open_ended)
expected = (
    'up{volume="D:\\backup"}',
    "D:\x08ackup",
    "up",
    "up",
    "up{}[1s]",
    "up[1s500ms]",
    "max_over_time(up{}[1h])",
)
if seen != expected or p.parse('up{job="a\\"b"}').prettify() != 'up{job="a\\"b"}':
    raise SystemExit("CHANGED: str() no longer writes it that way")
PY
