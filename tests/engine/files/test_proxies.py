"""Proxies of the environment: used for releases on the web and in buckets, never for this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.files.file_systems import open_file_system
from engine.files.proxies import proxy_of
from engine.surveys.listing import list_release
from engine.surveys.reading import read_spectra
from models.errors import ConfigurationError
from tests.engine.surveys.coadd_files import CoaddContent
from tests.servers.forward_proxy import ForwardProxy
from tests.servers.http_ranges import RangeServer
from tests.servers.s3 import BUCKET, S3Server, s3, s3_user

__all__ = ["s3", "s3_user"]

VARIABLES = [f"{scheme}_proxy" for scheme in ("http", "https", "all", "no")]


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def proxy() -> Iterator[ForwardProxy]:
    with ForwardProxy() as running:
        yield running


@pytest.mark.parametrize(
    ("variables", "url", "expected"),
    [
        ({}, "http://a.test/x", ""),
        ({"http_proxy": "http://p:1"}, "http://a.test/x", "http://p:1"),
        ({"HTTPS_PROXY": "p:1"}, "https://a.test/x", "http://p:1"),
        ({"http_proxy": "http://p:1"}, "https://a.test/x", ""),
        ({"all_proxy": "http://p:1"}, "https://a.test/x", "http://p:1"),
        ({"all_proxy": "http://p:1", "https_proxy": "http://q:2"}, "https://a.test/x", "http://q:2"),
        ({"all_proxy": "http://p:1", "no_proxy": "other,a.test"}, "https://a.test/x", ""),
        ({"all_proxy": "http://p:1", "no_proxy": ".test"}, "https://a.test:8080/x", ""),
        ({"all_proxy": "http://p:1", "no_proxy": "*"}, "https://a.test/x", ""),
        ({"all_proxy": "socks5://p:1"}, "http://127.0.0.1:8000/x", ""),
        ({"all_proxy": "http://p:1"}, "http://127.8.9.1/x", ""),
        ({"all_proxy": "http://p:1"}, "http://localhost:9/x", ""),
        ({"all_proxy": "http://p:1"}, "http://[::1]:9/x", ""),
    ],
)
def test_which_proxy_a_url_has(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], url: str, expected: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert proxy_of(url) == expected


def test_a_proxy_of_another_kind_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("all_proxy", "socks5://p:1")
    for url in ("https://a.test/x", "s3://bucket/x"):
        with pytest.raises(ConfigurationError, match="none for HTTP") as caught:
            open_file_system(url)
        assert (caught.value.kind, caught.value.got) == ("proxy", "socks5://p:1")


@pytest.mark.parametrize("variable", ["http_proxy", "all_proxy"])
def test_a_release_on_the_web_is_read_by_the_proxy(
    tmp_path: Path, proxy: ForwardProxy, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    CoaddContent(count=2).write(tmp_path / "release")
    monkeypatch.setenv(variable, proxy.url)
    with RangeServer(tmp_path) as server:
        direct = read_spectra(list_release([f"{server.url}/release"]).files[0])
        assert proxy.hosts == []
        (file,) = list_release([f"{server.url.replace('127.0.0.1', 'release.test')}/release"]).files
        assert read_spectra(file).flux.tobytes() == direct.flux.tobytes()
        assert set(proxy.hosts) == {"release.test"}


def test_a_bucket_is_read_by_the_proxy(
    s3_user: S3Server, tmp_path: Path, proxy: ForwardProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in map(Path, CoaddContent(count=2).write(tmp_path)):
        s3_user.client().put_object(Bucket=BUCKET, Key=f"proxied/{path.name}", Body=path.read_bytes())
    monkeypatch.setenv("all_proxy", proxy.url)
    (direct,) = list_release([f"s3://{BUCKET}/proxied"]).files
    assert proxy.hosts == []
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_user.url.replace("127.0.0.1", "s3.test"))
    (file,) = list_release([f"s3://{BUCKET}/proxied"]).files
    assert read_spectra(file).flux.tobytes() == read_spectra(direct).flux.tobytes()
    assert set(proxy.hosts) == {"s3.test"}
