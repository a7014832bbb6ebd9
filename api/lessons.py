"""What is checked of the searches that another is to learn from: that they are there, and have something to tell."""

from nas import plugins
from nas.plans.earlier import obstacle
from nas.specs import SearchSpec
from nas.store import NotFound, Store


def learning(spec: SearchSpec) -> None:
    """Raise ValueError where the search is to learn from others, and its searcher minds none."""
    if spec.learn_from and not plugins.learns(spec.searcher):
        can = [name for name in plugins.names("nas.searchers") if plugins.learns(name)]
        raise ValueError(
            f"learn_from needs a searcher that minds what earlier searches found, which {spec.searcher!r} does not: "
            f"give {' or '.join(can)}"
        )


def source(spec: SearchSpec, name: str, store: Store) -> str:
    """The id of the search of that name, for `spec` to learn from. Raises ValueError where there is nothing to
    learn."""
    try:
        run = store.run(name)
    except NotFound as error:
        raise ValueError(f"learn_from names no search: {error}") from error
    if why := obstacle(spec, run):
        raise ValueError(why)
    if not store.summary(run.id).counts["done"]:
        raise ValueError(f"no network of search {run.id} was trained yet: it has nothing to tell")
    return run.id
