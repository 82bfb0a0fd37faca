"""Lazy arrays: what a store keeps of its outliers and clusters, as xarray; pixels are read when needed."""

from __future__ import annotations

import numpy as np
import xarray as xr

from engine.clustering.stored import read_store_clustering
from engine.store.dask_arrays import dask_array
from engine.store.hierarchy import array_attributes
from engine.store.reading import StoreView
from engine.store.schema import EXPLANATIONS, FLAGS, scales_of
from models.causes.quantities import QUANTITIES

_COORDINATES = ("row", "key", "target_id", "redshift")


def outliers(view: StoreView) -> xr.Dataset:
    """All finished explanations along ``outlier``, without padding; arrays are Dask's, a block each chunk.

    Coordinates are ``wavelength`` (observed vacuum Angstrom), ``window`` (pixels), ``quantity``, and of each
    outlier ``row``, ``key``, ``target_id``, ``redshift`` and whether its row is ``superseded`` or ``gone``.

    Raises
    ------
    StoreError : an array is missing or damaged.
    """
    variables: dict[str, tuple[tuple[str, ...], object, dict[str, object]]] = {}
    for name, spec in EXPLANATIONS.items():
        # What says which outlier is which is small, and read: selection by it is why one opens a store.
        values = view.read(spec.path) if name in _COORDINATES else dask_array(view, spec.path)
        variables[name] = (spec.dims, values, array_attributes(spec, view.configuration))
    row = np.asarray(variables["row"][1])
    for flag, spec in FLAGS.items():
        variables[flag] = (("outlier",), np.isin(row, view.flagged[flag]), {"long_name": spec.description})
    coordinates = {
        "wavelength": ("wavelength", view.wavelength, {"units": "Angstrom"}),
        "window": ("window", np.array(scales_of(view.configuration), np.int32), {"units": "pixel"}),
        "quantity": ("quantity", np.array(list(QUANTITIES), dtype=object)),
        "outlier": ("outlier", view.outlier_numbers),
    }
    found = xr.Dataset(variables, coordinates, {"store": view.url})
    return found.set_coords([*_COORDINATES, *FLAGS])


def clusters(view: StoreView, name: str) -> xr.Dataset:
    """A clustering: along ``cluster`` size, stability and title; along ``rest_wavelength`` mean spectra.

    Along ``outlier`` there is the cluster of each clustered outlier, -1 for none.

    Raises
    ------
    InputError : there is no clustering of that name.
    StoreError : it is damaged.
    """
    read = read_store_clustering(view, name)
    found, means = read.summary.clusters, read.means
    per_bin = ("cluster", "rest_wavelength")
    flux = "divided by the normalisation"
    return xr.Dataset(
        {
            "size": ("cluster", np.array([each.size for each in found], np.int64)),
            "stability": (
                "cluster",
                np.array([each.jaccard for each in found], np.float64),
                {"long_name": "Jaccard similarity over bootstrap resamples, 0 to 1"},
            ),
            "title": ("cluster", np.array([each.title for each in found], dtype=object)),
            "observed": (per_bin, means.count, {"long_name": "members observed in the bin"}),
            "mean_flux": (per_bin, means.flux, {"long_name": f"mean flux, {flux}"}),
            "mean_baseline": (per_bin, means.baseline, {"long_name": f"mean baseline, {flux}"}),
            "mean_attribution": (
                per_bin,
                means.attribution,
                {"long_name": "mean of combined attributions, each divided by its largest modulus"},
            ),
            "label": ("outlier", read.labels.to_numpy(np.int64)),
        },
        {
            "cluster": ("cluster", np.array([each.label for each in found], np.int64)),
            "rest_wavelength": ("rest_wavelength", means.rest.wavelength(), {"units": "Angstrom"}),
            "outlier": ("outlier", read.labels.index.to_numpy(np.int64)),
        },
        {"name": name, "store": view.url, "messages": "\n".join(read.summary.messages)},
    )
