"""The command line: `tocsin COMMAND` of an installed wheel, `python -m bot COMMAND` in a checkout.

`tocsin --help` must stay light (under 0.3 s of CPU), so each command imports its body from bot/commands when it runs.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from tools.errors import TocsinError

app = typer.Typer(
    name="tocsin",
    help="An on-call engineer that lives in Slack: evidence, a cited diagnosis, one approved change, a remembered case.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)
knowledge = typer.Typer(help="Runbooks and lessons: what earlier cases are recalled from.", no_args_is_help=True)
audit = typer.Typer(help="The record of every event: append-only and hash-chained.", no_args_is_help=True)
app.add_typer(knowledge, name="knowledge")
app.add_typer(audit, name="audit")
policies = typer.Typer(help="Who may approve which change: ask the policy, and check it.", no_args_is_help=True)
app.add_typer(policies, name="policy")
evaluate = typer.Typer(
    help="How good is it: measured on recorded incidents with a known culprit.", no_args_is_help=True
)
app.add_typer(evaluate, name="eval")
logs = typer.Typer(help="Log files: their lines grouped by template.", no_args_is_help=True)
app.add_typer(logs, name="logs")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@dataclass(frozen=True)
class Common:
    """The options that stand before the command."""

    config: Path | None
    debug: bool


@contextmanager
def _readable(ctx: typer.Context) -> Iterator[Common]:
    """Turn what goes wrong into one sentence and exit code 2; the traceback is for --debug."""
    common: Common = ctx.obj
    try:
        yield common
    except TocsinError as error:
        if common.debug:
            raise
        _fail(str(error))
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def _fail(text: str) -> NoReturn:
    for line in text.splitlines() or ["something went wrong"]:
        print(f"tocsin: {line}", file=sys.stderr)
    raise typer.Exit(2) from None


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"tocsin {version('tocsin')}")
        raise typer.Exit


@app.callback()
def options(
    ctx: typer.Context,
    config: Annotated[
        Path | None, typer.Option(help="The team's policy file [default: TOCSIN_CONFIG, else ./tocsin.yaml].")
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Log everything; show tracebacks.")] = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,  # noqa: ARG001
) -> None:
    """Keep what stands before the command for the command."""
    ctx.obj = Common(config, debug)


@app.command()
def run(ctx: typer.Context) -> None:
    """Serve Slack: read alerts, investigate, propose, and change what people approve."""
    with _readable(ctx) as common:
        from bot.commands import run

        run.main(common.config, debug=common.debug)


@app.command()
def demo(
    ctx: typer.Context,
    port: Annotated[int, typer.Option(help="Where the practice world listens; 0 takes a free port.")] = 8080,
    http: Annotated[bool, typer.Option("--http", help="Slack over HTTP instead of Socket Mode.")] = False,
    open_browser: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in a browser.")] = False,
) -> None:
    """Try everything on a practice Slack, cluster and metrics; nothing real is touched."""
    with _readable(ctx):
        from bot import demo

        raise typer.Exit(demo.main(port, http=http, open_browser=open_browser))


@app.command()
def doctor(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Check every connection, scope and right; exit code 1 when something fails."""
    with _readable(ctx) as common:
        from bot.commands import doctor

        raise typer.Exit(doctor.main(common.config, as_json=as_json, debug=common.debug))


@app.command()
def migrate(
    ctx: typer.Context,
    check: Annotated[
        bool, typer.Option("--check", help="Only list what is pending; exit code 1 when anything is.")
    ] = False,
) -> None:
    """Bring the database's schema up to date (`run` does it too)."""
    with _readable(ctx) as common:
        from bot.commands import migrate

        raise typer.Exit(migrate.main(common.config, check=check, debug=common.debug))


@app.command()
def diagnose(
    ctx: typer.Context,
    service: Annotated[str, typer.Argument(help="The service to look at.")],
    alert: Annotated[str, typer.Option(help="The name of an alert that fires for it, to read its own query.")] = "",
    as_json: AsJson = False,
) -> None:
    """Say in the terminal what is wrong with a service now; reads only, needs no Slack."""
    with _readable(ctx) as common:
        from bot.commands import diagnose

        diagnose.main(common.config, service, alert, as_json=as_json, debug=common.debug)


