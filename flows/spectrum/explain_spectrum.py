"""One spectrum straight from its file: scored and explained here, without store, Ray or Prefect."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from engine.attribution.explainer import Explainer
from engine.attribution.other_models import OtherModels
from engine.figures.spectrum_score import SpectrumScore
from engine.spectra.normalisation import NormalisedSpectra, normalise
from engine.spectra.observation import OBSERVATION_COLUMNS, Observation
from engine.spectra.rows import Rows
from engine.spectra.scored_spectra import SelectedSpectra
from engine.spectra.scorer import Scorer
from engine.spectra.source_file import SourceFile
from engine.store.routing import assigned, routed
from flows.spectrum.chosen_spectrum import ChosenSpectrum, SpectrumRequest
from flows.spectrum.explained_spectrum import ExplainedSpectrum
from models.errors import ErrorKind, InputError
from models.model_card import ModelCard
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
    file, spectra = chosen.file, chosen.spectra
    spectype = str(spectra.rows["spectype"][0])
    names = (request.model,) if request.model else pretrained_for(spectra.grid.name)
    models = [load_model(name) for name in names]
    number = _routed(models, spectra.rows)
    model = models[number]
    # Whatever its class: the user asked for this very spectrum.
    normalised = normalise(spectra, model.card, ())
    status = RowStatus(int(normalised.rows["status"][0]))
    if status is not RowStatus.SCORED:
        raise _unscorable(file, normalised, status)
    scores = Scorer(model).score(normalised, np.array([0]))
    if not scores.finite[0]:
        raise _unscorable(file, normalised, RowStatus.NON_FINITE_SCORE)
    rows = normalised.rows
    selected = SelectedSpectra(
        np.array([0]), rows["redshift"], normalised.flux, normalised.ivar, np.array([number], dtype=np.int8)
    )
    explainer = Explainer(
        model, request.attribution, memory_bytes=request.memory_bytes, others=OtherModels(models)
    )
    explanations = explainer.explain(
        selected, key=np.array(rows.keys(), dtype=object), target_id=rows["target_id"]
    )
    if np.isnan(explanations.explained_score[0]):
        raise _unscorable(file, normalised, RowStatus.NON_FINITE_SCORE)
    numbers = (float(part[0]) for part in (scores.score, scores.tail_probability, scores.tail_uncertainty))
    return ExplainedSpectrum(
        explanations.one(0),
        SpectrumScore(spectype, *numbers),
        model.card.name,
        model.card.digest,
        redacted_url(file.url),
        1,
        Observation.of({name: rows[name][0] for name in OBSERVATION_COLUMNS}),
        _warnings(model.card, spectype, float(rows["snr"][0])),
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


def _unscorable(file: SourceFile, normalised: NormalisedSpectra, status: RowStatus) -> InputError:
    row = normalised.rows.data[0]
    return InputError(
        f"The spectrum cannot be scored: {status.meaning}.",
        where=f"{file.url}, row {int(row['source_row'])} ({row['key']})",
        got=f"{status.label}; redshift {float(row['redshift']):.5f}, class {row['spectype'] or 'unknown'}, "
        f"{float(row['good_fraction']):.0%} of the pixels good",
        allowed="a spectrum that the model can score",
        remedy="Choose another spectrum, or with --model a model that covers it.",
        kind=ErrorKind.NOT_SCORABLE,
    )
