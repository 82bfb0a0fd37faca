"""Spender's state dicts as weights of :class:`models.spender.model.SpenderModel`, strictly checked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from models.errors import ErrorKind, InputError
from models.grid import WavelengthGrid
from models.spender.decoder import SpenderDecoder
from models.spender.encoder import CHANNELS, SpenderEncoder
from models.spender.files import SpenderFile
from models.spender.flow import SpenderFlow, degrees

_ALIGNED = 0.05
"""Of a pixel: wavelengths that agree so well with a grid are on it. SDSS's are in float32."""

_WAVE_OBS, _WAVE_REST, _LINE_SPREAD = (
    "encoder.instrument.wave_obs",
    "decoder.wave_rest",
    "encoder.instrument.lsf.weight",
)
_UNUSED = ("encoder.instrument.skyline_mask",)
"""Entries of older files that no computation uses."""

_LARGEST_FLOW = (64, 2048, 32, 16)
"""Latents, hidden units, transforms, blocks beyond which a file is not believed; spender has 6, 50, 5, 2."""

_STEP = "_transform._transforms.1._transforms.{}._transforms."


@dataclass(frozen=True)
class Instrument:
    """Pixels of a grid that spender's encoder is given: ``pixels`` of them from ``first``."""

    grid: WavelengthGrid
    first: int
    pixels: int


# Whatever grids surveys have here, these are what spender's released weights were trained on.
_LINEAR = WavelengthGrid("desi", "linear", 3600.0, 0.8, 7781)
_LOG10 = WavelengthGrid("sdss", "log10", 3.54, 1e-4, 4801)

INSTRUMENTS = {
    "desi": Instrument(_LINEAR, 0, 7781),
    "sdss": Instrument(_LOG10, 380, 3921),
    "boss": Instrument(_LOG10, 90, 4686),
}
"""Spender's instruments, for files that do not say their wavelengths."""


@dataclass(frozen=True, eq=False)
class Autoencoder:
    """Encoder and decoder with what they are for.

    Attributes
    ----------
    instrument : what the encoder takes.
    encoder, decoder : with their weights.
    architecture : the sizes that rebuild them, for a model card.
    """

    instrument: Instrument
    encoder: SpenderEncoder
    decoder: SpenderDecoder
    architecture: Mapping[str, Any]


def sorted_files(files: Sequence[SpenderFile]) -> tuple[SpenderFile, SpenderFile]:
    """The autoencoder's file and the flow's, in that order, from two files in any order.

    Raises
    ------
    InputError : not one of each.
    """
    flows = [file for file in files if any(name.startswith("_transform.") for name in file.tensors)]
    others = [file for file in files if file not in flows]
    autoencoders = [file for file in others if any(name.startswith("decoder.") for name in file.tensors)]
    if len(flows) == 1 and len(autoencoders) == 1 and len(files) == 2:
        return autoencoders[0], flows[0]
    found = {
        file.path.name: "a flow" if file in flows else "an autoencoder" if file in autoencoders else "neither"
        for file in files
    }
    raise InputError(
        "An autoencoder's file and its flow's are needed.",
        where="FILES",
        got="; ".join(f"{name}: {what}" for name, what in found.items()) or "none",
        allowed="two files, e.g. spender.desi-edr.galaxyae-b9bc8d12.pt and "
        "spender.desi-edr.galaxyflow-b71f8966.pt",
        remedy="Download what is missing from huggingface.co/pmelchior/spender and name both.",
        kind=ErrorKind.SPENDER_FILES,
    )


def autoencoder_of(file: SpenderFile, instrument: str = "") -> Autoencoder:
    """Encoder and decoder from a file of spender's.

    Parameters
    ----------
    instrument : a name of :data:`INSTRUMENTS`, for files that do not say their wavelengths.

    Raises
    ------
    InputError : entries are missing, unknown, or of the wrong shape; the text names them.
    """
    # As spender's own loader: names of old files, and a redshift among the perceptron's inputs, left out.
    tensors = {re.sub(r"\.mlp\.mlp\.", ".mlp.", name): value for name, value in file.tensors.items()}
    _require(file, tensors, ["encoder.mlp.0.weight", "decoder.mlp.0.weight", _WAVE_REST])
    first = tensors["encoder.mlp.0.weight"]
    if first.ndim == 2 and first.shape[1] == CHANNELS[-1] // 2 + 1:
        tensors["encoder.mlp.0.weight"] = first[:, :-1]
    place = _instrument(file, tensors.pop(_WAVE_OBS, None), instrument)
    wave_rest = tensors[_WAVE_REST].double().flatten()
    if len(wave_rest) < 2 or not bool((wave_rest.diff() > 0).all()) or float(wave_rest[0]) <= 0:
        raise _wrong(file, _WAVE_REST, "wavelengths that do not increase", "increasing wavelengths")
    line_spread = tensors.pop(_LINE_SPREAD, torch.zeros(0)).flatten()
    for name in _UNUSED:
        tensors.pop(name, None)

    encoder_hidden, latents = _widths(file, tensors, "encoder.mlp.")
    decoder_hidden, _ = _widths(file, tensors, "decoder.mlp.")
    speculator = "decoder.mlp.1.beta" in tensors
    architecture = {
        "latents": latents,
        "novelty": 0,
        "first_pixel": place.first,
        "pixels": place.pixels,
        "encoder_hidden": list(encoder_hidden),
        "decoder_hidden": list(decoder_hidden),
        "activation": "speculator" if speculator else "leaky-relu",
        "rest_size": len(wave_rest),
        "line_spread": len(line_spread),
    }
    encoder = SpenderEncoder(latents, encoder_hidden)
    decoder = SpenderDecoder(
        place.grid,
        latents,
        decoder_hidden,
        "speculator" if speculator else "leaky-relu",
        len(wave_rest),
        len(line_spread),
    )
    tensors["decoder.line_spread"] = line_spread
    tensors[_WAVE_REST] = wave_rest
    _load(file, nn.ModuleDict({"encoder": encoder, "decoder": decoder}), tensors)
    return Autoencoder(place, encoder, decoder, architecture)


