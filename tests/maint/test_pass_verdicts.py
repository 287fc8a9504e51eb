"""What each pass says of one session, lock or leftover: facts and options in, a verdict out."""

from collections import Counter
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from maint_world import DAY, NOW, rules

from maint.actions import Packing, Verb
from maint.comparing import Candidates, entry
from maint.contract import Candidate, known_passes
from maint.judge import Claim, Judge, Protected, action_for, unique_name
from maint.refusing import clock_refusal, refusals
from maint.survey import key_of
from maint.verdicts import Act, Compare, Kept, No, Verdict, Wait
from policies import Duration, NameTemplate, PolicyInvalid
from store.facts import Beside, Fingerprint, Leftover, Lock, Member, Owner, Place, Session, State, account_of


def member(path: str) -> Member:
    return Member("sessions", path, Fingerprint(0, 0, 100, 0, 0))


def session(**facts: Any) -> Session:
    """A complete session of ten days ago, but for what the test says."""
    given: dict[str, Any] = {
        "store": "rec",
        "kind": "rec",
        "id": "s1",
        "state": State.COMPLETE,
        "evidence": "it has a footer",
        "members": (member("s1.ndjson"),),
        "bytes": 100,
        "last_changed": NOW - 10 * DAY,
        "ended_at": NOW - 10 * DAY,
        "has_footer": True,
        "empty": False,
        "tags": (),
        "name": "work",
    }
    return Session(**(given | facts))


def crashed(**facts: Any) -> Session:
    return session(**({"state": State.CRASHED, "ended_at": None, "has_footer": False} | facts))


def lock(**facts: Any) -> Lock:
    given: dict[str, Any] = {
        "store": "rec",
        "kind": "rec",
        "id": "recording.lock",
        "what": "lock of a recording",
        "owner": Owner.GONE,
        "evidence": "no process 5 runs",
        "members": (),
        "bytes": 1,
        "last_changed": NOW - 10 * DAY,
    }
    return Lock(**(given | facts))


def leftover(**facts: Any) -> Leftover:
    given: dict[str, Any] = {
        "store": "rec",
        "kind": "rec",
        "id": "a.tmp",
        "what": "temp file",
        "members": (),
        "bytes": 1,
        "last_changed": NOW - 10 * DAY,
    }
    return Leftover(**(given | facts))


def judge(passes: str, rest: str = "", **more: Any) -> Judge:
    return Judge(rules(passes, rest), known_passes(), "rec", NOW, **more)


def verdict(passes: str, subject: Session) -> Verdict:
    """What the only pass of a policy says of an unprotected session."""
    bound = judge(passes)
    return bound.ask(bound.sessions[0], subject)


def claim(passes: str, subject: Session, rest: str = "") -> str | None:
    """The verb of the pass that claims a session, or the kind of its verdict."""
    bound = judge(passes, rest)
    if bound.protection(subject) is not None:
        return "protected"
    match bound.claim(subject):
        case None:
            return None
        case Claim(verdict=Act(verb=verb)):
            return str(verb)
        case Claim(verdict=other):
            return type(other).__name__


RECOVER = "  - recover: {idle_for: 24h}\n"
EMPTY = "  - delete-empty: {idle_for: 2d}\n"
LOCKS = "  - stale-locks: {idle_for: 24h}\n"
LITTER = "  - litter: {older_than: 2d}\n"
PRUNE = "  - prune: {older_than: 7d}\n"
ARCHIVE = "  - archive: {older_than: 7d}\n"
ARCHIVED = "  - prune: {of: archived, older_than: 7d}\n"


# recover


def test_crashed_session_is_recovered_under_a_name_of_its_last_moment() -> None:
    assert verdict(RECOVER, crashed(last_record_at=NOW - 5 * DAY)) == Act(
        Verb.RECOVER, "crashed: it has a footer; idle for 24h", NOW - 5 * DAY
    )


def test_session_crashed_behind_its_footer_keeps_its_name() -> None:
    found = verdict(RECOVER, crashed(has_footer=True))
    assert isinstance(found, Act)
    assert found.rename_at is None


def test_half_recovered_session_is_finished_under_the_name_it_has() -> None:
    found = verdict(RECOVER, crashed(state=State.RECOVERED))
    assert isinstance(found, Act)
    assert found.rename_at is None


def test_session_that_fell_silent_lately_waits_for_its_recovery() -> None:
    found = verdict(RECOVER, crashed(last_changed=NOW - DAY + 60))
    assert isinstance(found, Wait)
    assert found.due(ZoneInfo("UTC")) == NOW + 60


