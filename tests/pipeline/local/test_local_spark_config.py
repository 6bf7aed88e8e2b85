"""The configuration of Spark and PyIceberg: jars, catalog and JVM."""

from pathlib import Path
from typing import Any

import pytest
from pyiceberg.utils.config import Config

from pipeline.errors import UsageError
from pipeline.files import write_private
from pipeline.local import spark_config
from pipeline.local.spark_config import (
    JARS,
    QUICK_JVM,
    conf_folder,
    fetched_jars,
    is_spark_elsewhere,
    needed_jars,
    pyiceberg_environment,
    pyiceberg_properties,
    spark_defaults,
    write_configuration,
)
from pipeline.settings import Settings

NAMES = ("org.apache.iceberg_iceberg-spark-runtime-4.1_2.13-1.11.0.jar", "org.postgresql_postgresql-42.7.7.jar")
NAMES_OF_HADOOP = ("org.apache.hadoop_hadoop-aws-3.4.2.jar", "software.amazon.awssdk_s3-transfer-manager-2.44.4.jar")
REST = {"type": "rest", "uri": "http://127.0.0.1:1"}
CATALOG = "spark.sql.catalog.throughline"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "jars" / "jars"
    made.mkdir(parents=True)
    return made


def settings_of(home: Path, master: str = "local[2]", **values: Any) -> Settings:
    return Settings(home=home, spark_master=master, **{"catalog": REST, **values})


def test_the_first_start_fetches_jars_by_name(tmp_path: Path, folder: Path) -> None:
    options = spark_defaults(settings_of(tmp_path))
    assert options["spark.jars.packages"] == ",".join(JARS)
    assert options["spark.jars.ivy"] == str(tmp_path / "jars")
    assert "spark.driver.extraClassPath" not in options


def test_fetched_jars_are_read_from_their_files(tmp_path: Path, folder: Path) -> None:
    for name in NAMES:
        (folder / name).touch()
    options = spark_defaults(settings_of(tmp_path))
    assert options["spark.driver.extraClassPath"] == f"{folder / NAMES[0]}:{folder / NAMES[1]}"
    assert "spark.jars.packages" not in options


def test_a_jar_of_another_version_does_not_count(tmp_path: Path, folder: Path) -> None:
    (folder / NAMES[0].replace("1.11.0", "1.10.0")).touch()
    (folder / NAMES[1]).touch()
    assert fetched_jars(settings_of(tmp_path)) == []
    assert "spark.jars.packages" in spark_defaults(settings_of(tmp_path))


def test_a_cluster_gets_names(tmp_path: Path, folder: Path) -> None:
    for name in NAMES:
        (folder / name).touch()
    assert "spark.jars.packages" in spark_defaults(settings_of(tmp_path, "spark://127.0.0.1:7077"))


def test_packages_of_the_settings_are_added(tmp_path: Path, folder: Path) -> None:
    for name in NAMES:
        (folder / name).touch()
    options = spark_defaults(settings_of(tmp_path, spark_options={"spark.jars.packages": "org.xerial:sqlite-jdbc:3"}))
    assert options["spark.jars.packages"] == ",".join([*JARS, "org.xerial:sqlite-jdbc:3"])
    assert "spark.driver.extraClassPath" not in options


def test_options_of_the_settings_override(tmp_path: Path) -> None:
    options = spark_defaults(settings_of(tmp_path, spark_options={"spark.ui.enabled": "true"}))
    assert options["spark.ui.enabled"] == "true"


