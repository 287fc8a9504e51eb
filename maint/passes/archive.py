"""Sessions beyond an age go into packs, from which they can be listed, shown and restored one by one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

from maint.actions import Packing, Verb
from maint.contract import Pass, Setting
from maint.verdicts import STILL_MARKED, Act, Kept, No, Verdict, Wait
from policies import Duration, Folder, Level, Misread, PassOptions, option
from store.facts import Member, Session, State

_NOT_ONE_FILE = No("form: file is for sessions of one file in the folder of their store; this is none")
_CRASHED = No("it crashed: what is left of it stays together until it was recovered")
_NO_PAYLOAD = No("it has no payload apart from its record")
_UNCHANGED = No("its copy in the archive is as it is now")


@dataclass(frozen=True, kw_only=True)
class Options(PassOptions):
    older_than: Duration = option("The age beyond which a session is archived, counted from its end.")
    level: Level = option("How hard to compress: from 1, which is fast, to 19, which is small.", default=3)
    form: Literal["pack", "file"] = option(
        "Many sessions in a pack, or each in a compressed file beside its place.", default="pack"
    )
    originals: Literal["remove", "trash", "keep"] = option(
        "What becomes of a session's own files once its copy has been read back.", default="remove"
    )
    part: Literal["whole", "payload"] = option(
        "All of a session, or only the bulk of it that its own record can do without.", default="whole"
    )
    into: Folder | None = option("The folder of the packs, in place of `archive.dir`.", default=None)

    def __post_init__(self) -> None:
        if self.into is not None and self.form == "file":
            raise Misread(
                "`into` stands beside `form: file`",
                "a file lies where its session lay: remove `into`, or write `form: pack`",
            )
        if self.part == "payload" and self.originals == "keep":
            raise Misread(
                "`originals: keep` stands beside `part: payload`",
                "a payload is archived to be rid of it: write `originals: remove` or `originals: trash`",
            )

    @property
    def claims_from(self) -> Duration | None:
        # An original that is kept, and whose copy is as it is now, is left to later passes.
        # So are sessions without a payload.
        return None if self.originals == "keep" or self.part == "payload" else self.older_than


class Archive(Pass):
    name: ClassVar[str] = "archive"
    subject: ClassVar[type[Session]] = Session
    options_type: ClassVar[type[PassOptions]] = Options

    def bind(self, options: Options, setting: Setting) -> Callable[[Session], Verdict]:
        threshold = options.older_than.before(setting.now, setting.zone)
        act = Act(
            Verb.ARCHIVE, f"ended more than {options.older_than} ago", packing=_packing(options, setting)
        )
        young = f"ended less than {options.older_than} ago"
        keeps = options.originals == "keep"
        payload = options.part == "payload"
        as_file = options.form == "file"

        def judge(session: Session) -> Verdict:
            if not session.ended_before(threshold):
                return Wait(young, session.ended, options.older_than)
            if session.recording and not keeps:  # a copy takes nothing away
                return STILL_MARKED
            if payload and (refusal := _not_apart(session)):
                return refusal
            if as_file and not _is_one_file(session.payload if payload else session.members):
                return _NOT_ONE_FILE
            if as_file and (beside := session.beside) is not None and not (keeps and beside.is_older):
                return Kept(f"no file of it can be made: {beside.what}; look at both, and move one away")
            return _UNCHANGED if keeps and session.archived else act

        return judge


def _not_apart(session: Session) -> No | None:
    """Why the payload of a session is not to be archived by itself."""
    if session.state is State.CRASHED:
        return _CRASHED
    return None if any(member.fingerprint.size for member in session.payload) else _NO_PAYLOAD


def _is_one_file(members: tuple[Member, ...]) -> bool:
    """Whether there is one place beside which a compressed file would be found again."""
    return len(members) == 1 and "/" not in members[0].path


def _packing(options: Options, setting: Setting) -> Packing:
    """How and where to; ``~/`` stays as it is written, for whoever carries it out has a home and passes have none."""
    in_packs = options.form == "pack"
    return Packing(
        level=options.level,
        form=options.form,
        originals=options.originals,
        part=options.part,
        into=(options.into or setting.archive.dir) if in_packs else None,
        pack_size=setting.archive.pack_size.bytes,
    )


PASS = Archive()
