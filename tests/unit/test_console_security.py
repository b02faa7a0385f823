"""The pure parts of the console's guard, and the one that depends on time."""

import asyncio

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import PlainTextResponse

from operator_console.security import (
    LOOPBACK_NAMES,
    WRONG_TOKENS_PER_MINUTE,
    Guard,
    Sessions,
    own_host,
    same_origin,
)

SESSIONS = Sessions(key=b"k" * 32, cookie_name="touchdown_1", secure=False)


@given(st.text())
def test_no_made_up_session_or_csrf_value_is_valid(value: str) -> None:
    assert not SESSIONS.is_valid(value)
    assert not SESSIONS.csrf_matches(SESSIONS.open(), value)


def test_values_of_another_key_are_worth_nothing() -> None:
    other = Sessions(key=b"o" * 32, cookie_name="touchdown_1", secure=False)
    session = other.open()
    assert other.is_valid(session)
    assert not SESSIONS.is_valid(session)


@pytest.mark.parametrize(
    ("header", "host"),
    [
        ("127.0.0.1:8080", "127.0.0.1"),
        ("LocalHost", "localhost"),
        ("[::1]:8080", "::1"),
        ("", ""),
        ("[", ""),
        ("evil.example@127.0.0.1", "127.0.0.1"),
    ],
)
def test_the_name_in_a_host_header(header: str, host: str) -> None:
    assert own_host(header) == host


@pytest.mark.parametrize(
    ("origin", "is_same"),
    [
        ("http://127.0.0.1:8080", True),
        ("https://127.0.0.1:8080", False),
        ("http://127.0.0.1:8081", False),
        ("http://127.0.0.1", False),
        ("http://127.0.0.1:8080.evil.example", False),
        ("null", False),
        ("", False),
    ],
)
def test_an_origin_is_the_same_only_to_the_letter(origin: str, is_same: bool) -> None:
    assert same_origin(origin, "127.0.0.1:8080", secure=False) is is_same


def test_guessing_the_token_is_slowed_down_and_a_minute_later_forgiven() -> None:
    now = [0.0]
    guard = Guard(
        PlainTextResponse("inside"),
        token="right",
        sessions=SESSIONS,
        hosts=LOOPBACK_NAMES,
        clock=lambda: now[0],
    )

    async def ask(token: str) -> int:
        transport = httpx.ASGITransport(guard)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return (await client.get("/", params={"token": token})).status_code

    assert asyncio.run(ask("right")) == 303
    codes = [asyncio.run(ask("guess")) for _ in range(WRONG_TOKENS_PER_MINUTE)]
    assert set(codes) == {401}
    assert asyncio.run(ask("right")) == 429, "a right guess among many must not be told from a wrong one"
    now[0] = 61.0
    assert asyncio.run(ask("right")) == 303
