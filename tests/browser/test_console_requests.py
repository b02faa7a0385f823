"""Who gets through to the console and who does not, tried with real requests against a real server."""

import json
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

TRIAL = {
    "trial_id": "t-1",
    "policy": "tiny",
    "instruction": "",
    "start_pose": "home",
    "time_limit": 10.0,
    "record": False,
    "scene": {"split": "train", "seed": 0},
}


@pytest.fixture
def visitor(stage: Any) -> Iterator[httpx.Client]:
    """Knows the address, not the token."""
    with httpx.Client(base_url=stage.url) as client:
        yield client


@pytest.fixture
def operator(visitor: httpx.Client, stage: Any) -> httpx.Client:
    """Has opened the printed link."""
    assert visitor.get(f"/?token={stage.token}").status_code == 303
    visitor.headers["x-touchdown-csrf"] = csrf(visitor, stage)
    return visitor


def csrf(client: httpx.Client, stage: Any) -> str:
    return client.cookies[f"touchdown_{stage.port}_csrf"]


def socket_to(stage: Any, client: httpx.Client, *, origin: str | None) -> ClientConnection:
    cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    return connect(
        f"ws://127.0.0.1:{stage.port}/ws",
        origin=origin,  # type: ignore[arg-type]
        additional_headers={"Cookie": cookie} if cookie else {},
        proxy=None,
    )


def test_the_token_is_taken_out_of_the_address_and_becomes_a_strict_cookie(
    visitor: httpx.Client, stage: Any
) -> None:
    response = visitor.get(f"/?token={stage.token}")
    assert response.status_code == 303
    assert response.headers["location"] == "/"
    session, readable = sorted(response.headers.get_list("set-cookie"), key=len, reverse=True)
    assert "HttpOnly" in session
    assert "HttpOnly" not in readable
    assert all("SameSite=strict" in cookie for cookie in (session, readable))
    assert stage.token not in session + readable


@pytest.mark.parametrize("path", ["/", "/?token=wrong", "/static/console.js", "/api/nothing"])
def test_nothing_is_served_without_a_session(visitor: httpx.Client, path: str) -> None:
    response = visitor.get(path)
    assert response.status_code == 401
    assert "link" in response.text


def test_a_made_up_session_is_refused(visitor: httpx.Client, stage: Any) -> None:
    visitor.cookies.set(f"touchdown_{stage.port}", "someone.0123456789abcdef")
    assert visitor.get("/").status_code == 401


@pytest.mark.parametrize("path", ["/", "/static/console.css", "/healthz", "/missing", "/?token=wrong"])
def test_every_answer_carries_the_protective_headers(operator: httpx.Client, path: str) -> None:
    headers = operator.get(path).headers
    assert headers["content-security-policy"].startswith("default-src 'self';")
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert "server" not in headers


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", ""])
def test_another_host_name_is_not_answered(operator: httpx.Client, host: str) -> None:
    assert operator.get("/", headers={"Host": host}).status_code in (400, 421)


def test_a_write_without_the_csrf_header_is_refused(operator: httpx.Client, stage: Any) -> None:
    del operator.headers["x-touchdown-csrf"]
    assert operator.post("/api/send", json={"action": "arm"}).status_code == 403
    assert stage.bridge.events == []


@pytest.mark.parametrize("path", ["/api/send", "/api/prepare", "/api/stop"])
def test_a_write_from_another_origin_is_refused(operator: httpx.Client, stage: Any, path: str) -> None:
    response = operator.post(path, json={"action": "arm"}, headers={"Origin": "http://evil.example"})
    assert response.status_code == 403
    assert stage.bridge.events == []


def test_commands_need_control_and_stop_does_not(operator: httpx.Client, stage: Any) -> None:
    refused = operator.post("/api/send", json={"action": "arm"})
    assert refused.status_code == 403
    assert "Take control" in refused.json()["sentence"]
    assert operator.post("/api/stop", json={"operator": "operator 1"}).status_code == 200
    assert [(event.action, event.operator) for event in stage.bridge.events] == [("stop", "operator 1")]


@pytest.mark.parametrize("origin", [None, "null", "own"])
def test_stop_needs_a_session_and_nothing_else(
    operator: httpx.Client, stage: Any, origin: str | None
) -> None:
    del operator.headers["x-touchdown-csrf"]
    headers = {} if origin is None else {"Origin": stage.url if origin == "own" else origin}
    assert operator.post("/api/stop", content=b"", headers=headers).status_code == 303
    assert stage.bridge.status.mode == "FAULT"
    operator.cookies.clear()
    assert operator.post("/api/stop", content=b"").status_code == 401


def test_a_stop_that_does_not_reach_the_bridge_says_so(operator: httpx.Client, stage: Any) -> None:
    stage.on_loop(stage.bridge.close)
    response = operator.post("/api/stop", json={})
    stage.on_loop(lambda: stage.bridge.start(f"127.0.0.1:{stage.bridge_port}"))
    assert response.status_code == 409
    assert "robot bridge" in response.json()["sentence"]