@app.command()
def parse(
    ctx: typer.Context,
    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="Files of JSON (or JSON lines); - is standard input.")
    ],
    sender: Annotated[str, typer.Option(help="Whose it is, for example grafana [default: found by itself].")] = "",
    service: Annotated[list[str] | None, typer.Option(help="A service that exists; may be given again.")] = None,
) -> None:
    """Show what is understood of a Slack message or a webhook body: a JSON array of alerts; needs no settings."""
    with _readable(ctx) as common:
        from bot.commands import parse

        parse.main(common.config, files, sender, service or [])


@app.command()
def inbox(
    ctx: typer.Context,
    again: Annotated[str, typer.Option("--retry", metavar="ID", help='Read this event again, or "all".')] = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many are listed.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List the alerts and messages that could not be read or taken in, and why; read them again."""
    with _readable(ctx) as common:
        from bot.commands import inbox

        if again:
            inbox.retry(common.config, again, debug=common.debug)
        else:
            inbox.listed(common.config, limit, as_json=as_json, debug=common.debug)


@app.command()
def inspect(
    ctx: typer.Context,
    file: Annotated[
        list[Path] | None,
        typer.Option(
            "--file", "-f", help="Objects as kubectl prints them, YAML or JSON; - is standard input; repeatable."
        ),
    ] = None,
    context: Annotated[str, typer.Option(help="The kubeconfig's context, for a cluster.")] = "",
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="The namespace to look at.")] = "default",
    every: Annotated[bool, typer.Option("--all-namespaces", "-A", help="Look at all namespaces.")] = False,
    now: Annotated[
        str, typer.Option(help="Judge as of this time [default: files: their newest time; a cluster: now].")
    ] = "",
    notes: Annotated[
        bool, typer.Option("--notes", help="Also tell what is no problem: unused, wildcards, suspended.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Name what is wrong with Kubernetes objects, of files or of a cluster; exit code 1 when anything is."""
    with _readable(ctx) as common:
        from bot.commands import inspect

        if file:
            raise typer.Exit(inspect.files(file, now, notes=notes, as_json=as_json))
        where = "" if every else namespace
        code = inspect.live(common.config, context, where, now, notes=notes, as_json=as_json, debug=common.debug)
        raise typer.Exit(code)


@evaluate.command()
def rank(
    ctx: typer.Context,
    path: Annotated[Path, typer.Argument(help="A recorded day or set, or a folder of them.")],
    format_: Annotated[str, typer.Option("--format", help="nezha or petshop [default: as found].")] = "",
    out: Annotated[Path | None, typer.Option("--json", help="Write the ranked list per case here.")] = None,
    without: Annotated[list[str] | None, typer.Option(help="Leave a part out, to see what it is worth.")] = None,
) -> None:
    """Rank the suspects of recorded incidents, beside n-sigma and BARO; AC@k, Avg@5 and calibration."""
    with _readable(ctx):
        from bot.commands import eval as evaluation

        evaluation.main(path, format_, out, without or ())


@evaluate.command()
def robust(
    ctx: typer.Context,
    path: Annotated[list[Path], typer.Argument(help="Recorded days and sets, or folders of them.")],
    constants: Annotated[bool, typer.Option(help="Also halve and double every constant (slow).")] = False,
) -> None:
    """Disturb recorded incidents and the ranking's constants; what is left of AC@k, and calibration out of sample."""
    with _readable(ctx):
        from bot.commands import eval_robust

        eval_robust.main(path, constants)


@evaluate.command()
def simulate(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(help="A new folder for the days.")],
    system: Annotated[
        str, typer.Option(help="boutique, or random: layered call graphs of 8 to 30 services.")
    ] = "boutique",
    days: Annotated[int, typer.Option(min=1, max=28)] = 1,
    faults: Annotated[int, typer.Option(min=1, max=100, help="Faults a day.")] = 20,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    edges: Annotated[bool, typer.Option(help="With source_50.csv, the latency per call.")] = True,
) -> None:
    """Write made days with known culprits, in Nezha's layout: metrics, logs and traces of a simulated system under faults."""
    with _readable(ctx):
        from bot.commands import eval_simulate

        eval_simulate.main(folder, system, days, faults, seed, edges)


@evaluate.command("templates")
def templates_of_logs(
    ctx: typer.Context,
    seed: Annotated[int, typer.Option(help="Which values fill the templates.")] = 0,
) -> None:
    """Group labelled log files made from the log calls of installed packages, beside Drain; grouping accuracy."""
    with _readable(ctx):
        from bot.commands import eval_templates

        eval_templates.main(seed)


