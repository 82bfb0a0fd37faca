"""Secrets in URLs and texts: the one rule of what a secret is, and texts with the secrets hidden.

Whatever opens, stores, logs or shows a URL goes by this rule. Secrets of a URL are

- what stands before the ``@`` of a host or bucket: user, password, access key;
- the value of a parameter with a telling name (``token``, ``sig``, ``api_key``, ``X-Amz-Signature``) after
  ``?``, ``#``, ``;`` or ``&``; the name may be in capitals or percent-encoded;
- an AWS access key, anywhere.

In a chained URL (``simplecache::s3://bucket/x``) the rule holds for each link.
"""

from __future__ import annotations

import os
import re
from urllib.parse import unquote

HIDDEN = "***"

_SECRET_VARIABLES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_CONNECTION_STRING",
    "AZURE_STORAGE_SAS_TOKEN",
    "FSSPEC_S3_KEY",
    "FSSPEC_S3_SECRET",
    "FSSPEC_S3_TOKEN",
    "PREFECT_API_AUTH_STRING",
    "PREFECT_API_KEY",
    "RAY_AUTH_TOKEN",
)
_LEAST_SECRET = 8
"""Shorter values of these variables are not looked for: they would match ordinary text."""

_DECODINGS = 8
"""Times that a name may be percent-encoded on top of itself."""

# pathlib makes one slash of two, so a URL that was taken for a path is known by its scheme.
_SCHEME = r"(?<![a-z0-9+.-])(?:[a-z0-9+.-]+://|(?:https?|ftps?|sftp|s3a?|gcs|gs|abfss?|az):/+)"
_URL = re.compile(rf"{_SCHEME}(?:[^\s'\"<>]*[^\s'\"<>.,:;!)\]}}|])?", re.IGNORECASE)
_AUTHORITY = re.compile(rf"({_SCHEME})([^/?#]*)", re.IGNORECASE)
# The second form is a password with a slash in it, as AWS makes them: what follows the colon is no port.
_USER = re.compile(
    rf"({_SCHEME})([^/?#]*|(?!arn:)[^/?#@:\[]+:(?!\d*(?:[/?#]|$)).*)@", re.IGNORECASE | re.DOTALL
)
_CONTAINER = re.compile(r"(?:abfs|wasb)s?://", re.IGNORECASE)  # abfs://container@account.host/path
_PARAMETERS = re.compile(r"([?#&;])")
_SUSPECT = re.compile(r"[@=%\s]|:(?!//)|A[KS]IA")
"""Without any of these a URL holds no secret: that is most URLs, and a release has many."""

_SECRET_NAME = re.compile(
    r"""(?: .*_ )? (?:
      (?: access | api | auth | bearer | id | job | oauth | private | refresh | sas | security | session )?
        _? token
    | (?: client_? )? secret (?: _? access )? (?: _? key )?
    | (?: account | api | auth | master | private | secret | shared | subscription )_? key
    | (?: aws | google | oss )? _? access (?: _? key )? _? id
    | access_? key
    | signature | credentials? | authori[sz]ation | jwt | password | passwd | passphrase | pwd
    | j? session_? id
    ) | auth | bearer | hmac | key | pass | sig""",
    re.VERBOSE,
)
"""Names of parameters of URLs, in small letters, with ``_`` between words. ``key``, ``pass`` and ``sig`` are
secrets where they stand alone, not in ``sort_key``, ``band_pass`` or ``min_sig``."""

