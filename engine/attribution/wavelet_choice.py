"""Choice of a wavelet: what a method's settings say of it, and what is refused."""

from __future__ import annotations

from engine.attribution.method import MethodSettings
from models.errors import ConfigurationError, ErrorKind
from models.model_card import ModelCard


def check_wavelet(settings: MethodSettings, name: str) -> None:
    """Refuse a name of which PyWavelets has no discrete wavelet.

    Raises
    ------
    ConfigurationError : it has none.
    """
    import pywt

    if name not in pywt.wavelist(kind="discrete"):
        raise ConfigurationError(
            "There is no discrete wavelet of that name.",
            where=f"{settings.method} settings, wavelet",
            got=name,
            allowed="haar, db2, sym4, coif2, bior2.2 or another of pywt.wavelist(kind='discrete')",
            remedy="Choose one of these.",
            kind=ErrorKind.WAVELET,
        )


def refuse_depth(settings: MethodSettings, name: str, depth: int, card: ModelCard) -> None:
    """Refuse more levels than a model's spectra have room for.

    Raises
    ------
    ConfigurationError : they have less.
    """
    import pywt

    most = pywt.dwt_max_level(card.grid.size, pywt.Wavelet(name).dec_len)
    if depth > most:
        raise ConfigurationError(
            "A transform by wavelets goes deeper than the spectrum allows.",
            where=f"{settings.method} settings, depth",
            got=depth,
            allowed=f"1 to {most} for {name} and {card.grid.size} pixels",
            remedy="Ask for fewer levels or a shorter wavelet, such as haar.",
            kind=ErrorKind.WAVELET,
        )


def wavelet_scales(depth: int) -> tuple[int, ...]:
    """Pixels of the details of each level, and twice the widest for what is coarser than all."""
    return tuple(2**level for level in range(1, depth + 2))