def test_session_is_recovered_in_the_very_second_it_is_due() -> None:
    assert isinstance(verdict(RECOVER, crashed(last_changed=NOW - DAY)), Act)


@pytest.mark.parametrize("state", [State.COMPLETE, State.RECOVERED])
def test_whole_session_is_not_recovered(state: State) -> None:
    assert isinstance(verdict(RECOVER, session(state=state)), No)


def test_empty_crashed_session_is_not_recovered() -> None:
    assert isinstance(verdict(RECOVER, crashed(empty=True)), No)


def test_crashed_session_of_unknown_content_is_recovered() -> None:
    assert isinstance(verdict(RECOVER, crashed(empty=None)), Act)


# delete-empty


def test_empty_session_goes_to_the_trash() -> None:
    found = verdict(EMPTY, session(empty=True))
    assert found == Act(Verb.DELETE_EMPTY, "nothing was recorded in it; idle for 2d")


@pytest.mark.parametrize("empty", [False, None])
def test_session_with_content_or_of_unknown_content_is_never_empty(empty: bool | None) -> None:
    assert isinstance(verdict(EMPTY, session(empty=empty)), No)


def test_young_empty_session_waits() -> None:
    found = verdict(EMPTY, session(empty=True, last_changed=NOW - DAY))
    assert isinstance(found, Wait)
    assert found.due(ZoneInfo("UTC")) == NOW + DAY


def test_emptiness_is_a_matter_of_silence_and_not_of_age() -> None:
    found = verdict(EMPTY, session(empty=True, last_changed=NOW - DAY, ended_at=NOW - 99 * DAY))
    assert isinstance(found, Wait)


# stale-locks and litter


def test_lock_of_nobody_is_removed() -> None:
    bound = judge(LOCKS)
    told = bound.other(bound.locks, lock())
    assert told is not None
    assert isinstance(told[1], Act)
    assert told[1].verb is Verb.UNLOCK


@pytest.mark.parametrize("owner", [Owner.HOLDS, Owner.UNKNOWN])
def test_lock_whose_owner_is_not_proven_gone_stays(owner: Owner) -> None:
    bound = judge(LOCKS)
    told = bound.other(bound.locks, lock(owner=owner))
    assert told is not None
    assert isinstance(told[1], No)


def test_lock_that_changed_lately_waits() -> None:
    bound = judge(LOCKS)
    told = bound.other(bound.locks, lock(last_changed=NOW - DAY + 60))
    assert told is not None
    assert isinstance(told[1], Wait)
    assert told[1].due(ZoneInfo("UTC")) == NOW + 60


def test_leftover_goes_when_it_is_old_enough() -> None:
    bound = judge(LITTER)
    told = bound.other(bound.leftovers, leftover())
    assert told is not None
    assert told[1] == Act(Verb.REMOVE_LITTER, "temp file, older than 2d")


def test_young_leftover_waits() -> None:
    bound = judge(LITTER)
    told = bound.other(bound.leftovers, leftover(last_changed=NOW - DAY))
    assert told is not None
    assert isinstance(told[1], Wait)


@pytest.mark.parametrize("passes", [LOCKS, LITTER])
def test_min_idle_holds_for_locks_and_leftovers(passes: str) -> None:
    bound = judge(passes, "limits: {min_idle: 30d}\n")
    for steps, subject in ((bound.locks, lock()), (bound.leftovers, leftover())):
        told = bound.other(steps, subject)
        assert told is None or isinstance(told[1], Wait)


# prune


def test_old_session_is_pruned() -> None:
    assert verdict(PRUNE, session()) == Act(Verb.PRUNE, "ended more than 7d ago")


def test_young_session_waits_for_its_pruning() -> None:
    found = verdict(PRUNE, session(ended_at=NOW - DAY))
    assert isinstance(found, Wait)
    assert found.due(ZoneInfo("UTC")) == NOW + 6 * DAY


def test_age_is_counted_from_the_end_and_not_from_the_file() -> None:
    copied_today = session(last_changed=NOW - 2 * 3600)
    assert isinstance(verdict(PRUNE, copied_today), Act)


def test_age_without_footer_is_counted_from_the_last_record() -> None:
    touched = crashed(last_record_at=NOW - 9 * DAY, last_changed=NOW - DAY)
    assert isinstance(verdict(PRUNE, touched), Act)


def test_keep_rules_make_a_comparison_of_old_and_young() -> None:
    keep = "  - prune: {older_than: 7d, keep: {last: 1}}\n"
    old, young = verdict(keep, session()), verdict(keep, session(ended_at=NOW - DAY))
    assert isinstance(old, Compare)
    assert isinstance(young, Compare)
    assert (old.old, young.old) == (True, False)


