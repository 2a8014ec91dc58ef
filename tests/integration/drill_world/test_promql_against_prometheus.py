"""The drill's PromQL evaluator gives what a real Prometheus gives over the same series."""

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drill.formats import QueryError, number
from drill.metrics.promql import Query, parse
from tests.integration.drill_world.conftest import BASE, POINTS, STEP_S, Twin

pytestmark = pytest.mark.slow
END = BASE + (POINTS - 1) * STEP_S

EXPRESSIONS = """
req_total
req_total{code="500"}
req_total{service!="cart",pod=~"c-.*|p-1"}
{__name__=~"mem|flat",pod!~"k.*"}
req_total offset 5m
req_total offset -2m
req_total @ 1700000600
mem @ end()
mem @ start() - mem
rate(req_total[1m])
rate(req_total[5m])
rate(req_total[45s] offset 3m)
irate(req_total[2m])
increase(req_total[10m])
delta(mem[5m])
idelta(mem[5m])
deriv(mem[5m])
predict_linear(mem[10m], 600)
avg_over_time(mem[7m])
min_over_time(mem[3m])
max_over_time(mem[3m])
sum_over_time(mem[3m])
count_over_time(req_total[4m])
stddev_over_time(mem[6m])
stdvar_over_time(mem[6m])
last_over_time(req_total[2m])
present_over_time(req_total[2m])
quantile_over_time(0.9, mem[6m])
quantile_over_time(-1, mem[6m])
quantile_over_time(1.5, mem[6m])
changes(flat[5m])
changes(mem[5m])
resets(req_total[20m])
absent(nothing)
absent(nothing{a="b",c=~"d",e="f",e="g"})
absent(mem)
absent_over_time(nothing{a="b"}[5m])
absent_over_time(mem[5m])
sum(req_total)
sum by (service) (rate(req_total[5m]))
sum by (service, code) (rate(req_total[5m]))
sum without (pod) (rate(req_total[5m]))
avg by (service) (mem)
min(mem)
max by (service) (mem)
count by (code) (req_total)
group by (service) (mem)
stddev(mem)
stdvar by (service) (mem)
topk(2, mem)
bottomk(1, mem) by (service)
topk(0, mem)
quantile(0.5, mem)
quantile by (service) (0.25, mem)
count_values("v", flat)
count_values by (pod) ("v", flat)
mem + 1
1 - mem
mem * 2 / 3 % 5
mem ^ 2
-mem
-(mem ^ 0.5)
2 ^ 3 ^ 2
mem > 40
40 < mem
mem > bool 40
40 <= bool mem
1 == bool 1
mem == mem
mem != bool mem
mem atan2 flat
mem + on(pod) flat
mem * on(pod) group_left(node) info
info * on(pod) group_right() mem
req_total / on(pod) group_left mem
flat + ignoring(service) mem
mem > on(pod) flat
mem and on(pod) flat{pod="c-1"}
mem or flat
mem unless on(pod) flat{pod="c-1"}
mem and mem > 50
flat == bool on(pod) mem
sum by (service) (rate(req_total{code="500"}[5m])) / sum by (service) (rate(req_total[5m])) > 0.05
req_total + on(service) mem
mem + on(service) req_total
histogram_quantile(0.5, lat_bucket)
histogram_quantile(0.95, sum by (le) (rate(lat_bucket[5m])))
histogram_quantile(0.99, sum by (le, pod) (increase(lat_bucket[10m])))
histogram_quantile(-1, lat_bucket)
histogram_quantile(2, lat_bucket)
histogram_quantile(0.5, rate(lat_bucket{le!="+Inf"}[5m]))
label_replace(mem, "host", "$1-x", "pod", "(.)-.*")
label_replace(mem, "pod", "", "service", "cart")
label_replace(mem, "x", "${n}", "pod", "(?P<n>.).*")
label_replace(mem, "bad-name", "x", "pod", ".*")
label_join(mem, "both", "/", "service", "pod")
abs(mem)
ceil(mem)
floor(mem)
round(mem)
round(mem, 5)
round(mem, 0.1)
exp(odd)
ln(odd)
log2(odd)
log10(odd)
sqrt(odd)
sgn(odd)
abs(odd)
sin(mem)
cos(odd)
tan(mem)
asin(odd)
acos(odd)
atan(odd)
sinh(odd)
cosh(odd)
tanh(odd)
asinh(odd)
acosh(odd)
atanh(odd)
deg(odd)
rad(odd)
clamp(mem, 10, 60)
clamp(mem, 60, 10)
clamp_min(odd, 0)
clamp_max(odd, 0)
odd + 1
odd * 0
odd / 0
odd % 2
odd ^ 2
odd > 0
odd == bool odd
sum(odd)
avg(odd)
max(odd)
min(odd)
topk(3, odd)
stddev(odd{i=~"0|1|2|6"})
quantile(0.3, odd)
max_over_time(odd[2m])
sum_over_time(odd[2m])
avg_over_time(odd{i!="5"}[2m])
scalar(mem{pod="c-1"})
scalar(mem)
vector(3)
time()
vector(time())
pi()
timestamp(mem)
timestamp(mem offset 1m)
minute(vector(1136239445))
hour(vector(1136239445))
day_of_week(vector(1136239445))
day_of_month(vector(1136239445))
days_in_month(vector(1136239445))
month()
year()
sort(mem)
sort_desc(mem)
rate(req_total[5m:30s])
max_over_time(rate(req_total[2m])[10m:1m])
avg_over_time((mem > 20)[10m:])
sum_over_time(mem[6m:45s] offset 2m)
max_over_time(sum(rate(req_total[1m]))[5m:15s])
mem[1m]
rate(req_total[10s])
1 + 2 * 3
"text"
sum(rate(req_total[5m])) by (service) * 60
(mem)
req_total{code="500"} / ignoring(code) req_total{code="200"}
""".strip().splitlines()


