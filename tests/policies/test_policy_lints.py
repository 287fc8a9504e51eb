import pytest
from policy_world import check, with_passes


def lints(text: str, **changes: object) -> list[str]:
    checked = check(text, **changes)
    assert not checked.errors
    return [f"{each.line}:{each.column} {each.message}" for each in checked.lints]


def first_claims_it_all(earlier: str, later: str) -> bool:
    stores = "stores: {a: {kind: rec}, b: {kind: outrig}}\n"
    text = f"version: 1\n{stores}passes:\n  - {earlier}\n  - {later}\n"
    one, two = (each.partition(":")[0] for each in (earlier, later))
    which = "the one" if one == two else f"the `{one}`"
    return lints(text) == [f"5:5 this `{two}` can never claim anything: {which} in line 4 claims it all"]


@pytest.mark.parametrize(
    ("earlier", "later", "shadowed"),
    [
        ("prune: {older_than: 30d}", "prune: {older_than: 60d}", True),
        ("prune: {older_than: 30d}", "prune: {older_than: 30d}", True),
        ("prune: {older_than: 60d}", "prune: {older_than: 30d}", False),
        ("prune: {older_than: 1y}", "prune: {older_than: 365d}", False),
        ("prune: {older_than: 11mo}", "prune: {older_than: 365d}", True),
        ("prune: {older_than: 30d}", "litter: {older_than: 60d}", False),
        ("prune: {older_than: 30d}", "prune: {older_than: 60d, where: {tags: x}}", True),
        ("prune: {older_than: 30d, where: {tags: x}}", "prune: {older_than: 60d}", False),
        ("prune: {older_than: 30d, where: all}", "prune: {older_than: 60d}", True),
        ("prune: {older_than: 30d, where: {tags: x}}", "prune: {older_than: 60d, where: {tags: x}}", True),
        (
            "prune: {older_than: 30d, where: {tags: x}}",
            "prune: {older_than: 60d, where: {tags: x, name: y}}",
            True,
        ),
        ("prune: {older_than: 30d, where: {tags: x}}", "prune: {older_than: 60d, where: {tags: y}}", False),
        ("prune: {older_than: 30d}", "prune: {older_than: 60d, where: {state: crashed}}", False),
        ("prune: {older_than: 30d}", "prune: {older_than: 60d, keep: {last: 3}}", True),
        ("prune: {older_than: 30d, keep: {last: 3}}", "prune: {older_than: 60d}", True),
        ("prune: {older_than: 30d, max_total: 1GiB}", "prune: {older_than: 60d}", True),
        ("prune: {older_than: 30d}", "prune: {older_than: 60d, max_total: 1GiB}", True),
        ("prune: {older_than: 30d, stores: a}", "prune: {older_than: 60d}", False),
        ("prune: {older_than: 30d, stores: [a, b]}", "prune: {older_than: 60d, stores: b}", True),
        ("prune: {older_than: 30d}", "prune: {older_than: 60d, stores: b}", True),
        ("archive: {older_than: 30d}", "prune: {older_than: 60d}", True),
        ("archive: {older_than: 30d}", "prune: {older_than: 30d, of: live}", True),
        ("archive: {older_than: 30d}", "prune: {older_than: 60d, keep: {last: 3}, max_total: 1GiB}", True),
        ("archive: {older_than: 60d}", "prune: {older_than: 30d}", False),
        ("archive: {older_than: 30d, originals: trash}", "prune: {older_than: 60d}", True),
        ("archive: {older_than: 30d, originals: keep}", "prune: {older_than: 60d}", False),
        ("archive: {older_than: 30d}", "prune: {older_than: 60d, of: archived}", False),
        ("prune: {older_than: 30d, of: archived}", "archive: {older_than: 60d}", False),
        ("prune: {older_than: 30d, of: archived}", "prune: {older_than: 60d}", False),
        ("prune: {older_than: 30d}", "prune: {older_than: 60d, of: archived}", False),
        ("prune: {older_than: 30d, of: archived}", "prune: {older_than: 60d, of: archived}", True),
        ("prune: {older_than: 30d}", "archive: {older_than: 60d}", True),
        ("prune: {older_than: 60d}", "archive: {older_than: 30d}", False),
        ("archive: {older_than: 30d, where: {tags: x}}", "prune: {older_than: 60d}", False),
        ("archive: {older_than: 30d, where: {tags: x}}", "prune: {older_than: 60d, where: {tags: x}}", True),
        ("archive: {older_than: 30d}", "prune: {older_than: 60d, where: {state: corrupt}}", False),
        ("archive: {older_than: 30d, stores: a}", "prune: {older_than: 60d}", False),
        ("archive: {older_than: 30d}", "archive: {older_than: 60d, level: 19, into: /cold}", True),
        ("archive: {older_than: 30d, originals: keep}", "archive: {older_than: 60d}", False),
        ("archive: {older_than: 30d}", "recover: {idle_for: 60d}", False),
    ],
)
def test_a_pass_that_can_never_claim_anything_is_told(earlier: str, later: str, shadowed: bool) -> None:
    assert first_claims_it_all(earlier, later) is shadowed


