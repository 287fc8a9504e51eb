import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, make_dataclass
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from policy_world import BERLIN, PASSES, Archive, Prune, check, complaint, complaints, load, with_passes

from policies import (
    ArchiveRules,
    Cap,
    Duration,
    Keep,
    Limits,
    NameTemplate,
    PassOptions,
    Selector,
    Size,
    StoreSpec,
    TrashRules,
    json_schema,
    option,
)
from policies.selectors import AllOf, Term

FULL = """\
version: 1
timezone: America/New_York
stores:
  recordings: {kind: rec}
  team: {kind: rec, path: /srv/rec/sessions, state: ~/rec/state}
protect:
  - {tags: [keep, audit]}
  - {project: "/srv/prod/*", idle_under: 90d}
passes:
  - stale-locks: {idle_for: 24h, stores: team}
  - recover: {idle_for: 24h, name: "r-%Y%m%d-%H%M%S"}
  - archive: {older_than: 30d, level: 19, originals: trash, into: ~/cold}
  - prune:
      of: archived
      older_than: 2y
      keep: {last: 50, within: 1w, monthly: 24, tags: release}
      group_by: [store, project]
      max_total: 1.5GiB
      max_count: 1000
      where: all
limits:
  min_idle: 2h
  max_removed: {fraction: 20%, at_least: 50}
  max_archived: {fraction: 12.5%, at_least: 1}
  max_expired: unlimited
trash: {keep_for: 3d}
archive: {dir: /srv/archive, pack_size: 1GiB}
"""


def test_every_part_of_a_policy_is_understood() -> None:
    policy = load(FULL)
    assert policy.zone == ZoneInfo("America/New_York")
    assert policy.stores == (
        StoreSpec("recordings", "rec", {}),
        StoreSpec("team", "rec", {"path": "/srv/rec/sessions", "state": "~/rec/state"}),
    )
    assert policy.protect == (
        Term("tags", ("keep", "audit")),
        AllOf((Term("project", ("/srv/prod/*",)), Term("idle_under", Duration.parse("90d")))),
    )
    assert policy.passes == (
        PASSES["stale-locks"](pass_name="stale-locks", idle_for=Duration.parse("24h"), stores=("team",)),  # type: ignore[call-arg]
        PASSES["recover"](
            pass_name="recover",
            idle_for=Duration.parse("24h"),  # type: ignore[call-arg]
            name=NameTemplate("r-%Y%m%d-%H%M%S"),
        ),
        Archive(
            pass_name="archive",
            older_than=Duration.parse("30d"),
            level=19,
            form="pack",
            originals="trash",
            into="~/cold",
        ),
        Prune(
            pass_name="prune",
            older_than=Duration.parse("2y"),
            of="archived",
            keep=Keep(last=50, within=Duration.parse("1w"), monthly=24, tags=("release",)),
            group_by=("store", "project"),
            max_total=Size.parse("1.5GiB"),
            max_count=1000,
            where=Selector.ALL,
        ),
    )
    assert policy.limits == Limits(
        min_idle=Duration.parse("2h"),
        max_removed=Cap(0.2, 50),
        max_archived=Cap(0.125, 1),
        max_expired=None,
    )
    assert policy.trash == TrashRules(keep_for=Duration.parse("3d"))
    assert policy.archive == ArchiveRules(dir="/srv/archive", pack_size=Size.parse("1GiB"))


