"""Who rests on whom, as it is at the moment: a last look, before a plan is carried out.

A session can be gone on from at any time, and nothing about its file tells. So whatever would take a session away, end
it, or make it shorter, is asked about once more in stores whose sessions may rest on others: right before all of it is
done, a minute after a sweep has planned it, or days after a plan was saved.
"""

from maint.actions import Action, Verb, is_expiry
from maint.desk import Desk
from maint.kin import Resting, plain, takes_away
from maint.planned import PlannedStore
from store import archives, names
from store.catalogue import Catalogue
from store.facts import Place, Problem
from store.layout import Moment, layout_of
from store.roots import RootFds

_HELD = "another session goes on from its records"
_UNSURE = "what could not be looked into may rest on it"


def refused(desk: Desk, planned: PlannedStore) -> dict[int, str]:
    """The places of the actions that must not be done now, and why."""
    asked = {n: action for n, action in enumerate(planned.actions()) if _is_asked(action)}
    if not asked:
        return {}
    resting = resting_now(desk.place, desk.roots, desk.now)
    found: dict[int, str] = {}
    for n, action in asked.items():
        if resting.holds(plain(action.session), action.verb):
            found[n] = _HELD
        elif resting.blind:
            found[n] = _UNSURE
    return found


def resting_now(place: Place, roots: RootFds, now: float) -> Resting:
    """The bases of a store and of its packs; the whole of it is read."""
    layout = layout_of(place.kind)
    listing = layout.discover(place, Moment(now, 0.0))
    resting = Resting(set(listing.bases), blind=any(problem.hides for problem in listing.problems))
    for found in layout.read(place, listing.context, listing.entries):
        if isinstance(found, Problem):
            resting.blind = resting.blind or found.hides
        elif found.rests_on is not None:
            resting.store.add(found.rests_on)
    if archives.labels(roots):
        with Catalogue.open(place, roots) as catalogue:
            resting.packs |= bases_in(catalogue)
    return resting


def bases_in(catalogue: Catalogue) -> set[str]:
    """What the sessions in packs rest on."""
    bases = (each.entry.account.rests_on for each in catalogue.sessions())
    return {base for base in bases if base is not None}


def _is_asked(action: Action) -> bool:
    """Whether an action would take a session away, end it, or give it older and perhaps shorter bytes."""
    if action.verb is Verb.EXPIRE_TRASH:
        return names.parse_trash_path(action.members[0].path) is not None
    if action.verb is Verb.RESTORE:
        return bool(action.members) and names.parse_backup_path(action.members[0].path) is not None
    return takes_away(action) or is_expiry(action)