STORES = "version: 1\nstores:\n  a: {kind: rec, path: /srv/a, state: /run/a}\n  b: {kind: rec, path: ~/b}\npasses: []\n"


def test_a_store_that_does_not_exist_is_told() -> None:
    assert lints(STORES, exists=lambda path: path == "/srv/a") == [
        "3:39 `/run/a` does not exist",
        "4:24 `~/b` does not exist",
    ]


def test_without_a_way_to_look_no_path_is_judged() -> None:
    assert lints(STORES) == []


@pytest.mark.parametrize(
    ("one", "two", "expected"),
    [
        ("/srv/a", "/srv/a/", "4:24 `/srv/a/` is the same as `/srv/a` of the store `a`"),
        ("/srv/a", "/srv//a/b", "4:24 `/srv//a/b` is inside `/srv/a` of the store `a`"),
        ("~/x/y", "~/x", "4:24 `~/x` is around `~/x/y` of the store `a`"),
        ("/srv/a", "/srv/ab", None),
    ],
)
def test_overlapping_stores_are_told(one: str, two: str, expected: str | None) -> None:
    text = (
        f"version: 1\nstores:\n  a: {{kind: rec, path: {one}}}\n  b: {{kind: rec, path: {two}}}\npasses: []\n"
    )
    assert lints(text) == ([expected] if expected else [])


def test_store_of_another_kind_within_a_store_is_not_told() -> None:
    text = (
        "version: 1\nstores:\n  a: {kind: opendev, path: /h/.opendev}\n"
        "  b: {kind: opendev-snapshots, path: /h/.opendev/data/recovery}\npasses: []\n"
    )
    assert lints(text) == []


def test_who_prunes_behind_the_archive_is_told_of_packs() -> None:
    found = check(with_passes("  - archive: {older_than: 30d}\n  - prune: {older_than: 1y}")).lints
    hint = "put the narrower one first, or remove it; for what lies in packs, write `of: archived`"
    assert [each.hint for each in found] == [hint]


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("/srv/a", ["`/srv/a` lies in `/srv/a` of the store `a`"]),
        ("/srv//a/packs/", ["`/srv//a/packs/` lies in `/srv/a` of the store `a`"]),
        ("~/b/packs", ["`~/b/packs` lies in `~/b/` of the store `b`"]),
        ("/srv", []),
        ("/srv/ab", []),
    ],
)
def test_packs_among_sessions_are_told(folder: str, expected: list[str]) -> None:
    stores = "stores:\n  a: {kind: rec, path: /srv/a}\n  b: {kind: rec, path: ~/b/}\n"
    by_pass = f"version: 1\n{stores}passes:\n  - archive: {{older_than: 30d, into: {folder}}}\n"
    by_section = f"version: 1\n{stores}passes: []\narchive: {{dir: {folder}}}\n"
    assert lints(by_pass) == [f"6:38 {each}" for each in expected]
    assert lints(by_section) == [f"6:16 {each}" for each in expected]


def test_the_default_archive_draws_no_lint() -> None:
    text = "version: 1\nstores: {a: {kind: rec, path: /srv/a}}\npasses: []\narchive: {dir: default}\n"
    assert lints(text) == []


