"""The Kubernetes manifests: valid by the API's own schema, and in agreement with each other and the image."""

import re
import shlex
from fnmatch import fnmatch

import pytest
import yaml

from mg_assets.settings import CHECKOUT, load_settings

FOLDER = CHECKOUT / "deploy" / "kubernetes"
IMAGE = (CHECKOUT / "deploy" / "Dockerfile").read_text().splitlines()
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
    home = re.search(r"DAGSTER_HOME=(\S+)", "\n".join(IMAGE))[1]
    assert launcher["dagster_home"] == home
    settings = of_kind("ConfigMap")["mg"]["data"]
    for deployment in of_kind("Deployment").values():
        pod = deployment["spec"]["template"]["spec"]
        for container in pod["containers"]:
            assert container["image"] == settings[launcher["job_image"]["env"]]
            assert container["volumeMounts"][0]["mountPath"] == f"{home}/dagster.yaml"
        assert pod["serviceAccountName"] == launcher["service_account_name"]


def test_the_daemon_asks_the_code_server_of_its_pod():
    """Without a code server it starts a new one each minute, each of which imports the graph."""
    containers = of_kind("Deployment")["mg-daemon"]["spec"]["template"]["spec"]["containers"]
    daemon, code = (c["command"] for c in containers)
    (location,) = yaml.safe_load((CHECKOUT / daemon[daemon.index("-w") + 1]).read_text())["load_from"]
    server = location["grpc_server"]
    assert code[:3] == ["dagster", "code-server", "start"]
    assert dict(zip(code[3::2], code[4::2], strict=True)) == {
        "-m": server["location_name"],
        "-h": server["host"],
        "-p": str(server["port"]),
    }


def test_a_pods_variables_are_settings(monkeypatch):
    for name, value in of_kind("ConfigMap")["mg"]["data"].items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MG_PG", "postgresql://")  # of the secret
    assert load_settings().lake == "s3://mg-lake"


def test_no_service_adds_variables_to_a_pod():
    runs = yaml.safe_load((FOLDER / "dagster.yaml").read_text())["run_launcher"]["config"]["run_k8s_config"]
    assert runs["pod_spec_config"]["enable_service_links"] is False
    for deployment in of_kind("Deployment").values():
        assert deployment["spec"]["template"]["spec"]["enableServiceLinks"] is False


def test_the_image_copies_what_exists():
    copied = [w for line in IMAGE if line.startswith("COPY") for w in shlex.split(line)[1:-1] if w[:2] != "--"]
    assert copied
    assert all((CHECKOUT / name).exists() for name in copied)


def test_the_image_leaves_out_what_no_run_needs():
    ignored = (CHECKOUT / "deploy" / "Dockerfile.dockerignore").read_text().split()

    def left_out(name: str) -> bool:
        return any(fnmatch(name, pattern) for pattern in ignored)

    assert all(map(left_out, (".git", ".venv", ".env", "benchmarks", "docs", "lake", "mg.egg-info", "tests")))
    assert not any(
        map(left_out, ("LICENSE", "README.md", "deploy", "pyproject.toml", "requirements.lock", "workspace.yaml"))
    )
    assert not any(left_out(package.name) for package in CHECKOUT.glob("mg_*"))
    (installed,) = {option for line in IMAGE for option in re.findall(r"(-\w) requirements.lock", line)}
    assert installed == "-c"  # versions alone: the lock holds the tools of development


def test_the_kernels_are_compiled_by_the_images_user():
    (user,) = {d["spec"]["template"]["spec"]["securityContext"]["runAsUser"] for d in of_kind("Deployment").values()}
    assert IMAGE.index(f"USER {user}") < IMAGE.index("RUN mg warmup")
