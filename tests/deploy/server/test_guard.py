"""Other sites, and names that lead here by trickery, are kept away."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from eanet.deploy.server.settings import ServeSettings
from tests.support.servers import client, named, picture


@pytest.fixture(scope="module")
def server() -> TestClient:
    return client(allow_host=("box.local",), allow_origin=("https://shop.example",))


def post(server: TestClient, **headers: str) -> int:
    own = {name.replace("_", "-"): value for name, value in headers.items()}
    return server.post("/predict", files=named(picture()), headers=own).status_code


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8000", "127.0.0.1:8000", "192.168.1.7", "[::1]:8000", "box.local:80"],
)
def test_known_names_and_addresses_in_numbers_are_answered(server: TestClient, host: str) -> None:
    assert server.get("/health", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example:8000", "", "[::1", "1.2.3"]
)
def test_other_names_are_refused(server: TestClient, host: str) -> None:
    answer = server.get("/health", headers={"host": host})
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("This server does not answer under this name")
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_name_that_is_listened_at_is_known() -> None:
    assert ServeSettings(host="box.lan", allow_host=("a",)).hosts == ("a", "box.lan")


def test_only_pages_from_here_may_post(server: TestClient) -> None:
    assert post(server) == 200  # no browser
    assert post(server, origin="http://localhost", sec_fetch_site="same-origin") == 200
    assert post(server, origin="http://evil.example") == 403
    assert post(server, origin="null") == 403
    assert post(server, origin="http://localhost:9000", host="localhost:8000") == 403
    assert post(server, sec_fetch_site="cross-site") == 403
    assert post(server, sec_fetch_site="same-site") == 403


def test_a_site_that_was_allowed_may_post_and_read(server: TestClient) -> None:
    own = {"origin": "https://shop.example", "sec-fetch-site": "cross-site"}
    answer = server.post("/predict", files=named(picture()), headers=own)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://shop.example"
    other = server.get("/model", headers={"origin": "https://evil.example"})
    assert "access-control-allow-origin" not in other.headers


def test_unless_asked_for_no_other_site_may_read() -> None:
    server = client()
    asked = {"origin": "https://shop.example", "access-control-request-method": "POST"}
    answer = server.options("/predict", headers=asked)
    assert answer.status_code == 405
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_every_answer_carries_the_headers(server: TestClient) -> None:
    for answer in (server.get("/model"), server.get("/nothing"), server.post("/predict")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"
