"""The forms of a page by what they are called."""

import httpx2

from tests.pages.browser import Form, forms_of


def labelled(page: httpx2.Response, label: str) -> Form:
    """Return the form of a page with a label."""
    found = {one.label: one for one in forms_of(page)}
    assert label in found, f"{label!r} is none of {list(found)}"
    return found[label]
