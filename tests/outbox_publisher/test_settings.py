"""What is wrong with the environment is said in one line each, and ends the process with code 2."""

from __future__ import annotations

import sys

import pytest

from kaireon_outbox_publisher.settings import Settings
from kaireon_outbox_publisher.sinks.opening import open_sink
from kaireon_runtime.settings import load

BAD_SETTINGS = [
    ({"OUTBOX_POLL_INTERVAL_MS": "soon"}, "OUTBOX_POLL_INTERVAL_MS"),
    ({"OUTBOX_POLL_INTERVAL_MS": "0"}, "OUTBOX_POLL_INTERVAL_MS"),
    ({"OUTBOX_POLL_INTERVAL_MS": "-5"}, "OUTBOX_POLL_INTERVAL_MS"),
    ({"EVENT_PUBLISHER": "rabbitmq"}, "EVENT_PUBLISHER is not supported"),
    ({"EVENT_PUBLISHER": "kafka"}, "KAFKA_BROKERS is not set: EVENT_PUBLISHER=kafka needs it"),
    ({"EVENT_PUBLISHER": "redpanda"}, "KAFKA_BROKERS is not set: EVENT_PUBLISHER=redpanda needs it"),
    ({"EVENT_PUBLISHER": "aws_msk", "MSK_REGION": "eu-central-1"}, "MSK_BROKERS is not set"),
    ({"EVENT_PUBLISHER": "msk", "MSK_BROKERS": "b:9098"}, "MSK_REGION or AWS_REGION is not set"),
    ({"EVENT_PUBLISHER": "kinesis"}, "KINESIS_STREAM, KINESIS_REGION or AWS_REGION are not set"),
    ({"EVENT_PUBLISHER": "eventbridge", "AWS_REGION": "eu-central-1"}, "EVENTBRIDGE_BUS is not set"),
    ({"EVENT_PUBLISHER": "pulsar"}, "PULSAR_URL is not set"),
    ({"EVENT_PUBLISHER": "pulsar", "PULSAR_URL": "http://x"}, "PULSAR_URL must start with pulsar://"),
    ({"EVENT_PUBLISHER": "kafka", "KAFKA_BROKERS": "b:1", "KAFKA_SECURITY_PROTOCOL": "tls"}, "KAFKA_SECURITY_PROTOCOL"),
    (
        {"EVENT_PUBLISHER": "kafka", "KAFKA_BROKERS": "b:1", "KAFKA_SECURITY_PROTOCOL": "SASL_SSL"},
        "KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD are not set",
    ),
    (
        {"EVENT_PUBLISHER": "kafka", "KAFKA_BROKERS": "b:1", "KAFKA_SSL_CA_FILE": "/nowhere/ca.pem"},
        "KAFKA_SSL_CA_FILE",
    ),
    (
        {
            "EVENT_PUBLISHER": "kafka",
            "KAFKA_BROKERS": "b:1",
            "KAFKA_SECURITY_PROTOCOL": "ssl",
            "KAFKA_SSL_CA_FILE": __file__,
        },
        "EVENT_PUBLISHER=kafka: ",
    ),
    ({"EVENT_STREAM_RETENTION_HOURS": "0"}, "EVENT_STREAM_RETENTION_HOURS"),
    ({"EVENT_MAX_BYTES": "1MB"}, "EVENT_MAX_BYTES"),
    ({"DATABASE_URL": "mysql://x"}, "DATABASE_URL"),
]


@pytest.fixture(autouse=True)
def complete(monkeypatch: pytest.MonkeyPatch) -> None:
    """What every case changes."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:p@127.0.0.1/d")


@pytest.mark.parametrize(("environment", "named"), BAD_SETTINGS, ids=str)
def test_bad_settings_are_refused_in_one_line_each(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], environment: dict[str, str], named: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as caught:
        open_sink(load(Settings))
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert named in line


EXTRAS = {
    "kafka": ("KAFKA_BROKERS", "confluent_kafka"),
    "msk": ("MSK_BROKERS", "aws_msk_iam_sasl_signer"),
    "kinesis": ("KINESIS_STREAM", "boto3"),
    "eventbridge": ("EVENTBRIDGE_BUS", "boto3"),
    "pulsar": ("PULSAR_URL", "pulsar"),
}


@pytest.mark.parametrize("bus", EXTRAS)
def test_a_missing_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], bus: str
) -> None:
    variable, module = EXTRAS[bus]
    monkeypatch.setenv("EVENT_PUBLISHER", bus)
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv(variable, "pulsar://broker:6650")
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.delitem(sys.modules, module, raising=False)
    with pytest.raises(SystemExit):
        open_sink(load(Settings))
    (line,) = capsys.readouterr().err.splitlines()
    assert f"pip install 'kaireon-outbox-publisher[{bus}]'" in line