OF_THE_CONTRACT = """\
version: 1
timezone: Europe/Berlin            # for calendar rules and names; default: the machine's own zone

stores:
  recordings: {kind: rec}                                   # default roots of that kind
  team:       {kind: rec, path: /srv/rec/sessions, state: /srv/rec/state}
  runs:       {kind: outrig, path: /srv/outrig/sessions}

protect:                           # a protection always wins
  - {tags: [keep, audit]}
  - {project: "/srv/prod/*", idle_under: 90d}

passes:                            # in order; the first pass that claims a session has it for this run
  - stale-locks:  {idle_for: 24h}
  - recover:      {idle_for: 24h}
  - delete-empty: {idle_for: 2d}
  - litter:       {older_than: 2d}
  - archive:
      older_than: 30d
      where: {state: [complete, recovered]}
      level: 3
  - prune:
      of: archived                 # sessions in packs; default: live ones
      older_than: 2y
      keep: {last: 50, monthly: 24, tags: [release]}
      group_by: [store, project]

limits:                            # checked on the finished plan, before the first action
  min_idle: 1h                     # nothing that changed more recently is touched, whatever a pass says
  max_removed: {fraction: 20%, at_least: 50}
trash: {keep_for: 14d}
archive: {dir: default, pack_size: 256MiB}
"""


def test_the_example_of_the_contract_is_sound_and_draws_no_lint() -> None:
    checked = check(OF_THE_CONTRACT)
    assert (checked.errors, checked.lints) == ((), ())


def test_what_is_left_out_has_the_defaults_of_the_contract() -> None:
    policy = load("version: 1\npasses: []")
    assert (policy.zone, policy.stores, policy.protect, policy.passes) == (BERLIN, (), (), ())
    assert policy.limits == Limits(
        min_idle=Duration.parse("1h"),
        max_removed=Cap(0.5, 100),
        max_archived=None,
        max_expired=Cap(0.5, 1000),
    )
    assert policy.trash.keep_for == Duration.parse("14d")
    assert policy.archive == ArchiveRules(dir=None, pack_size=Size.parse("256MiB"))


def test_policy_is_known_by_the_digest_of_its_bytes() -> None:
    assert load(FULL).sha256 == hashlib.sha256(FULL.encode()).hexdigest()


def test_absent_where_is_none() -> None:
    assert load(with_passes("  - litter: {older_than: 2d}")).passes[0].where is None


@pytest.mark.parametrize(
    ("cap", "total", "allowed"),
    [(Cap(0.2, 50), 1000, 200), (Cap(0.2, 50), 100, 50), (Cap(0.29, 1), 100, 29), (Cap(0.5, 1), 3, 1)],
)
def test_cap_is_the_larger_of_share_and_number(cap: Cap, total: int, allowed: int) -> None:
    assert cap.allows(total) == allowed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("passes: []", "the policy has no `version` -> start it with `version: 1`"),
        ("version: 1", "the policy has no `passes` -> write `passes:` and a list"),
        (
            "version: 1.0\npasses: []",
            "there is no version `1.0` of the policy language -> write `version: 1`",
        ),
        ("version:\npasses: []", "nothing is written here -> write `version: 1`, or remove the key"),
        ("verson: 1\npasses: []", "a policy has no section `verson` -> did you mean `version`?"),
        (
            "version: 1\npasses: []\nfilters: {}",
            "a policy has no section `filters` -> write one of "
            + ", ".join(
                f"`{each}`"
                for each in (
                    "version",
                    "timezone",
                    "stores",
                    "protect",
                    "passes",
                    "limits",
                    "trash",
                    "archive",
                )
            ),
        ),
        (
            "version: 1\npasses: []\nexclude: []",
            "a policy has no section `exclude` -> did you mean `protect`?",
        ),
        ("version: 1\nrules: []", "a policy has no section `rules` -> did you mean `passes`?"),
        (
            "version: 1\npasses: []\nprune: {older_than: 1y}",
            "a policy has no section `prune` -> it is a pass: write `- prune: ...` under `passes:`",
        ),
        (
            "version: 1\npasses: []\ndry_run: true",
            "a policy has no section `dry_run` -> a policy is not a run: `maint plan` changes nothing",
        ),
        (
            "version: 1\np\u0430sses: []",
            "a policy has no section `p\u0430sses` -> did you mean `passes`? (U+0430 is no plain letter)",
        ),
        (
            "version: 1\npasses:",
            "nothing is written here -> write a list of passes, such as `- litter: {older_than: 2d}`, or remove the key",
        ),
        (
            "version: 1\npasses: {litter: {older_than: 2d}}",
            "the passes are a mapping -> their order counts: put `- ` before each",
        ),
    ],
)
def test_sections_are_checked(text: str, expected: str) -> None:
    assert complaint(text) == expected


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ("europe/berlin", "there is no time zone `europe/berlin` -> did you mean `Europe/Berlin`?"),
        ("Berlin", "there is no time zone `Berlin` -> did you mean `Europe/Berlin`?"),
        ("new york", "there is no time zone `new york` -> did you mean `America/New_York`?"),
        (
            "../../etc/passwd",
            "there is no time zone `../../etc/passwd` -> write a place, such as `Europe/Berlin`, or `UTC`",
        ),
        ("+02:00", "there is no time zone `+02:00` -> write a place, such as `Europe/Berlin`, or `UTC`"),
    ],
)
def test_unknown_time_zones_are_refused_with_a_suggestion(zone: str, expected: str) -> None:
    assert complaint(f"version: 1\ntimezone: {zone}\npasses: []") == expected


