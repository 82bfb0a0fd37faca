"""Credentials do not get into texts, whatever form they come in; the rest of the text stays."""

from __future__ import annotations

import pickle

import pytest

from models.errors import RetryError
from models.redaction import redacted

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