def test_the_default_roots_of_a_kind_named_twice_are_told() -> None:
    text = "version: 1\nstores:\n  a: {kind: rec}\n  b: {kind: rec}\npasses: []\n"
    assert lints(text) == ["4:3 the stores `a` and `b` are both the default roots of `rec`"]


def test_a_time_below_min_idle_is_told() -> None:
    text = with_passes("  - recover: {idle_for: 30min}\n  - litter: {older_than: 1h}")
    assert lints(text) == ["3:25 `idle_for: 30min` is below `limits.min_idle`, which is 1h"]


def test_archiving_below_min_idle_is_told() -> None:
    text = with_passes("  - archive: {older_than: 30min}")
    assert lints(text) == ["3:27 `older_than: 30min` is below `limits.min_idle`, which is 1h"]


def test_what_lies_in_packs_need_not_be_idle() -> None:
    assert lints(with_passes("  - prune: {of: archived, older_than: 30min}")) == []


def test_archived_sessions_may_end_without_a_pass_that_archives() -> None:
    assert lints(with_passes("  - prune: {of: archived, older_than: 2y, max_total: 1TiB}")) == []


def test_wildcards_in_tags_are_told() -> None:
    text = "version: 1\nprotect:\n  - tags: [keep, 'rel-*']\npasses: []\n"
    assert lints(text) == ["3:18 the tag `rel-*` is compared as it is written"]


def test_wildcards_in_tags_to_keep_are_told() -> None:
    text = with_passes("  - prune: {older_than: 1y, keep: {last: 3, tags: 'rel-*'}}")
    assert lints(text) == ["3:51 the tag `rel-*` is compared as it is written"]


@pytest.mark.parametrize("glob", ["work", "/srv/prod/"])
def test_projects_that_match_nothing_are_told(glob: str) -> None:
    text = with_passes(f"  - litter: {{older_than: 2d, where: {{not: {{project: {glob}}}}}}}")
    assert lints(text) == [
        f"3:53 no project matches `{glob}`: a project is a whole path without a `/` at its end"
    ]


def test_many_stores_and_passes_are_linted_in_reasonable_time() -> None:
    stores = "".join(f"  s{number}: {{kind: rec, path: /srv/{number}}}\n" for number in range(1000))
    passes = "".join(f"  - prune: {{older_than: {900 - number}d}}\n" for number in range(500))
    assert lints(f"version: 1\nstores:\n{stores}passes:\n{passes}") == []


def test_more_passes_than_that_are_refused() -> None:
    (found,) = check(with_passes("  - litter: {older_than: 2d}\n" * 501)).errors
    assert (found.line, found.message) == (503, "more than 500 passes")


@pytest.mark.parametrize(
    ("passes", "again"),
    [
        (("archive: {older_than: 30d, originals: keep}", "prune: {older_than: 1y, of: archived}"), True),
        (("archive: {older_than: 30d}", "prune: {older_than: 1y, of: archived}"), False),
        (("archive: {older_than: 30d, originals: keep}", "prune: {older_than: 1y}"), False),
        (
            (
                "archive: {older_than: 30d, originals: keep}",
                "prune: {older_than: 300d}",
                "prune: {older_than: 1y, of: archived}",
            ),
            False,
        ),
        (
            (
                "archive: {older_than: 30d, originals: keep, stores: a}",
                "prune: {older_than: 1y, of: archived, stores: b}",
            ),
            False,
        ),
        (
            (
                "archive: {older_than: 30d, originals: keep, stores: a}",
                "prune: {older_than: 1y, of: archived}",
            ),
            True,
        ),
    ],
)
def test_taking_copies_of_what_stays_is_told(passes: tuple[str, ...], again: bool) -> None:
    stores = "stores: {a: {kind: rec}, b: {kind: outrig}}\n"
    text = f"version: 1\n{stores}passes:\n" + "".join(f"  - {each}\n" for each in passes)
    told = (
        "5:5 the copies this takes are made again: the `archive` in line 4 leaves their sessions in the store"
    )
    assert lints(text) == ([told] if again else [])
