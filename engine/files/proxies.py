"""Proxies of the environment: which one a URL is reached by."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from models.errors import ConfigurationError, ErrorKind


def proxy_of(url: str) -> str:
    """The URL of the proxy for ``url``; empty for none.

    ``http_proxy``, ``https_proxy``, ``all_proxy`` and ``no_proxy`` say so, in small letters or capitals. No
    proxy is asked for a server on this machine: to the proxy the address would be its own.

    Raises
    ------
    ConfigurationError : the proxy is none for HTTP (``proxy``).
    """
    parts = urlsplit(url)
    if _is_loopback(parts.hostname or "") or proxy_bypass(parts.netloc):
        return ""
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all", "")
    if proxy and "://" not in proxy:
        proxy = f"http://{proxy}"
    if proxy and not proxy.startswith(("http://", "https://")):
        raise ConfigurationError(
            "The proxy of the environment is none for HTTP.",
            where=f"{parts.scheme}_proxy, all_proxy",
            got=proxy,
            allowed="http://host:port or https://host:port",
            remedy="Name an HTTP proxy, or name hosts to be reached without one in no_proxy.",
            kind=ErrorKind.PROXY,
        )
    return proxy


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
