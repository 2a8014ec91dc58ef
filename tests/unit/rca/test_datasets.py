"""Readers of recorded incidents on small made folders, `tocsin eval rank` over them, and its scores."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agents.rca import fuse
from agents.rca.fuse import rank
from bot.__main__ import app
from bot.eval import nezha, petshop, robust
from bot.eval.cases import DatasetError
from bot.eval.disturb import CHANGES
from bot.eval.read import read
from bot.eval.scores import accuracy, reliability

POD = "ad-service-5f6585d649-fnmft"
OTHER = "cart-service-579f59597d-wc2lz"


def nezha_day(root: Path) -> Path:
    day = root / "2022-08-22"
    (day / "metric").mkdir(parents=True)
    fault = {"inject_time": "2022-08-22 04:00:00", "inject_timestamp": "1", "inject_pod": POD, "inject_type": "cpu"}
    (day / "2022-08-22-fault_list.json").write_text(json.dumps({"04": [fault]}))
    for pod in (POD, OTHER):
        rows = ["Time,TimeStamp,PodName,CpuUsage(m),PodServerLatencyP90(s)"]
        for minute in range(30, 64):
            broken = pod == POD and minute >= 60
            cpu = (90 if broken else 10) + minute % 3
            rows.append(
                f"2022-08-22 {3 + minute // 60:02}:{minute % 60:02}:40.1 +0000 UTC m=+1,9,{pod},{cpu},0.0{minute % 3 + 1}"
            )
        (day / "metric" / f"{pod}_metric.csv").write_text("\n".join(rows) + "\n")
    (day / "metric" / "dependency.csv").write_text("Source,Target,Weight\ncart-service,ad-service,1\n")
    for kind, header in (
        ("log", "TimeUnixNano,PodName,SpanID,Log"),
        ("trace", "TraceID,SpanID,ParentID,PodName,OperationName,StartTimeUnixNano,Duration"),
    ):
        (day / kind).mkdir()
        stamp = 1661140805 * 10**9
        body = (
            f'{stamp},{POD},a1,"{{""log"":""INFO Ad#1 hello\\n""}}"'
            if kind == "log"
            else f"t1,a1,root,{POD},/ads,{stamp},2000\nt1,b1,a1,{OTHER},/cart,{stamp},1000\ncut,off"
        )
        (day / kind / f"04_01_{kind}.csv").write_text(f"{header}\n{body}\n")
    return day


def petshop_set(root: Path, *, healthy: bool = True) -> Path:
    folder = root / "low_traffic"
    issue = folder / "test" / "issue_0"
    issue.mkdir(parents=True)
    (folder / "graph.csv").write_text(",front,worker\nfront,0.0,1.0\nworker,0.0,0.0\n")
    target = {"node": "front", "metric": "latency", "agg": "Average", "timestamp": 1500}
    (issue / "target.json").write_text(json.dumps({"target": target, "root_cause": {"node": "worker", "metric": None}}))
    head = (
        "microservice,front,worker,front,worker\nmetric,latency,latency,requests,requests\n"
        "statistic,Average,Average,Sum,Sum\nunix_timestamp,,,,\n"
    )
    (issue / "metrics.csv").write_text(
        head + "900,0.1,0.05,10,10\n1200,0.1,0.05,10,10\n1500,0.9,0.8,10,10\n1800,,0.8,10,10\n"
    )
    if healthy:
        (folder / "noissue").mkdir()
        (folder / "noissue" / "metrics.csv").write_text(
            head + "\n".join(f"{t},0.1,0.05,10,10" for t in range(20)) + "\n"
        )
    return folder


def test_a_nezha_day_is_read_by_its_written_times(tmp_path: Path) -> None:
    (case,) = nezha.read_day(nezha_day(tmp_path))
    assert (case.culprit, case.fault, case.incident.at) == ("ad-service", "cpu", 1661140800.0)
    assert {one.service for one in case.incident.series} == {"ad-service", "cart-service"}
    assert case.incident.lines is not None
    assert case.incident.lines.text[0] == "INFO Ad#1 hello"
    assert case.incident.spans is not None
    assert case.incident.spans.parent.tolist() == [-1, 0]
    assert case.incident.spans.duration.tolist() == [0.002, 0.001]
    assert case.incident.lines.flow[0] == case.incident.spans.flow[0]


@pytest.mark.parametrize("healthy", [True, False])
def test_a_petshop_set_is_read_with_or_without_its_healthy_period(tmp_path: Path, healthy: bool) -> None:
    (case,) = petshop.read_set(petshop_set(tmp_path, healthy=healthy))
    assert case.culprit == "worker"
    assert case.incident.calls == {("front", "worker")}
    # Without its own healthy period what the issues hold from before they began stands in.
    assert case.incident.normal
    assert healthy or all(values.size == 2 for values in case.incident.normal.values())


def test_damaged_days_are_read_as_far_as_they_go(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    day = nezha_day(tmp_path)
    listed = day / "2022-08-22-fault_list.json"
    known = json.loads(listed.read_text())["04"]
    listed.write_text(json.dumps({"04": [*known, {"inject_type": "cpu"}, {**known[0], "inject_time": "soon"}, None]}))
    (day / "log" / "04_01_log.csv").write_text(f'TimeUnixNano,PodName,TraceID,Log\n{1661140805 * 10**9},{POD},t9,"cut')
    (day / "trace" / "04_01_trace.csv").write_text(
        "TraceID,SpanID,ParentID,PodName,OperationName,StartTimeUnixNano,Duration,StatusCode\n"
        f"t1,a1,root,{POD},/ads,{1661140805 * 10**9},2000,STATUS_CODE_ERROR\n"
    )
    (case,) = nezha.read_day(day)
    said = capsys.readouterr().err
    assert said.count("left out: ") == 3
    assert "fault 2: it names no inject_pod" in said
    assert case.incident.lines is not None
    assert case.incident.lines.flow.tolist() == [0]
    assert case.incident.spans is not None
    assert case.incident.spans.failed.tolist() == [True]


def test_issues_without_an_answer_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = petshop_set(tmp_path)
    for name, target in (("issue_1", '{"target": {}}'), ("issue_2", "{")):
        (folder / "test" / name).mkdir()
        (folder / "test" / name / "target.json").write_text(target)
    cut = folder / "test" / "issue_0" / "metrics.csv"
    cut.write_text(cut.read_text()[:-8] + "\n21")
    (case,) = petshop.read_set(folder)
    assert case.name == "test/issue_0"
    assert capsys.readouterr().err.count("left out") == 2


@pytest.mark.parametrize("change", sorted(CHANGES))
def test_disturbed_incidents_can_still_be_ranked(tmp_path: Path, change: str) -> None:
    for case in (*nezha.read_day(nezha_day(tmp_path)), *petshop.read_set(petshop_set(tmp_path))):
        made = CHANGES[change](case)
        assert all(0 <= one.score <= 1 for one in rank(made.incident).suspects)
    if change in ("all renamed", "without traces"):
        (case,) = nezha.read_day(tmp_path / "2022-08-22")
        assert robust.ranks([CHANGES[change](case)]) == robust.ranks([case]) == (1,)


def test_a_constant_is_changed_only_for_a_while() -> None:
    before = fuse.METRICS
    with robust.changed(fuse, "METRICS", 4.0):
        assert fuse.METRICS == 1.0
    assert before == fuse.METRICS


def test_the_setting_for_a_group_is_chosen_without_it() -> None:
    settings = [robust.Setting("", 1.0, (1, 1, 2, 2)), robust.Setting("a.B", 2.0, (2, 2, 1, 1))]
    assert robust.left_out(settings, ["x", "x", "y", "y"]) == {
        "x": (2, 0.0, 0.8, "a.B x2"),
        "y": (2, 0.0, 0.8, "as it is"),
    }


def test_eval_rank_prints_the_figures_last_and_writes_the_lists(tmp_path: Path) -> None:
    nezha_day(tmp_path / "data")
    petshop_set(tmp_path / "data")
    out = tmp_path / "out.json"
    said = CliRunner().invoke(app, ["eval", "rank", str(tmp_path / "data"), "--json", str(out)])
    assert said.exit_code == 0, said.output
    last = said.output.strip().splitlines()[-1]
    assert last.startswith("n=2 ac1=1.000 ac3=1.000 ac5=1.000 avg5=1.000 baro_avg5=")
    assert [case["suspects"][0]["service"] for case in json.loads(out.read_text())] == ["ad-service", "worker"]


def test_a_part_left_out_is_left_out(tmp_path: Path) -> None:
    nezha_day(tmp_path)
    said = CliRunner().invoke(app, ["eval", "rank", str(tmp_path), "--without", "metrics", "--without", "traces"])
    assert "ac1=0.000" in said.output
    assert CliRunner().invoke(app, ["eval", "rank", str(tmp_path), "--without", "magic"]).exit_code == 2


def test_what_is_no_dataset_is_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="holds no known incidents"):
        read(tmp_path)
    with pytest.raises(DatasetError, match="not a folder"):
        read(tmp_path / "missing")
    with pytest.raises(DatasetError, match="format 'x'"):
        read(tmp_path, "x")


def test_scores() -> None:
    assert accuracy([1, 2, 0, 6]).avg5 == pytest.approx((0.25 + 4 * 0.5) / 5)
    error, bins = reliability([0.9, 0.9, 0.1], [True, False, False])
    assert error == pytest.approx((2 * 0.4 + 0.1) / 3)
    assert [one.n for one in bins] == [1, 2]