@pytest.mark.parametrize(
    ("group_by", "group"),
    [("[store]", ("rec",)), ("[project]", ("/srv",)), ("[store, kind, name]", ("rec", "rec", "work"))],
)
def test_groups_are_made_of_facts(group_by: str, group: tuple[str, ...]) -> None:
    keep = f"  - prune: {{older_than: 7d, keep: {{last: 1}}, group_by: {group_by}}}\n"
    found = verdict(keep, session(project="/srv"))
    assert isinstance(found, Compare)
    assert found.group == group


# archive


def packing(passes: str, rest: str = "") -> Packing | None:
    """How the only pass of a policy packs an old session."""
    bound = judge(passes, rest)
    found = bound.ask(bound.sessions[0], session())
    assert isinstance(found, Act)
    return found.packing


def test_old_session_is_archived() -> None:
    assert verdict(ARCHIVE, session()) == Act(Verb.ARCHIVE, "ended more than 7d ago", packing=Packing())


def test_young_session_waits_for_its_archiving() -> None:
    found = verdict(ARCHIVE, session(ended_at=NOW - DAY))
    assert found == Wait("ended less than 7d ago", NOW - DAY, Duration.parse("7d"))


def test_session_is_archived_in_the_very_second_it_is_due() -> None:
    assert isinstance(verdict(ARCHIVE, session(ended_at=NOW - 7 * DAY)), Act)


def test_archiving_goes_by_age_and_not_by_silence() -> None:
    copied_today = session(last_changed=NOW - 2 * 3600)
    assert isinstance(verdict(ARCHIVE, copied_today), Act)


def test_all_sessions_share_one_verdict() -> None:
    bound = judge(ARCHIVE)
    step = bound.sessions[0]
    assert bound.ask(step, session(id="a")) is bound.ask(step, session(id="b"))


@pytest.mark.parametrize(
    ("options", "rest", "expected"),
    [
        ("", "", Packing()),
        ("level: 19, originals: trash", "", Packing(level=19, originals="trash")),
        ("", "archive: {dir: default, pack_size: 1GiB}\n", Packing(pack_size=1 << 30)),
        ("", "archive: {dir: ~/cold}\n", Packing(into="~/cold")),
        ("into: /colder", "archive: {dir: ~/cold}\n", Packing(into="/colder")),
        ("into: ~/cold", "", Packing(into="~/cold")),
        ("form: file", "archive: {dir: /cold}\n", Packing(form="file")),
    ],
)
def test_packing_is_what_the_pass_and_the_policy_say(options: str, rest: str, expected: Packing) -> None:
    text = ", ".join(filter(None, ["older_than: 7d", options]))
    assert packing(f"  - archive: {{{text}}}\n", rest) == expected


@pytest.mark.parametrize(
    "members", [(member("a.json"), member("a.jsonl")), (member("a/session.json"),), ()], ids=str
)
def test_session_that_is_not_one_file_beside_the_others_becomes_no_file_by_itself(
    members: tuple[Member, ...],
) -> None:
    found = verdict("  - archive: {older_than: 7d, form: file}\n", session(members=members))
    assert found == No("form: file is for sessions of one file in the folder of their store; this is none")


@pytest.mark.parametrize(
    ("options", "is_older", "kept"),
    [
        ("", False, False),
        ("form: pack, originals: keep", False, False),
        ("form: file", False, True),
        ("form: file", True, True),
        ("form: file, originals: trash", True, True),
        ("form: file, originals: keep", False, True),
        ("form: file, originals: keep", True, False),
    ],
)
def test_archive_keeps_a_session_whose_file_would_replace_what_it_may_not(
    options: str, is_older: bool, kept: bool
) -> None:
    beside = Beside("a.ndjson.zst is there", is_older=is_older)
    found = verdict(f"  - archive: {{older_than: 7d, {options}}}\n", session(beside=beside))
    assert isinstance(found, Kept) is kept
    if isinstance(found, Kept):
        assert "a.ndjson.zst is there; look at both, and move one away" in found.reason


def test_payload_is_archived_where_there_is_one() -> None:
    apart = "  - archive: {older_than: 7d, part: payload}\n"
    found = verdict(apart, session(payload=(member("a.debug"),)))
    assert isinstance(found, Act)
    assert found.packing == Packing(part="payload")
    assert verdict(apart, session()) == No("it has no payload apart from its record")
    left = crashed(payload=(member("a.debug"),))
    assert verdict(apart, left) == No("it crashed: what is left of it stays together until it was recovered")


