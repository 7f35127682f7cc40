"""Random specs against PyTorch and ONNX Runtime, as many as wanted:

    python -m tests.backends.torch.fuzz --cases 100000 --seed 1

draws the specs with the numbers 1, 2, 3, ... and compares, for each that PyTorch can run, all that `compare` looks at;
those that PyTorch rejects have to be errors of the checker. `--seed 50001 --cases 50000` is the second half of a run.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from contextlib import nullcontext
from random import Random
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import archdsl
from archdsl import Network
from archdsl.backends.onnx.emit import emit
from archdsl.diagnostics import SpecError
from archdsl.elaborate import check_source
from archdsl.text.source import Source
from tests.backends.torch.reference import Program, program

State = dict[str, Tensor]


def compare(drawn: Program, *, check: bool = True) -> None:
    """The checker, the built module and the ONNX graph against what PyTorch did with the same spec.

    Shapes of all outputs, keys, dtypes and shapes of the state, parameters, which of them are trained, multiply-adds,
    fresh weights bit for bit, and the outputs in eval mode, those of auxiliary heads too; with `check`, what that says.
    """
    if drawn.output is None:
        _require_rejected(drawn)
        return
    network = archdsl.load(drawn.text, **drawn.settings)
    if check and not drawn.settings:  # else the defaults are other values
        assert check_source(Source("random.arch", drawn.text)).errors == []
    expected = {"out": drawn.output, **drawn.outputs}
    shapes = {name: tuple(tensor.shape[1:]) for name, tensor in (expected | drawn.aux).items()}
    assert {name: tuple(shape) for name, shape in network.output_shapes.items()} == shapes
    module = network.build(seed=1).eval()
    _compare_state(network, module, drawn.state)
    _compare_weights(drawn, network, module)
    module.load_state_dict(drawn.state)
    _compare_outputs(drawn, network, module, expected)
    _compare_export(drawn, network, module, expected)


def _require_rejected(drawn: Program) -> None:
    try:
        archdsl.load(drawn.text, **drawn.settings)
    except SpecError:
        return
    raise AssertionError(f"accepted, but PyTorch says: {drawn.rejected}")


def _compare_state(network: Network, module: nn.Module, state: State) -> None:
    sizes = {key: (tuple(tensor.shape), tensor.dtype) for key, tensor in state.items()}
    built = module.state_dict()
    assert {key: (tuple(tensor.shape), tensor.dtype) for key, tensor in built.items()} == sizes
    said = {key: (tuple(one.shape), getattr(torch, one.dtype)) for key, one in network.state.items()}
    assert list(said.items()) == [(key, sizes[key]) for key in built]


def _compare_weights(drawn: Program, network: Network, module: nn.Module) -> None:
    """Fresh weights are those of PyTorch's constructors and initializers, called one after the other."""
    assert network.params == sum(p.numel() for one in drawn.modules.values() for p in one.parameters())
    frozen = {name for name, parameter in module.named_parameters() if not parameter.requires_grad}
    assert frozen == drawn.frozen
    weights = dict(module.named_parameters())
    assert network.trainable_params == network.params - sum(weights[name].numel() for name in frozen)
    built = module.state_dict()
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(1)
        for key, first in drawn.first.items():
            for name, tensor in first.module().state_dict().items():
                assert torch.equal(built[f"{key}.{name}"], tensor), f"fresh {key}.{name}"


def _compare_outputs(drawn: Program, network: Network, module: nn.Module, expected: State) -> None:
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # oneDNN's LSTM is one operator, which the counter does not know.
        native = torch.backends.mkldnn.flags(enabled=False) if "lstm" in drawn.text else nullcontext()
        with native, FlopCounterMode(display=False) as counter:
            found = module(**drawn.inputs) if len(drawn.inputs) > 1 else module(*drawn.inputs.values())
    assert network.flops * 2 == counter.get_total_flops()
    _require_close(found if drawn.outputs else {"out": found}, expected)
    if drawn.aux:
        module.training = True  # of the model alone: its layers stay in eval mode
        with torch.no_grad():
            _require_close(module(*drawn.inputs.values()), expected | drawn.aux)
        module.training = False