def _same(ours: str, theirs: str) -> bool:
    a, b = float(ours), float(theirs)
    if math.isnan(a) or math.isnan(b):
        return math.isnan(a) and math.isnan(b)
    return a == b or math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9)


def _ours(twin: Twin, expr: str, start: int, end: int, step: int) -> dict[str, list[tuple[float, str]]] | str:
    try:
        query = Query(twin.storage, parse(expr), start * 1000, end * 1000)
        if step:
            found = query.range(step * 1000)
        else:
            value = query.instant()
            if isinstance(value, float):
                value = [((), value)]
            if not isinstance(value, list):
                return "other"
            found = {labels: [(end * 1000, sample)] for labels, sample in value}
    except QueryError:
        return "error"
    return {repr(sorted(labels)): [(at / 1000, number(v)) for at, v in points] for labels, points in found.items()}


def _theirs(twin: Twin, expr: str, start: int, end: int, step: int) -> dict[str, list[tuple[float, str]]] | str:
    if step:
        params = {"query": expr, "start": start, "end": end, "step": step}
        body = twin.client.get("/api/v1/query_range", params=params).json()
    else:
        body = twin.client.get("/api/v1/query", params={"query": expr, "time": end}).json()
    if body["status"] == "error":
        return "error"
    data = body["data"]
    if data["resultType"] == "scalar":
        return {"[]": [tuple(data["result"])]}
    if (data["resultType"] == "matrix" and not step) or data["resultType"] == "string":
        return "other"
    return {
        repr(sorted(row["metric"].items())): [tuple(point) for point in row.get("values", [row.get("value")])]
        for row in data["result"]
    }


def _compare(twin: Twin, expr: str, start: int, end: int, step: int) -> None:
    ours, theirs = _ours(twin, expr, start, end, step), _theirs(twin, expr, start, end, step)
    if isinstance(ours, str) or isinstance(theirs, str):
        assert ours == theirs, f"{expr}: ours {ours}, Prometheus {theirs}"
        return
    assert sorted(ours) == sorted(theirs), expr
    for labels, points in theirs.items():
        assert [at for at, _ in ours[labels]] == [at for at, _ in points], (expr, labels)
        for (at, mine), (_, other) in zip(ours[labels], points, strict=True):
            assert _same(mine, other), f"{expr} {labels} at {at}: ours {mine}, Prometheus {other}"


@pytest.mark.parametrize("expr", EXPRESSIONS)
def test_an_expression_gives_what_prometheus_gives(twin: Twin, expr: str) -> None:
    for end in (BASE + 600, END - 7, END + 200):
        _compare(twin, expr, end, end, 0)
    _compare(twin, expr, BASE - 60, END + 400, 37)


_SELECTORS = st.sampled_from(
    ["req_total", 'req_total{code="500"}', 'req_total{service=~"c.*"}', "mem", 'mem{pod!="c-1"}', "flat", "lat_bucket"]
)
_SPANS = st.sampled_from(["16s", "30s", "1m", "95s", "5m", "17m"])
_OFFSETS = st.sampled_from(["", " offset 1m", " offset 11s", " offset -40s", " @ 1700000777"])
_RANGE_FUNCTIONS = st.sampled_from(
    ["rate", "irate", "increase", "delta", "deriv", "avg_over_time", "max_over_time", "count_over_time", "changes",
     "resets", "stddev_over_time", "last_over_time"]
)  # fmt: skip
_AGGREGATIONS = st.sampled_from(["sum", "avg", "min", "max", "count", "stddev", "group"])
_GROUPINGS = st.sampled_from(["", "by (service)", "by (pod, code)", "without (pod)", "by (nothing)"])
_OPERATORS = st.sampled_from(["+", "-", "*", "/", "%", ">", "<=", "== bool", "and", "or", "unless"])
_MATCHINGS = st.sampled_from(["", " on(pod)", " on(pod) group_left", " ignoring(code)", " on(service) group_right"])


@st.composite
def _vectors(draw: st.DrawFn) -> str:
    selector, offset = draw(_SELECTORS), draw(_OFFSETS)
    inner = (
        f"{draw(_RANGE_FUNCTIONS)}({selector}[{draw(_SPANS)}]{offset})" if draw(st.booleans()) else selector + offset
    )
    if draw(st.booleans()):
        inner = f"{draw(_AGGREGATIONS)} {draw(_GROUPINGS)} ({inner})"
    return inner


@st.composite
def _expressions(draw: st.DrawFn) -> str:
    left = draw(_vectors())
    shape = draw(st.integers(0, 2))
    if shape == 0:
        return left
    operator = draw(_OPERATORS)
    if shape == 1 and operator not in ("and", "or", "unless"):
        return f"{left} {operator} {draw(st.sampled_from(['2', '0', '-1.5', 'time()']))}"
    matching = draw(_MATCHINGS)
    if operator in ("and", "or", "unless"):
        matching = matching.partition(" group")[0]
    return f"{left} {operator}{matching} {draw(_vectors())}"


@settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(expr=_expressions(), end=st.integers(BASE - 100, END + 400), step=st.sampled_from([0, 15, 41]))
def test_a_made_up_expression_gives_what_prometheus_gives(twin: Twin, expr: str, end: int, step: int) -> None:
    _compare(twin, expr, end - 500 if step else end, end, step)
