"""Who counts as one client, and the rates of clients: bounded, whoever comes."""

from __future__ import annotations

import pytest

from serein.serve.access import AccessControl
from serein.serve.clients import RateLimiter, network_of
from serein.serve.errors import RequestError
from serein.serve.settings import Settings


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2::3", "20010db800010002/64"),
        ("2001:db8:1:2:ffff::9", "20010db800010002/64"),
        ("fe80::1%eth0", "fe80000000000000/64"),
        ("::1", "0/64"),
        ("testclient", "testclient"),
    ],
)
def test_what_counts_as_one_client(address: str, client: str) -> None:
    assert network_of((address, 1)) == client


def test_a_bucket_is_filled_again_over_a_minute() -> None:
    clock = Clock()
    limiter = RateLimiter(6, 10, clock)
    assert [limiter.wait_s("a") for _ in range(7)] == [0] * 6 + [10]
    assert limiter.wait_s("b") == 0
    clock.now_s = 9.0
    assert limiter.wait_s("a") == 1
    clock.now_s = 10.0
    assert [limiter.wait_s("a") for _ in range(2)] == [0, 10]
    clock.now_s = 1000.0
    assert [limiter.wait_s("a") for _ in range(7)] == [0] * 6 + [10]


def test_only_the_latest_clients_are_remembered() -> None:
    clock = Clock()
    limiter = RateLimiter(1, 100, clock)
    assert limiter.wait_s("a") == 0
    for number in range(50_000):
        limiter.wait_s(str(number))
        if number % 50 == 0:
            assert limiter.wait_s("a") > 0  # it comes again and again: it stays
    assert len(limiter) == 100


def test_the_rate_is_checked_after_the_key() -> None:
    """Requests without a key take nothing from those of its holders, and are not remembered."""
    from starlette.datastructures import Headers

    key = "correct-horse-battery"
    access = AccessControl(Settings(api_key=key, requests_per_minute=3))
    scope = {"type": "http", "method": "GET", "scheme": "http", "client": ("192.0.2.7", 1)}

    def code(path: str, **headers: str) -> str:
        sent = Headers({"host": "localhost"} | {n.replace("_", "-"): v for n, v in headers.items()})
        try:
            access.check(scope | {"path": path}, sent)
        except RequestError as error:
            return error.code
        return "allowed"

    assert {code("/v1/limits") for _ in range(20)} == {"no_key"}
    assert {code("/v1/limits", x_api_key="wrong") for _ in range(20)} == {"no_key"}
    assert [code("/") for _ in range(4)] == ["allowed"] * 3 + ["too_many"]
    assert [code("/v1/limits", x_api_key=key) for _ in range(4)] == ["allowed"] * 3 + ["too_many"]
    assert code("/healthz") == "allowed"
