"""Short answers to commands, shown to one person; called by bot/listeners/* and the desk."""

from collections.abc import Sequence
from difflib import get_close_matches

from bot.blocks.home import summary
from bot.blocks.kit import Block, Post, context, fit, header, lines, section
from bot.blocks.text import clip, code, moment, person, prose
from bot.postmortem import rows
from tools.records import Case, TimelineEntry

MAX_NAMES = 30
MAX_ROWS = 40

HELP = """\
*What I can do*
• `/diagnose &lt;service&gt;`: look at a service now.
• `/tocsin status`: what is open now.
• `/tocsin why &lt;incident&gt;`: every step on record for an incident. `/tocsin why &lt;alert&gt;`: what became of an alert.
• `/tocsin silence`: silence alerts for a while. `/tocsin silences`: what is silenced.
• `/tocsin break-glass &lt;incident&gt; &lt;reason&gt;`: approve in spite of the rules, if the policy lets you; the channel is told.
• `/tocsin stats`: alerts in, incidents out, and what was suppressed.
• The menu of any message, *Diagnose this*: read that message as an alert.
• In an incident's thread: press the buttons, or just talk. What people write is kept for the post-mortem.
I change nothing until somebody allowed to presses *Approve*."""


def break_glass_usage() -> str:
    """Say how to break the glass."""
    return "Which incident, and why? `/tocsin break-glass &lt;incident&gt; &lt;reason&gt;`, in the incident's channel."


def services(known: Sequence[str]) -> str:
    """Say how to use /diagnose, with the names it knows."""
    if not known:
        return "Which service? `/diagnose &lt;service&gt;`. I know none by name yet: list them in tocsin.yaml, or just name one."
    return f"Which service? `/diagnose &lt;service&gt;`. I know: {_names(known)}."


def unknown_service(name: str, known: Sequence[str]) -> str:
    """Say that *name* is not known, and which name may have been meant."""
    anyway = f"To look all the same: `/diagnose {prose(name, 60)} anyway`."
    close = get_close_matches(name.lower(), known, n=3, cutoff=0.5)
    if close:
        return f"I do not know {code(name, 60)}. Did you mean {_names(close)}? {anyway}"
    return f"I do not know {code(name, 60)}. I know: {_names(known)}. {anyway}"


def looking(service: str) -> str:
    """Say that /diagnose was taken."""
    return f"Looking at {code(service, 60)}. The answer comes in the channel."


def unknown_command(text: str) -> str:
    """Say that a /tocsin command is not known."""
    return f"I do not know {code(text, 60)}.\n{HELP}"


def no_incident(name: str) -> str:
    """Say that there is no such incident."""
    return f"There is no incident {code(name, 30)}. `/tocsin status` lists the open ones."


def why_usage() -> str:
    """Say how to use /tocsin why."""
    return "Which incident? `/tocsin why 12`. The number is on the incident's card. For an alert: `/tocsin why HighErrorRate`."


def status(cases: Sequence[Case], workspace_url: str) -> Post:
    """List what is open."""
    if not cases:
        return Post("status", "Nothing is open.", [section(":white_check_mark: Nothing is open.")])
    blocks: list[Block] = [header(f"{len(cases)} open")]
    for case in cases:
        blocks += summary(case, workspace_url)
    return Post("status", f"{len(cases)} open incident(s)", fit(blocks))


def why(incident_id: int, entries: Sequence[TimelineEntry]) -> Post:
    """List the record of one incident, the newest rows when there are too many."""
    told = [f"{moment(row.at, '{time_secs}')} {person(row.who)}: {prose(row.what, 200)}" for row in rows(entries)]
    hidden = max(len(told) - MAX_ROWS, 0)
    tail = told[-MAX_ROWS:]
    blocks = [
        *([context(f"{hidden} earlier rows are not shown.")] if hidden else []),
        *(block for at in range(0, len(tail), 10) for block in lines(f"Incident {incident_id}", tail[at : at + 10])),
        context(
            f"Last row {entries[-1].seq}, seal {code(entries[-1].hash[:12])}. `tocsin audit verify` checks the chain."
        ),
    ]
    return Post("why", f"Incident {incident_id}: {len(entries)} rows", fit(blocks))


def failed(what: str) -> str:
    """Say that a request did not work, and what to do."""
    return (
        f":warning: That did not work: {prose(what, 500)} Try again in a moment. If it keeps failing: `tocsin doctor`."
    )


def refused(what: str) -> str:
    """Say that a request cannot work however often it is tried."""
    return f":warning: {prose(what, 600)}"


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    return clip(", ".join(code(name, 60) for name in names[:MAX_NAMES]), 1500) + more
