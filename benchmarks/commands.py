"""What people and scripts type, as the commands of a rec session: varied text at uneven moments, seeded.

How well sessions compress depends on it.
A thousand times the same line shrinks to nothing; here lines come from a pool of several thousand, some far oftener
than others, and moments, durations and exit codes are drawn, so that a store shrinks about as much as real ones.
"""

import functools
import itertools
import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

LINES = 8_000
"""Different command lines in the pool."""

SCRIPTED = 1_000
"""A session with more commands was not typed by a person: what it runs follows without a pause."""

EXIT_CODES = {0: 0.88, 1: 0.08, 2: 0.02, 127: 0.01, 130: 0.01}

_BLOCK = 4_096  # lines that are joined at once: a large session never stands in memory as so many objects
_DECK = 1 << 15  # choices that are made beforehand, because choosing by weight takes long
_COMMAND = (
    b'{"type":"command","index":%d,"command":%s,"cwd":"%s",'
    b'"started_at":%a,"ended_at":%a,"exit_code":%d,"duration_ms":%d}\n'
)


class Stretch(NamedTuple):
    """Commands in a row that are not written yet, since only their sum says when they began."""

    lines: Sequence[bytes]
    outcomes: Sequence[tuple[int, int]]
    """Microseconds that each took, and its exit code."""

    pauses: Sequence[int]
    """Microseconds after each."""

    folders: Sequence[bytes]

    @property
    def seconds(self) -> float:
        """From the first command's start to the end of the last pause."""
        return (sum(took for took, _ in self.outcomes) + sum(self.pauses)) / 1e6

    def written(self, began: float, first: int = 0) -> Iterator[bytes]:
        """The records as rec writes them, in blocks, from this moment and this index on."""
        moment = round(began * 1e6)
        rows = zip(itertools.count(first), self.lines, self.folders, self.outcomes, self.pauses, strict=False)
        while True:
            block = []
            for index, line, folder, (took, code), pause in itertools.islice(rows, _BLOCK):
                ended = moment + took
                block.append(_COMMAND % (index, line, folder, moment / 1e6, ended / 1e6, code, took // 1000))
                moment = ended + pause
            if not block:
                return
            yield b"".join(block)


def stretch(rng: random.Random, count: int, project: str) -> Stretch:
    """So many commands, run in and below a project's folder."""
    deck = _deck()
    below = rng.choices(_FOLDERS, k=3)
    folders = [project.encode()] * 4 + [f"{project}/{each}".encode() for each in below]
    return Stretch(
        rng.choices(deck.lines, k=count),
        rng.choices(deck.outcomes, k=count),
        rng.choices(deck.scripted if count > SCRIPTED else deck.typed, k=count),
        rng.choices(folders, k=count),
    )


class _Deck(NamedTuple):
    lines: list[bytes]
    outcomes: list[tuple[int, int]]
    typed: list[int]
    scripted: list[int]


@functools.cache
def _deck() -> _Deck:
    """What is drawn from, the frequent as often as it is frequent; the same in every process."""
    rng = random.Random(1)
    lines = [json.dumps(each, ensure_ascii=False).encode() for each in _pool(rng)]
    codes = rng.choices(list(EXIT_CODES), list(EXIT_CODES.values()), k=_DECK)
    return _Deck(
        rng.choices(lines, [1 / (rank + 20) for rank in range(len(lines))], k=_DECK),
        [(int(rng.lognormvariate(12.5, 2.0)), code) for code in codes],  # half of them below 0.3 s
        [int(rng.lognormvariate(16.3, 1.4)) for _ in range(_DECK)],  # half of them below 12 s
        [int(rng.lognormvariate(10.8, 0.8)) for _ in range(_DECK)],  # half of them below 50 ms
    )


def _pool(rng: random.Random) -> list[str]:
    """Different command lines, the most frequent first."""
    pool = dict.fromkeys(_OFTEN)
    while len(pool) < LINES:
        pool[_filled(rng, rng.choice(_FORMS))] = None
    return list(pool)


def _filled(rng: random.Random, form: str) -> str:
    def fill(found: re.Match[str]) -> str:
        return _filled(rng, _BLANKS[found[1]](rng))

    return _BLANK.sub(fill, form)


def _one_of(words: str) -> Callable[[random.Random], str]:
    choices = words.split()
    return lambda rng: rng.choice(choices)


_FOLDERS = (
    "src", "tests", "docs", "deploy", "scripts", "src/api", "src/core/parser", "web/components", "infra/staging",
)  # fmt: skip
_OFTEN = (
    "ls", "git status", "cd ..", "ls -la", "git diff", "make", "make test", "git log --oneline -20", "git pull",
    "clear", "pwd", "git push", "git add -p", "git stash", "git stash pop", "docker ps", "history | tail -50",
    "df -h", "kubectl get pods", "git fetch --all --prune", "npm test", "cargo check", "pytest -x -q", "htop",
)  # fmt: skip
_FORMS = (
    'git commit -m "<message>"',
    'git commit --amend -m "<message>" && git push --force-with-lease origin <branch>',
    "git checkout -b <branch>",
    "git checkout <hash> -- <file>",
    "git rebase --onto main <hash> <branch>",
    "git log --oneline <hash>..<hash> -- <file>",
    "git cherry-pick -x <hash>",
    "git diff <hash> <file>",
    "git show <hash>:<file> > /tmp/<word>.<number>",
    "git push origin <branch>",
    "make -j<digit> <target> VERSION=<digit>.<number>.<digit>",
    "make <target> 2>&1 | tee /tmp/<target>-<number>.log",
    "docker build -t <service>:<hash> -f deploy/<service>/Dockerfile .",
    "docker logs --since <number>m --tail <number> <service>-<digit> 2>&1 | grep -i '<word>'",
    "docker exec -it <service>-<digit> sh -c 'cat /etc/<service>/<word>.conf'",
    "docker compose -f deploy/compose.<stage>.yaml up -d --build <service>",
    "kubectl -n <stage> get pods -l app=<service> -o wide",
    "kubectl -n <stage> logs <service>-<hash>-<digit><word> --since=<number>m",
    "kubectl -n <stage> rollout restart deployment/<service>",
    "kubectl -n <stage> set image deployment/<service> <service>=<service>:<hash>",
    "kubectl -n <stage> describe pod <service>-<hash>",
    "ssh <host> 'sudo journalctl -u <service> --since \"<number> min ago\" | tail -<number>'",
    "ssh -L <number>:localhost:5432 <host>",
    "scp <host>:/var/log/<service>/<word>-<number>.log.gz /tmp/",
    "rsync -avz --delete build/<target>/ <host>:/srv/<service>/releases/<hash>/",
    "python -m pytest <file>::test_<word>_<word> -x --tb=short",
    "python -m pytest -k '<word> and not <word>' -n <digit>",
    "python scripts/<word>_<word>.py --input data/<word>-<number>.csv --limit <number>",
    "python -c 'import <word>; print(<word>.<word>(<number>))'",
    "vim <file>",
    "vim +<number> <file>",
    "nano <file>",
    "sed -i 's/<word>_<word>/<word>_<word>/g' <file>",
    "grep -rn '<word>_<word>' <folder> | head -<number>",
    "rg -l '<word>\\(.*<word>' <folder>",
    "find . -name '*<word>*' -newer <file> -print0 | xargs -0 ls -la",
    "tail -n <number> -f /var/log/<service>/<word>.log",
    "curl -s https://<service>.example.org/api/v<digit>/<word>/<number> | jq '.<word>[] | .<word>'",
    "curl -X POST --json @data/<word>-<number>.json http://localhost:<number>/<word>",
    'psql -h <host> <service> -c "select <word>, count(*) from <word> where id > <number> group by 1"',
    "cat <file> | wc -l",
    "cp <file> /tmp/<word>-<number>",
    "cargo test <word>::<word> -- --nocapture",
    "npm run <target> -- --filter=<service>",
    "terraform -chdir=infra/<stage> plan -target=module.<service> -out=<hash>.tfplan",
    "for i in $(seq 1 <number>); do curl -so /dev/null -w '%{http_code}\\n' http://<host>/<word>; done | sort | uniq -c",
    "cat > <folder>/<word>.yaml <<'END'\n<word>: <number>\n<word>:\n  - <service>\n  - <hash>\nEND",
    'export <word>_TOKEN=<hash><hash> && ./scripts/<word>.sh "<message>"',
)
_BLANK = re.compile(r"<([a-z]+)>")
_BLANKS: dict[str, Callable[[random.Random], str]] = {
    "message": lambda rng: rng.choice((
        "Fix <word> of <word> when <word> is empty", "Add <word> to <service>", "<service>: <word> the <word>",
        "Let <word> take a <word>; rename <word>", "wip <word>", "Größe von <word> begrenzen (#<number>)",
        "Revert 'Add <word> to <word>', it broke <stage>", "Bump <service> to <digit>.<digit>.<number>",
    )),
    "branch": lambda rng: rng.choice(("fix/<word>-<word>", "feature/<number>-<word>-<word>", "ana/<word>")),
    "file": lambda rng: rng.choice((
        "<folder>/<word>_<word>.py", "<folder>/<word>.rs", "<folder>/<word>/<word>.ts", "<folder>/test_<word>.py",
        "<folder>/<word>-<word>.yaml", "README.md", "pyproject.toml",
    )),
    "hash": lambda rng: f"{rng.getrandbits(28):07x}",
    "number": lambda rng: str(rng.randrange(10, 6000)),
    "digit": lambda rng: str(rng.randrange(1, 10)),
    "folder": lambda rng: rng.choice(_FOLDERS),
    "host": lambda rng: f"{rng.choice(('web', 'db', 'build', 'cache'))}{rng.randrange(1, 30):02}",
    "stage": _one_of("prod staging dev load-test"),
    "service": _one_of("auth billing gateway search mailer ingest ledger scheduler thumbs notify catalog audit"),
    "target": _one_of("build test lint release docs clean install bench coverage image fmt check"),
    "word": _one_of(
        "account adapter alias archive batch border bucket buffer cache channel client cluster column config context"
        " cursor digest domain driver edge entry event export factory field filter footer frame group handler header"
        " index input invoice item job journal key label layout lease limit listener loader lock manifest marker"
        " matrix member message metric model module mutex node offset option order output owner packet page parser"
        " path payload period pixel plan pool price profile proxy query queue range record region report request"
        " retry route row sample scope secret segment sensor session shard signal socket source span stage state"
        " store stream summary table tag task tenant thread ticket token topic trace upload user vector version"
        " volume window worker writer zone"
    ),
}  # fmt: skip
