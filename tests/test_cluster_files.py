"""What runs on clusters: the cluster file by Ray's own schema, and the jobs by their options."""

import subprocess
import sys

import pytest
import yaml

from tests.conftest import REPOSITORY


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_cluster_file_is_what_ray_expects() -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = yaml.safe_load((REPOSITORY / "cluster.yaml").read_text())
    validate_config(prepare_config(config))
    assert config["head_node_type"] in config["available_node_types"]


@pytest.mark.parametrize("job", ["scan", "aggregate", "train"])
def test_jobs_take_the_options_of_the_command(job: str) -> None:
    shown = subprocess.run(
        [sys.executable, str(REPOSITORY / "jobs" / f"{job}.py"), "--help"], capture_output=True, text=True, check=True
    )
    assert "Usage: " in shown.stdout
    assert ("--corpus" in shown.stdout) == (job != "train")
