"""Refusal of URLs that hold credentials, before anything is opened, sent or written."""

from __future__ import annotations

from models.errors import ErrorKind, InputError
from models.secrets import redacted_url


def refuse_credentials(*urls: str) -> None:
    """Refuse URLs and paths that hold a secret as :mod:`models.secrets` says what one is.

    Raises
    ------
    InputError : one of them does (``credentials-in-url``); the text shows it without the secret.
    """
    for url in urls:
        shown = redacted_url(url)
        if shown != url:
            raise InputError(
                "A URL holds credentials, which would be written into the store and into logs.",
                where=shown,
                allowed="a URL or path without user, password, key, token or signature",
                remedy="Give them by AWS_* variables, ~/.aws, or ~/.config/fsspec/*.json, which can hold "
                "headers for https. Instead of a signed URL, download the file first, or name the bucket "
                "that it is in.",
                kind=ErrorKind.CREDENTIALS_IN_URL,
            )
