"""What the page promises an operator, tried in a real browser against a rehearsal bridge."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

HIDE = (
    "Object.defineProperty(document, 'visibilityState', {value: 'hidden', configurable: true});"
    "document.dispatchEvent(new Event('visibilitychange'))"
)


def until(condition: Callable[[], bool], what: str, page: Page) -> None:
    """Wait for something on the bridge's side while the page goes on."""
    for _ in range(200):
        if condition():
            return
        page.wait_for_timeout(25)
    pytest.fail(f"within 5 s: {what}")


def run_a_trial(page: Page, stage: Any) -> None:
    """Prepare, arm and start, as an operator does."""
    page.fill("[name=policy]", "tiny")
    page.click("text=Prepare trial")
    page.click("[data-action=arm]:enabled")
    page.click("[data-action=start]:enabled")
    until(lambda: stage.bridge.status.mode in ("RUNNING", "HOLDING"), "the trial is started", page)


def hold_space(page: Page, stage: Any) -> None:
    """Press until it counts: on a busy machine a press can be lost, and only a new one helps."""
    page.locator("#hold").focus()
    for _ in range(8):
        page.keyboard.down("Space")
        for _ in range(40):
            page.wait_for_timeout(25)
            if stage.bridge.status.held and page.get_attribute("#hold", "data-hold") == "held":
                return
        page.keyboard.up("Space")
        page.wait_for_timeout(200)
    pytest.fail("the bridge does not count the key as held")


def released(page: Page, stage: Any) -> None:
    beats = stage.bridge.heartbeats
    until(lambda: not stage.bridge.status.held and not beats[-1].held, "the key is released", page)
    count = len(beats)
    page.wait_for_timeout(200)
    assert len(beats) == count, "heartbeats go on after the release"


def test_space_runs_while_it_is_held(page: Page, stage: Any) -> None:
    run_a_trial(page, stage)
    expect(page.locator("#mode")).to_have_text("Holding")
    hold_space(page, stage)
    until(lambda: stage.bridge.status.elapsed > 0, "the trial's time goes on", page)
    page.keyboard.up("Space")
    released(page, stage)
    expect(page.locator("#mode")).to_have_text("Holding")


def test_every_press_has_its_own_id_and_echoes_nonces_of_the_bridge(page: Page, stage: Any) -> None:
    hold_space(page, stage)
    page.wait_for_timeout(300)
    page.keyboard.up("Space")
    released(page, stage)
    before = {beat.press for beat in stage.bridge.heartbeats if beat.held}
    hold_space(page, stage)
    page.keyboard.up("Space")
    released(page, stage)
    held = [beat for beat in stage.bridge.heartbeats if beat.held]
    after = {beat.press for beat in held} - before
    assert after
    assert min(after) > max(before)
    assert len({beat.nonce for beat in held if beat.press in before}) > 2
    assert all(beat.nonce > 2**60 for beat in held), "a browser's number would have lost digits"


def test_the_button_holds_while_the_pointer_is_down(page: Page, stage: Any) -> None:
    box = page.locator("#hold").bounding_box()
    assert box is not None
    for _ in range(8):
        page.mouse.move(box["x"] + 40, box["y"] + 40)
        page.mouse.down()
        page.mouse.move(box["x"] - 200, box["y"] + 300)  # captured: the finger may wander
        page.wait_for_timeout(400)
        held = stage.bridge.status.held
        page.mouse.up()
        released(page, stage)
        if held:
            return
    pytest.fail("the pointer did not hold")


@pytest.mark.parametrize(
    "happening",
    [
        "window.dispatchEvent(new Event('blur'))",
        "window.dispatchEvent(new PageTransitionEvent('pagehide'))",
        HIDE,
        "document.querySelector('[name=instruction]').focus()",
        "dispatchEvent(new KeyboardEvent('keydown', {code: 'Space', key: ' ', bubbles: true}))",
    ],
    ids=["blur", "pagehide", "hidden", "text field", "second key press without a release"],
)
def test_whatever_is_not_a_plain_press_releases(page: Page, stage: Any, happening: str) -> None:
    if "KeyboardEvent" in happening:
        happening = happening.replace("dispatchEvent", "document.body.dispatchEvent")
    hold_space(page, stage)
    page.evaluate(f"() => {{ {happening} }}")
    released(page, stage)
    expect(page.locator("#hold")).to_have_attribute("data-hold", "ready")


def test_a_key_repeat_never_begins_a_hold(page: Page, stage: Any) -> None:
    page.evaluate(
        "() => document.body.dispatchEvent("
        "new KeyboardEvent('keydown', {code: 'Space', key: ' ', repeat: true, bubbles: true}))"
    )
    page.wait_for_timeout(300)
    assert not any(beat.held for beat in stage.bridge.heartbeats)


def test_space_in_a_text_field_is_a_space(page: Page, stage: Any) -> None:
    page.fill("[name=instruction]", "")
    page.focus("[name=instruction]")
    page.keyboard.type("a b")
    assert page.input_value("[name=instruction]") == "a b"
    assert not any(beat.held for beat in stage.bridge.heartbeats)


