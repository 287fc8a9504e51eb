from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from policy_world import BERLIN, check, complaint, selector, session, with_where

from policies import Duration, Selector, Size
from policies.selectors import AllOf, AnyOf, Not, Term
from store.facts import Session, State

DAY = 86_400.0
NOW = 1_750_000_000.0


def verdict(text: str, **facts: Any) -> bool | None:
    return selector(text).compile(NOW, BERLIN)(session(**facts))


@pytest.mark.parametrize(
    ("text", "facts", "expected"),
    [
        ("{store: a}", {"store": "a"}, True),
        ("{store: [a, b]}", {"store": "c"}, False),
        ("{kind: rec}", {"kind": "rec"}, True),
        ("{kind: [outrig]}", {"kind": "rec"}, False),
        ("{state: [complete, recovered]}", {"state": State.RECOVERED}, True),
        ("{state: crashed}", {"state": State.COMPLETE}, False),
        ("{id: 's*'}", {"id": "s1"}, True),
        ("{id: s}", {"id": "s1"}, False),
        ("{name: 'Rel-*'}", {"name": "Rel-1"}, True),
        ("{name: 'Rel-*'}", {"name": "rel-1"}, False),
        ("{name: 'rel-*'}", {"name": None}, None),
        ("{project: '/srv/*'}", {"project": "/srv/a/b"}, True),
        ("{project: '/srv/*'}", {"project": "/srv"}, False),
        ("{project: '/srv/*'}", {}, None),
        ("{project: [/a, '/b*']}", {"project": "/bc"}, True),
        ("{tags: [keep, audit]}", {"tags": ("x", "audit")}, True),
        ("{tags: keep}", {"tags": ()}, False),
        ("{tags: keep}", {"tags": None}, None),
        ("{tags: no}", {"tags": ("no",)}, True),
        ("{empty: true}", {"empty": True}, True),
        ("{empty: false}", {"empty": True}, False),
        ("{empty: false}", {"empty": None}, None),
        ("{older_than: 30d}", {"ended_at": NOW - 30 * DAY}, True),
        ("{older_than: 30d}", {"ended_at": NOW - 30 * DAY + 1}, False),
        ("{older_than: 30d}", {"ended_at": float("nan")}, None),
        ("{younger_than: 30d}", {"ended_at": NOW - 30 * DAY}, False),
        ("{younger_than: 30d}", {"ended_at": NOW - 30 * DAY + 1}, True),
        ("{younger_than: 30d}", {"ended_at": float("nan")}, None),
        ("{older_than: 30d}", {"ended_at": NOW, "last_changed": 0.0}, False),
        ("{idle_for: 30d}", {"ended_at": NOW, "last_changed": 0.0}, True),
        ("{idle_under: 30d}", {"last_changed": NOW - 30 * DAY}, False),
        ("{idle_under: 30d}", {"last_changed": NOW}, True),
        ("{larger_than: 1kB}", {"bytes": 1000}, False),
        ("{larger_than: 1kB}", {"bytes": 1001}, True),
        ("{smaller_than: 1kB}", {"bytes": 1000}, False),
        ("{smaller_than: 1kB}", {"bytes": 999}, True),
        ("{records_over: 5}", {"records": 5}, False),
        ("{records_over: 5}", {"records": 6}, True),
        ("{records_over: 5}", {}, None),
        ("{records_under: 5}", {"records": 4}, True),
        ("{records_under: 5}", {}, None),
        ("all", {}, True),
        ("{store: a, kind: outrig}", {}, False),
        ("{any: [{store: b}, {kind: rec}]}", {}, True),
        ("{all: [{store: a}, {not: {kind: outrig}}]}", {}, True),
        ("{not: {tags: keep}}", {"tags": None}, None),
        ("{store: b, tags: keep}", {"tags": None}, False),
        ("{store: a, tags: keep}", {"tags": None}, None),
        ("{any: [{store: a}, {tags: keep}]}", {"tags": None}, True),
        ("{any: [{store: b}, {tags: keep}]}", {"tags": None}, None),
    ],
)
def test_selection_says_yes_no_or_unknown(text: str, facts: dict[str, Any], expected: bool | None) -> None:
    assert verdict(text, **facts) is expected


