"""The dashboard, the alerts and the documentation know the metrics that there are, and their labels."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.kit.needs import find_program, needs
from tests.service.metrics.counting import Figures

ROOT: Final = Path(__file__).parents[3]
DASHBOARD: Final = ROOT / "configs/grafana/aiostream-server.json"
PROMETHEUS: Final = ROOT / "configs/prometheus"
NAME: Final = re.compile(r"\b((?:aiostream|process)_[a-z_]+|up)\b(?:\{([^}]*)\})?")
GROUPED: Final = re.compile(r"\bby \(([^)]*)\)")
GIVEN_BY_PROMETHEUS: Final = frozenset({"job", "instance"})


def _expressions_of_dashboard() -> Iterator[str]:
    for panel in json.loads(DASHBOARD.read_text("utf-8"))["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))


def _expressions_of_alerts() -> list[str]:
    lines = (PROMETHEUS / "alerts.yml").read_text("utf-8")
    return re.findall(r"expr: (?:\|\n)?(.*?)(?=\n +(?:for|labels):)", lines, re.DOTALL)


EXPRESSIONS: Final = [*_expressions_of_dashboard(), *_expressions_of_alerts()]


def _series(happened: Figures, name: str) -> set[str]:
    """The labels of a series, by its name as it is written in an expression."""
    found = [sample for sample in happened.samples if sample.name == name]
    assert found, f"nothing is called {name}"
    return {label for sample in found for label in sample.labels}


def test_both_are_read_at_all() -> None:
    assert len([*_expressions_of_dashboard()]) > 30
    assert len(_expressions_of_alerts()) == 17


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_name_and_label_that_is_asked_for_exists(expression: str, happened: Figures) -> None:
    labels = set(GIVEN_BY_PROMETHEUS)
    used = NAME.findall(expression)
    assert used
    for name, matchers in used:
        of_name = set() if name == "up" else _series(happened, name)
        asked = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers))
        assert asked <= of_name | GIVEN_BY_PROMETHEUS, (name, asked)
        labels |= of_name
    grouped = {label.strip() for group in GROUPED.findall(expression) for label in group.split(",")}
    assert grouped <= labels, grouped - labels


def test_every_legend_and_summary_uses_labels_that_are_left(happened: Figures) -> None:
    for panel in json.loads(DASHBOARD.read_text("utf-8"))["panels"]:
        for target in panel.get("targets", ()):
            left = {label.strip() for group in GROUPED.findall(target["expr"]) for label in group.split(",")}
            if not left:
                left = {*GIVEN_BY_PROMETHEUS}
            assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= left, target


def test_the_dashboard_shows_every_metric_that_is_counted(happened: Figures) -> None:
    """All of ours, and nothing twice at one place."""
    shown = " ".join(_expressions_of_dashboard())
    missing = [name for name in happened.families if name.startswith("aiostream_") and name not in shown]
    assert missing == ["aiostream_runs_queue_limit", "aiostream_conversation_turns_held"]  # for the alerts
    panels: list[dict[str, Any]] = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]
    assert len(set(places)) == len(places)


def test_the_documentation_has_every_metric_with_its_type_and_labels(happened: Figures) -> None:
    text = (ROOT / "docs/metrics.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|([^|]*)\|", text, re.MULTILINE)
    documented = {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}
    real = {}
    for family in happened.families.values():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        real[name] = (family.type, labels)
    assert documented == real


PROMTOOL: Final = find_program("promtool")


@needs("promtool")
@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "rules", "--lint-fatal", "alerts.yml"),
        ("test", "rules", "alerts-test.yml"),
        ("check", "config", "--lint-fatal", "prometheus.yml"),
    ],
    ids=" ".join,
)
def test_promtool_accepts(arguments: tuple[str, ...]) -> None:
    assert PROMTOOL is not None
    done = subprocess.run([PROMTOOL, *arguments], cwd=PROMETHEUS, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


@needs("promtool")
def test_promtool_finds_nothing_wrong_with_the_names(happened: Figures) -> None:
    assert PROMTOOL is not None
    done = subprocess.run(
        [PROMTOOL, "check", "metrics"], input=happened.text, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_every_alert_is_tried_both_ways() -> None:
    """Each is shown to be silent where all is well, and to fire where nothing is."""
    tests = (PROMETHEUS / "alerts-test.yml").read_text("utf-8")
    for alert in re.findall(r"alert: (\w+)", (PROMETHEUS / "alerts.yml").read_text("utf-8")):
        assert f"alertname: {alert}, exp_alerts: []" in tests, alert
        assert re.search(rf"alertname: {alert}\n +exp_alerts:\n", tests), alert
