"""Planted bugs that no power cut shows, and why that is so: each is a claim about the program, to be looked at again.

Beside these there are syncs of which one is as good as the other, because the same folder is synced again before
anybody relies on it: of those, leaving out all is found (`test_power_cut`).
"""

import re

_TMP_ALONE = "it makes the folder of temporary files durable, and in that lies nobody's only copy"
_OF_ANOTHER = "the sync is for the session before; what this one waits for has been synced, or is synced next"

_EXPLAINED = {
    r"README\.txt": "a text for people, which is written anew if it is not as it should be",
    r"catalogue\.sqlite": "a cache, which is made anew from the packs when it cannot be read",
    r"fdatasync \S*\.maint \(": "of the catalogue's own journal, which is part of that cache",
    r"\.cache/": "a cache, of what a policy says of its stores",
    r"\.marks|rec: undo an archive: (without|never) fsync \S*/archive \(": (
        "a session that came back and is not marked counts twice, which is one too many and no loss"
    ),
    r"unlinkat holder\.json": "it says who is at work, and nobody is when the power is cut",
    r"linkat \S+ \S+ \(.*before fsync \S*/tmp/": "what is exchanged waits for both: for the backup, and for what is new",
    r"unlinkat [\dT]+-\w+\.\d+ .*before fsync": "the old file has its name among the backups, and that for good",
    r"unlinkat (\S+) .*before renameat2 \1 \1": "then what was to end stays in the trash, and ends with that",
    r"rec: (undo|(undo|restore) an archive): without fsync \S*/\.maint \(": _TMP_ALONE,
    r"rec: compact: without fsync \S*/\.maint \(": "of folders that are there: whoever made them may have been killed",
    r"rec: archive as files: .*(journal|\.maint) \(": "the whole file system is synced before any session changes",
    r"rec: archive as files: .*/journal/": "the whole file system is synced before any session changes",
    r"rec: (undo|restore) an archive: renameat2 .* before fsync": _OF_ANOTHER,
    r"(fsync|without|never) \S*/trash/\S* ": (
        "where a file lands and where it came from change together, and the other of the two folders is synced, too"
    ),
}


def why_not_found(story: str, what: str) -> str | None:
    """Why a planted bug does no harm, if that is known."""
    told = f"{story}: {what}"
    return next((why for pattern, why in _EXPLAINED.items() if re.search(pattern, told)), None)