def flow_of(file: SpenderFile) -> SpenderFlow:
    """The flow of a file of spender's.

    Raises
    ------
    InputError : entries are missing, unknown, of the wrong shape, or not those of an autoregressive flow;
        the text names them.
    """
    tensors = dict(file.tensors)
    scale = "_transform._transforms.0._scale"
    network = _STEP.format(0) + "0.autoregressive_net."
    _require(file, tensors, [scale, f"{network}initial_layer.bias"])
    transforms = 1 + _largest(tensors, r"_transform\._transforms\.1\._transforms\.(\d+)\.")
    blocks = 1 + _largest(tensors, re.escape(network) + r"blocks\.(\d+)\.")
    latents, hidden = tensors[scale].numel(), tensors[f"{network}initial_layer.bias"].numel()
    for what, number, most in zip(
        ("latents", "hidden units", "transforms", "blocks"),
        (latents, hidden, transforms, blocks),
        _LARGEST_FLOW,
        strict=True,
    ):
        if not 1 <= number <= most:
            raise _wrong(file, "_transform", f"{number} {what}", f"1 to {most}")
    flow = SpenderFlow(latents, transforms, hidden, blocks)

    renamed = {scale: "scale", "_transform._transforms.0._shift": "shift"}
    for step in range(transforms):
        inner, ours = _STEP.format(step), f"steps.{step}."
        renamed[f"{inner}1._permutation"] = f"{ours}permutation"
        layers = {"initial_layer": "first", "final_layer": "last"}
        layers |= {f"blocks.{block}.linear": f"blocks.{block}" for block in range(blocks)}
        for theirs, layer in layers.items():
            base = f"{inner}0.autoregressive_net.{theirs}."
            renamed |= {f"{base}{part}": f"{ours}{layer}.{part}" for part in ("weight", "bias", "mask")}
            _check_degrees(file, f"{base}degrees", tensors.pop(f"{base}degrees", None), latents, hidden)
    _check_names(file, tensors, renamed)
    state = {renamed[name]: value for name, value in tensors.items()}
    if bool((state["scale"] <= 0).any()):
        raise _wrong(file, scale, "not positive", "positive numbers")
    ours_of = dict(flow.named_buffers())
    for name, theirs in ((ours, theirs) for theirs, ours in renamed.items()):
        if name.endswith(".mask") and not torch.equal(state.pop(name), ours_of[name]):
            raise _wrong(file, theirs, "another mask", "the mask of an autoregressive perceptron")
        if name.endswith(".permutation") and state[name].sort().values.tolist() != list(range(latents)):
            raise _wrong(file, theirs, state[name].tolist(), f"0 to {latents - 1}, each once")
    _load(file, flow, state, {ours: theirs for theirs, ours in renamed.items()})
    return flow


def flow_sizes(flow: SpenderFlow) -> dict[str, int]:
    """The sizes that rebuild a flow, for a model card."""
    step: Any = flow.steps[0]
    return {"transforms": len(flow.steps), "hidden": step.first.out_features, "blocks": len(step.blocks)}