def test_session_of_exactly_an_age_is_older_only_where_its_program_says_so() -> None:
    for passes in (ARCHIVE, "  - prune: {older_than: 7d}\n", "  - prune: {older_than: 7d, max_count: 1}\n"):
        exactly = session(ended_at=NOW - 7 * DAY)
        strictly = session(ended_at=NOW - 7 * DAY, ages_strictly=True)
        old = [getattr(verdict(passes, each), "old", None) for each in (exactly, strictly)]
        done = [isinstance(verdict(passes, each), Act) for each in (exactly, strictly)]
        assert [True, False] in (old, done)


@pytest.mark.parametrize(("archived", "expected"), [(True, No), (False, Act)])
def test_kept_original_is_archived_once_as_it_is(archived: bool, expected: type[Verdict]) -> None:
    keeps = "  - archive: {older_than: 7d, originals: keep}\n"
    assert type(verdict(keeps, session(archived=archived))) is expected


def test_original_that_is_to_go_is_archived_though_a_copy_was_kept_before() -> None:
    assert isinstance(verdict(ARCHIVE, session(archived=True)), Act)


def test_kept_original_is_left_to_later_passes_once_it_is_archived() -> None:
    passes = "  - archive: {older_than: 1d, originals: keep}\n" + PRUNE
    assert claim(passes, session(archived=False)) == "archive"
    assert claim(passes, session(archived=True)) == "prune"


def test_archived_session_is_not_seen_by_a_later_pass() -> None:
    assert claim(ARCHIVE + PRUNE, session()) == "archive"


def test_action_on_a_session_to_be_archived_says_how_and_what_it_was() -> None:
    subject = session(
        members=(Member("sessions", "s1.ndjson", Fingerprint(1, 2, 100, 4, 5)),), project="/srv"
    )
    act = verdict(ARCHIVE, subject)
    assert isinstance(act, Act)
    place = Place("rec", "rec", {"sessions": "/store"})
    action = action_for(place, subject, "archive", act)
    assert (action.packing, action.account) == (Packing(), account_of(subject))


@pytest.mark.parametrize("options", ["level: 0", "level: 20", "form: file, into: /cold"])
def test_options_that_cannot_be_are_mistakes(options: str) -> None:
    with pytest.raises(PolicyInvalid):
        rules(f"  - archive: {{older_than: 7d, {options}}}\n")


# prune of archived sessions


def packed(**facts: Any) -> Session:
    """An archived session: its bytes are those in the pack."""
    return session(**({"archived": True, "evidence": "it lies in a pack"} | facts))


def test_each_judge_asks_only_the_passes_for_its_sessions() -> None:
    passes = ARCHIVE + PRUNE + ARCHIVED + LOCKS + LITTER
    live, archived = judge(passes), judge(passes, of="archived")
    assert [step.position for step in live.sessions] == [0, 1]
    assert [step.position for step in archived.sessions] == [2]
    assert (len(live.locks), len(live.leftovers)) == (1, 1)
    assert (archived.locks, archived.leftovers) == ([], [])


def test_only_the_judge_whose_pass_compares_does() -> None:
    passes = PRUNE + "  - prune: {of: archived, older_than: 7d, keep: {last: 3}}\n"
    assert (judge(passes).compares, judge(passes, of="archived").compares) == (False, True)


def test_old_archived_session_ends_and_the_reason_says_what_it_is() -> None:
    found = judge(ARCHIVED, of="archived").claim(packed())
    assert found == Claim(0, Act(Verb.PRUNE, "archived, ended more than 7d ago"))


def test_young_archived_session_waits() -> None:
    bound = judge(ARCHIVED, of="archived")
    found = bound.ask(bound.sessions[0], packed(ended_at=NOW - DAY))
    assert found == Wait("archived, ended less than 7d ago", NOW - DAY, Duration.parse("7d"))


def test_live_session_is_no_business_of_a_pass_of_archived_ones() -> None:
    assert claim(ARCHIVED, session()) is None


def test_what_was_packed_a_moment_ago_is_not_protected_for_that() -> None:
    assert judge(ARCHIVED, of="archived").protection(packed(last_changed=NOW - 1)) is None


def test_what_was_brought_back_by_hand_is_spared_in_packs_too() -> None:
    spared = {"s1": Protected("it was brought back by hand")}
    assert judge(ARCHIVED, spared=spared, of="archived").protection(packed()) == spared["s1"]


