"""Coadds and redrock files by their names."""

from __future__ import annotations

from collections.abc import Sequence

from engine.surveys.directory import directory_of, name_of
from engine.surveys.layout import Found


def is_coadd(url: str) -> bool:
    """Whether a URL is that of a coadd."""
    return name_of(url).startswith("coadd-")


def redrock_urls(url: str) -> tuple[str, ...]:
    """Where the redshifts of a coadd may be: ``redrock-X`` beside ``coadd-X``, compressed or not."""
    if not is_coadd(url):
        return ()
    base = f"{directory_of(url)}/redrock-{name_of(url).removeprefix('coadd-').removesuffix('.gz')}"
    return base, f"{base}.gz"


def holds_all_coadds(found: Found, urls: Sequence[str]) -> bool:
    """Whether a layout takes or skips every coadd of a listing: one outside of it would be lost."""
    coadds = {url for url in urls if is_coadd(url)}
    skipped = {file.url for file in found.skipped}
    return len(found.candidates) + len(skipped & coadds) >= len(coadds)
