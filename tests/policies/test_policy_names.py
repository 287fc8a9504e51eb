from datetime import datetime

import pytest
from policy_world import BERLIN, UTC

from policies import NameTemplate

MOMENT = datetime(2025, 7, 4, 9, 8, 7, tzinfo=UTC).timestamp()


def test_name_is_rendered_in_the_zone_of_the_policy() -> None:
    template = NameTemplate("recovered-%Y-%m-%d-%H%M%S")
    assert template.render(MOMENT, BERLIN) == "recovered-2025-07-04-110807"


def test_prefix_is_the_text_before_the_first_directive() -> None:
    assert NameTemplate("recovered-%Y%S").prefix == "recovered-"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "r-%Y-%m-%d",
            "seconds are needed: a name that is taken already is made unique by moving on a second",
        ),
        ("r-%S-%B", "the directives are"),
        ("r-%S-%", "the directives are"),
        ("r-%%YS%S", "the directives are"),
        ("r/%S", "cannot stand in a name"),
        ("r %S", "cannot stand in a name"),
        ("r\x1b%S", r"`\\x1b` cannot stand in a name"),
        ("-r%S", "taken for an option"),
        ("r" * 200 + "%S", "202 characters"),
        ("", "has no `%S`"),
    ],
)
def test_what_is_no_sound_template_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NameTemplate.parse(text)


@pytest.mark.parametrize("moment", [1e18, float("nan"), float("inf")])
def test_a_time_without_a_date_has_no_name(moment: float) -> None:
    with pytest.raises(ValueError, match=r"."):
        NameTemplate("%S").render(moment, UTC)