def _instrument(file: SpenderFile, wave_obs: Tensor | None, name: str) -> Instrument:
    if wave_obs is None:
        if name in INSTRUMENTS:
            return INSTRUMENTS[name]
        raise InputError(
            "The file does not say the wavelengths of its encoder.",
            where=f"{file.path}, {_WAVE_OBS}",
            got="no such entry" if not name else f"--instrument {name}",
            allowed=", ".join(INSTRUMENTS),
            remedy="Say for which of spender's instruments it was trained: --instrument NAME.",
            kind=ErrorKind.SPENDER_INSTRUMENT,
        )
    wavelength = wave_obs.double().flatten().numpy()
    for grid in (_LINEAR, _LOG10):
        if not len(wavelength) or not (wavelength > 0).all():
            break
        pixel = grid.pixel(wavelength)
        first = round(float(pixel[0]))
        expected = first + torch.arange(len(pixel)).double().numpy()
        if first >= 0 and first + len(pixel) <= grid.size and abs(pixel - expected).max() < _ALIGNED:
            return Instrument(grid, first, len(pixel))
    ends = f"{wavelength[0]:.2f} to {wavelength[-1]:.2f} Angstrom" if len(wavelength) else "none"
    raise _wrong(
        file,
        _WAVE_OBS,
        f"{len(wavelength)} wavelengths, {ends}",
        "consecutive pixels of DESI's linear grid or of SDSS's log10 one",
    )


def _widths(file: SpenderFile, tensors: Mapping[str, Tensor], prefix: str) -> tuple[tuple[int, ...], int]:
    """Widths of the hidden layers of a perceptron, and of its output."""
    places = sorted(
        int(match[1]) for name in tensors if (match := re.fullmatch(re.escape(prefix) + r"(\d+)\.bias", name))
    )
    if len(places) < 2:
        raise _names(file, [f"{prefix}{place}.bias" for place in (0, 3, 6, 9)], [])
    widths = [tensors[f"{prefix}{place}.bias"].numel() for place in places]
    # Before modules of these widths are made: biases alone could ask for any amount of memory.
    for place, width, before in zip(places[1:], widths[1:], widths[:-1], strict=True):
        name = f"{prefix}{place}.weight"
        _require(file, tensors, [name])
        if tensors[name].shape != (width, before):
            raise _wrong(file, name, f"shape {tuple(tensors[name].shape)}", f"shape {(width, before)}")
    return tuple(widths[:-1]), widths[-1]


def _largest(tensors: Iterable[str], pattern: str) -> int:
    """The largest number that the pattern's group matches at the start of a name; -1 if none."""
    return max((int(match[1]) for name in tensors if (match := re.match(pattern, name))), default=-1)


def _check_degrees(file: SpenderFile, name: str, found: Tensor | None, latents: int, hidden: int) -> None:
    """Degrees follow from the sizes. They say what the masks say; here they only must not differ."""
    if found is None:
        raise _names(file, [name], [])
    inputs = torch.arange(1, latents + 1).repeat_interleave(2)
    expected = inputs if ".final_layer." in name else degrees(latents, hidden)
    if found.shape != expected.shape or found.tolist() != expected.tolist():
        raise _wrong(file, name, found.tolist(), expected.tolist())


def _check_names(file: SpenderFile, found: Iterable[str], wanted: Iterable[str]) -> None:
    found, wanted = set(found), set(wanted)
    if found != wanted:
        raise _names(file, sorted(wanted - found), sorted(found - wanted))


def _require(file: SpenderFile, tensors: Mapping[str, Tensor], names: Sequence[str]) -> None:
    missing = [name for name in names if name not in tensors]
    if missing:
        raise _names(file, missing, [])


def _load(
    file: SpenderFile, module: nn.Module, state: Mapping[str, Tensor], theirs: Mapping[str, str] | None = None
) -> None:
    """Copy a state whose names and shapes must be the module's; float tensors take the module's type."""
    theirs = theirs or {}
    own = module.state_dict()
    _check_names(file, (theirs.get(name, name) for name in state), (theirs.get(name, name) for name in own))
    for name, value in own.items():
        if state[name].shape != value.shape:
            raise _wrong(
                file,
                theirs.get(name, name),
                f"shape {tuple(state[name].shape)}",
                f"shape {tuple(value.shape)}",
            )
    module.load_state_dict({name: value.contiguous() for name, value in state.items()})
    module.requires_grad_(False)
    module.eval()


def _names(file: SpenderFile, missing: Sequence[str], unknown: Sequence[str]) -> InputError:
    parts = [f"no {_few(missing)}" if missing else "", f"also {_few(unknown)}" if unknown else ""]
    return InputError(
        "The file's entries are not those of spender's model.",
        where=str(file.path),
        got="; ".join(part for part in parts if part),
        allowed="the entries that spender 0.3 writes",
        remedy="Take a file that spender 0.3 or its hub wrote; models of other shapes are not known here.",
        kind=ErrorKind.SPENDER_ENTRIES,
    )


def _few(names: Sequence[str]) -> str:
    more = len(names) - 6
    return ", ".join(names[:6]) + (f" and {more} more" if more > 0 else "")


def _wrong(file: SpenderFile, name: str, got: object, allowed: object) -> InputError:
    return InputError(
        "An entry of the file is not what spender writes there.",
        where=f"{file.path}, {name}",
        got=got,
        allowed=allowed,
        remedy="Take a file that spender 0.3 or its hub wrote; models of other shapes are not known here.",
        kind=ErrorKind.SPENDER_ENTRIES,
    )
