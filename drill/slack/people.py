"""Who and what is in the practice workspace when it starts: people, channels, the group, the apps; used by state.py."""

from dataclasses import dataclass, field

TEAM_ID = "T0DRILL"
TEAM_DOMAIN = "drill"
TEAM_NAME = "Drill"
APP_ID = "A0TOCSIN"
BOT_ID = "B0TOCSIN"
BOT_USER = "U0TOCSIN"
HOOK_APP_ID = "A0ALERTM"
HOOK_BOT_ID = "B0ALERTM"
HOOK_PATH = "/services/T0DRILL/B0DRILL/secret"
HOOK_CHANNEL = "C0ALERTS"
HOOK_NAME = "Alertmanager"


@dataclass(frozen=True)
class User:
    """One member; *colour* paints the avatar on the page."""

    id: str
    name: str
    real_name: str
    title: str
    colour: str
    is_bot: bool = False
    is_guest: bool = False
    is_deleted: bool = False
    team: str = TEAM_ID


@dataclass
class Channel:
    """One conversation; *members* are user ids; an im is between the bot and one person."""

    id: str
    name: str
    topic: str
    members: set[str] = field(default_factory=set)
    is_private: bool = False
    is_im: bool = False
    user: str = ""


@dataclass(frozen=True)
class Group:
    """A user group that can be mentioned and named as approvers."""

    id: str
    handle: str
    name: str
    users: tuple[str, ...]


USERS = (
    User("U0DANA", "dana", "Dana Reyes", "SRE, on call", "#7c3aed"),
    User("U0SAM", "sam", "Sam Okafor", "Payments engineer", "#0e7490"),
    User("U0EVE", "eve", "Eve Lind", "Sales (may not approve)", "#b45309"),
    User("U0GIL", "gil", "Gil Moreau", "Guest", "#4d7c0f", is_guest=True),
    User(BOT_USER, "tocsin", "Tocsin", "On-call engineer", "#b91c1c", is_bot=True),
)
GROUPS = (Group("S0ONCALL", "oncall", "On call", ("U0DANA", "U0SAM")),)


def channels() -> list[Channel]:
    """Return the channels as they are at the start; the bot is in the first three, not in #random."""
    staff = {"U0DANA", "U0SAM", "U0EVE"}
    return [
        Channel("C0ALERTS", "alerts", "What Alertmanager says", {*staff, BOT_USER}),
        Channel("C0INCIDENTS", "incidents", "Incidents under way", {*staff, BOT_USER}),
        Channel("C0GENERAL", "general", "Everybody", {*staff, "U0GIL", BOT_USER}),
        Channel("C0RANDOM", "random", "Not work", {*staff}),
        *(
            Channel(f"D0{user.id[2:]}", "", "", {user.id, BOT_USER}, is_im=True, user=user.id)
            for user in USERS
            if not user.is_bot
        ),
    ]