@pytest.mark.parametrize(
    ("stores", "expected"),
    [
        (
            "",
            "no store is named here -> write `NAME: {kind: KIND}`; without `stores` the default roots of all kinds are used",
        ),
        (
            "{}",
            "no store is named here -> write `NAME: {kind: KIND}`; without `stores` the default roots of all kinds are used",
        ),
        ("[a]", "a list stands where a mapping belongs -> write `NAME: {kind: KIND}` for each store"),
        ("{a: rec}", "a kind stands where a mapping belongs -> write `{kind: rec}`"),
        ("{a: {kind: record}}", "there is no kind of store `record` -> did you mean `rec`?"),
        (
            "{a: {path: /a}}",
            "the store `a` has no `kind` -> write one of `rec`, `opendev`, `opendev-snapshots`, `outrig`",
        ),
        ("{a: {type: rec}}", "a store has no `type` -> did you mean `kind`?"),
        ("{a: {kind: rec, dir: /a}}", "a store of kind `rec` has no `dir` -> did you mean `path`?"),
        (
            "{a: {kind: outrig, path: /a, state: /s}}",
            "a store of kind `outrig` has no `state` -> write one of `kind`, `path`",
        ),
        (
            "{a: {kind: rec, state: /s}}",
            "the store `a` has `state` and no `path` -> write `path` too, or neither",
        ),
        ("{a: {kind: rec, path: srv}}", "the path `srv` is relative -> start it with `/` or `~/`"),
        (
            "{a: {kind: rec, path: ~bob/x}}",
            "`~bob/x` is no path -> only `~/` is expanded: write the path from `/`",
        ),
        (
            "{a: {kind: rec, path: $HOME/x}}",
            "variables are not expanded in `$HOME/x` -> write the path, or start it with `~/`",
        ),
        (
            "{a: {kind: rec, path: /srv/../etc}}",
            "the path `/srv/../etc` goes through `.` or `..` -> write it without",
        ),
        (
            "{a: {kind: rec, path: //}}",
            "the root of everything is no store -> write the folder of the sessions",
        ),
        (
            "{a: {kind: rec, path: ''}}",
            "an empty text stands here -> write a path such as `/srv/sessions` or `~/sessions`",
        ),
        (
            "{a/b: {kind: rec}}",
            "`a/b` cannot be the name of a store -> write letters, digits, `.`, `_` and `-`, at most 64",
        ),
        (
            "{a: {kind: rec}, a: {kind: outrig}}",
            "`a` stands here twice -> the first one is in line 2: keep one of them",
        ),
    ],
)
def test_stores_are_checked(stores: str, expected: str) -> None:
    assert complaint(f"version: 1\nstores: {stores}\npasses: []") == expected


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("  - prune", "`prune` needs `older_than` -> there is no default for it: write a time such as `30d`"),
        ("  - prune:", "`prune` needs `older_than` -> there is no default for it: write a time such as `30d`"),
        ("  - prune: {}", "`prune` needs `older_than` -> there is no default for it: write a time such as `30d`"),
        ("  - prune: {keep: {last: 3}}", "`prune` needs `older_than` -> there is no default for it: write a time such as `30d`"),
        ("  - prune: 30d", "`30d` stands where a mapping belongs -> write `prune: {older_than: ...}`"),
        ("  - prune: {older_than: }", "nothing is written here -> write a time such as `30d`, or remove the key"),
        ("  - prune: {older_than: [30d]}", "a list stands where a time such as `30d` belongs -> write a time such as `30d`"),
        ("  - prune: {older-than: 30d}", "`prune` has no option `older-than` -> did you mean `older_than`?"),
        ("  - prune: {age: 30d}", "`prune` has no option `age` -> did you mean `older_than`?"),
        ("  - prune: {days: 30}", "`prune` has no option `days` -> write `older_than: 30d`"),
        ("  - prune: {older_than:30d}", "`prune` has no option `older_than:30d` -> a space is missing after `older_than:`"),
        ("  - prune: {older_than: 1y, filter: {state: live}}", "`prune` has no option `filter` -> did you mean `where`?"),
        ("  - prune: {older_than: 1y, keep_daily: 7}", "`prune` has no option `keep_daily` -> write `keep: {daily: 7}`"),
        ("  - prune: {older_than: 1y, last: 7}", "`prune` has no option `last` -> write `keep: {last: 7}`"),
        ("  - prune: {older_than: 1y, keep: {}}", "nothing is written under `keep` -> write an option, or remove the key"),
        ("  - prune: {older_than: 1y, keep: }", "nothing is written under `keep` -> write an option, or remove the key"),
        ("  - prune: {older_than: 1y, keep: 5}", "`5` stands where a mapping belongs -> write `keep: {last: ...}`"),
        ("  - prune: {older_than: 1y, keep: {last: 0}}", "a count of zero -> zero is neither nothing nor unlimited: write a count, or remove the key"),
        ("  - prune: {older_than: 1y, keep: {last: 017}}", "`017` is no plain number -> write `17`"),
        ("  - prune: {older_than: 1y, keep: {last: -5}}", "`-5` is no count -> a count is a whole number in plain digits, such as `10`"),
        ("  - prune: {older_than: 1y, keep: {last: 5d}}", "`5d` is no count -> a count has no unit: write `5`"),
        ("  - prune: {older_than: 1y, keep: {last: all}}", "`all` is no count -> to set no bound, remove the key"),
        ("  - prune: {older_than: 1y, keep: {days: 7}}", "`keep` has no option `days` -> did you mean `daily`?"),
        ("  - prune: {older_than: 1y, of: packs}", "`packs` is none of the words that can stand here -> write one of `live`, `archived`"),
        ("  - prune: {older_than: 1y, of: archive}", "`archive` is none of the words that can stand here -> did you mean `archived`?"),
        ("  - archive", "`archive` needs `older_than` -> there is no default for it: write a time such as `30d`"),
        ("  - archive: {older_than: 30d, idle_for: 30d}", "`archive` has no option `idle_for` -> write one of `where`, `stores`, `older_than`, `level`, `form`, `originals`, `part`, `into`"),
        ("  - archive: {older_than: 30d, level: 0}", "`0` is no level of compression -> write a number from 1, which is fast, to 19, which is small"),
        ("  - archive: {older_than: 30d, level: 20}", "`20` is no level of compression -> write a number from 1, which is fast, to 19, which is small"),
        ("  - archive: {older_than: 30d, level: 100}", "`100` is no level of compression -> write a number from 1, which is fast, to 19, which is small"),
        ("  - archive: {older_than: 30d, level: max}", "`max` is no level of compression -> write a number from 1, which is fast, to 19, which is small"),
        ("  - archive: {older_than: 30d, level: }", "nothing is written here -> write a level such as `3`, or remove the key"),
        ("  - archive: {older_than: 30d, form: packs}", "`packs` is none of the words that can stand here -> did you mean `pack`?"),
        ("  - archive: {older_than: 30d, form: zip}", "`zip` is none of the words that can stand here -> write one of `pack`, `file`"),
        ("  - archive: {older_than: 30d, originals: delete}", "`delete` is none of the words that can stand here -> write one of `remove`, `trash`, `keep`"),
        ("  - archive: {older_than: 30d, into: cold}", "the path `cold` is relative -> start it with `/` or `~/`"),
        ("  - archive: {older_than: 30d, into: ~/../x}", "the path `~/../x` goes through `.` or `..` -> write it without"),
        ("  - archive: {older_than: 30d, into: /}", "the root of everything is no archive -> write a folder for the packs"),
        ("  - archive: {older_than: 30d, into: [/a]}", "a list stands where a folder such as `/srv/archive` or `~/archive` belongs -> write a folder such as `/srv/archive` or `~/archive`"),
        ("  - archive: {older_than: 30d, dir: /cold}", "`archive` has no option `dir` -> did you mean `into`?"),
        ("  - archive: {older_than: 30d, compression: 9}", "`archive` has no option `compression` -> did you mean `level`?"),
        ("  - archive: {older_than: 30d, form: file, into: /cold}", "`into` stands beside `form: file` -> remove one of them"),
        ("  - prune: {older_than: 1y, group_by: project, store}", "`prune` has no option `store` -> did you mean `stores`?"),
        ("  - prune: {older_than: 1y, group_by: [projects]}", "`projects` is none of the words that can stand here -> did you mean `project`?"),
        ("  - prune: {older_than: 1y, group_by: 'store, project'}", "`store, project` is several words -> write a list: `[store, project]`"),
        ("  - prune: {older_than: 1y, max_total: 20G}", "`G` in `20G` is 1,073,741,824 bytes to some tools and 1,000,000,000 to others -> write `20GiB` or `20GB`"),
        ("  - prune: {older_than: 1y, max_count: unlimited}", "`unlimited` is no count -> to set no bound, remove the key"),
        ("  - prune: {older_than: 1y, max_count: 1000001}", "`max_count` is beyond what a store holds"),
        ("  - prune: {older_than: 1y, stores: [x]}", "no store is called `x`: this policy names none -> name it under `stores:`, or select by `kind`"),
        ("  - prune: {older_than: 1y, stores: []}", "an empty list stands here -> write what it should hold, or remove the key"),
        ("  - prune: {older_than: 1y, where: }", "nothing is written here -> write a selection, such as `{state: crashed}`, or `all` for every session, or remove the key"),
        ("  - prune: {older_than: 1y, pass_name: x}", "`prune` has no option `pass_name` -> write one of `where`, `stores`, `older_than`, `of`, `keep`, `group_by`, `max_total`, `max_count`"),
        ("  - prune:\n    older_than: 1y", "`older_than` stands beside `prune` -> indent what belongs to `prune:` by two more spaces"),
        ("  - prune: {older_than: 1y}\n    litter: {older_than: 2d}", "`litter` stands beside `prune` -> put `- ` before `litter`"),
        ("  - prune: {older_than: 1y}\n    keep: {last: 3}", "`keep` stands beside `prune` -> if it belongs to `prune`, indent it below; if it is a pass, put `- ` before it"),
        ("  - purge: {older_than: 5, foo: bar}", "there is no pass `purge` -> did you mean `prune`?"),
        ("  - delete_empty: {idle_for: 2d}", "there is no pass `delete_empty` -> did you mean `delete-empty`?"),
        ("  - recover: {idle_for: 1d, name: x}", "`x` has no `%S` -> seconds are needed: a name that is taken already is made unique by moving on a second"),
        ("  - 30d", "`30d` stands where a mapping belongs -> write `NAME: {OPTION: VALUE}`"),
        ("  - {}", "nothing is written between the braces -> write `NAME: {OPTION: VALUE}`"),
    ],
)  # fmt: skip
def test_passes_are_checked(lines: str, expected: str) -> None:
    assert complaint(with_passes(lines)) == expected


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ("", "nothing is written under `limits` -> write an option, or remove the key"),
        ("{max_delete: 5}", "`limits` has no option `max_delete` -> did you mean `max_removed`?"),
        ("{min_idle: 0}", "a time of zero -> a time of zero would mean everything: write how long"),
        ("{max_removed: 50}", "`50` stands where a mapping belongs -> write `{fraction: 20%, at_least: 50}` or `unlimited`"),
        ("{max_removed: {fraction: 20%}}", "a cap needs `at_least` -> write `{fraction: 20%, at_least: 50}` or `unlimited`; the larger of the two counts"),
        ("{max_removed: {percent: 20%, at_least: 5}}", "a cap has no `percent` -> did you mean `fraction`?"),
        ("{max_removed: {fraction: 0.5, at_least: 5}}", "`0.5` is no share -> write `50%`"),
        ("{max_removed: {fraction: 20, at_least: 5}}", "`20` is no share -> write `20%`"),
        ("{max_removed: {fraction: 5 %, at_least: 5}}", "`5 %` is no share -> write `5%`"),
        ("{max_removed: {fraction: 100%, at_least: 5}}", "`100%` is no cap -> to set no bound, write `unlimited` in place of the braces"),
        ("{max_removed: {fraction: 0%, at_least: 5}}", "a share of zero -> a cap of nothing would stop every run: write a share, such as `20%`"),
        ("{max_removed: {fraction: half, at_least: 5}}", "`half` is no share -> a share is a number and a percent sign, such as `20%`"),
        ("{max_removed: }", "nothing is written here -> write `{fraction: 20%, at_least: 50}` or `unlimited`, or remove the key"),
    ],
)  # fmt: skip
def test_limits_are_checked(limits: str, expected: str) -> None:
    assert complaint(f"version: 1\npasses: []\nlimits: {limits}") == expected


