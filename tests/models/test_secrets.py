"""Secrets are hidden whatever form they come in; the rest of a text or URL stays."""

from __future__ import annotations

import itertools
import pickle
from urllib.parse import quote

import pytest

from models.credentials import refuse_credentials
from models.errors import ErrorKind, InputError, RetryError
from models.secrets import redacted, redacted_url, redacted_values

SIGNED = (
    "https://bucket.example/coadd.fits?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE"
    "%2F20261124&X-Amz-Date=20261124T000000Z&X-Amz-Security-Token=FQoGZXIvYXdzEJr&X-Amz-Signature=aeeed9bbcc"
)
HIDDEN_SIGNED = (
    "https://bucket.example/coadd.fits?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=***"
    "&X-Amz-Date=20261124T000000Z&X-Amz-Security-Token=***&X-Amz-Signature=***"
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:pass@host.example/a", "https://***@host.example/a"),
        ("s3://key:secret@bucket/odd.zarr is full", "s3://***@bucket/odd.zarr is full"),
        ("https://token@host.example/a@b.fits", "https://***@host.example/a@b.fits"),
        (SIGNED, HIDDEN_SIGNED),
        ("https://blob.example/a?sv=2024&sig=abc%2Bdef&se=1", "https://blob.example/a?sv=2024&sig=***&se=1"),
        ("{'key': 'minio', 'secret': 'minio123'}", "{'key': 'minio', 'secret': '***'}"),
        ("{'aws_secret_access_key': 'wJalr/K7'}", "{'aws_secret_access_key': '***'}"),
        ("password=hunter2, retry", "password=***, retry"),
        (
            "The AWS Access Key Id AKIAIOSFODNN7EXAMPLE does not exist",
            "The AWS Access Key Id *** does not exist",
        ),
        ("Authorization: Bearer abcdef123456", "Authorization: Bearer ***"),
    ],
)
def test_a_credential_is_taken_out(text: str, shown: str) -> None:
    assert redacted(text) == shown
    assert redacted(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "/data/desi/coadd-main-dark-23040.fits: truncated at byte 1,024",
        "s3://desidata/dr1/spectro/redux/iron",
        "https://data.desi.lbl.gov/public/dr1/spectro/redux/iron/healpix/main/dark/1/100/coadd.fits",
        "http://127.0.0.1:4200/api",
        "row 3 of TARGETID 39627835576420141, signal to noise = 3.2",
        "keyword DATASUM: allowed: 1 to 8",
        "expected a token, got end of file",
    ],
)
def test_other_text_stays(text: str) -> None:
    assert redacted(text) == text


def test_values_of_the_environment_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "Zq+8/secret-value")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "short")
    assert redacted("sent Zq+8/secret-value, a short text") == "sent ***, a short text"


def test_an_error_carries_none_anywhere() -> None:
    error = RetryError(
        "GET https://me:pass@host/a failed.",
        where="https://me:pass@host/a",
        got=OSError("401 for https://me:pass@host/a?token=abc"),
    )
    for text in (str(error), repr(error), str(error.args), str(pickle.loads(pickle.dumps(error)))):  # noqa: S301
        assert "pass" not in text
        assert "abc" not in text
    assert error.where == "https://***@host/a"


def test_every_part_of_an_error_is_redacted() -> None:
    url = "https://host/a?token=hunter2"
    error = InputError(url, where=url, got=url, allowed=url, remedy=url)
    assert "hunter2" not in repr(error.details()) + str(error) + repr(error.args)
    assert str(error).count("token=***") == 5


SECRET_URLS = {
    "password": "https://me:hunter2@host/a",
    "user": "https://hunter2@host/a",
    "encoded-at": "https://me%3Ahunter2%40host/a",
    "at-in-password": "https://me:hun@hunter2@host/a",
    "key-of-bucket": "s3://AKIAIOSFODNN7EXAMPLE:hunter2@bucket/a",
    "slash-in-secret": "s3://key:hun/hunter2+x/y@bucket/a",
    "mark-in-password": "https://me:hu?hunter2@host/a",
    "port": "https://me:hunter2@host:8080/a",
    "token": "https://host/a?token=hunter2",
    "access_token": "https://host/a?access_token=hunter2",
    "camel": "https://host/a?accessToken=hunter2",
    "second": "https://host/a?version=3&access-token=hunter2&x=1",
    "semicolon": "https://host/a?version=3;token=hunter2",
    "html": "https://host/a?version=3&amp;token=hunter2",
    "auth": "https://host/a?auth=hunter2",
    "sig": "https://host/a?sig=hunter2",
    "signature": "https://host/a?Expires=1700000000&Signature=hunter2&Key-Pair-Id=K1",
    "amazon": "https://host/a?X-Amz-Date=20261124T000000Z&X-Amz-Credential=me&X-Amz-Signature=hunter2",
    "google": "https://host/a?X-Goog-Algorithm=GOOG4&X-Goog-Signature=hunter2",
    "google-v2": "https://host/a?GoogleAccessId=hunter2&Expires=17",
    "azure": "https://a.blob.core.windows.net/c/a?sp=r&se=2026-12-01T00:00:00Z&sv=2024-11-04&sig=hunter2%3D",
    "api_key": "https://host/a?api_key=hunter2",
    "apikey": "https://host/a?apikey=hunter2",
    "key": "https://host/a?key=hunter2",
    "password-name": "https://host/a?user=me&password=hunter2",
    "fragment": "https://host/a#access_token=hunter2",
    "upper-case": "HTTPS://HOST/A?ACCESS_TOKEN=hunter2",
    "encoded-name": "https://host/a?%61ccess%5Ftoken=hunter2",
    "encoded-twice": "https://host/a?%2561ccess_token=hunter2",
    "encoded-mark": "https://host/a%3Ftoken=hunter2",
    "encoded-equals": "https://host/a?token%3Dhunter2",
    "encoded-url": "https://host/a?next=https%3A%2F%2Fme%3Ahunter2%40host%2F",
    "url-in-url": "https://proxy/https://me:hunter2@host/a",
    "path-parameter": "https://host/a;jsessionid=hunter2",
    "punctuation": "https://host/a?password=hun,hunter2)",
    "chain": "simplecache::s3://key:hunter2@bucket/a",
    "chain-of-two": "zip://inside.fits::https://host/a.zip?token=hunter2",
    "container": "abfs://container:hunter2@account.dfs.core.windows.net/a",
    "signed-file-name": "/data/coadd.fits?sig=hunter2",
    "url-as-a-path": "https:/me:hunter2@host/a",
}

