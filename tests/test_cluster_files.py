"""What runs on clusters: the cluster file by Ray's own schema, the manifests' sense, and the jobs by their options."""

import re
import subprocess
import sys
from typing import Any

import pytest
import yaml

from tests.conftest import REPOSITORY

LOCKED_RAY = re.search(r"^ray==(.+)$", (REPOSITORY / "requirements.lock").read_text(), re.MULTILINE)[1]  # type: ignore[index]


def _yaml(name: str) -> Any:  # noqa: ANN401
    return yaml.safe_load((REPOSITORY / name).read_text())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_cluster_file_is_what_ray_expects() -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = _yaml("cluster.yaml")
    validate_config(prepare_config(config))
    with pytest.raises(Exception, match="Additional properties"):
        validate_config(prepare_config({**config, "max_worker": 3}))


def test_cluster_nodes_may_read_the_bucket_and_workers_are_spot() -> None:
    config, profile = _yaml("cluster.yaml"), _aws()["Profile"]["Properties"]["InstanceProfileName"]
    nodes = config["available_node_types"]
    assert {node["node_config"]["IamInstanceProfile"]["Name"] for node in nodes.values()} == {profile}
    workers = {name: node for name, node in nodes.items() if name != config["head_node_type"]}
    assert all(node["node_config"]["InstanceMarketOptions"]["MarketType"] == "spot" for node in workers.values())
    assert sum(node["max_workers"] for node in workers.values()) == config["max_workers"]
    assert nodes[config["head_node_type"]]["resources"] == {"CPU": 0}


def _aws() -> dict[str, Any]:
    class Loader(yaml.SafeLoader):
        pass

    Loader.add_multi_constructor("!", lambda loader, suffix, node: f"{suffix} {node.value}")
    resources: dict[str, Any] = yaml.load((REPOSITORY / "deploy/aws.yaml").read_text(), Loader)["Resources"]  # noqa: S506
    return resources


def test_every_image_has_the_ray_that_is_locked() -> None:
    files = [(REPOSITORY / name).read_text() for name in ("cluster.yaml", "Dockerfile", "deploy/kuberay.yaml")]
    named = re.findall(r'rayproject/ray:([0-9.]+)|rayVersion: "([0-9.]+)"', "".join(files))
    assert len(named) >= 5
    assert {one or other for one, other in named} == {LOCKED_RAY}


def test_kubernetes_job_fits_together() -> None:
    cluster = _yaml("deploy/kuberay.yaml")["spec"]["rayClusterSpec"]
    assert cluster["authOptions"]["mode"] == "token"
    assert cluster["enableInTreeAutoscaling"]
    head = cluster["headGroupSpec"]["template"]["spec"]
    (container,) = head["containers"]
    folder = container["volumeMounts"][0]["mountPath"]
    assert container["env"][0]["value"].startswith(f"{folder}/")
    assert container["volumeMounts"][0]["name"] in {volume["name"] for volume in head["volumes"]}
    groups = {group["groupName"]: group for group in cluster["workerGroupSpecs"]}
    for group in groups.values():
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
        (worker,) = group["template"]["spec"]["containers"]
        assert worker["envFrom"] == container["envFrom"]
    gpus = [name for name in groups if "nvidia.com/gpu" in str(groups[name]["template"])]
    assert gpus == ["score-gpu"]


@pytest.mark.parametrize("job", ["scan", "aggregate", "train"])
def test_jobs_take_the_options_of_the_command(job: str) -> None:
    shown = subprocess.run(
        [sys.executable, str(REPOSITORY / "jobs" / f"{job}.py"), "--help"], capture_output=True, text=True, check=True
    )
    assert "Usage: " in shown.stdout
    assert ("--corpus" in shown.stdout) == (job != "train")
