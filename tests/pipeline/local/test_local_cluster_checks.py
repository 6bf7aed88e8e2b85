"""`throughline doctor --cluster`: each broken setting is named in one line, before Spark starts."""

import json
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.errors import ThroughlineError, UsageError
from pipeline.local.cluster_checks import (
    check_address,
    check_catalog,
    check_lease,
    check_models,
    check_s3,
    one_line,
)
from pipeline.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("THROUGHLINE_", "AWS_"))]:
        monkeypatch.delenv(name)


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port on which nothing listens: it is bound, so that no other process takes it."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield int(bound.getsockname()[1])


def catalog(**properties: str) -> dict[str, str]:
    return {"CATALOG": json.dumps({"type": "rest", **properties})}


IN_S3 = catalog(uri="http://127.0.0.1:9", warehouse="s3://lake/warehouse")
REGION = {"AWS_REGION": "us-east-1"}
# CLOSED is a port on which nothing listens, OPEN one on which something does.
BROKEN: list[tuple[Callable[[Settings], str], dict[str, str], str]] = [
    (
        check_address,
        {"SPARK_MASTER": "spark://127.0.0.1:CLOSED"},
        "setting spark_master: nothing answers on 127.0.0.1:CLOSED",
    ),
    (check_address, {"SPARK_MASTER": "spark://host:many"}, "setting spark_master = 'spark://host:many': expected"),
    (check_address, {"SPARK_ENGINE": "sc://127.0.0.1:CLOSED/;token=hush"}, "setting spark_engine: nothing answers on"),
    (check_address, {"SPARK_OPTIONS": '{"executor.memory": "2g"}'}, "spark_options: 'executor.memory' is no option of"),
    (check_catalog, catalog(type="rset", uri="http://c"), "setting catalog: type = 'rset': expected one of rest, jdbc"),
    (check_catalog, catalog(uri="c:8181"), "setting catalog: uri = 'c:8181': expected http://host:port"),
    (check_catalog, catalog(uri="http://127.0.0.1:CLOSED"), "setting catalog: nothing answers on 127.0.0.1:CLOSED"),
    (
        check_catalog,
        catalog(uri="http://127.0.0.1:OPEN", credential="env:NOT_SET"),
        "credential = env:NOT_SET, but the variable NOT_SET is not set",
    ),
    (check_s3, IN_S3, "variable AWS_REGION is not set: set the region"),
    (
        check_s3,
        {**IN_S3, **REGION, "AWS_ENDPOINT_URL": "127.0.0.1"},
        "AWS_ENDPOINT_URL = '127.0.0.1': expected http://",
    ),
    (
        check_s3,
        {**IN_S3, **REGION, "AWS_ENDPOINT_URL": "http://127.0.0.1:CLOSED"},
        "variable AWS_ENDPOINT_URL: nothing answers on 127.0.0.1:CLOSED",
    ),
    (
        check_s3,
        {**IN_S3, **REGION, "AWS_ENDPOINT_URL": "http://127.0.0.1:OPEN"},
        "variables AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set",
    ),
    (check_lease, {"LEASE_URL": "postgresql://user:hush@127.0.0.1:CLOSED/lease"}, "lease_url: PostgreSQL refuses"),
    (check_s3, {"REPORTS": "s3://pages/nights"}, "variable AWS_REGION is not set: set the region"),
    (
        check_models,
        {"MODELS": "s3://lake/models"},
        "setting registry_url is not set: Value error, models = 's3://lake/models'",
    ),
    (
        check_models,
        {"REGISTRY_URL": "postgresql://user:hush@127.0.0.1:CLOSED/registry"},
        "registry_url: PostgreSQL refuses",
    ),
]


@pytest.mark.parametrize(("check", "variables", "expected"), BROKEN)
def test_a_broken_setting_is_named_in_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    closed_port: int,
    check: Callable[[Settings], str],
    variables: dict[str, str],
    expected: str,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def with_ports(text: str) -> str:
            return text.replace("CLOSED", str(closed_port)).replace("OPEN", str(listening.getsockname()[1]))

        for name, value in variables.items():
            monkeypatch.setenv(name if name.startswith("AWS_") else f"THROUGHLINE_{name}", with_ports(value))
        with pytest.raises(UsageError) as broken:
            check(load_settings(home=tmp_path))
        assert with_ports(expected) in one_line(broken.value)
    assert "\n" not in str(broken.value) and "hush" not in str(broken.value)


def test_a_local_installation_passes_what_it_has(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path)
    assert check_address(settings) == "local[*], in the process of each step"
    assert check_s3(settings) == "not used"
    assert "excludes runs of this home only" in check_lease(settings)
    assert check_models(settings) == f"in {tmp_path}/mlruns, of use to machines that share this folder"


def test_an_error_of_several_lines_becomes_one() -> None:
    assert one_line(ThroughlineError("a\n  b: c")) == "a b: c"
