"""docs/reference.md has every setting, metric, refusal code, route and command."""

import pytest

from api.settings import known_variables
from gate.settings import GateSettings
from hub.settings import HubSettings
from lab.settings import LabSettings
from tests.architecture.reference import PAGE, settings_rows, tables, written


@pytest.mark.parametrize("name", ["settings", "metrics", "refusals", "routes", "commands"])
def test_each_table_is_as_the_code_is(name: str) -> None:
    assert tables()[name] in PAGE.read_text(), "run: python -m tests.architecture.reference"


def test_the_page_as_a_whole_is_up_to_date() -> None:
    assert written(PAGE.read_text()) == PAGE.read_text()


def test_every_setting_has_a_meaning() -> None:
    assert [row[0] for row in settings_rows() if not row[3].strip()] == []


def test_check_knows_every_setting_of_every_program() -> None:
    for settings in (HubSettings, LabSettings, GateSettings):
        names = {f"GPULAB_{name.upper()}" for name in settings.model_fields}
        assert names <= known_variables()
