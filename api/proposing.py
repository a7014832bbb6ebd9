"""What is checked of a search's searcher: that it works, takes its options, and can say what is asked of it."""

from nas import plugins
from nas.networks.architecture import Images
from nas.plans.problem import searcher
from nas.refusal import Faults
from nas.specs import SearchSpec


def options(faults: Faults, spec: SearchSpec) -> None:
    """Note which options the searcher does not take, by its file alone, and what else it cannot do."""
    faults.check("/options", spec.options, lambda: plugins.check_options(spec.searcher, spec.options))
    faults.check("/least_gain", spec.least_gain, lambda: least_gain(spec))


def made(faults: Faults, spec: SearchSpec, images: Images) -> None:
    """Note why the searcher cannot be made, where it is light enough to be made here."""
    if not plugins.is_light(spec.searcher):
        return
    try:
        searcher(spec, images)
    except plugins.BrokenPlugin as error:
        faults.add("/searcher", spec.searcher, str(error))
    except ValueError as error:
        faults.add("/options", spec.options, str(error))


def least_gain(spec: SearchSpec) -> None:
    """Raise ValueError where the searcher is to end the search by what it expects, and cannot say it."""
    if spec.least_gain is not None and not plugins.says_gain(spec.searcher):
        can = [name for name in plugins.names("nas.searchers") if plugins.says_gain(name)]
        raise ValueError(
            f"least_gain {spec.least_gain:g} needs a searcher that says what it expects to gain, which "
            f"{spec.searcher!r} does not: give {' or '.join(can)}"
        )
