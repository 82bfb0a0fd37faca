"""The flows of Prefect deployments, e.g. of ``infra/prefect.yaml``. Their parameters are plain data."""

from __future__ import annotations

from prefect import flow

from engine.clustering.pipeline import ClusteringSummary
from engine.clustering.settings import ClusteringSettings
from engine.training.request import TrainingRequest
from flows.cluster import cluster_explanations
from flows.run.execution import execute, new_run_name
from flows.run.flow_run import THREADS, in_tasks
from flows.run.publication import publish
from flows.run.request import RunRequest, RunSummary
from flows.train import train_model
from infra.log_output import LogOutput, set_up_logging_of_flow
from infra.settings import load_settings
from models.model_card import ModelCard


@flow(name="process", task_runner=THREADS, persist_result=False)  # type: ignore[arg-type]  # invariant
def process(request: RunRequest) -> RunSummary:
    """Score, select and explain what is new or changed in a release.

    Raises
    ------
    WhyspecError : see :func:`flows.run.execution.execute`.
    """
    settings, name = load_settings(), new_run_name()
    set_up_logging_of_flow(LogOutput.of(settings))
    summary = execute(name, request, settings, (), in_tasks)
    publish(name, summary)
    return summary


@flow(name="cluster", persist_result=False)
def cluster(store: str, settings: ClusteringSettings) -> ClusteringSummary:
    """Cluster all explanations of a store, see :func:`flows.cluster.cluster_explanations`."""
    return cluster_explanations(store, settings)


@flow(name="train", persist_result=False)
def train(request: TrainingRequest) -> ModelCard:
    """Fit a scoring model to a release, see :func:`flows.train.train_model`."""
    return train_model(request)