@knowledge.command()
def sync(
    ctx: typer.Context,
    folder: Annotated[Path | None, typer.Argument(help="A folder of Markdown files [default: the policy's].")] = None,
) -> None:
    """Read a folder of runbooks into the store; removed files are forgotten."""
    with _readable(ctx) as common:
        from bot.commands import knowledge

        knowledge.sync(common.config, folder, debug=common.debug)


@knowledge.command()
def search(
    ctx: typer.Context,
    text: Annotated[str, typer.Argument(help="What to look for.")],
    service: Annotated[str, typer.Option(help="Prefer what is about this service.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=50, help="How many results.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Search runbooks and lessons as an investigation does."""
    with _readable(ctx) as common:
        from bot.commands import knowledge

        knowledge.search(common.config, text, service, limit, as_json=as_json, debug=common.debug)


@audit.command()
def verify(
    ctx: typer.Context,
    file: Annotated[Path | None, typer.Argument(help="An export to verify instead of the database.")] = None,
    anchor: Annotated[
        str,
        typer.Option(help="SEQ:HASH kept from an earlier run, or the daily message; it must still be in the chain."),
    ] = "",
) -> None:
    """Find changed, removed or reordered rows; exit code 1 when there are any."""
    with _readable(ctx) as common:
        from bot.commands import audit

        raise typer.Exit(audit.verify(common.config, file, anchor, debug=common.debug))


@audit.command()
def export(
    ctx: typer.Context,
    file: Annotated[Path | None, typer.Argument(help="Where to write [default: standard output].")] = None,
) -> None:
    """Write the record as JSON lines, one event a line, in the form that `verify` reads."""
    with _readable(ctx) as common:
        from bot.commands import audit

        audit.export(common.config, file, debug=common.debug)


@policies.command("test")
def policy_test(
    ctx: typer.Context,
    file: Annotated[Path | None, typer.Argument(help="The change as a JSON object; flags override it.")] = None,
    action: Annotated[str, typer.Option("--change", help="The change, for example rollout_restart.")] = "",
    param: Annotated[list[str] | None, typer.Option(help="KEY=VALUE of its parameters; repeatable.")] = None,
    cluster: Annotated[str, typer.Option(help="The cluster's name.")] = "",
    namespace: Annotated[str, typer.Option(help="The target's namespace [default: of the parameters].")] = "",
    service: Annotated[str, typer.Option(help="The policy's service [default: found from the parameters].")] = "",
    label: Annotated[list[str] | None, typer.Option(help="KEY=VALUE of the target's labels; repeatable.")] = None,
    risk: Annotated[str, typer.Option(help="low, medium, high or critical [default: the change's base].")] = "",
    requester: Annotated[str, typer.Option(help="Who asked for it (U...).")] = "",
    by: Annotated[str, typer.Option(help="Who would approve (U...).")] = "",
    group: Annotated[
        list[str] | None, typer.Option(help="A user group or oncall: list that --by is in; repeatable.")
    ] = None,
    at: Annotated[str, typer.Option(help="When, for example 2026-12-24T22:00+01:00 [default: now].")] = "",
    leaves: Annotated[int | None, typer.Option(help="How many pods are sure to run meanwhile.")] = None,
    made: Annotated[int, typer.Option(help="How many like it were made in the hour before.")] = 0,
    break_glass: Annotated[bool, typer.Option("--break-glass", help="Ask break_glass instead of the rules.")] = False,
    as_json: AsJson = False,
) -> None:
    """Explain what the policy says to a change: exit code 0 allowed, 1 denied, 2 bad input."""
    with _readable(ctx) as common:
        from bot.commands import policy

        flags = {
            "action": action, "params": policy.pairs("--param", param), "cluster": cluster, "namespace": namespace,
            "service": service, "labels": policy.pairs("--label", label), "risk": risk, "requester": requester, "by": by,
            "groups": group, "at": at, "leaves": leaves, "made": made, "break_glass": break_glass,
        }  # fmt: skip
        raise typer.Exit(policy.test(common.config, file, flags, as_json=as_json))


@policies.command("lint")
def policy_lint(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Find rules that never match, hide one another or leave a write to nobody; exit code 1 when there are any."""
    with _readable(ctx) as common:
        from bot.commands import policy

        raise typer.Exit(policy.find(common.config, as_json=as_json))


@logs.command()
def templates(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="A log file; - is standard input.")],
    as_json: Annotated[
        Path | None, typer.Option("--json", help="Write the template's id of every line, in order, as JSON.")
    ] = None,
) -> None:
    """Print the templates of a log file with their counts."""
    with _readable(ctx):
        from bot.commands import logs

        logs.templates(file, as_json)


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