@pytest.mark.parametrize("fact", ["last_changed", "started_at", "ended_at", "last_record_at"])
def test_time_in_the_future_protects_in_packs_too(fact: str) -> None:
    found = judge(ARCHIVED, of="archived").protection(packed(**{fact: NOW + 60}))
    assert found == Protected("it carries a time in the future", NOW + 60)


def test_unknown_session_is_protected_in_packs_too() -> None:
    assert judge(ARCHIVED, of="archived").protection(packed(state=State.UNKNOWN)) is not None


@pytest.mark.parametrize(
    ("protect", "facts", "protected"),
    [
        ("{tags: [keep]}", {"tags": ("keep",)}, True),
        ("{tags: [keep]}", {"tags": None}, True),
        ("{tags: [keep]}", {}, False),
        ("{idle_under: 30d}", {}, True),
        ("{idle_under: 5d}", {}, False),
    ],
)
def test_protect_selectors_protect_in_packs_too(protect: str, facts: dict[str, Any], protected: bool) -> None:
    bound = judge(ARCHIVED, f"protect: [{protect}]\n", of="archived")
    assert (bound.protection(packed(**facts)) is not None) is protected


def test_corrupt_archived_session_is_claimed_by_name_only() -> None:
    corrupt = packed(state=State.CORRUPT)
    by_name = "  - prune: {of: archived, older_than: 7d, where: {state: corrupt}}\n"
    assert judge(ARCHIVED, of="archived").claim(corrupt) is None
    assert judge(by_name, of="archived").claim(corrupt) is not None


# Who has it.


def test_first_pass_that_claims_a_session_has_it() -> None:
    assert claim(EMPTY + PRUNE, session(empty=True)) == "delete-empty"
    assert claim(PRUNE + EMPTY, session(empty=True)) == "prune"


def test_pass_that_waits_or_declines_claims_nothing() -> None:
    assert claim("  - delete-empty: {idle_for: 30d}\n" + PRUNE, session(empty=True)) == "prune"


def test_comparing_is_a_claim_even_if_the_keep_rules_hold_the_session() -> None:
    assert claim("  - prune: {older_than: 7d, keep: {last: 9}}\n" + PRUNE, session()) == "Compare"


def test_young_candidate_is_left_to_later_passes() -> None:
    keep = "  - prune: {older_than: 30d, keep: {last: 9}}\n"
    assert claim(keep + PRUNE, session()) == "prune"


def test_pass_for_other_stores_claims_nothing() -> None:
    elsewhere = "stores: {rec: {kind: rec, path: /a}, other: {kind: rec, path: /b}}\n"
    assert claim("  - prune: {older_than: 7d, stores: [other]}\n", session(), elsewhere) is None
    assert claim("  - prune: {older_than: 7d, stores: [rec]}\n", session(), elsewhere) == "prune"


@pytest.mark.parametrize(
    ("where", "claimed"),
    [
        ("{name: work}", True),
        ("{name: play}", False),
        ("{tags: [a]}", False),
        ("{not: {tags: [a]}}", True),
        ("{project: /srv}", False),
        ("{state: complete}", True),
        ("{state: [crashed, recovered]}", False),
        ("{empty: false}", True),
        ("{larger_than: 1kB}", False),
        ("all", True),
    ],
)
def test_where_selects(where: str, claimed: bool) -> None:
    passes = f"  - prune: {{older_than: 7d, where: {where}}}\n"
    assert claim(passes, session()) == ("prune" if claimed else None)


@pytest.mark.parametrize("where", ["{tags: [a]}", "{not: {tags: [a]}}", "{project: /x}", "{not: {name: x}}"])
def test_unknown_fact_claims_nothing_either_way(where: str) -> None:
    unknown = session(tags=None, project=None, name=None)
    assert claim(f"  - prune: {{older_than: 7d, where: {where}}}\n", unknown) is None


def test_corrupt_session_is_claimed_by_name_only() -> None:
    corrupt = session(state=State.CORRUPT)
    assert claim(PRUNE, corrupt) is None
    assert claim("  - prune: {older_than: 7d, where: all}\n", corrupt) is None
    assert claim("  - prune: {older_than: 7d, where: {state: corrupt}}\n", corrupt) == "prune"


# Protections.


@pytest.mark.parametrize("state", [State.LIVE, State.UNKNOWN])
def test_live_and_unknown_sessions_are_protected(state: State) -> None:
    assert claim("  - prune: {older_than: 1d, where: all}\n", session(state=state)) == "protected"


def test_min_idle_protects_whatever_a_pass_says() -> None:
    busy = session(last_changed=NOW - 1800)
    found = judge(PRUNE).protection(busy)
    assert found == Protected("idle for less than min_idle 1h", NOW + 1800)


