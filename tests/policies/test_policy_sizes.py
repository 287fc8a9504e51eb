import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies import Size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1B", 1),
        ("1KiB", 1024),
        ("256MiB", 268_435_456),
        ("1.5GiB", 1_610_612_736),
        ("2TiB", 2_199_023_255_552),
        ("1kB", 1000),
        ("20GB", 20_000_000_000),
        ("0.1MB", 100_000),
    ],
)
def test_a_size_is_a_number_of_bytes(text: str, size: int) -> None:
    assert Size.parse(text).bytes == size


@pytest.mark.parametrize(
    ("text", "offered"),
    [
        ("20G", "write `20GiB` or `20GB`"),
        ("64k", "write `64KiB` or `64kB`"),
        ("64K", "write `64KiB` or `64kB`"),
        ("64KB", "write `64kB` for 1,000s or `64KiB` for 1,024s"),
        ("20 GiB", "did you mean `20GiB`?"),
        ("20gib", "did you mean `20GiB`?"),
        ("100", "write `100MiB` for mebibytes or `100B` for bytes"),
        ("0", "zero is neither nothing nor unlimited: write a size"),
        ("0GiB", "zero is neither nothing nor unlimited: write a size"),
        ("0.5B", "zero is neither nothing nor unlimited: write a size"),
        ("999999TiB", None),
        ("99999999TiB", "write a smaller size"),
        ("017MiB", "write `17MiB`"),
    ],
)
def test_what_is_no_size_is_refused_with_what_to_write(text: str, offered: str | None) -> None:
    hint = None
    try:
        Size.parse(text)
    except ValueError as refused:
        hint = str(refused).partition("; ")[2]
    assert hint == offered


def test_both_readings_of_a_bare_unit_are_spelled_out() -> None:
    with pytest.raises(ValueError, match="1,073,741,824 bytes to some tools and 1,000,000,000 to others"):
        Size.parse("1G")


@given(st.text(max_size=30))
def test_any_text_is_a_size_or_a_value_error(text: str) -> None:
    try:
        read = Size.parse(text).text
    except ValueError:
        read = text
    assert read == text