words = st.text(min_size=1, max_size=8).filter(
    lambda text: text.strip() and text.isprintable() and text[0] not in "~$"
)
spans = st.integers(1, 90).map(lambda days: Duration.parse(f"{days}d"))
terms = st.one_of(
    st.builds(
        Term,
        st.sampled_from(("tags", "id", "name", "project")),
        st.lists(words, min_size=1, unique=True).map(tuple),
    ),
    st.builds(Term, st.just("store"), st.sampled_from([("a",), ("b", "a")])),
    st.builds(Term, st.just("state"), st.lists(st.sampled_from(State), min_size=1, unique=True).map(tuple)),
    st.builds(Term, st.sampled_from(("older_than", "younger_than", "idle_for", "idle_under")), spans),
    st.builds(Term, st.just("larger_than"), st.just(Size.parse("1kB"))),
    st.builds(Term, st.sampled_from(("records_over", "records_under")), st.integers(1, 9)),
    st.builds(Term, st.just("empty"), st.sampled_from(("true", "false"))),
)
selectors = st.recursive(
    terms,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: AnyOf(tuple(parts))),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: AllOf(tuple(parts))),
    ),
    max_leaves=6,
)
facts = st.fixed_dictionaries(
    {
        "id": words,
        "bytes": st.integers(0, 2000),
        "last_changed": st.floats(NOW - 100 * DAY, NOW),
        "state": st.sampled_from(State),
        "name": st.none() | words,
        "tags": st.none() | st.lists(words, max_size=2).map(tuple),
        "records": st.none() | st.integers(0, 10),
        "empty": st.none() | st.booleans(),
    }
)
sessions = st.builds(lambda given: session(**given), facts)


def said(chosen: Selector, about: Session) -> bool | None:
    return chosen.compile(NOW, BERLIN)(about)


@given(selectors, sessions)
def test_double_negation_changes_nothing(one: Selector, about: Session) -> None:
    assert said(Not(Not(one)), about) is said(one, about)


@given(selectors, selectors, sessions)
def test_de_morgan_holds_for_unknown_too(one: Selector, two: Selector, about: Session) -> None:
    assert said(Not(AllOf((one, two))), about) is said(AnyOf((Not(one), Not(two))), about)


@given(selectors, selectors, sessions)
def test_order_of_parts_does_not_matter(one: Selector, two: Selector, about: Session) -> None:
    assert said(AllOf((one, two)), about) is said(AllOf((two, one)), about)


@given(selectors, selectors, sessions)
def test_conjunction_is_the_lesser_of_its_parts(one: Selector, two: Selector, about: Session) -> None:
    rank: dict[bool | None, int] = {False: 0, None: 1, True: 2}
    parts = (rank[said(one, about)], rank[said(two, about)])
    assert (rank[said(AllOf((one, two)), about)], rank[said(AnyOf((one, two)), about)]) == (
        min(parts),
        max(parts),
    )


@given(terms, sessions)
def test_what_is_older_is_not_younger(term: Selector, about: Session) -> None:
    assert isinstance(term, Term)
    opposite = {"older_than": "younger_than", "idle_for": "idle_under"}.get(term.key)
    assert opposite is None or said(Term(opposite, term.value), about) is said(Not(term), about)


@given(selectors)
@example(Term("tags", ("0?",)))
def test_text_of_a_selector_is_the_language_itself(one: Selector) -> None:
    found = check(with_where(one.text))
    # Some of what is made up here contradicts itself, which is refused when read.
    assume(not any("nothing is both" in each.message for each in found.errors))
    assert found.policy is not None
    assert [str(each.where) for each in found.policy.passes] == [one.text]