@pytest.mark.parametrize("fact", ["last_changed", "started_at", "ended_at", "last_record_at"])
def test_time_in_the_future_protects(fact: str) -> None:
    found = judge(PRUNE).protection(session(**{fact: NOW + 60}))
    assert found == Protected("it carries a time in the future", NOW + 60)


def test_protect_selector_protects() -> None:
    assert claim(PRUNE, session(tags=("keep",)), "protect: [{tags: [keep]}]\n") == "protected"
    assert claim(PRUNE, session(tags=("other",)), "protect: [{tags: [keep]}]\n") == "prune"


def test_protect_selector_protects_where_the_fact_is_unknown() -> None:
    assert claim(PRUNE, session(tags=None), "protect: [{tags: [keep]}]\n") == "protected"
    assert claim(PRUNE, session(project=None), "protect: [{project: /srv/*}]\n") == "protected"


def test_what_was_done_lately_spares_a_session() -> None:
    spared = {"s1": Protected("it was brought back by hand", NOW + DAY)}
    assert judge(PRUNE, spared=spared).protection(session()) == spared["s1"]


# Names.


def test_crashes_of_one_second_get_names_one_second_apart() -> None:
    taken: set[str] = set()
    moved: dict[str, float] = {}
    zone = rules().zone
    template = NameTemplate("recovered-%H%M%S")
    names = [unique_name(template, 0.0, zone, taken, moved) for _ in range(3)]
    assert names == ["recovered-000000", "recovered-000001", "recovered-000002"]


def test_name_that_exists_is_not_given_again() -> None:
    zone = rules().zone
    template = NameTemplate("recovered-%H%M%S")
    assert unique_name(template, 0.0, zone, {"recovered-000000"}, {}) == "recovered-000001"


def test_ten_thousand_crashes_of_one_second_take_no_longer_than_of_many() -> None:
    taken: set[str] = set()
    moved: dict[str, float] = {}
    zone = rules().zone
    template = NameTemplate("recovered-%Y-%m-%d-%H%M%S")
    names = {unique_name(template, NOW + n % 3, zone, taken, moved) for n in range(10_000)}
    assert len(names) == 10_000  # which takes minutes if each one starts anew


def compared(passes: str, *sessions: Session, **more: Any) -> dict[str, bool]:
    """Which of some sessions of one group go, by id."""
    bound = judge(passes, **more)
    step = bound.sessions[0]
    old = []
    with Candidates() as candidates:
        for number, each in enumerate(sessions, 1):
            found = bound.ask(step, each)
            assert isinstance(found, Compare)
            candidates.enter([entry(step.position, key_of(each), each.bytes, found)])
            old += [(each.id, number)] if found.old else []
        settled = candidates.settle(lambda _, group: step.pass_.compare(step.options, bound.setting, group))
    return {id_: bool(settled.going[number]) for id_, number in old}


def series(count: int, **facts: Any) -> list[Session]:
    """Sessions s0 (the youngest) and on, which ended 10, 11, 12... days ago."""
    return [session(id=f"s{n}", ended_at=NOW - (10 + n) * DAY, **facts) for n in range(count)]


def test_keep_last_holds_the_newest() -> None:
    found = compared("  - prune: {older_than: 7d, keep: {last: 2}}\n", *series(4))
    assert found == {"s0": False, "s1": False, "s2": True, "s3": True}


def test_keep_counts_the_young_ones_too() -> None:
    young = session(id="young", ended_at=NOW - DAY)
    found = compared("  - prune: {older_than: 7d, keep: {last: 2}}\n", young, *series(2))
    assert found == {"s0": False, "s1": True}


def test_keep_monthly_holds_the_newest_of_each_month() -> None:
    # NOW is the second of February 2026.
    months = [session(id=f"m{n}", ended_at=NOW - n * 31 * DAY) for n in range(1, 5)]
    found = compared("  - prune: {older_than: 7d, keep: {monthly: 2}}\n", *months)
    assert found == {"m1": False, "m2": False, "m3": True, "m4": True}


def test_keep_within_is_measured_from_the_newest_of_the_group() -> None:
    found = compared("  - prune: {older_than: 7d, keep: {within: 2d}}\n", *series(4))
    assert found == {"s0": False, "s1": False, "s2": False, "s3": True}


def test_keep_tags_and_names_hold_what_bears_them() -> None:
    tagged, named = session(id="t", tags=("release",)), session(id="n", name="demo-1")
    plain = session(id="p", name="plain")
    passes = "  - prune: {older_than: 7d, keep: {tags: [release], names: ['demo-*']}}\n"
    assert compared(passes, tagged, named, plain) == {"t": False, "n": False, "p": True}