_AUTHORISATION = re.compile(r"\b(Bearer|Basic)\s+[A-Za-z0-9+/._~=-]{8,}", re.IGNORECASE)
_UNDECODED = re.compile("[\udc80-\udcff]")  # what Python makes of such a byte
_ACCESS_KEY = re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b")
# name=value of a message, "name": "value" of a printed dictionary. Fewer names than in a URL: "key" and
# "credentials" are ordinary words.
_NAMED = re.compile(
    r"""(?<![A-Za-z0-9])
    ( (?:x-(?:amz|goog)-)?(?:signature|credential|security-token)
    | aws_?access_?key_?id | aws_secret_access_key | aws_session_token
    | secret(?:_?access)?(?:_?key)? | access_?key | api_?key | (?:auth_?|access_?|session_?)?token
    | (?<![_-])sig | pass(?:word|wd|phrase) )
    (["']?\s*[=:]\s*["']?)
    (?!\*\*\*)[^\s&"',;)}\]]+""",
    re.IGNORECASE | re.VERBOSE,
)


def redacted(text: str) -> str:
    """``text`` with the secrets hidden: those of its URLs, and keys, tokens and passwords beside them.

    Names of files are :func:`escaped` too: what is shown can also be written.
    """
    text = escaped(text)
    for name in _SECRET_VARIABLES:
        value = os.environ.get(name, "")
        if len(value) >= _LEAST_SECRET:
            text = text.replace(value, HIDDEN)
    if ":/" in text:
        text = _URL.sub(lambda match: _redacted_links(match[0]), text)
    return _redacted_words(text)


def redacted_url(url: str) -> str:
    """One URL or path with the secrets hidden; unchanged if it holds none."""
    return _redacted_words(_redacted_links(url))


def escaped(text: str) -> str:
    r"""``text`` with those bytes of a file's name that are no text written as ``\xe9``."""
    text = _UNDECODED.sub(lambda match: f"\\x{ord(match[0]) - 0xDC00:x}", text)
    return text.encode("utf-8", "backslashreplace").decode()


def redacted_values(value: object) -> object:
    """A JSON-like value with the secrets hidden in each of its texts."""
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, dict):
        return {str(name): redacted_values(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [redacted_values(part) for part in value]
    return value


def _redacted_words(text: str) -> str:
    if not _SUSPECT.search(text):
        return text
    text = _NAMED.sub(rf"\1\2{HIDDEN}", text)
    text = _AUTHORISATION.sub(rf"\1 {HIDDEN}", text)
    return _ACCESS_KEY.sub(HIDDEN, text)


def _redacted_links(url: str) -> str:
    return "::".join(map(_redacted_link, url.split("::"))) if _SUSPECT.search(url) else url


def _redacted_link(url: str) -> str:
    url = _AUTHORITY.sub(_hide_encoded_user, _USER.sub(_hide_user, url))
    path, *parameters = _PARAMETERS.split(url)
    segments = "/".join(HIDDEN if _hides_a_secret(part) else part for part in path.split("/"))
    return segments + "".join(map(_redacted_parameter, parameters))


def _hide_user(match: re.Match[str]) -> str:
    scheme, user = match.groups()
    if not user or (_CONTAINER.fullmatch(scheme) and ":" not in user):
        return match[0]
    return f"{scheme}{HIDDEN}@"


def _hide_encoded_user(match: re.Match[str]) -> str:
    scheme, authority = match.groups()
    return match[0] if "@" in authority or "@" not in _decoded(authority) else scheme + HIDDEN


def _redacted_parameter(text: str) -> str:
    name, _, value = text.partition("=")
    if value and (_is_secret_name(_decoded(name)) or _hides_a_secret(value)):
        return f"{name}={HIDDEN}"
    return HIDDEN if _hides_a_secret(text) else text


def _hides_a_secret(text: str) -> bool:
    """Whether a part of a URL holds a secret once it is decoded, such as a URL within a URL."""
    plain = "?" + _decoded(text)
    return plain != "?" + text and redacted_url(plain) != plain


def _is_secret_name(name: str) -> bool:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)  # accessToken, and aCCESS_tOKEN as it is
    return any(
        _SECRET_NAME.fullmatch(re.sub(r"[^a-z0-9]+", "_", form.lower()).strip("_")) for form in (name, words)
    )


def _decoded(text: str) -> str:
    for _ in range(_DECODINGS):
        plain = unquote(text)
        if plain == text:
            break
        text = plain
    return text
