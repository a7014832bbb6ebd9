"""deploy/kuberay.yaml: what it asks of Kubernetes and of KubeRay, held against schemas, and against what it names."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from nas import settings

kubernetes = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate has Kubernetes' own schemas")

ROOT = Path(__file__).parent.parent
LIST: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "kuberay.yaml").read_text())
OBJECTS: list[dict[str, Any]] = LIST["items"]
CLUSTER: dict[str, Any] = next(each for each in OBJECTS if each["kind"] == "RayCluster")
VERSION = "1.34"

# Of ray.io/v1, as its types are declared; pods are left to Kubernetes' own schemas.
PARAMETERS = {"type": "object", "additionalProperties": {"type": "string"}}
GROUP = {"rayStartParams": PARAMETERS, "template": {"type": "object"}, "resources": PARAMETERS, "labels": PARAMETERS}
COUNT = {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}
RAY_CLUSTER = {
    "type": "object",
    "required": ["apiVersion", "kind", "metadata", "spec"],
    "properties": {
        "apiVersion": {"const": "ray.io/v1"},
        "kind": {"const": "RayCluster"},
        "spec": {
            "type": "object",
            "required": ["headGroupSpec"],
            "additionalProperties": False,
            "properties": {
                "rayVersion": {"type": "string"},
                "suspend": {"type": "boolean"},
                "enableInTreeAutoscaling": {"type": "boolean"},
                "headServiceAnnotations": PARAMETERS,
                "headGroupSpec": {
                    "type": "object",
                    "required": ["template"],
                    "additionalProperties": False,
                    "properties": {
                        **GROUP,
                        "serviceType": {"enum": ["ClusterIP", "NodePort", "LoadBalancer"]},
                        "enableIngress": {"type": "boolean"},
                    },
                },
                "workerGroupSpecs": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["groupName", "maxReplicas", "minReplicas", "template"],
                        "additionalProperties": False,
                        "properties": {
                            **GROUP,
                            "groupName": {"type": "string"},
                            "replicas": COUNT,
                            "minReplicas": COUNT,
                            "maxReplicas": COUNT,
                            "numOfHosts": COUNT,
                            "idleTimeoutSeconds": COUNT,
                            "suspend": {"type": "boolean"},
                        },
                    },
                },
            },
        },
    },
}


def groups() -> list[dict[str, Any]]:
    spec = CLUSTER["spec"]
    return [spec["headGroupSpec"], *spec["workerGroupSpecs"]]


def pods() -> list[dict[str, Any]]:
    """The specs of all pods that there are to be."""
    templates = [group["template"] for group in groups()]
    templates += [each["spec"]["template"] for each in OBJECTS if each["kind"] == "Deployment"]
    return [template["spec"] for template in templates]


def containers() -> Iterator[dict[str, Any]]:
    for pod in pods():
        yield from (*pod["containers"], *pod.get("initContainers", ()))


@pytest.mark.parametrize("each", [each for each in OBJECTS if each is not CLUSTER], ids=lambda each: each["kind"])
def test_what_is_kubernetes_own_is_as_its_schemas_have_it(each: dict[str, Any]) -> None:
    kubernetes.validate(each, VERSION, strict=True)


def test_the_cluster_of_ray_is_as_kuberay_has_it_and_its_pods_as_kubernetes() -> None:
    Draft202012Validator(RAY_CLUSTER).validate(CLUSTER)
    for group in groups():
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a-pod"}, "spec": group["template"]["spec"]}
        kubernetes.validate(pod, VERSION, strict=True)


def test_a_misspelt_field_would_be_found() -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a-pod"}, "spec": pods()[0] | {"volume": []}}
    with pytest.raises(Exception, match="volume"):
        kubernetes.validate(pod, VERSION, strict=True)
    wrong = {**CLUSTER, "spec": CLUSTER["spec"] | {"workerGroups": []}}
    assert not Draft202012Validator(RAY_CLUSTER).is_valid(wrong)


def test_pods_have_no_more_rights_than_they_need() -> None:
    for pod in pods():
        assert pod["securityContext"]["runAsNonRoot"]
        assert f"--uid {pod['securityContext']['runAsUser']} " in (ROOT / "Dockerfile").read_text()
        assert pod["automountServiceAccountToken"] is False
    for container in containers():
        assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def test_the_home_goes_from_one_api_to_the_next() -> None:
    """`nas serve` holds a lock on it: a second one would never be ready, and the first never asked to leave."""
    (api,) = (each["spec"] for each in OBJECTS if each["metadata"]["name"] == "nas-api" and "strategy" in each["spec"])
    assert (api["replicas"], api["strategy"]) == (1, {"type": "Recreate"})


def test_what_is_named_is_there() -> None:
    claims = {each["metadata"]["name"] for each in OBJECTS if each["kind"] == "PersistentVolumeClaim"}
    known = {setting.name for setting in settings.SETTINGS}
    for pod in pods():
        volumes = {volume["name"]: volume for volume in pod.get("volumes", ())}
        assert {
            its["persistentVolumeClaim"]["claimName"] for its in volumes.values() if "emptyDir" not in its
        } <= claims
        for container in (*pod["containers"], *pod.get("initContainers", ())):
            assert {mount["name"] for mount in container.get("volumeMounts", ())} <= set(volumes)
            assert {variable["name"] for variable in container["env"]} <= known
            for variable in container["env"]:
                assert "valueFrom" in variable or not re.search("TOKEN|PASSWORD|DATABASE", variable["name"]), variable
    secrets = {
        variable["valueFrom"]["secretKeyRef"]["key"]
        for container in containers()
        for variable in container["env"]
        if "valueFrom" in variable
    }
    told = (ROOT / "docs" / "operations.md").read_text()
    assert all(f"--from-literal={secret}=" in told for secret in secrets)
    head, service = (
        f"{CLUSTER['metadata']['name']}-head-svc:6379",
        next(each for each in OBJECTS if each["kind"] == "Service"),
    )
    text = str(OBJECTS)
    assert set(re.findall(r"[\w.-]+:6379", text)) == {head, "127.0.0.1:6379"}
    assert set(re.findall(r"http://(\w+):8000", text)) == {service["metadata"]["name"]}


def test_ray_is_of_the_version_that_is_installed_with_it() -> None:
    pinned = re.search(r"^ray==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert pinned
    assert CLUSTER["spec"]["rayVersion"] == pinned[1]