def test_groups_are_compared_by_themselves() -> None:
    one, two = session(id="one", project="/a"), session(id="two", project="/b")
    passes = "  - prune: {older_than: 7d, keep: {last: 1}, group_by: [project]}\n"
    assert compared(passes, one, two) == {"one": False, "two": False}


def test_cap_by_number_removes_the_oldest_beyond_it() -> None:
    found = compared("  - prune: {older_than: 7d, max_count: 3}\n", *series(4))
    assert found == {"s0": False, "s1": False, "s2": False, "s3": True}


def test_cap_by_size_removes_the_oldest_beyond_it() -> None:
    found = compared("  - prune: {older_than: 7d, max_total: 250B}\n", *series(4))
    assert found == {"s0": False, "s1": False, "s2": True, "s3": True}


def test_cap_removes_nothing_that_is_too_young_or_kept() -> None:
    young = [session(id=f"y{n}", ended_at=NOW - n * DAY) for n in range(1, 4)]
    passes = "  - prune: {older_than: 7d, max_count: 1, keep: {last: 4}}\n"
    assert compared(passes, *young, *series(2)) == {"s0": False, "s1": True}


def test_equal_times_are_told_apart_by_id_and_not_by_order() -> None:
    same = [session(id=f"s{n}", ended_at=NOW - 10 * DAY) for n in range(4)]
    passes = "  - prune: {older_than: 7d, keep: {last: 2}}\n"
    assert compared(passes, *same) == compared(passes, *reversed(same))


def test_kept_session_is_told_why() -> None:
    found = known_passes()["prune"]
    bound = judge("  - prune: {older_than: 7d, keep: {last: 1}}\n")
    row = Candidate(1, NOW - 10 * DAY, 1, True, ())
    ((_, told),) = found.compare(bound.sessions[0].options, bound.setting, [row])
    assert isinstance(told, Kept)
    assert "last" in told.reason


def test_reasons_of_a_comparison_say_that_it_is_of_archived_sessions() -> None:
    bound = judge("  - prune: {of: archived, older_than: 7d, max_count: 2, keep: {last: 1}}\n", of="archived")
    step = bound.sessions[0]
    rows = [Candidate(n, NOW - (10 + n) * DAY, 1, True, ()) for n in range(3)]
    told = dict(step.pass_.compare(step.options, bound.setting, rows))
    assert told == {
        0: Kept("archived, kept: among the last 1"),
        1: Kept("archived, kept: within the cap"),
        2: Act(
            Verb.PRUNE,
            "archived, ended more than 7d ago, kept by none of: {last: 1}, beyond max_count 2",
        ),
    }


def test_archive_is_held_below_a_size_by_its_packed_bytes() -> None:
    passes = "  - prune: {of: archived, older_than: 7d, max_total: 25B}\n"
    found = compared(passes, *series(4, archived=True, bytes=10), of="archived")
    assert found == {"s0": False, "s1": False, "s2": True, "s3": True}


@pytest.mark.parametrize(
    ("keep", "kept"),
    [
        ("last: 2", {"s0", "s1"}),
        ("within: 2d", {"s0", "s1", "s2"}),
        ("daily: 3", {"s0", "s1", "s2"}),
        ("names: work", {"s0", "s1", "s2", "s3"}),
        ("tags: release", set()),
    ],
)
def test_keep_rules_hold_archived_sessions(keep: str, kept: set[str]) -> None:
    passes = f"  - prune: {{of: archived, older_than: 7d, keep: {{{keep}}}}}\n"
    found = compared(passes, *series(4, archived=True), of="archived")
    assert {each for each, goes in found.items() if not goes} == kept


# Limits.


def refused(limits: str, *, sessions: int = 100, **planned_and_more: Any) -> list[str]:
    """The limits that a plan for 100 sessions breaks."""
    text = f"limits: {{{limits}}}\n" if limits else ""
    said = refusals(rules("  []\n", text).limits, "rec", sessions, **({"future": 0} | planned_and_more))
    return [each.partition("limits.")[2].partition(" ")[0] or each for each in said]


def test_archiving_is_unlimited_unless_the_policy_bounds_it() -> None:
    assert refused("", planned={Verb.ARCHIVE: 100}) == []
    cap = "max_archived: {fraction: 20%, at_least: 10}"
    assert refused(cap, planned={Verb.ARCHIVE: 20}) == []
    assert refused(cap, planned={Verb.ARCHIVE: 21}) == ["max_archived"]