@pytest.mark.parametrize(
    ("text", "state", "expected"),
    [
        ("{state: crashed}", State.CRASHED, True),
        ("{state: [complete, crashed]}", State.CRASHED, True),
        ("{not: {state: crashed}}", State.CRASHED, False),
        ("{not: {not: {state: crashed}}}", State.CRASHED, True),
        ("{any: [{store: a}, {state: corrupt}]}", State.CORRUPT, True),
        ("{store: a, all: [{state: corrupt}, {kind: rec}]}", State.CORRUPT, True),
        ("{store: a}", State.CORRUPT, False),
        ("all", State.CORRUPT, False),
    ],
)
def test_a_state_is_named_where_it_is_asked_for(text: str, state: State, expected: bool) -> None:
    assert selector(text).names_state(state) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("all", "all"),
        ("{state: [complete], older_than: 30d}", "{state: complete, older_than: 30d}"),
        ("{not: {tags: [a b, c]}}", '{not: {tags: ["a b", c]}}'),
        ("{project: '*/x'}", '{project: "*/x"}'),
    ],
)
def test_selector_is_written_on_one_line(text: str, expected: str) -> None:
    assert selector(text).text == expected


def test_all_is_one_value() -> None:
    assert selector("all") == Selector.ALL


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "{}",
            "an empty selection -> write a selection, such as `{state: crashed}`, or `all` for every session",
        ),
        (
            "",
            "nothing is written here -> write a selection, such as `{state: crashed}`, or `all` for every session, or remove the key",
        ),
        ("{state: crashd}", "`crashd` is none of the words that can stand here -> did you mean `crashed`?"),
        ("{status: crashed}", "a selection has no key `status` -> did you mean `state`?"),
        ("{empty: yes}", "`yes` is none of the words that can stand here -> write one of `true`, `false`"),
        (
            "{store: x}",
            "no store of this policy is called `x` -> write one of `a`, `b`",
        ),
        ("{kind: recc}", "there is no kind of store `recc` -> did you mean `rec`?"),
        ("{any: {state: live}}", "a mapping stands where a list belongs -> write `any: [{...}, {...}]`"),
        ("{any: [{}]}", "an empty selection -> write a selection, such as `{state: crashed}`"),
        ("{any: []}", "an empty list stands here -> write `any: [{...}, {...}]`"),
        ("{not: all}", "`all` stands inside a selection -> it can only be written alone: `where: all`"),
        ("{not: [{empty: true}]}", "a list stands under `not` -> write `not: {any: [{...}, {...}]}`"),
        ("[{empty: true}]", "a list stands where one selection belongs -> write `{any: [{...}, {...}]}`"),
        ("{project: ~/work}", "`~` is not expanded in a glob -> write the whole path, or start it with `*/`"),
        ("{tags: []}", "an empty list stands here -> write what it should hold, or remove the key"),
        ("{tags: [a, a]}", "`a` stands here twice -> remove one of them"),
        (
            "{records_over: 0}",
            "a count of zero -> zero is neither nothing nor unlimited: write a count, or remove the key",
        ),
        (
            "{older_than: 90d, younger_than: 30d}",
            "nothing is both `older_than: 90d` and `younger_than: 30d` -> to select either, write `any: [{...}, {...}]`",
        ),
        (
            "{larger_than: 1MiB, smaller_than: 1MiB}",
            "nothing is both `larger_than: 1MiB` and `smaller_than: 1MiB` -> to select either, write `any: [{...}, {...}]`",
        ),
    ],
)
def test_what_selects_nothing_sensible_is_refused(text: str, expected: str) -> None:
    assert complaint(with_where(text)) == expected


def test_a_list_without_brackets_is_not_taken_for_one_tag() -> None:
    policy = "version: 1\nprotect:\n  - tags: keep, audit\npasses: []\n"
    expected = "`keep, audit` looks like a list and is one text -> write `[keep, audit]`, or quote it if it is one text"
    assert complaint(policy) == expected


def test_a_quoted_text_with_a_comma_is_one_tag() -> None:
    assert selector("{tags: 'keep, audit'}") == Term("tags", ("keep, audit",))


def test_selections_may_span_what_both_ends_leave_open() -> None:
    assert verdict("{older_than: 30d, younger_than: 90d}", ended_at=NOW - 60 * DAY) is True
