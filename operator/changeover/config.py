"""The operator's own configuration: one YAML file, read once, checked whole."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from changeover.core.errors import InvalidSpec

SCRAPE_INTERVAL_SECONDS = 15.0  # where a source does not say; a minute's block then holds four
SERVICE_LABEL = "service"


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)


class MetricSourceConfig(_Settings):
    """A named Prometheus; resources refer to it by name and never give an address."""

    name: Annotated[str, Field(pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$")]
    url: Annotated[str, Field(pattern=r"^https?://")]
    timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 5.0
    scrape_interval_seconds: Annotated[float, Field(gt=0, le=300)] = SCRAPE_INTERVAL_SECONDS
    # What a ServiceMonitor without honorLabels makes of the gateway's own `service` is `exported_service`.
    service_label: Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")] = SERVICE_LABEL
    allow_queries: bool = False  # whoever may write a benchmark could then read every series there


class GatewayConfig(_Settings):
    """Where load pods reach a Gateway; a resource names the Gateway and never gives an address."""

    namespace: Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
    name: Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
    url: Annotated[str, Field(pattern=r"^http://[a-z0-9.-]+(:[0-9]{1,5})?$")]


class NotificationsConfig(_Settings):
    """Where notifications may go."""

    allowed_hosts: list[Annotated[str, Field(pattern=r"^(http://)?[a-z0-9.-]+(:[0-9]{1,5})?$")]] = []


class LeaseConfig(_Settings):
    """The Lease that is held while we work; of several operators with one Lease one works at a time."""

    namespace: Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
    name: Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
    seconds: Annotated[int, Field(ge=2, le=60)] = 4


class Config(_Settings):
    """Everything that the chart's values set."""

    metric_sources: list[MetricSourceConfig]
    loader_image: str
    gateways: list[GatewayConfig] = []
    watch_namespaces: list[str] = []
    lease: LeaseConfig | None = None
    notifications: NotificationsConfig = NotificationsConfig()
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["text", "json"] = "text"
    port: Annotated[int, Field(ge=1, le=65535)] = 8080

    @model_validator(mode="after")
    def _sources_once(self) -> Config:
        names = [source.name for source in self.metric_sources]
        double = next((name for name in names if names.count(name) > 1), None)
        if double is not None:
            raise ValueError(f"metricSources: {double!r} is given twice; give each its own name")
        return self


def parse_config(text: str) -> Config:
    """The configuration in a YAML text. Raises InvalidSpec naming each field that is wrong."""
    try:
        content: Any = yaml.safe_load(text)
        return Config.model_validate(content)
    except yaml.YAMLError as error:
        raise InvalidSpec(f"the configuration is no YAML: {error}") from error
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False))
        raise InvalidSpec(f"the configuration is wrong: {wrong}") from error


def read_config(path: Path) -> Config:
    """The configuration in a file. Raises InvalidSpec."""
    try:
        return parse_config(path.read_text())
    except OSError as error:
        raise InvalidSpec(f"the configuration cannot be read: {error}") from error
