"""Credentials out of texts: what errors, logs and reports may show of a URL or of a library's message."""

from __future__ import annotations

import os
import re

HIDDEN = "***"

_SECRET_VARIABLES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "PREFECT_API_AUTH_STRING",
    "PREFECT_API_KEY",
    "RAY_AUTH_TOKEN",
)
_LEAST_SECRET = 8
"""Shorter values of these variables are not looked for: they would match ordinary text."""

_USERINFO = re.compile(r"(?<=://)[^/\s@'\"]+@")
_ACCESS_KEY = re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b")
_AUTHORISATION = re.compile(r"\b(Bearer|Basic)\s+[A-Za-z0-9+/._~=-]{8,}", re.IGNORECASE)
# name=value of a URL's query or a message, "name": "value" of a printed dictionary. Names as used by
# AWS (signature version 2 and 4, botocore), Azure (sig), Google and whoever calls it a token.
_NAMED = re.compile(
    r"""(?<![A-Za-z0-9])
    ( (?:x-(?:amz|goog)-)?(?:signature|credential|security-token)
    | aws_?access_?key_?id | aws_secret_access_key | aws_session_token
    | secret(?:_?access)?(?:_?key)? | access_?key | api_?key | (?:auth_?|access_?|session_?)?token
    | sig | pass(?:word|wd|phrase)? )
    (["']?\s*[=:]\s*["']?)
    (?!\*\*\*)[^\s&"',;)}\]]+""",
    re.IGNORECASE | re.VERBOSE,
)


def redacted(text: str) -> str:
    """``text`` without user names and passwords of URLs, keys, tokens and signatures."""
    for name in _SECRET_VARIABLES:
        value = os.environ.get(name, "")
        if len(value) >= _LEAST_SECRET:
            text = text.replace(value, HIDDEN)
    text = _USERINFO.sub(f"{HIDDEN}@", text)
    text = _NAMED.sub(rf"\1\2{HIDDEN}", text)
    text = _AUTHORISATION.sub(rf"\1 {HIDDEN}", text)
    return _ACCESS_KEY.sub(HIDDEN, text)
