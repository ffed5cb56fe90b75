"""Addresses as people write them, and what is sent to them."""

from __future__ import annotations

import warnings

import pytest

from avalua_client import AvaluaClient, ConfigurationError
from avalua_client.address import read_address
from avalua_client.retrying import MAX_RETRY_AFTER_S, Backoff, Retry, read_retry_after


@pytest.mark.parametrize(
    "text",
    [
        "http://localhost:8000", "http://localhost:8000/", "localhost:8000", " http://localhost:8000/docs ",
        "http://localhost:8000/evaluate/", "http://localhost:8000//", "http://localhost:8000/health?x=1#y",
    ],
)  # fmt: skip
def test_the_same_service(text: str) -> None:
    assert read_address(text) == "http://localhost:8000"


def test_a_path_in_front_of_the_service_is_kept() -> None:
    assert read_address("https://centre.cat/avalua/docs") == "https://centre.cat/avalua"
    assert read_address("http://[::1]:8000/") == "http://[::1]:8000"


@pytest.mark.parametrize(
    "text", ["", "ftp://x", "http://", "http://a:b@x", "http://x:99999", "http://[::1", "//x"]
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ConfigurationError, match="must look like http"):
        read_address(text)


@pytest.mark.parametrize(
    "url", ["http://10.0.0.7:8000", "http://avalua.example.cat", "http://localhost.example.cat"]
)
async def test_nothing_secret_goes_over_http(url: str) -> None:
    """A key never; texts with one warning."""
    with pytest.raises(ConfigurationError, match="use https"):
        AvaluaClient(url, api_key="secret")
    with pytest.warns(UserWarning, match="unencrypted") as warned:
        await AvaluaClient(url).aclose()
    assert len(warned) == 1


@pytest.mark.parametrize(
    "url", ["https://avalua.example.cat", "http://127.0.0.1:1", "http://localhost", "http://[::1]:1"]
)
async def test_on_this_machine_or_encrypted_it_does(url: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        await AvaluaClient(url, api_key="secret").aclose()


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), (" 0 ", 0.0), (None, None), ("", None), ("soon", None), ("-3", None), ("1e9", None),
     ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0), ("9" * 400, 999_999_999.0)],
)  # fmt: skip
def test_retry_after_is_read(header: str | None, seconds: float | None) -> None:
    assert read_retry_after(header) == seconds


def test_waits() -> None:
    """Nought and nonsense are our own pause, a day is capped, and in the end the patience is over."""
    retry = Retry(first_s=1.0, max_s=4.0, patience_s=500.0, queue_patience_s=500.0)
    for header in ("0", "nonsense", None):
        wait_s = Backoff(retry).next_wait_s(header)
        assert wait_s is not None
        assert 0.5 <= wait_s <= 1.0
    wait_s = Backoff(retry).next_wait_s("86400")
    assert wait_s is not None
    assert MAX_RETRY_AFTER_S <= wait_s <= MAX_RETRY_AFTER_S + 1
    backoff = Backoff(retry)
    waits = [backoff.next_wait_s() or 0 for _ in range(50)]
    assert max(waits) <= 4.0
    assert Backoff(Retry(patience_s=0)).next_wait_s() is None