def _require_close(found: State, expected: State) -> None:
    assert list(found) == list(expected)
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, equal_nan=True)


def _compare_export(drawn: Program, network: Network, module: nn.Module, expected: State) -> None:
    """What ONNX Runtime computes without its own optimisations; see `_apart` for what may differ."""
    model = emit(network, {key: tensor.numpy() for key, tensor in module.state_dict().items()})
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    found = dict(zip(expected, map(torch.from_numpy, session.run(None, _fed(session, drawn))), strict=True))
    assert {name: one.shape for name, one in found.items()} == {name: one.shape for name, one in expected.items()}
    # What is infinite or no number spreads in ways that the operators of ONNX leave open.
    finite = {name: tensor for name, tensor in expected.items() if bool(tensor.isfinite().all())}
    wrong = [name for name, tensor in finite.items() if _apart(found[name], tensor) > 1e-4]
    if wrong:
        exact = _in_double(drawn, module)
        for name in wrong:
            # Where float32 itself is far off (a norm of nearly equal numbers), both are: neither is wrong.
            noise = _apart(expected[name], exact[name].float())
            assert _apart(found[name], exact[name].float()) <= 1e-4 + 30 * noise, f"ONNX Runtime: {name}"


def _fed(session: Any, drawn: Program) -> dict[str, Any]:
    assert [one.name for one in session.get_inputs()] == list(drawn.inputs)
    return {name: tensor.numpy() for name, tensor in drawn.inputs.items()}


def _apart(found: Tensor, expected: Tensor) -> float:
    """The largest difference, relative to the largest number there is where that is over 1."""
    assert found.shape == expected.shape
    same = (found == expected) | (found.isnan() & expected.isnan())
    differences = torch.where(same, 0.0, (found.double() - expected.double()).abs())
    largest = expected[expected.isfinite()].abs().max().item() if bool(expected.isfinite().any()) else 0.0
    return float(np.nan_to_num(differences.max().item(), nan=np.inf)) / max(1.0, largest)


def _in_double(drawn: Program, module: nn.Module) -> State:
    with torch.no_grad():
        found = module.double()(*(x.double() for x in drawn.inputs.values()))
    module.float()
    return found if drawn.outputs else {"out": found}


def main(arguments: list[str] | None = None) -> int:
    """Compare specs until the end or the first disagreement, which is printed with its number."""
    parser = argparse.ArgumentParser(description="random specs against PyTorch and ONNX Runtime")
    parser.add_argument("--cases", type=int, default=1000, help="how many specs that PyTorch can run")
    parser.add_argument("--seed", type=int, default=1, help="the number of the first spec")
    parser.add_argument("--budget", type=int, default=10, help="items in the largest specs")
    parser.add_argument("--keep-going", action="store_true", help="go on after a disagreement")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    start, counts, number = time.perf_counter(), {"run": 0, "rejected": 0, "wrong": 0}, given.seed
    while counts["run"] < given.cases and (given.keep_going or not counts["wrong"]):
        drawn = program(Random(number), given.budget)
        try:
            compare(drawn, check=number % 5 == 0)
            counts["run" if drawn.output is not None else "rejected"] += 1
        except Exception as error:
            counts["wrong"] += 1
            settings: Any = drawn.settings or "no settings"
            print(f"--- spec {number} ({settings})\n{drawn.text}\n{type(error).__name__}: {error}", flush=True)
        number += 1
        if number % 5000 == 0:
            print(_report(counts, given.seed, number, start), flush=True)
    print(_report(counts, given.seed, number, start))
    return 1 if counts["wrong"] else 0


def _report(counts: dict[str, int], seed: int, number: int, start: float) -> str:
    seconds = time.perf_counter() - start
    each = 1000 * seconds / max(number - seed, 1)
    return (
        f"specs {seed} to {number - 1}: {counts['run']} agree with PyTorch and ONNX Runtime, {counts['rejected']} are "
        f"rejected by both, {counts['wrong']} disagree; {seconds:.0f} s, {each:.1f} ms a spec"
    )


if __name__ == "__main__":
    sys.exit(main())
