"""Settings of a clustering run."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass

from models.errors import ConfigurationError, ErrorKind


@dataclass(frozen=True, slots=True)
class ClusteringSettings:
    """How explanations are clustered. Equal settings on an equal store give equal labels.

    Attributes
    ----------
    name : name of the clustering in the store; a clustering of the same name is replaced.
    clusters : number of clusters; ``None`` chooses it by silhouette, from 2 to ``maximum``.
    maximum : largest number of clusters that is tried.
    components : principal components kept.
    rest_step : width of a feature's bin in ln(rest wavelength); 0.005 is 1500 km/s.
    sample : explanations on which centroids are fitted; all are labelled whatever their number.
    resamples : bootstrap resamples for the stability.
    seed : of the sample, the k-means starts and the resamples.
    """

    name: str = "default"
    clusters: int | None = None
    maximum: int = 12
    components: int = 32
    rest_step: float = 0.005
    sample: int = 20_000
    resamples: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", self.name):
            raise ConfigurationError(
                "A clustering's name must do as a folder name.",
                where="--name",
                got=repr(self.name),
                allowed="lower-case letters, digits, - and _; at most 64, the first a letter or digit",
                remedy='Choose another name, e.g. "default".',
                kind=ErrorKind.CLUSTERING_NAME,
            )
        lowest = {"maximum": 2, "components": 1, "sample": 10, "resamples": 2, "seed": 0}
        for name, least in lowest.items():
            if getattr(self, name) < least:
                raise _out_of_range(name, getattr(self, name), f"{least} or more")
        if self.clusters is not None and self.clusters < 1:
            raise _out_of_range("clusters", self.clusters, "1 or more, or left out")
        if not 1e-4 <= self.rest_step <= 0.1:
            raise _out_of_range("rest_step", self.rest_step, "0.0001 to 0.1, in ln(wavelength)")

    def to_dict(self) -> dict[str, object]:
        """A JSON-ready description."""
        return asdict(self)


def _out_of_range(name: str, got: object, allowed: str) -> ConfigurationError:
    return ConfigurationError(
        f"The clustering setting {name} is out of range.",
        where=name,
        got=got,
        allowed=allowed,
        remedy="Leave it out to use the default.",
        kind=ErrorKind.CLUSTERING_SETTINGS,
    )
