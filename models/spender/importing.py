"""Import of spender's files: a scoring model, calibrated on its own flow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from models.calibration.calibration import quantiles
from models.calibration.smooth_tail import SmoothTail
from models.errors import ErrorKind, InputError
from models.model_card import ModelCard
from models.spender.files import SpenderFile
from models.spender.model import KIND, SpenderModel
from models.spender.weights import autoencoder_of, flow_of, flow_sizes, sorted_files

NORMALISATION = (5300.0, 5850.0)
"""Rest-frame window in Angstrom whose median divides spender's spectra."""

SAMPLES = 20_000
"""Latents that a calibration draws from the flow: tails are known to a tenth at one in a hundred thousand."""

BASELINES = 4096
"""Of these, so many are kept to draw baselines from."""

_MIN_GOOD_FRACTION = 0.4
_ANY_SNR = 1e6
_SEED = 0


def import_spender(
    files: Sequence[SpenderFile], name: str, classes: tuple[str, ...], instrument: str = ""
) -> SpenderModel:
    """A model of an autoencoder's and a flow's file, calibrated on the flow itself.

    Until :func:`models.training.calibrating.calibrate_on` calibrates it on spectra, its tail probabilities
    are those of latents drawn from the flow: right as far as the flow describes the spectra.

    Parameters
    ----------
    files : in any order.
    name : of the model; classes : spectral classes it was trained on, empty for all.
    instrument : see :func:`models.spender.weights.autoencoder_of`.

    Raises
    ------
    InputError : the files are not spender's, or do not belong together.
    """
    of_autoencoder, of_flow = sorted_files(files)
    autoencoder, flow = autoencoder_of(of_autoencoder, instrument), flow_of(of_flow)
    latents = int(autoencoder.architecture["latents"])
    if len(flow.scale) != latents:
        raise InputError(
            "The autoencoder and the flow do not belong together.",
            where=f"{of_autoencoder.path.name}, {of_flow.path.name}",
            got=f"{latents} latents and {len(flow.scale)}",
            allowed="the same number",
            remedy="Name the flow that was trained on this autoencoder's latents.",
            kind=ErrorKind.SPENDER_LATENTS,
        )
    place, wave_rest = autoencoder.instrument, autoencoder.decoder.wave_rest
    wavelength = place.grid.wavelength()[place.first : place.first + place.pixels]
    log_rest = math.log10(float(wave_rest[0])), math.log10(float(wave_rest[-1]))
    card = ModelCard(
        name=name,
        description="spender's encoder, decoder and flow, imported",
        kind=KIND,
        grid=place.grid,
        classes=classes,
        # Where the decoder covers all that the encoder sees.
        redshift_min=float(wavelength[-1]) / float(wave_rest[-1]) - 1,
        redshift_max=float(wavelength[0]) / float(wave_rest[0]) - 1,
        snr_min=0.0,
        snr_max=_ANY_SNR,
        normalisation_min=NORMALISATION[0],
        normalisation_max=NORMALISATION[1],
        min_good_fraction=_MIN_GOOD_FRACTION,
        rest_start=log_rest[0],
        rest_step=(log_rest[1] - log_rest[0]) / (len(wave_rest) - 1),
        rest_size=len(wave_rest),
        architecture={**autoencoder.architecture, "flow": flow_sizes(flow)},
        training={
            "by": "spender; the weights are as published, see the files' sha256",
            "files": {file.path.name: file.sha256 for file in (of_autoencoder, of_flow)},
            "calibration": f"{SAMPLES:,} latents drawn from the flow",
        },
        metrics={},
        calibration_quantiles=(),
    )
    model = SpenderModel(card, BASELINES)
    model.encoder.load_state_dict(autoencoder.encoder.state_dict())
    model.decoder.load_state_dict(autoencoder.decoder.state_dict())
    model.flow.load_state_dict(flow.state_dict())
    model.requires_grad_(False).eval()
    drawn = model.flow.sample(SAMPLES, _SEED)
    score = -model.flow(drawn).double().numpy()
    model.calibration.tail_of_all = SmoothTail.fit(score)
    model.calibration_latents = drawn[:BASELINES].clone()
    model.card = replace(card, calibration_quantiles=quantiles(score))
    return model
