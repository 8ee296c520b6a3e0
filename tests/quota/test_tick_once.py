"""What a tick does not do twice: it is what keeps it short when a whole class rolls its holds."""

from collections import Counter
from typing import Any

import pytest
from sqlalchemy import Engine

from quota import allowances
from quota.ledger import Account
from tests.quota.books import Desk


def test_an_account_that_rolls_its_hold_is_settled_once_in_a_tick(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(engine)
    for who in ("ada", "blaise"):
        desk.run(who)
    desk.go(minutes=5)
    settled, settle = Counter[str](), allowances.settle

    def counting(account: Account, *given: Any, **named: Any) -> Any:
        settled[account.name] += 1
        return settle(account, *given, **named)

    monkeypatch.setattr("quota.reconcile.settle", counting)
    charged = desk.books.account("ada").charges
    settled.clear()
    desk.go(minutes=5, every_s=300)
    assert settled == {"ada": 1, "blaise": 1}
    assert desk.books.account("ada").charges != charged, "its hold was rolled"
    desk.check()
