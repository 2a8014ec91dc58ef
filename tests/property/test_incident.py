"""The safety of an incident's life under any history: duplicated, reordered, late and forged events; asserted after every event.

The oracle below knows nothing of the reducer's state. It reads the history alone and says which change may run now.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from hypothesis import find, given, settings
from hypothesis import strategies as st

from agents import incident
from agents.incident import EVENT, Command, Event, State, advance
from tools.records import Alert, Diagnosis, Outcome, Suggestion, Verification

NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
PROPOSALS = ("P1", "P2", "P3")
DIGESTS = {"P1": "d1", "P2": "d2", "P3": "d3"}
EXAMPLES = settings(max_examples=400, deadline=None)

ids = st.sampled_from(PROPOSALS)
people = st.sampled_from(["U1", "U2", ""])


def _alert(status: str) -> Alert:
    return Alert.model_validate({"fingerprint": "f", "sender": "t", "name": "A", "status": status})


def _diagnosis(*, suggests: bool) -> Diagnosis:
    wish = Suggestion(action="scale", params={}, why="w")
    return Diagnosis(headline="h", by="rules", confidence=0.5, conclusive=True, suggestions=(wish,) if suggests else ())


@st.composite
def approvals(draw: st.DrawFn) -> Event:
    """Mostly right; sometimes for another digest, by nobody, or not yet complete."""
    proposal = draw(ids)
    digest = draw(st.sampled_from([DIGESTS[proposal]] * 4 + ["forged"]))
    complete = draw(st.sampled_from([True, True, True, False]))
    return incident.Approved(proposal_id=proposal, digest=digest, by=draw(people), complete=complete)


@st.composite
def outcomes(draw: st.DrawFn) -> Event:
    result = draw(st.sampled_from(["applied", "refused", "failed", "unknown"]))
    return incident.RunEnded(outcome=Outcome(proposal_id=draw(ids), result=result, detail="", at=NOW))


@st.composite
def verdicts(draw: st.DrawFn) -> Event:
    verdict = draw(st.sampled_from(["recovered", "not_recovered", "worse", "unknown"]))
    return incident.Verified(verification=Verification(proposal_id=draw(ids), verdict=verdict, detail="", at=NOW))


def proposed(proposal: str) -> Event:
    return incident.Proposed(
        proposal_id=proposal, digest=DIGESTS[proposal], line="l", expires_at=NOW + timedelta(minutes=5)
    )


events: st.SearchStrategy[Event] = st.one_of(
    st.builds(lambda: incident.Opened(alert=_alert("firing"), reason="new")),
    st.builds(
        lambda status: incident.Joined(alert=_alert(status), reason="same"), st.sampled_from(["firing", "resolved"])
    ),
    st.builds(
        lambda diagnosed: incident.Reopened(alert=_alert("firing"), reason="cooldown", diagnosed=diagnosed),
        st.booleans(),
    ),
    st.builds(lambda: incident.AlertResolved(alert=_alert("resolved"))),
    st.builds(lambda suggests: incident.Diagnosed(diagnosis=_diagnosis(suggests=suggests)), st.booleans()),
    st.builds(proposed, ids),
    st.builds(proposed, ids),
    approvals(),
    approvals(),
    st.builds(lambda proposal: incident.Rejected(proposal_id=proposal, by="U1"), ids),
    st.builds(lambda proposal: incident.Expired(proposal_id=proposal), ids),
    st.builds(lambda proposal: incident.TargetChanged(proposal_id=proposal, detail="d"), ids),
    st.builds(lambda proposal: incident.RunStarted(proposal_id=proposal), ids),
    outcomes(),
    verdicts(),
    st.builds(lambda proposal: incident.PressRefused(proposal_id=proposal, by="U9", reason="r"), ids),
    st.builds(lambda: incident.Noted(by="U1", text="t", ts="1")),
)


def life(proposal: str, result: str, verdict: str) -> list[Event]:
    """A whole life as it should go."""
    return [
        incident.Opened(alert=_alert("firing"), reason="new"),
        incident.Diagnosed(diagnosis=_diagnosis(suggests=True)),
        proposed(proposal),
        incident.Approved(proposal_id=proposal, digest=DIGESTS[proposal], by="U1", complete=True),
        incident.RunStarted(proposal_id=proposal),
        incident.RunEnded(
            outcome=Outcome.model_validate({"proposal_id": proposal, "result": result, "detail": "", "at": NOW})
        ),
        incident.Verified(
            verification=Verification.model_validate(
                {"proposal_id": proposal, "verdict": verdict, "detail": "", "at": NOW}
            )
        ),
    ]


@st.composite
def disturbed(draw: st.DrawFn) -> list[Event]:
    """One or two proper lives, with events repeated, moved and strewn in."""
    told: list[Event] = []
    for proposal in draw(st.lists(ids, min_size=1, max_size=2)):
        told += life(
            proposal,
            draw(st.sampled_from(["applied", "failed", "unknown"])),
            draw(st.sampled_from(["recovered", "worse"])),
        )
    for _ in range(draw(st.integers(0, 8))):
        place = draw(st.integers(0, len(told) - 1))
        what = draw(st.sampled_from(["repeat", "move", "drop", "strew", "forge"]))
        if what == "repeat":
            told.insert(draw(st.integers(place, len(told))), told[place])
        elif what == "move":
            told.insert(draw(st.integers(0, len(told) - 1)), told.pop(place))
        elif what == "drop" and len(told) > 1:
            told.pop(place)
        elif what == "forge":
            change = draw(st.sampled_from([{"digest": "forged"}, {"by": ""}, {"complete": False}]))
            told = [each.model_copy(update=change) if isinstance(each, incident.Approved) else each for each in told]
        else:
            told.insert(place, draw(events))
    return told


histories = st.one_of(st.lists(events, max_size=30), disturbed())


class Oracle:
    """What may run, by the history alone: the change shown last, unless something has ended it."""

    def __init__(self) -> None:
        self.table = self.digest = ""
        self.gone: set[str] = set()

    def see(self, event: Event) -> str:
        """Take in one event; return the proposal that it may cause to run, "" for none."""
        match event:
            case incident.Proposed(proposal_id=proposal, digest=shown) if proposal not in self.gone:
                self.gone |= {self.table} - {proposal}
                self.table, self.digest = proposal, shown
            case (
                incident.Rejected(proposal_id=gone)
                | incident.Expired(proposal_id=gone)
                | incident.TargetChanged(proposal_id=gone)
            ):
                self.gone.add(gone)
            case incident.AlertResolved():
                self.gone.add(self.table)
            case incident.Approved(proposal_id=proposal, digest=digest, by=by, complete=True) if by:
                if (proposal, digest) == (self.table, self.digest) and proposal not in self.gone:
                    self.gone.add(proposal)
                    return proposal
            case _:
                pass
        return ""


def steps(history: Sequence[Event]) -> Iterator[tuple[int, Event, State, State, list[Command]]]:
    state = State()
    for place, event in enumerate(history):
        before = state
        state, commands = advance(state, event)
        yield place, event, before, state, commands


def runs(commands: Sequence[Command]) -> list[str]:
    return [command.proposal_id for command in commands if isinstance(command, incident.Run)]


@EXAMPLES
@given(histories)
def test_nothing_runs_without_a_named_persons_approval_of_what_was_shown(history: list[Event]) -> None:
    oracle = Oracle()
    for _place, event, _before, _after, commands in steps(history):
        allowed = oracle.see(event)
        assert set(runs(commands)) <= {allowed}


@EXAMPLES
@given(histories)
def test_no_proposal_runs_twice(history: list[Event]) -> None:
    ran: list[str] = []
    for _place, _event, _before, _after, commands in steps(history):
        ran += runs(commands)
        assert len(ran) == len(set(ran))


@EXAMPLES
@given(histories)
def test_what_was_rejected_or_expired_never_runs(history: list[Event]) -> None:
    dead: set[str] = set()
    for _place, event, _before, _after, commands in steps(history):
        assert not dead.intersection(runs(commands))
        if isinstance(event, incident.Rejected | incident.Expired | incident.TargetChanged):
            dead.add(event.proposal_id)


@EXAMPLES
@given(histories)
def test_a_resolved_alert_clears_the_table(history: list[Event]) -> None:
    for _place, event, before, after, commands in steps(history):
        if isinstance(event, incident.AlertResolved):
            assert not after.alert_firing
            assert not runs(commands)
            if before.state not in ("running", "verifying"):
                assert (after.state, after.proposal_id, after.digest) == ("resolved", "", "")


@EXAMPLES
@given(histories)
def test_the_table_holds_a_change_exactly_while_one_is_open(history: list[Event]) -> None:
    for _place, _event, _before, after, _commands in steps(history):
        assert bool(after.proposal_id) == bool(after.digest) == (after.state in ("proposed", "running", "verifying"))


@EXAMPLES
@given(histories)
def test_a_change_is_verified_once_and_only_after_it_ran(history: list[Event]) -> None:
    ran: set[str] = set()
    verified: list[str] = []
    for _place, event, _before, _after, commands in steps(history):
        for command in commands:
            if isinstance(command, incident.Verify):
                assert isinstance(event, incident.RunEnded)
                assert command.proposal_id in ran
                verified.append(command.proposal_id)
        assert len(verified) == len(set(verified))
        ran.update(runs(commands))


@EXAMPLES
@given(histories, st.integers(0, 30))
def test_the_state_is_a_fold_of_the_stored_events(history: list[Event], cut: int) -> None:
    """Stopping anywhere, storing state and events as JSON, and going on gives the same as never having stopped."""
    straight = State()
    for event in history:
        straight, _ = advance(straight, event)
    stored = State()
    for place, event in enumerate(history):
        again = EVENT.validate_json(EVENT.dump_json(event))
        assert again == event
        stored, _ = advance(stored, again)
        if place == cut:
            stored = State.model_validate_json(stored.model_dump_json())
    assert stored == straight


def test_the_histories_are_worth_something() -> None:
    """The strategy reaches what the properties are about: a run, a second change's run, and a refused second run."""
    deep = settings(max_examples=20_000, deadline=None, database=None)

    def ran(history: list[Event]) -> list[str]:
        return [proposal for *_, commands in steps(history) for proposal in runs(commands)]

    find(histories, lambda history: len(ran(history)) == 1, settings=deep)
    find(histories, lambda history: len(set(ran(history))) == 2, settings=deep)
