"""The operator's configuration: read once, checked whole, each mistake named."""

from __future__ import annotations

from pathlib import Path

import pytest
from changeover.config import SCRAPE_INTERVAL_SECONDS, parse_config, read_config
from changeover.core.errors import InvalidSpec

GOOD = """
metricSources:
- {name: default, url: "http://prometheus:9090", timeoutSeconds: 2, scrapeIntervalSeconds: 5}
loaderImage: localhost/changeover-loader:1
watchNamespaces: [shop]
"""


def test_a_good_one_is_read_with_defaults(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(GOOD)
    config = read_config(path)
    assert config.metric_sources[0].scrape_interval_seconds == 5
    assert (config.watch_namespaces, config.port, config.log_level) == (["shop"], 8080, "info")
    assert not config.metric_sources[0].allow_queries
    assert config.metric_sources[0].service_label == "service"


def test_a_source_that_does_not_say_how_often_it_scrapes() -> None:
    config = parse_config(GOOD.replace(", scrapeIntervalSeconds: 5", ", serviceLabel: exported_service"))
    [source] = config.metric_sources
    assert (source.scrape_interval_seconds, source.service_label) == (SCRAPE_INTERVAL_SECONDS, "exported_service")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        pytest.param("", "configuration is wrong", id="empty"),
        pytest.param("{", "no YAML", id="no YAML"),
        pytest.param("[]", "configuration is wrong", id="a list"),
        pytest.param("loaderImage: x", "metricSources", id="no sources"),
        pytest.param(GOOD + "prot: 1", "prot", id="a field that nobody knows"),
        pytest.param(GOOD + "port: 0", "port", id="no port"),
        pytest.param(GOOD + "logLevel: loud", "logLevel", id="no level"),
        pytest.param(GOOD.replace("http://", "file://"), "metricSources.0.url", id="no URL"),
        pytest.param(GOOD.replace("timeoutSeconds: 2", "timeoutSeconds: 0"), "timeoutSeconds", id="no time"),
        pytest.param(GOOD.replace("name: default", "name: My Source"), "metricSources.0.name", id="no name"),
        pytest.param(GOOD.replace("timeoutSeconds: 2", "serviceLabel: 'a-b'"), "serviceLabel", id="no label"),
    ],
)
def test_a_mistake_is_named(text: str, named: str) -> None:
    with pytest.raises(InvalidSpec, match=named):
        parse_config(text)


def test_two_sources_of_one_name_are_a_mistake() -> None:
    twice = GOOD.replace("loaderImage", '- {name: default, url: "http://other:9090"}\nloaderImage')
    with pytest.raises(InvalidSpec, match="default"):
        parse_config(twice)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpec, match="nowhere"):
        read_config(tmp_path / "nowhere.yaml")