@pytest.mark.parametrize(
    ("archive", "expected"),
    [
        ("", "nothing is written under `archive` -> write an option, or remove the key"),
        ("default", "`default` stands where a mapping belongs -> write `archive: {dir: ...}`"),
        ("{dir: cold}", "the path `cold` is relative -> start it with `/` or `~/`"),
        ("{dir: Default}", "the path `Default` is relative -> start it with `/` or `~/`"),
        ("{dir: ~bob/x}", "`~bob/x` is no path -> only `~/` is expanded: write the path from `/`"),
        ("{dir: $HOME/x}", "variables are not expanded in `$HOME/x` -> write the path, or start it with `~/`"),
        ("{dir: /srv/../etc}", "the path `/srv/../etc` goes through `.` or `..` -> write it without"),
        ("{dir: //}", "the root of everything is no archive -> write a folder for the packs"),
        ("{dir: ''}", "an empty text stands here -> write a folder such as `/srv/archive`, or `default`"),
        ("{dir: }", "nothing is written here -> write a folder such as `/srv/archive`, or `default`, or remove the key"),
        ("{path: /cold}", "`archive` has no option `path` -> did you mean `dir`?"),
        ("{into: /cold}", "`into` is an option of the pass `archive`, and this is the section -> write `- archive: {into: ...}` under `passes:`"),
        ("{older_than: 30d}", "`older_than` is an option of the pass `archive`, and this is the section -> write `- archive: {older_than: ...}` under `passes:`"),
        ("{size: 1GiB}", "`archive` has no option `size` -> did you mean `pack_size`?"),
        ("{pack_size: 256}", "`256` has no unit -> write `256MiB` for mebibytes or `256B` for bytes"),
        ("{pack_size: 1023KiB}", "`1023KiB` is no size for a pack -> write a size from `1MiB` to `4GiB`"),
        ("{pack_size: 5GiB}", "`5GiB` is no size for a pack -> write a size from `1MiB` to `4GiB`"),
        ("{pack_size: unlimited}", "`unlimited` is no size -> a size is a number and a unit: B, KiB, MiB, GiB, TiB, kB, MB, GB or TB, such as `256MiB`"),
    ],
)  # fmt: skip
def test_the_archive_is_checked(archive: str, expected: str) -> None:
    assert complaint(f"version: 1\npasses: []\narchive: {archive}") == expected


