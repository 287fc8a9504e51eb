"""The parsers of what people write: policies, and the words in them; of a configuration, and of podman's answer."""

from collections.abc import Callable
from pathlib import Path
from zoneinfo import ZoneInfo

from fuzzing import Parser
from mutating import DIGITS

from maint import remembered, selection
from policies import (
    Duration,
    Misread,
    NameTemplate,
    Size,
    check_policy,
    default_policy_text,
    example_names,
    example_text,
)
from store.facts import Session, State
from store.layouts.outrig import podman, whereabouts

_NOW = 1_770_000_000.0
_HARD = b"""\
version: 1
timezone: Europe/Berlin
stores:
  mine: {kind: rec, path: /srv/rec, state: "/srv/\\u00e4"}
  'two': {kind: opendev, path: ~/.opendev}
protect:
  - any: [{tags: [keep, audit]}, {not: {state: crashed}}, {name: "a*"}]
  - all: [{project: /srv/*}, {records: {at_least: 3}}]
passes:
  - recover: {idle_for: 1h30min, name: "x-%Y-%m-%d", stores: [mine]}
  - archive: {older_than: 30d, into: ~/packs, pack_size: 1.5GiB, level: 19}
  - prune:
      older_than: 1y2mo
      keep: {last: 3, within: 2d, monthly: 24}
      where: {all: [{size: {at_least: 3MiB}}, {age: {at_least: 1d}}]}
      group_by: [store, project]
      max_total: 20GiB
  - prune: {of: archived, older_than: 2y}
limits: {min_idle: 2h, max_removed: {fraction: 20%, at_least: 5}, max_expired: unlimited}
archive: {level: 3}
trash: {keep_for: 14d}
"""
_SESSION = Session("mine", "rec", "x", State.COMPLETE, "", (), 5, _NOW - 9, project="/srv/x", tags=("keep",))


def parsers(folder: Path) -> dict[str, Parser]:
    config = folder / "outrig/config.toml"
    config.parent.mkdir()

    def outrig(data: bytes) -> object:
        config.write_bytes(data)
        return whereabouts.default_root({"XDG_CONFIG_HOME": str(folder)}, "/home/x", "linux")

    texts = [default_policy_text(), *map(example_text, example_names())]
    cache = {"XDG_CACHE_HOME": str(folder / "cache")}
    memory = Path(remembered._path(b"", cache))
    memory.parent.mkdir(parents=True)

    def stores(data: bytes) -> object:
        memory.write_bytes(data)
        memory.chmod(0o600)
        return remembered.stores(b"", cache)

    return {
        "policy": Parser([_HARD, *(text.encode() for text in texts)], _policy),
        "duration": Parser([b"1y2mo", b"30d", b"1h30min", b"2w", b"90s"], _word(_duration)),
        "size": Parser([b"1.5GiB", b"20MB", b"1B", b"999999TiB"], _word(Size.parse)),
        "name template": Parser([b"recovered-%Y-%m-%d-%H%M%S", b"x-%S", b"%%"], _word(_template)),
        "outrig's configuration": Parser(
            [
                b'session-root = "~/x"\n[podman]\nname = "x"\n',
                b"session-root = '../x'\na = [1, {b = 1e5}]\n",
                DIGITS,
            ],
            outrig,
        ),
        "podman's answer": Parser(
            [b'[{"Names":["a","b"],"State":"running","Id":"x"},{"Names":["c"],"State":"exited"}]', b"[]"],
            lambda data: sorted(podman.read(data).running or ()),
        ),
        "remembered stores": Parser([b'[{"name":"mine","kind":"rec","paths":{"path":"/srv/x"}}]'], stores),
    }


def _policy(data: bytes) -> object:
    """What is said of a policy, and what a sound one answers of a session."""
    checked = check_policy(
        data,
        source="p.yaml",
        passes=selection.pass_options(),
        kinds=selection.kinds(),
        zone=ZoneInfo("UTC"),
        exists=lambda _: True,
    )
    said = [str(each) for each in (*checked.errors, *checked.lints)]
    policy = checked.policy
    assert (policy is None) == bool(checked.errors)
    if policy is None:
        return said
    return said, policy, [each.compile(_NOW, policy.zone)(_SESSION) for each in policy.protect]


def _word(parse: Callable[[str], object]) -> Callable[[bytes], object]:
    def parsed(data: bytes) -> object:
        try:
            return parse(data.decode("utf-8", "surrogateescape"))
        except Misread as why:
            return str(why)

    return parsed


def _duration(text: str) -> object:
    found = Duration.parse(text)
    return found, [found.before(now, ZoneInfo("Europe/Berlin")) for now in (0.0, _NOW, 1e11)]


def _template(text: str) -> object:
    return NameTemplate.parse(text)