def test_a_remote_catalog_has_the_same_properties_on_both_sides(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    assert pyiceberg_properties(settings) == REST
    assert spark_defaults(settings)[f"{CATALOG}.uri"] == REST["uri"]


def write_logins(home: Path) -> None:
    for role in ("writer", "reader"):
        write_private(home / "postgres" / f"throughline_{role}.password", f"for/{role}")


def test_the_local_catalog_is_one_database_on_both_sides(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, postgres_port=55000)
    write_logins(tmp_path)
    assert spark_defaults(settings)[f"{CATALOG}.uri"] == "jdbc:postgresql://127.0.0.1:55000/catalog"
    assert spark_defaults(settings)[f"{CATALOG}.jdbc.user"] == "throughline_writer"
    assert spark_defaults(settings)[f"{CATALOG}.jdbc.password"] == "for/writer"
    assert pyiceberg_properties(settings) == {
        "type": "sql",
        "uri": "postgresql+psycopg://throughline_reader:for%2Freader@127.0.0.1:55000/catalog?require_auth=scram-sha-256",
        "warehouse": f"file://{tmp_path}/warehouse",
    }


def test_a_jdbc_catalog_has_a_uri_for_each_side(tmp_path: Path) -> None:
    jdbc = {"type": "jdbc", "uri": "jdbc:sqlite:/data/catalog.db", "jdbc.schema-version": "V1", "warehouse": "s3://b"}
    settings = settings_of(tmp_path, catalog=jdbc)
    assert spark_defaults(settings)[f"{CATALOG}.uri"] == jdbc["uri"]
    assert pyiceberg_properties(settings) == {
        "type": "sql",
        "uri": "sqlite:////data/catalog.db",
        "warehouse": "s3://b",
    }


def test_an_unknown_jdbc_driver_is_refused(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, catalog={"type": "jdbc", "uri": "jdbc:oracle:thin:@db"})
    with pytest.raises(UsageError, match="type jdbc on 'oracle': expected a uri that begins with jdbc:postgresql:"):
        pyiceberg_properties(settings)


def test_one_machine_uses_the_quick_compiler(tmp_path: Path) -> None:
    assert spark_defaults(settings_of(tmp_path))["spark.driver.extraJavaOptions"] == QUICK_JVM
    assert "spark.driver.extraJavaOptions" not in spark_defaults(settings_of(tmp_path, "spark://127.0.0.1:7077"))


def test_tables_of_the_local_catalog_are_for_their_owner_alone(tmp_path: Path) -> None:
    mask = "spark.hadoop.fs.permissions.umask-mode"
    remote = {"type": "rest", "uri": "http://127.0.0.1:1"}
    local = Settings(home=tmp_path)
    write_logins(tmp_path)
    assert spark_defaults(local)[mask] == "077"
    assert mask not in spark_defaults(Settings(home=tmp_path, catalog=remote)), "the modes there are not ours"


S3 = {"type": "rest", "uri": "http://127.0.0.1:1", "warehouse": "s3://lake/warehouse"}


def test_tables_in_s3_bring_the_client_of_s3(tmp_path: Path) -> None:
    assert not any("aws" in jar for jar in needed_jars(settings_of(tmp_path)))
    assert "org.apache.iceberg:iceberg-aws-bundle:1.11.0" in needed_jars(settings_of(tmp_path, catalog=S3))


def test_variables_of_amazon_name_the_s3_server_of_both_sides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of(tmp_path, catalog=S3)
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3", raising=False)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    assert "s3.endpoint" not in pyiceberg_properties(settings)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:7070")
    monkeypatch.setenv("AWS_REGION", "eu-north-1")
    for properties, prefix in ((pyiceberg_properties(settings), ""), (spark_defaults(settings), f"{CATALOG}.")):
        assert properties[f"{prefix}s3.endpoint"] == "http://127.0.0.1:7070"
        assert properties[f"{prefix}s3.path-style-access"] == "true"
        assert properties[f"{prefix}s3.region"] == "eu-north-1"
    assert spark_defaults(settings)[f"{CATALOG}.io-impl"] == "org.apache.iceberg.aws.s3.S3FileIO"


def test_secrets_of_a_catalog_are_in_variables_and_in_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of(tmp_path, catalog={**REST, "credential": "env:CATALOG_LOGIN"})
    with pytest.raises(UsageError, match="credential = env:CATALOG_LOGIN, but the variable CATALOG_LOGIN is not set"):
        pyiceberg_environment(settings)
    monkeypatch.setenv("CATALOG_LOGIN", "client:secret")
    write_configuration(settings)
    files = "".join(file.read_text() for file in conf_folder(settings).iterdir())
    assert "client:secret" not in files
    assert f"{CATALOG}.credential env:CATALOG_LOGIN" in files, "Iceberg's REST client reads the variable"
    for name, value in pyiceberg_environment(settings).items():
        monkeypatch.setenv(name, value)
    assert Config().get_catalog_config("throughline") == {**REST, "credential": "client:secret"}


def test_jars_in_sparks_own_folder_need_no_option(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spark_config, "spark_folder", lambda: folder)
    for name in NAMES:
        (folder / name).touch()
    options = spark_defaults(settings_of(tmp_path / "home", "spark://127.0.0.1:7077"))
    assert "spark.jars.packages" not in options and "spark.driver.extraClassPath" not in options


def test_files_in_s3_are_read_by_hadoop_with_the_server_of_the_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:7070")
    settings = settings_of(tmp_path, catalog={"type": "hive", "uri": "thrift://h"}, landing="s3://lake/landing")
    options = spark_defaults(settings)
    assert options["spark.hadoop.fs.s3.impl"] == "org.apache.hadoop.fs.s3a.S3AFileSystem"
    assert options["spark.hadoop.fs.s3a.endpoint"] == "http://127.0.0.1:7070"
    assert options["spark.hadoop.fs.s3a.connection.ssl.enabled"] == "false"
    alone = [tmp_path / "jars" / "jars" / name for name in NAMES_OF_HADOOP]
    assert options["spark.jars"] == ",".join(map(str, alone)), "Spark's resolver would fetch what they depend on"
    assert "hadoop-aws" not in options["spark.jars.packages"]
    assert not any("s3a" in name for name in spark_defaults(settings_of(tmp_path)))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, False),
        ({"spark_engine": "submit"}, False),
        ({"spark_engine": "sc://host:15002"}, True),
        ({"spark_master": "spark://host:7077"}, True),
        ({"spark_master": "k8s://https://host"}, True),
    ],
)
def test_spark_is_elsewhere_on_a_cluster_and_behind_a_server(
    tmp_path: Path, options: dict[str, str], expected: bool
) -> None:
    assert is_spark_elsewhere(Settings(home=tmp_path, **options)) is expected
