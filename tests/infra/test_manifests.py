"""The files in infra/: of the versions of constraints.txt, of the shape their readers want, no secrets."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from infra.settings import Settings
from models.secrets import redacted
from tests.small_run import REPOSITORY

INFRA = REPOSITORY / "infra"
DOCKERFILE = INFRA / "container" / "Dockerfile"
MANIFESTS = sorted((INFRA / "kubernetes").glob("*.yaml"))

# Of the fields that the manifests use, from the API reference of KubeRay 1.6
# (docs.ray.io/en/master/cluster/kubernetes/references/api.html) and Kubernetes' of pods: the operator's own
# schemas are tens of thousands of lines. No other fields are allowed, so a misspelt one is found.
TEXT, WHOLE, FLAG = {"type": "string"}, {"type": "integer", "minimum": 0}, {"type": "boolean"}
TEXTS = {"type": "object", "additionalProperties": TEXT}


def of(required: str = "", **properties: object) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": required.split(),
        "additionalProperties": False,
    }


def many(items: object) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": 1}


RESOURCES = of("requests limits", requests=TEXTS, limits=TEXTS)
CONTAINER = of(
    "name image resources",
    name=TEXT,
    image=TEXT,
    ports=many(of("containerPort name", containerPort=WHOLE, name=TEXT)),
    env=many(of("name value", name=TEXT, value=TEXT)),
    envFrom=many(of("secretRef", secretRef=of("name", name=TEXT, optional=FLAG))),
    resources=RESOURCES,
)
POD = of(
    "spec",
    spec=of(
        "containers securityContext",
        securityContext=of("runAsNonRoot", runAsNonRoot={"const": True}, runAsUser=WHOLE, fsGroup=WHOLE),
        terminationGracePeriodSeconds=WHOLE,
        tolerations=many(
            of("key", key=TEXT, operator={"enum": ["Exists", "Equal"]}, effect={"enum": ["NoSchedule"]})
        ),
        containers=many(CONTAINER),
    ),
)
HEAD = of("rayStartParams template", rayStartParams=TEXTS, template=POD)
WORKERS = of(
    "groupName replicas minReplicas maxReplicas rayStartParams template",
    groupName=TEXT,
    replicas=WHOLE,
    minReplicas=WHOLE,
    maxReplicas=WHOLE,
    rayStartParams=TEXTS,
    template=POD,
)
CLUSTER = of(
    "rayVersion headGroupSpec workerGroupSpecs",
    rayVersion=TEXT,
    enableInTreeAutoscaling=FLAG,
    autoscalerOptions=of(
        upscalingMode={"enum": ["Default", "Aggressive", "Conservative"]},
        idleTimeoutSeconds=WHOLE,
        resources=RESOURCES,
    ),
    authOptions=of("mode", mode={"enum": ["token", "disabled"]}),
    headGroupSpec=HEAD,
    workerGroupSpecs=many(WORKERS),
)
JOB = of(
    "entrypoint rayClusterSpec",
    entrypoint=TEXT,
    submissionMode={"enum": ["K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"]},
    shutdownAfterJobFinishes=FLAG,
    ttlSecondsAfterFinished=WHOLE,
    backoffLimit=WHOLE,
    rayClusterSpec=CLUSTER,
)
SPECS = {"RayCluster": CLUSTER, "RayJob": JOB}


def pinned(package: str) -> str:
    found = re.search(rf"^{package}==(\S+)$", (REPOSITORY / "constraints.txt").read_text(), re.MULTILINE)
    assert found is not None
    return found[1]


def cluster_of(manifest: Path) -> dict[str, Any]:
    spec: dict[str, Any] = yaml.safe_load(manifest.read_text())["spec"]
    return spec.get("rayClusterSpec", spec)


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda path: path.stem)
def test_a_manifest_has_the_fields_of_its_kind(manifest: Path) -> None:
    content = yaml.safe_load(manifest.read_text())
    schema = of(
        "apiVersion kind metadata spec",
        apiVersion={"const": "ray.io/v1"},
        kind={"const": content["kind"]},
        metadata=of("name", name=TEXT, labels=TEXTS),
        spec=SPECS[content["kind"]],
    )
    jsonschema.Draft202012Validator(schema).validate(content)


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda path: path.stem)
def test_a_cluster_grows_to_what_its_settings_say(manifest: Path) -> None:
    cluster = cluster_of(manifest)
    assert cluster["rayVersion"] == pinned("ray")
    assert cluster["enableInTreeAutoscaling"] is True
    groups = {group["groupName"]: group for group in cluster["workerGroupSpecs"]}
    for group in groups.values():
        assert group["minReplicas"] == 0 <= group["replicas"] <= group["maxReplicas"]
    head = cluster["headGroupSpec"]["template"]["spec"]["containers"][0]
    variables = {each["name"]: each["value"] for each in head["env"]}
    cpu = groups["cpu"]["template"]["spec"]["containers"][0]["resources"]["limits"]["cpu"]
    assert int(variables["WHYSPEC_RAY_CPUS"]) == groups["cpu"]["maxReplicas"] * int(cpu)
    # The variables are settings that exist, with values that fit.
    own = {
        name.removeprefix("WHYSPEC_").lower(): value
        for name, value in variables.items()
        if name.startswith("WHYSPEC_")
    }
    assert set(own) <= set(Settings.model_fields)
    Settings.model_validate(own)


def test_gpus_are_asked_for_from_none() -> None:
    groups = {
        group["groupName"]: group
        for group in cluster_of(INFRA / "kubernetes" / "raycluster.yaml")["workerGroupSpecs"]
    }
    gpu = groups["gpu"]
    assert gpu["minReplicas"] == 0
    container = gpu["template"]["spec"]["containers"][0]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == gpu["rayStartParams"]["num-gpus"]


def test_every_image_is_of_this_version() -> None:
    version = re.search(r'^version = "(.+)"$', (REPOSITORY / "pyproject.toml").read_text(), re.MULTILINE)
    assert version is not None
    images = {image for manifest in MANIFESTS for image in re.findall(r"image: (\S+)", manifest.read_text())}
    assert {image.split(":")[1].removesuffix("-cuda") for image in images} == {version[1]}
    assert f"whyspec:{version[1]}" in DOCKERFILE.read_text()


def instructions() -> list[tuple[str, str]]:
    """Instructions of the Dockerfile with their arguments; continued lines joined, comments left out."""
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in lines if line.strip()]


def test_the_image_is_made_of_files_that_exist_and_pins() -> None:
    found = instructions()
    known = {"ARG", "FROM", "ENV", "RUN", "WORKDIR", "COPY", "USER", "ENTRYPOINT", "CMD"}
    assert {name for name, _ in found} <= known
    ignored = (REPOSITORY / ".dockerignore").read_text().splitlines()
    for name, arguments in found:
        if name == "COPY" and not arguments.startswith("--from"):
            for source in arguments.split()[:-1]:
                assert (REPOSITORY / source).exists(), source
                assert f"!{source}" in ignored, source
    runs = [arguments for name, arguments in found if name == "RUN"]
    installs = [arguments for arguments in runs if arguments.startswith("pip install")]
    assert "grep '^torch==' constraints.txt" in installs[0]  # before all else
    assert all("constraints.txt" in arguments for arguments in installs)
    # The last user is not root, and the command is the project's script.
    assert [arguments for name, arguments in found if name == "USER"] == ["whyspec"]
    assert ("ENTRYPOINT", '["whyspec"]') in found


def test_python_of_the_image_is_the_one_of_the_constraints() -> None:
    # numpy 2.5 and zarr 3.2 need 3.12: these pins are of 3.11.
    assert (pinned("numpy"), pinned("zarr")) == ("2.4.6", "3.1.6")
    assert ("ARG", "BASE=python:3.11-slim") in instructions()


def test_no_manifest_holds_a_secret_or_a_registry() -> None:
    files = [*MANIFESTS, DOCKERFILE, INFRA / "prefect.yaml", INFRA / "slurm" / "whyspec.sbatch"]
    for path in files:
        text = path.read_text()
        # Names of variables and references stay; a value would be taken out.
        values = re.sub(r"AWS_\w+=\.\.\.", "", text)
        lines = [line for line in values.splitlines() if redacted(line) != line]
        assert [line for line in lines if "RAY_AUTH_TOKEN=$(" not in line] == [], path
        assert not re.search(r"https?://(?!docs\.|127\.)", text), path