HARMLESS_URLS = (
    "https://host/a.fits?version=3",
    "s3://bucket/a.fits?versionId=3HL4kqtJlcpXroDTDmJ",
    "https://host/a?monkey=banana&keyword=x&author=y&sigma=3&sort_key=flux&min_sig=5&band_pass=g&tokens=7",
    "https://host/a?expires=17&sv=2024&se=1&sp=r&x-amz-date=3",
    "https://host/a?token=&sig",
    "https://host/~me/a@2x.fits#extension-2",
    "https://host:8080/a@b.fits",
    "https://[::1]:8080/a.fits",
    "s3://bucket/mail@home/b:c=d.fits",
    "s3://arn:aws:s3:us-east-1:123456789012:accesspoint/mine/a@b.fits",
    "abfs://container@account.dfs.core.windows.net/a",
    "gs://bucket/50%25/a%20b.fits",
    "simplecache::s3://bucket/a.fits",
    "file:///a@b.fits",
    "memory://odd.zarr",
    "/data/me@home/key=3/pass=2/run.1;2/a b&c.fits",
    "../odd.zarr",
    "desi-galaxy",
)


@pytest.mark.parametrize("url", SECRET_URLS.values(), ids=SECRET_URLS.keys())
def test_a_url_with_a_secret_is_refused_with_the_remedy(url: str) -> None:
    with pytest.raises(InputError, match="holds credentials") as caught:
        refuse_credentials("/data/iron", url)
    error = caught.value
    assert "hunter2" not in "".join((str(error), repr(error), repr(error.args)))
    assert "***" in error.where
    assert (error.kind, error.exit_code) == (ErrorKind.CREDENTIALS_IN_URL, 66)
    for way in ("AWS_*", "~/.config/fsspec/*.json", "download the file"):
        assert way in error.remedy


@pytest.mark.parametrize("url", SECRET_URLS.values(), ids=SECRET_URLS.keys())
def test_the_same_secret_is_hidden_in_a_sentence(url: str) -> None:
    for text in (f"GET {url} failed", f"('{url}',)", f'"{url}".', f"store={url}"):
        assert "hunter2" not in redacted(text)


@pytest.mark.parametrize("url", HARMLESS_URLS)
def test_a_harmless_url_passes_and_is_shown_as_it_is(url: str) -> None:
    refuse_credentials(url)
    assert redacted_url(url) == url
    if "=" not in url or "://" in url:
        assert redacted(url) == redacted(f"{url}") == url


@pytest.mark.parametrize("url", [*SECRET_URLS.values(), *HARMLESS_URLS])
def test_hiding_twice_is_hiding_once(url: str) -> None:
    shown = redacted_url(url)
    assert redacted_url(shown) == shown
    assert redacted(redacted(url)) == redacted(url)


NAMES = (
    "token", "access_token", "auth_token", "id_token", "auth", "authorization", "sig", "signature", "api_key",
    "apiKey", "access_key", "secret", "client_secret", "secret_access_key", "AWSAccessKeyId", "key",
    "password", "passwd", "passphrase", "pwd", "credential", "jwt", "X-Amz-Security-Token",
    "X-Goog-Credential",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_every_way_to_write_a_name_is_known(name: str) -> None:
    written = {name, name.upper(), name.lower(), name.replace("_", "-"), quote(quote(name))}
    written.add("".join(f"%{ord(letter):02x}" for letter in name))
    for each, mark in itertools.product(written, "?#&;"):
        url = f"https://host/a?x=1{mark}{each}=hunter2&y=2"
        assert redacted_url(url) == f"https://host/a?x=1{mark}{each}=***&y=2"


def test_values_for_json_are_redacted_one_by_one() -> None:
    values = {"a": ["https://host/?sig=hunter2", 1, None], "b": {"c": ("s3://k:hunter2@bucket", 2.5, True)}}
    shown = {"a": ["https://host/?sig=***", 1, None], "b": {"c": ["s3://***@bucket", 2.5, True]}}
    assert redacted_values(values) == shown


def test_bytes_that_are_no_text_are_shown_escaped() -> None:
    name = b"copi\xe9 \xc3\xa9.fits".decode("utf-8", "surrogateescape")
    assert redacted(f"{name} \ud800") == "copi\\xe9 é.fits \\ud800"
