"""The page in headless Chromium: what a person sees and presses, with a real Bolt app behind it."""

import asyncio
import shutil

import httpx
import pytest
from playwright.async_api import async_playwright, expect
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.picture import png
from tests.integration.drill_slack.conftest import bolt, socket_mode
from tools.signals import chart

pytestmark = pytest.mark.slow
CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
ALERT = {
    "channel": "#alerts",
    "username": "Alertmanager",
    "attachments": [{"title": "[FIRING:1] CheckoutErrors", "title_link": "http://am/", "text": "", "color": "danger"}],
}


def plain(text):
    return {"type": "plain_text", "text": text}


ANSWER = [
    {"type": "header", "text": plain("checkout cannot read orders")},
    {
        "type": "section",
        "text": {"type": "mrkdwn", "text": "*Errors* rose to `31 %` &lt;b&gt; <https://x.example|[E1]>"},
    },
    {
        "type": "rich_text",
        "elements": [
            {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": "-  image: v2\n+  image: v1"}]}
        ],
    },
    {
        "type": "actions",
        "block_id": "b",
        "elements": [
            {
                "type": "button",
                "action_id": "approve",
                "text": plain("Approve"),
                "style": "primary",
                "value": "7",
                "confirm": {
                    "title": plain("Roll back?"),
                    "text": plain("To revision 7."),
                    "confirm": plain("Roll back"),
                    "deny": plain("No"),
                },
            }
        ],
    },
]
MODAL = {
    "type": "modal",
    "callback_id": "form",
    "title": plain("Diagnose"),
    "submit": plain("Go"),
    "blocks": [
        {
            "type": "input",
            "block_id": "svc",
            "label": plain("Service"),
            "element": {"type": "plain_text_input", "action_id": "v"},
        }
    ],
}


@pytest.fixture
async def browser():
    assert shutil.which(CHROMIUM), f"{CHROMIUM} is needed: apt-get install --no-install-recommends chromium"
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        await started.close()


@pytest.fixture
async def stage(start):
    """A workspace whose bot answers an alert in its thread, takes Approve, and opens a modal for /diagnose."""
    workspace = await start()
    app = bolt(workspace)
    pressed = asyncio.Queue()

    @app.event("message")
    async def on_message(event, client):
        if event.get("bot_id") == "B0ALERTM":
            await client.chat_postMessage(channel=event["channel"], thread_ts=event["ts"], text="x", blocks=ANSWER)

    @app.action("approve")
    async def approve(ack, body, client):
        await ack()
        where = {"channel": body["channel"]["id"], "ts": body["message"]["ts"]}
        await client.chat_update(**where, text="Approved by <@U0DANA>", blocks=[])
        await pressed.put(body["user"]["id"])

    @app.command("/diagnose")
    async def diagnose(ack, body, client):
        await ack()
        await client.views_open(trigger_id=body["trigger_id"], view=MODAL)

    @app.view("form")
    async def form(ack, view):
        value = view["state"]["values"]["svc"]["v"]["value"]
        if value == "nope":
            await ack(response_action="errors", errors={"svc": "There is no such service."})
        else:
            await ack()
            await pressed.put(value)

    @app.shortcut("diagnose_message")
    async def shortcut(ack, shortcut):
        await ack()
        await pressed.put(shortcut["callback_id"])

    async with socket_mode(workspace, app):
        yield workspace, pressed


async def alert(workspace):
    async with httpx.AsyncClient() as client:
        assert (await client.post(workspace.webhook_url, json=ALERT)).text == "ok"


async def open_page(browser, workspace, **options):
    context = await browser.new_context(**options)
    page = await context.new_page()
    faults = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    await page.goto(workspace.base_url)
    await expect(page.get_by_test_id("composer")).to_be_visible()
    return page, faults


async def test_an_alert_its_thread_and_an_approval(stage, browser, tmp_path):
    workspace, pressed = stage
    page, faults = await open_page(browser, workspace, viewport={"width": 1440, "height": 900})
    await alert(workspace)
    await expect(page.locator("#main [data-testid=message]")).to_contain_text("[FIRING:1] CheckoutErrors")
    await expect(page.get_by_test_id("open-thread")).to_contain_text("1 reply")
    thread = page.get_by_test_id("thread-panel")  # it opens by itself on a wide screen
    await expect(thread.get_by_role("heading", name="checkout cannot read orders")).to_be_visible()
    await expect(thread.get_by_text("<b>")).to_be_visible()
    assert await thread.locator(".diff .removed").inner_text() == "-  image: v2\n"
    await page.screenshot(path=tmp_path / "light.png")
    await thread.get_by_role("button", name="Approve").click()
    await page.get_by_test_id("confirm-yes").click()
    assert await asyncio.wait_for(pressed.get(), 10) == "U0DANA"
    await expect(thread).to_contain_text("Approved by @dana")
    assert faults == []


async def test_a_command_a_modal_with_an_error_and_a_shortcut(stage, browser, tmp_path):
    workspace, pressed = stage
    page, faults = await open_page(browser, workspace, color_scheme="dark", viewport={"width": 1280, "height": 800})
    box = page.get_by_test_id("composer")
    await box.fill("/di")
    await expect(page.locator("#main [role=option]")).to_contain_text("/diagnose")
    await box.press("Tab")
    await box.press("Enter")
    modal = page.get_by_test_id("modal")
    await expect(modal).to_be_visible()
    await modal.get_by_test_id("modal-submit").click()
    await expect(modal.get_by_role("alert")).to_have_text("Please complete this required field.")
    await modal.get_by_label("Service").fill("nope")
    await modal.get_by_test_id("modal-submit").click()
    await expect(modal.get_by_role("alert")).to_have_text("There is no such service.")
    await page.screenshot(path=tmp_path / "dark.png")
    await modal.get_by_label("Service").fill("cart")
    await modal.get_by_test_id("modal-submit").click()
    assert await asyncio.wait_for(pressed.get(), 10) == "cart"
    await expect(modal).to_be_hidden()
    await box.fill("please look")
    await box.press("Enter")
    row = page.locator("#main [data-testid=message]", has_text="please look")
    await row.hover()
    await row.get_by_test_id("message-menu").click()
    await row.get_by_test_id("shortcut").click()
    assert await asyncio.wait_for(pressed.get(), 10) == "diagnose_message"
    assert faults == []


async def test_on_a_phone_the_thread_fills_the_screen_and_nothing_runs_off_it(stage, browser, tmp_path):
    workspace, _ = stage
    page, faults = await open_page(browser, workspace, viewport={"width": 390, "height": 844})
    await alert(workspace)
    await page.get_by_test_id("open-thread").click()
    thread = page.get_by_test_id("thread-panel")
    await expect(thread.get_by_role("button", name="Approve")).to_be_visible()
    box = await thread.bounding_box()
    assert (box["x"], box["width"]) == (0, 390)
    assert await page.evaluate("document.documentElement.scrollWidth") == 390
    await page.screenshot(path=tmp_path / "phone.png")
    await page.get_by_test_id("close-thread").click()
    await expect(thread).to_be_hidden()
    assert faults == []


async def test_a_page_catches_up_after_its_connection_broke_and_people_can_be_switched(stage, browser):
    workspace, _ = stage
    page, _ = await open_page(browser, workspace)
    workspace.feed.close()  # ends every stream, as a restarted proxy would
    await workspace.post_incoming("C0ALERTS", {"text": "missed this"})
    workspace.feed.closed = False
    await expect(page.locator("#main").get_by_text("missed this")).to_be_visible(timeout=15_000)
    await page.get_by_test_id("user-switch").select_option("U0GIL")
    await expect(page.get_by_test_id("channel")).to_have_count(1)  # a guest sees one channel


async def test_writing_is_never_interrupted_by_an_alerts_thread(stage, browser):
    workspace, _ = stage
    page, _ = await open_page(browser, workspace, viewport={"width": 1440, "height": 900})
    box = page.get_by_test_id("composer")
    await box.click()
    await page.keyboard.type("I am wri")
    await alert(workspace)
    await expect(page.get_by_test_id("open-thread")).to_be_visible()
    await page.keyboard.type("ting")
    assert await box.input_value() == "I am writing"


def test_the_page_is_light_and_asks_no_other_server(request):
    folder = request.config.rootpath / "drill" / "slack" / "page"
    files = [path for path in folder.iterdir() if path.suffix in {".html", ".js", ".css", ".svg"}]
    assert sum(path.stat().st_size for path in files) < 100_000
    for path in files:
        text = path.read_text()
        assert "innerHTML" not in text
        assert "//cdn" not in text


async def test_a_chart_is_shown_with_words_for_those_who_cannot_see_it(stage, browser, tmp_path):
    workspace, _ = stage
    page, faults = await open_page(browser, workspace, viewport={"width": 1440, "height": 900})
    labels = ["03:00:00", "03:05:00 onset", "03:10:00"]
    series = [
        {"name": name, "data": [{"label": label, "value": value} for label, value in zip(labels, values, strict=True)]}
        for name, values in (("error ratio", [0.2, 38.0, 40.5]), ("threshold 5", [5.0] * 3))
    ]
    drawn = {"type": "line", "series": series, "axis_config": {"categories": labels, "y_label": "%"}}
    client = AsyncWebClient(token=workspace.bot_token, base_url=f"{workspace.base_url}/api/")
    content = png(chart("checkout", [0.0, 15.0, 30.0], [1.0, 2.0, 9.0], threshold=5.0))
    done = await client.files_getUploadURLExternal(filename="c.png", length=len(content), alt_txt="x")
    async with httpx.AsyncClient() as http:
        assert (await http.post(done["upload_url"], content=content + b"x")).status_code == 400
        assert (await http.post(done["upload_url"], content=content)).status_code == 200
    shown = {"type": "image", "slack_file": {"id": done["file_id"]}, "alt_text": "errors rose to 40 %"}
    with pytest.raises(SlackApiError, match="invalid_blocks"):  # not complete yet
        await client.chat_postMessage(channel="C0ALERTS", text="x", blocks=[shown])
    await client.files_completeUploadExternal(files=[{"id": done["file_id"], "title": "checkout"}])
    block = {"type": "data_visualization", "title": "CheckoutErrors", "chart": drawn}
    await client.chat_postMessage(channel="C0ALERTS", text="x", blocks=[block, shown])
    said = "CheckoutErrors: error ratio from 0.2 to 40.5, threshold 5 from 5 to 5; 03:05:00 onset"
    await expect(page.get_by_role("img", name=said)).to_be_visible()
    picture = page.get_by_role("img", name="errors rose to 40 %")
    await expect(picture).to_be_visible()
    await expect(picture).to_have_js_property("naturalWidth", 960)
    await page.screenshot(path=tmp_path / "chart.png")
    assert faults == []