def test_a_stuck_page_loses_the_hold_until_a_new_press(page: Page, stage: Any) -> None:
    hold_space(page, stage)
    page.evaluate("() => { const end = performance.now() + 600; while (performance.now() < end); }")
    until(lambda: not stage.bridge.status.held, "the hold is lost", page)
    expect(page.locator("#hold")).to_have_attribute("data-hold", "lost")
    page.wait_for_timeout(300)
    assert not stage.bridge.status.held, "it came back without a new press"
    page.keyboard.up("Space")
    hold_space(page, stage)
    page.keyboard.up("Space")


def test_closing_the_tab_ends_hold_and_lease(page: Page, stage: Any) -> None:
    hold_space(page, stage)
    page.close()
    deadline = time.monotonic() + 5
    while (stage.bridge.status.held or stage.bridge.status.lease_holder) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not stage.bridge.status.held
    assert stage.bridge.status.lease_holder == ""


def stops(stage: Any) -> int:
    return sum(event.action == "stop" for event in stage.bridge.events)


def test_escape_stops_and_the_fault_needs_a_look_before_it_is_cleared(page: Page, stage: Any) -> None:
    run_a_trial(page, stage)
    hold_space(page, stage)
    page.keyboard.press("Escape")
    until(lambda: stage.bridge.status.mode == "FAULT", "STOP latches", page)
    released(page, stage)
    expect(page.locator("#mode")).to_have_text("Fault")
    expect(page.locator("#clear")).to_be_disabled()
    page.check("#looked")
    page.click("#clear")
    until(lambda: stage.bridge.status.mode == "IDLE", "a person cleared it", page)


def test_stop_takes_one_click_without_control(page: Page, stage: Any) -> None:
    watcher = page.context.new_page()
    watcher.goto(stage.url)
    expect(watcher.locator("#control-sentence")).to_have_text("Another page has control")
    expect(watcher.locator("[data-action=arm]")).to_be_disabled()
    watcher.click("#stop")
    until(lambda: stops(stage) >= 1, "STOP from a page that only watches", page)


def test_stop_works_without_the_socket(page: Page, stage: Any) -> None:
    page.evaluate("() => { WebSocket.prototype.send = () => { throw new Error('cut'); }; }")
    page.click("#stop")
    until(lambda: stops(stage) == 1, "STOP by the plain request", page)


def test_stop_works_without_any_script(page: Page, stage: Any, browser: Any) -> None:
    context = browser.new_context(java_script_enabled=False)
    plain = context.new_page()
    plain.goto(stage.link)
    plain.click("#stop")
    until(lambda: stops(stage) == 1, "STOP by the form", page)
    context.close()


def test_another_page_can_take_control_and_the_first_hold_ends(page: Page, stage: Any) -> None:
    hold_space(page, stage)
    other = page.context.browser.new_context().new_page()
    other.goto(stage.link)
    other.click("#take-control")
    until(lambda: not stage.bridge.status.held, "the first page's hold ends", page)
    other.wait_for_selector("#hold[data-hold=ready]")
    expect(page.locator("#hold-note")).to_contain_text("another page has control")
    other.context.close()


def test_a_stale_picture_is_greyed_and_says_its_age(page: Page, stage: Any) -> None:
    tile = page.locator("[data-camera=front]")
    expect(tile).to_have_attribute("data-stale", "no")
    expect(tile.locator(".age")).to_contain_text("s old")
    stage.bridge.frozen.add("front")
    expect(tile).to_have_attribute("data-stale", "yes")
    expect(tile.locator(".stale")).to_contain_text("Not live")
    expect(page.locator("[data-camera=wrist]")).to_have_attribute("data-stale", "no")
    stage.bridge.frozen.clear()
    expect(tile).to_have_attribute("data-stale", "no")


def test_a_bridge_that_dies_is_said_and_nothing_looks_live(page: Page, stage: Any) -> None:
    hold_space(page, stage)
    stage.on_loop(stage.bridge.close)
    expect(page.locator("#link-banner")).to_contain_text("No bridge")
    expect(page.locator("#mode")).to_have_text("Unknown")
    expect(page.locator("#hold")).to_have_attribute("data-hold", "off")
    expect(page.locator("[data-camera=front]")).to_have_attribute("data-stale", "yes")
    port = stage.bridge_port
    stage.on_loop(lambda: stage.bridge.start(f"127.0.0.1:{port}"))
    page.wait_for_selector("body[data-live=yes]", timeout=15000)


def test_problems_against_arming_are_listed_and_a_refusal_is_shown(page: Page, stage: Any) -> None:
    stage.bridge.say(problems=("camera front is missing", "the policy's rate is too high for this profile"))
    expect(page.locator("#problems li")).to_have_count(2)
    page.click("[data-action=arm]")
    expect(page.locator("#answer")).to_contain_text("Arm was refused")
    expect(page.locator("#answer")).to_contain_text("not possible")


def test_targets_are_large_and_nothing_scrolls_sideways_on_a_phone(page: Page, stage: Any) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    page.wait_for_timeout(200)
    small = page.evaluate(
        "() => [...document.querySelectorAll('button, input:not([type=checkbox])')]"
        ".filter(e => e.checkVisibility())"
        ".filter(e => e.getBoundingClientRect().height < 44 || e.getBoundingClientRect().width < 44)"
        ".map(e => e.outerHTML)"
    )
    assert small == []
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    expect(page.locator("#stop")).to_be_in_viewport()


def test_the_page_says_that_its_stop_is_not_safety_rated(page: Page) -> None:
    expect(page.locator("footer")).to_contain_text("software and not safety rated")
