"""Random specs: every layer is accounted for, and the verdict on weights is that of the modules that are built."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, pairwise
from random import Random

import archdsl
from archdsl.api import Network
from archdsl.diff import Difference
from archdsl.graph import LayerNode, layer_nodes
from tests.backends.torch.reference import program
from tests.diff.test_fit import verdict

NETWORKS = 40


def networks() -> Iterator[Network]:
    for seed in range(10 * NETWORKS):
        made = program(Random(seed))
        if made.rejected is None:
            yield archdsl.load(made.text, settings=made.settings)


def variants(network: Network, random: Random) -> Iterator[Network]:
    """The network, and it without one of its lines or with one of them twice, where that is valid."""
    yield network
    lines = network.spec.split("\n")
    for _ in range(4):
        at = random.randrange(len(lines))
        text = "\n".join([*lines[:at], *lines[at : at + 1] * random.choice([0, 2]), *lines[at + 1 :]])
        found = archdsl.load(text, settings=network.settings, partial=True)
        if not found.errors and found.layers:
            yield found


def test_random_networks() -> None:
    random = Random(0)
    found = [variant for network in islice(networks(), NETWORKS) for variant in variants(network, random)]
    assert len(found) > 2 * NETWORKS
    for old, new in pairwise(found):
        difference = Difference(old, new)
        check_layers(difference)
        assert Difference(new, new).is_empty
        expected, missing, unexpected, other = verdict(old.build(), new.build())
        fit = difference.fit
        assert fit.verdict == expected
        assert (set(fit.unexpected), set(fit.other_shape)) == (unexpected, other)
        assert all(key.endswith("num_batches_tracked") for key in set(fit.missing) ^ missing)


def check_layers(difference: Difference) -> None:
    """Each layer of both networks is in a pair or in a change, once, and so are their parameters."""
    pairs = difference.pairs
    assert len({id(one) for one, _ in pairs}) == len({id(other) for _, other in pairs}) == len(pairs)
    for network, action in ((difference.old, "removed"), (difference.new, "added")):
        alone = [change.count for change in difference.changes if change.action == action]
        assert len(pairs) + sum(alone) == len(list(layer_nodes(network.root)))
    more = sum(change.params for change in difference.changes if change.action in {"added", "removed"})
    in_pairs = sum(params(new) - params(old) for old, new in pairs)
    assert more + in_pairs == difference.new.params - difference.old.params
    changed = sum(abs(change.params) for change in difference.changes if change.action in {"changed", "renamed"})
    assert changed <= sum(abs(params(new) - params(old)) for old, new in pairs)


def params(node: LayerNode) -> int:
    return 0 if node.shared else sum(tensor.numel for tensor in node.weights.values())
