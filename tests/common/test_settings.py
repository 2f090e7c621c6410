"""Settings are read from the environment, and a mistake in it is one line that names the variable."""

import importlib
import pkgutil
from pathlib import Path
from typing import get_args

import pytest
from pydantic import Field, SecretStr

import services
from services.common.addresses import NAMES, AddressSettings
from services.common.bus import BusSettings
from services.common.database import DatabaseSettings
from services.common.errors import InvalidSetting
from services.common.metrics import MetricsSettings
from services.common.relay import RelaySettings
from services.common.rpc import RpcSettings
from services.common.settings import PREFIX, Settings, known_names, refuse_unknown
from services.common.telemetry import LogSettings
from services.common.worker import WorkerSettings
from tools.setting_names import names

GROUPS = (
    AddressSettings,
    BusSettings,
    DatabaseSettings,
    LogSettings,
    RelaySettings,
    RpcSettings,
    WorkerSettings,
)


class Example(Settings):
    """A group of settings."""

    example_url: SecretStr = Field(min_length=1)
    example_count: int = Field(default=3, ge=1, le=9)
    example_seconds: float = Field(default=1, gt=0)


def test_values_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable sets its field, and a field without one has its default."""
    monkeypatch.setenv("WINNOW_EXAMPLE_URL", "x")
    assert Example.read().example_count == 3
    monkeypatch.setenv("WINNOW_EXAMPLE_COUNT", "5")
    assert Example.read().example_count == 5


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("WINNOW_EXAMPLE_COUNT", "0"),
        ("WINNOW_EXAMPLE_COUNT", "many"),
        ("WINNOW_EXAMPLE_COUNT", ""),
        ("WINNOW_EXAMPLE_SECONDS", "inf"),
        ("WINNOW_EXAMPLE_SECONDS", "nan"),
        ("WINNOW_EXAMPLE_URL", ""),
        ("WINNOW_EXAMPLE_URL", None),
    ],
)
def test_a_mistake_names_its_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str | None
) -> None:
    """A value that is missing, misspelt or out of range is one line with the variable's name."""
    monkeypatch.setenv("WINNOW_EXAMPLE_URL", "x")
    if value is None:
        monkeypatch.delenv(variable)
    else:
        monkeypatch.setenv(variable, value)
    with pytest.raises(InvalidSetting) as caught:
        Example.read()
    assert str(caught.value).startswith(f"{variable}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", ["foo", ":15051", "foo:", "foo:http", "foo:65536", "foo:²"])
@pytest.mark.parametrize(
    ("group", "variable"),
    [
        (AddressSettings, "WINNOW_SEARCH_ADDRESS"),
        (RpcSettings, "WINNOW_RPC_HEALTH_ADDRESS"),
        (MetricsSettings, "WINNOW_METRICS_ADDRESS"),
    ],
)
def test_an_address_has_a_host_and_a_port(
    monkeypatch: pytest.MonkeyPatch, group: type[Settings], variable: str, value: str
) -> None:
    """What is no address is answered in words, with an example of one."""
    monkeypatch.setenv(variable, value)
    told = f"^{variable}: must be a host and a port, such as 127\\.0\\.0\\.1:15051"
    with pytest.raises(InvalidSetting, match=told):
        group.read()
    for good in ("127.0.0.1:0", "[::1]:15051", "dns:///winnow-search:15054"):
        monkeypatch.setenv(variable, good)
        group.read()


def test_only_what_may_be_off_has_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty address serves no metrics and no health, but a service must listen somewhere."""
    for variable in ("SEARCH_ADDRESS", "RPC_HEALTH_ADDRESS", "METRICS_ADDRESS"):
        monkeypatch.setenv(f"WINNOW_{variable}", "")
    assert not RpcSettings.read().rpc_health_address + MetricsSettings.read().metrics_address
    with pytest.raises(InvalidSetting, match="WINNOW_SEARCH_ADDRESS: must be"):
        AddressSettings.read()


def test_an_empty_file_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that a shell left empty names no file, whichever it is: it was the folder of the moment."""
    for each in pkgutil.walk_packages(services.__path__, "services."):
        if not each.name.endswith(("__main__", "launcher")):
            importlib.import_module(each.name)
    groups, seen = list(Settings.__subclasses__()), set()
    for group in groups:
        groups += group.__subclasses__()
        for name, field in group.model_fields.items():
            if Path in (field.annotation, *get_args(field.annotation)):
                monkeypatch.setenv(PREFIX + name.upper(), "")
                seen.add(name)
                data = {n: "x" for n, f in group.model_fields.items() if f.is_required()}
                assert getattr(group(**data), name) is None, name
    assert len(seen) >= 13


def test_a_choice_is_told_by_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """A level of logs that is none is answered with the levels, and not with a pattern."""
    monkeypatch.setenv("WINNOW_LOG_LEVEL", "loud")
    with pytest.raises(InvalidSetting, match=r"WINNOW_LOG_LEVEL: .*'DEBUG', 'INFO', 'WARNING'"):
        LogSettings.read()


def test_a_secret_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret is in neither the repr of its group nor the error about another field."""
    monkeypatch.setenv("WINNOW_EXAMPLE_URL", "postgres://u:hunter2@db")
    assert "hunter2" not in repr(Example.read())
    monkeypatch.setenv("WINNOW_EXAMPLE_COUNT", "hunter2")
    with pytest.raises(InvalidSetting) as caught:
        Example.read()
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.__name__)
def test_credentials_are_secrets(group: type[Settings]) -> None:
    """Whatever may hold a password is a SecretStr."""
    for name, field in group.model_fields.items():
        if any(word in name for word in ("url", "key", "password", "token")) and not name.endswith(
            "_file"
        ):
            assert field.annotation is SecretStr, name


def test_settings_cannot_be_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A group is fixed once it is read."""
    monkeypatch.setenv("WINNOW_EXAMPLE_URL", "x")
    with pytest.raises(ValueError, match="frozen"):
        Example.read().example_count = 4  # type: ignore[misc]


def test_unknown_variables_are_refused() -> None:
    """A variable with our prefix that nothing reads is an error that names a similar one."""
    refuse_unknown({"WINNOW_NATS_URL": "x", "HOME": "/"})
    with pytest.raises(InvalidSetting, match=r"WINNOW_NATS_ULR.*WINNOW_NATS_URL"):
        refuse_unknown({"WINNOW_NATS_ULR": "x"})


def test_the_list_of_variables_is_whole() -> None:
    """The list that is shipped names what the code reads, all of it and nothing else."""
    assert known_names() == set(names())


def test_every_service_has_an_address() -> None:
    """Addresses are found by the names of the services, and no two are the same."""
    addresses = AddressSettings()
    assert len({addresses.of(name) for name in NAMES}) == len(NAMES)