def test_end_of_archived_sessions_is_no_way_to_the_trash() -> None:
    caps = "max_removed: {fraction: 1%, at_least: 10}, max_expired: {fraction: 1%, at_least: 30}"
    assert refused(caps, planned={Verb.PRUNE: 35}, archived=200, expiring=25) == []
    assert refused(caps, planned={Verb.PRUNE: 36}, archived=200, expiring=25) == ["max_removed"]
    assert refused(caps, planned={Verb.PRUNE: 31}, archived=200, expiring=31) == ["max_expired"]


def test_trashed_and_archived_sessions_end_under_one_limit() -> None:
    cap = "max_expired: {fraction: 1%, at_least: 30}"
    planned = {Verb.PRUNE: 10, Verb.EXPIRE_TRASH: 21}
    assert refused(cap, planned=planned, archived=200, expiring=9) == []
    assert refused(cap, planned=planned, archived=200, expiring=10) == ["max_expired"]


def test_share_that_may_end_is_of_the_store_and_its_archive() -> None:
    cap = "max_expired: {fraction: 10%, at_least: 1}"
    assert refused(cap, planned={Verb.PRUNE: 30}, archived=200, expiring=30) == []
    assert refused(cap, planned={Verb.PRUNE: 31}, archived=200, expiring=31) == ["max_expired"]
    assert refusals(
        rules("  []\n").limits, "rec", 0, 0, {Verb.PRUNE: 2000}, archived=2100, expiring=2000
    ) == ["store 'rec': 2000 of 2100 sessions would end for good, more than limits.max_expired allows (1050)"]


@pytest.mark.parametrize(
    ("planned", "more"),
    [({Verb.ARCHIVE: 1}, {}), ({Verb.PRUNE: 1}, {"expiring": 1}), ({Verb.EXPIRE_TRASH: 1}, {})],
)
def test_sessions_from_the_future_stop_all_that_goes_by_age(
    planned: dict[Verb, int], more: dict[str, int]
) -> None:
    (said,) = refused("", planned=planned, future=50, **more)
    assert said.endswith("is the clock right?")
    assert refused("", planned={Verb.RECOVER: 1}, future=50) == []


@pytest.mark.parametrize("verb", [Verb.ARCHIVE, Verb.PRUNE, Verb.DELETE_EMPTY, Verb.EXPIRE_TRASH])
def test_clock_behind_the_last_run_stops_all_that_goes_by_age(verb: Verb) -> None:
    assert clock_refusal("rec", NOW, NOW + 60, Counter({verb: 1})) is not None
    assert clock_refusal("rec", NOW, NOW, Counter({verb: 1})) is None
    assert clock_refusal("rec", NOW, NOW + 60, Counter({Verb.RECOVER: 1})) is None


# What somebody still points at, and what he has brought back.


@pytest.mark.parametrize("passes", [ARCHIVE, PRUNE])
def test_session_that_its_recorder_still_has_marked_is_not_taken_away(passes: str) -> None:
    told = verdict(passes, crashed(recording=True))
    assert isinstance(told, No)
    assert "recover it first" in told.reason
    assert isinstance(verdict(passes, crashed()), Act)
    keep = "  - archive: {older_than: 7d, originals: keep}\n"
    assert isinstance(verdict(keep, crashed(recording=True)), Act)  # a copy takes nothing away


def test_session_that_its_recorder_still_has_marked_is_kept_in_every_comparison() -> None:
    passes = "  - prune: {older_than: 7d, max_count: 1}\n"
    told = verdict(passes, crashed(recording=True))
    assert isinstance(told, Compare)
    assert len(told.held) == 1
    assert claim(RECOVER + passes, crashed(recording=True)) == "recover"


@pytest.mark.parametrize("by_hand", [True, False])
def test_locks_and_litter_that_were_brought_back_by_hand_stay_for_as_long_as_sessions_do(
    by_hand: bool,
) -> None:
    why = "it was brought back by hand"
    spared = {each: Protected(why, NOW + DAY, by_hand=by_hand) for each in ("s1", "recording.lock", "a.tmp")}
    bound = judge(LOCKS + LITTER, spared=spared)
    of_locks = [lock(), lock(id="recording.json", session="s1")]
    of_litter = [leftover(), leftover(id="s1.tmp", session="s1")]
    told = [bound.other(bound.locks, each) for each in of_locks]
    told += [bound.other(bound.leftovers, each) for each in of_litter]
    assert [type(each[1]) for each in told if each is not None] == [No if by_hand else Act] * 4
