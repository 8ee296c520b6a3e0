"""The page of who may do what is as the tables say that the tests hold true."""

from tests.architecture.roles import PAGE, text


def test_the_page_of_roles_is_up_to_date() -> None:
    assert PAGE.read_text() == text(), "run: python -m tests.architecture.roles"


def test_the_page_tells_the_roles_apart() -> None:
    lines = {
        line.split("|")[1].strip(): line.split("|")[2:6]
        for line in text().splitlines()
        if line.startswith("| `")
    }
    organizers_only = lines["`POST /program/people/{name}/grants`"]
    assert organizers_only == [" yes ", " no ", " no ", " no "]
    own = lines["`POST /hours/requests/{request_id}/withdraw`"]
    assert own == [" not there ", " not there ", " not there ", " yes "]
