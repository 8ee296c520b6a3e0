"""A scholar's own page."""

from tests.api.desk import ApiDesk
from tests.pages.browser import Browser


def test_the_page_says_how_many_hours_and_why(desk: ApiDesk, ada: Browser) -> None:
    desk.grant(hours="2.25")
    page = ada.get("hours")
    assert page.status_code == 200
    assert "12.25 GPU-hours" in page.text
    assert "project" in page.text


def test_asking_for_hours_leads_back_and_says_so_once(ada: Browser) -> None:
    done = ada.send("hours", "hours/requests", hours="2", reason="training")
    assert (done.status_code, done.headers["location"]) == (303, "/services/gpulab/hours")
    assert "You asked for more hours" in ada.get("hours").text
    assert "You asked for more hours" not in ada.get("hours").text
    assert "Take back" in ada.get("hours").text


def test_what_is_wrong_stands_at_its_field_and_nothing_typed_is_lost(ada: Browser) -> None:
    for hours, reason in (("-1", "a"), ("2", ""), ("", ""), ("1e999", "a"), ("NaN", "<b>&"),
                          ("2", "x" * 100_000), ("2", "a\x00b")):  # fmt: skip
        reply = ada.send("hours", "hours/requests", hours=hours, reason=reason)
        if len(reason) > 65_000:
            assert reply.status_code == 413
            continue
        assert reply.status_code == 422, (hours, reason)
        assert 'class="lab-fault"' in reply.text
        assert f'value="{hours}"' in reply.text
    assert "&lt;b&gt;&amp;" in ada.send("hours", "hours/requests", hours="x", reason="<b>&").text


def test_sending_twice_asks_once(ada: Browser) -> None:
    form = ada.form("hours", "hours/requests")
    pairs = form.filled(hours="2", reason="training")
    assert [ada.post(form.action, pairs).status_code for _ in range(2)] == [303, 303]
    assert ada.get("hours").text.count("Take back") == 1


def test_a_request_of_somebody_else_is_not_there(ada: Browser, tomas: Browser) -> None:
    ada.send("hours", "hours/requests", hours="2", reason="training")
    action = ada.form("hours", "/withdraw").action
    sign_out = tomas.form("hours", "sign-out")
    assert tomas.post(action, sign_out.filled()).status_code == 404


def test_what_was_typed_outlives_the_sign_in(desk: ApiDesk, ada: Browser) -> None:
    form = ada.form("hours", "hours/requests")
    pairs = form.filled(hours="2", reason="much to say")
    person = desk.hub.tokens.pop("token-ada")
    kept = ada.post(form.action, pairs)
    assert kept.status_code == 401
    assert "much to say" in kept.text
    desk.hub.tokens["token-ada-2"] = person
    ada.sign_in("token-ada-2", "hours")
    assert ada.post(form.action, pairs).status_code == 303