@pytest.mark.parametrize(
    ("archive", "expected"),
    [
        ("{dir: default}", ArchiveRules()),
        ("{dir: ~/cold}", ArchiveRules(dir="~/cold")),
        ("{pack_size: 1MiB}", ArchiveRules(pack_size=Size.parse("1MiB"))),
        ("{pack_size: 4GiB}", ArchiveRules(pack_size=Size.parse("4GiB"))),
    ],
)
def test_the_archive_lies_where_the_policy_says(archive: str, expected: ArchiveRules) -> None:
    assert load(f"version: 1\npasses: []\narchive: {archive}").archive == expected


def test_a_pass_without_required_options_may_be_written_bare() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Verify(PassOptions):
        pass

    passes: Mapping[str, type[PassOptions]] = {"verify": Verify}
    found = [
        load(with_passes(line), passes=passes).passes
        for line in ("  - verify", "  - verify:", "  - verify: {}")
    ]
    assert found == [(Verify(pass_name="verify"),)] * 3


def test_protect_may_be_empty() -> None:
    assert load("version: 1\nprotect: []\npasses: []").protect == ()


def test_protect_is_a_list() -> None:
    expected = "a mapping stands where a list belongs -> put `- ` before each selection"
    assert complaint("version: 1\nprotect: {tags: keep}\npasses: []") == expected


