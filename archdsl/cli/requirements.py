"""`--require 'params <= 5M'` in every command."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from archdsl.graph.network import Network
    from archdsl.graph.requirement import Requirement


def read_requirements(given: Sequence[str] | None) -> list[Requirement]:
    """The values of `--require`.

    Raises SpecError with the place in the value that is wrong.
    """
    return [_requirement(text) for text in given or ()]


def _requirement(text: str) -> Requirement:
    from archdsl.diagnostics import Located, SpecError
    from archdsl.elaborate.environment import Environment
    from archdsl.elaborate.expressions import Evaluator
    from archdsl.elaborate.requirements import evaluated
    from archdsl.syntax import parse_requirement
    from archdsl.text.source import Source

    written = parse_requirement(Source("--require", text))
    try:
        return evaluated(written, Evaluator(), Environment())
    except Located as error:
        raise SpecError([error.diagnostic()]) from None


def require(network: Network, required: Sequence[Requirement]) -> None:
    """Reject (E490) a network that does not meet its own requirements and those of the command line."""
    if network.requirements or required:
        from archdsl.diagnostics import SpecError
        from archdsl.graph.requirements import unmet

        if found := unmet(network, required):
            raise SpecError(found)


def require_accuracy(network: Network, accuracy: float | None, required: Sequence[Requirement]) -> None:
    """Reject (E490) a measured accuracy that does not meet the requirements."""
    if network.requirements or required:
        from archdsl.diagnostics import SpecError
        from archdsl.graph.requirements import unmet_accuracy

        if found := unmet_accuracy(network, accuracy, required):
            raise SpecError(found)