@pytest.mark.parametrize("origin", [None, "null", "http://evil.example", "https://127.0.0.1:{port}"])
def test_a_socket_from_another_origin_is_refused(
    operator: httpx.Client, stage: Any, origin: str | None
) -> None:
    with pytest.raises(InvalidStatus, match="403"):
        socket_to(stage, operator, origin=origin and origin.format(port=stage.port))


def test_a_socket_without_a_session_is_refused(visitor: httpx.Client, stage: Any) -> None:
    with pytest.raises(InvalidStatus, match="403"):
        socket_to(stage, visitor, origin=stage.url)


@pytest.mark.parametrize(
    "hello", ['{"type": "hello"}', '{"type": "hello", "csrf": "wrong"}', "[]", "not JSON"]
)
def test_a_socket_whose_first_message_has_no_token_is_closed(
    operator: httpx.Client, stage: Any, hello: str
) -> None:
    with socket_to(stage, operator, origin=stage.url) as channel:
        channel.send(hello)
        with pytest.raises(ConnectionClosed):
            channel.recv(timeout=5)


@pytest.fixture
def channel(operator: httpx.Client, stage: Any) -> Iterator[ClientConnection]:
    """An open page's socket."""
    with socket_to(stage, operator, origin=stage.url) as channel:
        channel.send(json.dumps({"type": "hello", "csrf": csrf(operator, stage)}))
        channel.send(json.dumps({"type": "take_control"}))  # the last test's page may just be leaving
        yield channel


def next_of(channel: ClientConnection, kind: str) -> dict[str, Any]:
    for _ in range(400):
        message = channel.recv(timeout=5)
        if isinstance(message, str) and (document := json.loads(message))["type"] == kind:
            return document
    pytest.fail(f"no message of type {kind!r}")


@pytest.mark.parametrize(
    "message",
    [
        {"type": "heartbeat", "nonce": 7, "press": 1, "held": True},
        {"type": "heartbeat", "nonce": "-7", "press": 1, "held": True},
        {"type": "heartbeat", "nonce": "7", "press": 1.5, "held": True},
        {"type": "heartbeat", "nonce": "7", "press": True, "held": True},
        {"type": "heartbeat", "nonce": "7", "press": 1, "held": "yes"},
        {"type": "heartbeat"},
        {"type": "arm"},
        {},
        [],
    ],
)
def test_a_malformed_message_closes_the_page_and_never_reaches_the_bridge(
    channel: ClientConnection, stage: Any, message: Any
) -> None:
    next_of(channel, "hold")
    channel.send(json.dumps(message))
    with pytest.raises(ConnectionClosed):
        next_of(channel, "nothing")
    assert stage.bridge.heartbeats == []


def test_the_console_adds_no_heartbeat_of_its_own(channel: ClientConnection, stage: Any) -> None:
    nonce = next_of(channel, "hold")["nonce"]
    channel.send(json.dumps({"type": "heartbeat", "nonce": nonce, "press": 1, "held": True}))
    states = [next_of(channel, "hold") for _ in range(20)]
    assert any(state["held"] for state in states)
    assert not states[-1]["held"], "one heartbeat holds no longer than its nonce's age allows"
    assert len(stage.bridge.heartbeats) == 1


def test_a_rig_without_hold_to_run_keeps_its_lease_free(channel: ClientConnection, stage: Any) -> None:
    next_of(channel, "hold")
    stage.on_loop(stage.bridge.close)
    stage.bridge.say(hold_required=False)
    stage.on_loop(lambda: stage.bridge.start(f"127.0.0.1:{stage.bridge_port}"))
    for _ in range(40):
        status = next_of(channel, "status")
        if status["bridge"]["connected"] and not status["status"]["hold_required"]:
            break
    for _ in range(5):
        assert next_of(channel, "status")["status"]["lease_holder"] == ""


def test_commands_pass_for_the_page_that_has_control(
    channel: ClientConnection, operator: httpx.Client, stage: Any
) -> None:
    operator.headers["x-touchdown-page"] = next_of(channel, "welcome")["page"]
    assert operator.post("/api/prepare", json=TRIAL).status_code == 200
    assert stage.bridge.setups[0].scene.split == "train"
    assert operator.post("/api/send", json={"action": "arm", "operator": "operator 1"}).status_code == 200
    refused = operator.post("/api/send", json={"action": "clear"})
    assert refused.status_code == 409
    assert "not possible in ARMED" in refused.json()["sentence"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("time_limit", -1),
        ("time_limit", "soon"),
        ("trial_id", ""),
        ("extra", 1),
        ("scene", {"split": "train"}),
    ],
)
def test_a_wrong_trial_is_refused_by_name(operator: httpx.Client, field: str, value: Any) -> None:
    response = operator.post("/api/prepare", json={**TRIAL, field: value})
    assert response.status_code == 422
    assert field in response.json()["sentence"]


def test_infinite_ages_are_valid_json(channel: ClientConnection, stage: Any) -> None:
    stage.bridge.say(arm_age=float("inf"))
    for _ in range(50):
        status = next_of(channel, "status")["status"]
        if status and status["arm_age"] is None:
            return
    pytest.fail("an infinite age did not become null")


def test_the_console_listens_on_loopback_only(stage: Any) -> None:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        assert probe.connect_ex(("127.0.0.2", stage.port)) != 0
