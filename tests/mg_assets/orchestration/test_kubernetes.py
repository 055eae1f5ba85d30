"""The Kubernetes manifests: valid by the API's own schema, and in agreement with each other and the image."""

import re
import shlex

import pytest
import yaml

from mg_assets.settings import CHECKOUT

FOLDER = CHECKOUT / "deploy" / "kubernetes"
OBJECTS = [
    (file.name, loaded)
    for file in sorted(FOLDER.glob("*.yaml"))
    if file.name not in ("kustomization.yaml", "dagster.yaml")
    for loaded in yaml.safe_load_all(file.read_text())
]


def of_kind(kind: str) -> dict[str, dict]:
    return {o["metadata"]["name"]: o for _, o in OBJECTS if o["kind"] == kind}


@pytest.mark.parametrize(("file", "loaded"), OBJECTS, ids=[f"{f}-{o['kind']}" for f, o in OBJECTS])
def test_a_manifest_is_valid_by_the_apis_schema(file, loaded):
    schemas = pytest.importorskip("kubernetes_validate", reason="pip install kubernetes-validate importlib_resources")
    schemas.validate(loaded, "1.33", strict=True)


def test_a_wrong_manifest_is_refused():
    schemas = pytest.importorskip("kubernetes_validate", reason="pip install kubernetes-validate importlib_resources")
    wrong = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mg"}, "values": {}}
    with pytest.raises(schemas.ValidationError):
        schemas.validate(wrong, "1.33", strict=True)


def test_the_parts_name_each_other():
    customised = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
    assert set(customised["resources"]) == {file for file, _ in OBJECTS}
    launcher = yaml.safe_load((FOLDER / "dagster.yaml").read_text())["run_launcher"]["config"]
    maps = {m["name"] for m in customised["configMapGenerator"]} | set(of_kind("ConfigMap"))
    assert {launcher["instance_config_map"], *launcher["env_config_maps"]} <= maps
    assert launcher["service_account_name"] in of_kind("ServiceAccount")
    assert launcher["job_namespace"] == customised["namespace"]
    home = re.search(r"DAGSTER_HOME=(\S+)", (CHECKOUT / "deploy" / "Dockerfile").read_text())[1]
    assert launcher["dagster_home"] == home
    settings = of_kind("ConfigMap")["mg"]["data"]
    for deployment in of_kind("Deployment").values():
        pod = deployment["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert container["image"] == settings[launcher["job_image"]["env"]]
        assert container["volumeMounts"][0]["mountPath"] == f"{home}/dagster.yaml"
        assert pod["serviceAccountName"] == launcher["service_account_name"]


def test_the_image_copies_what_exists():
    lines = (CHECKOUT / "deploy" / "Dockerfile").read_text().splitlines()
    copied = [word for line in lines if line.startswith("COPY") for word in shlex.split(line)[1:-1]]
    assert copied
    assert all((CHECKOUT / name).exists() for name in copied)