def test_a_mistake_in_stores_causes_none_where_they_are_used() -> None:
    text = (
        "version: 1\nstores:\n  a: {kind: rek}\nprotect:\n  - store: a\n"
        "passes:\n  - litter: {older_than: 2d, stores: a}\n"
    )
    assert complaints(text) == ["3:13 there is no kind of store `rek` -> did you mean `rec`?"]


def test_stores_that_cannot_be_made_out_cause_no_mistake_where_they_are_used() -> None:
    text = "version: 1\nstores: [a]\npasses:\n  - litter: {older_than: 2d, stores: a}\n"
    assert len(complaints(text)) == 1


def test_a_store_that_is_not_there_is_told_with_the_nearest() -> None:
    text = "version: 1\nstores: {team: {kind: rec}}\npasses:\n  - litter: {older_than: 2d, stores: [teem]}\n"
    assert complaint(text) == "no store of this policy is called `teem` -> did you mean `team`?"


def test_a_field_without_a_doc_is_a_defect_of_the_pass() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Bad(PassOptions):
        count: int = 3

    with pytest.raises(TypeError, match="has no doc"):
        json_schema({"bad": Bad}, {})


@pytest.mark.parametrize("wanted", [float, dict[str, str], int | str, bool])
def test_a_field_of_a_type_the_language_has_not_is_a_defect_of_the_pass(wanted: Any) -> None:
    bad = make_dataclass("Bad", [("x", wanted, option("x"))], bases=(PassOptions,), frozen=True, kw_only=True)
    with pytest.raises(TypeError, match="no policy can express"):
        check(with_passes("  - bad: {x: 3}"), passes={"bad": bad})


def test_loading_the_same_text_gives_equal_policies() -> None:
    assert load(FULL) == load(FULL.encode())
