"""What a search knows of accuracies before it trains any: what the searches that it learns from had found by then."""

import itertools

from nas.networks.architecture import Images
from nas.plans.earlier import earlier
from nas.records import Run, Trial
from nas.searchers import Earlier
from nas.specs import SearchSpec
from nas.store import NotFound, Store

MOST = 500  # trials of one search: one half of them its best, the other its latest


def learnt(store: Store, run: Run, images: Images) -> tuple[Earlier, ...]:
    """The same however often the run is taken up again. An event of the run says how much it is, of each search."""
    spec = run.spec
    if not isinstance(spec, SearchSpec) or not spec.learn_from or run.started_at is None:
        return ()
    sources, said, gone = list[Run](), list[str](), list[str]()
    for name in spec.learn_from:
        try:
            sources.append(store.run(name))
        except NotFound:  # which only a search that had ended and goes on can come upon
            gone.append(f"nothing of search {name}, which was deleted")
    trials = [
        (source.spec, _ended(store, source.id, run.started_at))
        for source in sources
        if isinstance(source.spec, SearchSpec)
    ]
    told = earlier(spec, images, trials)
    for source, known in zip(sources, told, strict=True):
        alike = sum(not one.kind for one in known)
        otherwise = f", {len(known) - alike} of them trained otherwise" if alike < len(known) else ""
        said.append(f"{len(known)} trials of search {source.id} ({source.name or 'without a name'}){otherwise}")
    if not store.trials(run.id, limit=1):  # the first time
        store.note(run.id, "learnt", f"accuracies are known before the first trial: {'; '.join([*said, *gone])}")
    return tuple(itertools.chain.from_iterable(told))


def _ended(store: Store, run: str, before: float) -> list[Trial]:
    """Of a run's trials that had ended before that time with an accuracy, by number."""
    names = ("number", "accuracy", "ended_at")
    rows = [row for row in store.outlines(run, names, accuracy=...) if row[-1] is not None and row[-1] < before]
    if len(rows) > MOST:
        best = sorted(rows, key=lambda row: (-row[1], row[0]))[: MOST // 2]
        rows = [*best, *sorted(rows, key=lambda row: (row[-1], row[0]))[-MOST // 2 :]]
    return store.these(run, {row[0] for row in rows})
