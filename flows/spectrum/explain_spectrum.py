"""One spectrum straight from its file: scored and explained here, without store, Ray or Prefect."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from engine.attribution.explainer import Explainer
from engine.attribution.method import MethodSettings
from engine.attribution.methods import method_of
from engine.attribution.other_models import OtherModels
from engine.figures.spectrum_score import SpectrumScore
from engine.spectra.normalisation import NormalisedSpectra, normalise
from engine.spectra.observation import OBSERVATION_COLUMNS, Observation
from engine.spectra.rows import Rows
from engine.spectra.scored_spectra import SelectedSpectra
from engine.spectra.scorer import Scorer
from engine.store.routing import assigned, routed
from flows.spectrum.explained_spectrum import ExplainedSpectrum
from flows.spectrum.spectrum_choice import ChosenSpectrum, SpectrumRequest
from models.errors import ErrorKind, InputError
from models.model_card import MIN_WINDOW_PIXELS, ModelCard
from models.model_files import pretrained_for
from models.row_status import RowStatus
from models.secrets import redacted_url
from models.spectrum_model import SpectrumModel
from models.weights import load_model


def explain_spectrum(chosen: ChosenSpectrum, request: SpectrumRequest, threads: int) -> ExplainedSpectrum:
    """Score and explain one spectrum, whether it is an outlier or not.

    Raises
    ------
    InputError : the spectrum cannot be scored, the text says why; or there is no such model.
    ConfigurationError : model and spectrum do not fit together.
    """
    torch.set_num_threads(threads)
    names = (request.model,) if request.model else pretrained_for(chosen.spectra.grid.name)
    models = [load_model(name) for name in names]
    return explained(models, chosen, request.attribution, request.memory_bytes)


def explained(
    models: Sequence[SpectrumModel],
    chosen: ChosenSpectrum,
    attribution: MethodSettings,
    memory_bytes: int = 0,
) -> ExplainedSpectrum:
    """:func:`explain_spectrum` by the one of these models that is for its class and redshift."""
    spectra = chosen.spectra
    spectype = str(spectra.rows["spectype"][0])
    number = _routed(models, spectra.rows)
    model = models[number]
    method_of(attribution).refuse(attribution, model.card, model.calibration_size)
    # Whatever its class: the user asked for this very spectrum.
    normalised = normalise(spectra, model.card, ())
    if not normalised.scorable[0]:
        raise unscorable(chosen.source, model.card, normalised, 0)
    scores = Scorer(model).score(normalised, np.array([0]))
    if not scores.finite[0]:
        raise unscorable(chosen.source, model.card, normalised, 0)
    rows = normalised.rows
    selected = SelectedSpectra(
        np.array([0]), rows["redshift"], normalised.flux, normalised.ivar, np.array([number], dtype=np.int8)
    )
    explainer = Explainer(model, attribution, memory_bytes=memory_bytes, others=OtherModels(models))
    explanations = explainer.explain(
        selected, key=np.array(rows.keys(), dtype=object), target_id=rows["target_id"]
    )
    if np.isnan(explanations.explained_score[0]):
        raise unscorable(chosen.source, model.card, normalised, 0)
    numbers = (float(part[0]) for part in (scores.score, scores.tail_probability, scores.tail_uncertainty))
    return ExplainedSpectrum(
        explanations.one(0),
        SpectrumScore(spectype, *numbers),
        model.card.name,
        model.card.digest,
        attribution.method,
        redacted_url(chosen.source),
        1,
        Observation.of({name: rows[name][0] for name in OBSERVATION_COLUMNS}),
        (*chosen.notes, *_warnings(model.card, spectype, float(rows["snr"][0]))),
        float(normalised.normalisation[0]),
    )


def _routed(models: Sequence[SpectrumModel], rows: Rows) -> int:
    """Place of the model that scores the spectrum in a run; where none is for its class, the first."""
    references = assigned([(model.card.name, model.card) for model in models], None)
    return max(int(routed(references, rows["spectype"], rows["redshift"])[0]), 0)


def _warnings(card: ModelCard, spectype: str, snr: float) -> tuple[str, ...]:
    """What the card says against the score."""
    warnings = []
    if card.classes and spectype not in card.classes:
        warnings.append(
            f"{card.name} is for {', '.join(card.classes)}, and the class of this spectrum is "
            f"{spectype or 'unknown'}: score and tail probability mean little. Name a model of its class "
            "with --model, or train one with `whyspec train --population`."
        )
    if not card.snr_min <= snr <= card.snr_max:
        warnings.append(
            f"The spectrum's S/N of {snr:.3g} is outside {card.snr_min:.3g} to {card.snr_max:.3g}, the range "
            f"on which {card.name} was calibrated: the tail probability is extrapolated."
        )
    return tuple(warnings)


def unscorable(source: str, card: ModelCard, normalised: NormalisedSpectra, number: int) -> InputError:
    """The error of a row that the card's model cannot score; status SCORED stands for no finite score."""
    row = normalised.rows.data[number]
    status = RowStatus(int(row["status"]))
    status = RowStatus.NON_FINITE_SCORE if status is RowStatus.SCORED else status
    redshift, grid = float(row["redshift"]), card.grid
    first, last = grid.wavelength()[[0, -1]]
    allowed = (
        f"{card.name}: redshift {card.redshift_min:g} to {card.redshift_max:g}, at least "
        f"{card.min_good_fraction:.0%} good pixels of {first:.0f} to {last:.0f} Angstrom"
    )
    if np.isfinite(redshift):
        low, high = ((1 + redshift) * end for end in (card.normalisation_min, card.normalisation_max))
        allowed += f", {MIN_WINDOW_PIXELS} of them and positive flux at {low:.0f} to {high:.0f} Angstrom"
    return InputError(
        f"The spectrum cannot be scored: {status.meaning}.",
        where=", ".join(filter(None, (source, f"row {int(row['source_row'])} ({row['key']})"))),
        got=f"{status.label}; redshift {redshift:.5f}, class {row['spectype'] or 'unknown'}, "
        f"{float(row['good_fraction']):.0%} of the pixels good",
        allowed=allowed,
        remedy="Choose another spectrum, or with --model a model that covers it.",
        kind=ErrorKind.NOT_SCORABLE,
    )
