"""Trained networks as folders and repositories of the Hugging Face Hub: the spec, the weights and a card.

A folder has `config.json` (the spec, model, settings and input), `model.safetensors` and `README.md`; that of a network
trained by a run also has its `run.json`, by which images are prepared. Loading one runs no code from it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from archdsl import api
from archdsl.arguments.values import restored, stored_settings
from archdsl.diagnostics import Diagnostic, SpecError
from archdsl.diagnostics.codes.interop import NotPretrained
from archdsl.diagnostics.extras import needed_for
from archdsl.files.write import cannot_write, write_text
from archdsl.graph import network as graph
from archdsl.version import __version__

if TYPE_CHECKING:
    from torch import nn

CONFIG, WEIGHTS, CARD, RUN = "config.json", "model.safetensors", "README.md", "run.json"
#: The form of config.json.
FORMAT = 1

_CARD = """\
---
library_name: archdsl
tags:
- archdsl
- pytorch
---

# {title}

A network written in archdsl: its spec is in `config.json`, its weights are in `model.safetensors`.

```python
import archdsl

module = archdsl.from_pretrained({source})
```

| | |
| --- | --- |
| input | {inputs} |
| output | {outputs} |
| parameters | {params:,} |
| multiply-adds | {macs:,} |
"""


def save_pretrained(module: nn.Module, folder: str | os.PathLike[str]) -> Path:
    """Write a folder that `from_pretrained` loads, and that the Hugging Face Hub takes as a repository.

    Args:
        module: made by `build()`; it is left as it was.
        folder: is made if it does not exist; files of an earlier call are replaced.

    Raises:
        SpecError: the module was not built from a spec, or the folder cannot be written.
    """
    return _save(module, Path(folder), "")


def _save(module: nn.Module, folder: Path, source: str) -> Path:
    from archdsl.backends.torch import network_of, save_weights
    from archdsl.backends.torch.weights import PREFIX, origin_of

    network, origin = network_of(module), origin_of(module)
    config: dict[str, Any] = {
        "library_name": "archdsl",
        "archdsl_version": __version__,
        "format": FORMAT,
        "model": network.name,
        "settings": stored_settings(network.settings),
        "input": network.input_sizes,
        "spec": network.spec,
    }
    if origin.startswith(PREFIX):
        config["weights"] = origin
    run = _run_file(origin)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if run is not None and run.parent.resolve() != folder.resolve():
            write_text(folder / RUN, run.read_text(encoding="utf-8"))
        save_weights(module, folder / WEIGHTS)
        write_text(folder / CARD, _card(network, source or folder.name))
        write_text(folder / CONFIG, json.dumps(config, indent=2) + "\n")
    except OSError as error:
        raise cannot_write(folder, error) from error
    return folder


def _run_file(origin: str) -> Path | None:
    """The run.json of the run that weights are from."""
    path = Path(origin)
    file = (path if path.is_dir() else path.parent) / RUN
    return file if origin and file.is_file() else None


def _card(network: graph.Network, source: str) -> str:
    return _CARD.format(
        title=network.title,
        source=json.dumps(source),
        inputs=_shapes(network.inputs),
        outputs=_shapes(network.output_shapes),
        params=network.params,
        macs=network.macs,
    )


def _shapes(shapes: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {shape}" for name, shape in shapes.items())


def from_pretrained(source: str | os.PathLike[str], *, revision: str | None = None) -> nn.Module:
    """The network of a folder or a repository, with its weights and in eval mode.

    Args:
        source: a folder that `save_pretrained` wrote, a run folder, or a repository of the Hugging Face Hub,
            `"user/name"`, which is downloaded once.
        revision: a branch, tag or commit of the repository.

    Raises:
        SpecError: it does not exist or cannot be downloaded (E873), or its files do not belong together.
    """
    folder = Path(source)
    if not folder.is_dir():
        folder = _downloaded(str(source), revision)
    if (folder / CONFIG).is_file():
        module, weights, origin = _from_config(folder)
    else:
        module, weights, origin = _of_run(folder), folder, ""
    from archdsl.backends.torch import load_weights

    load_weights(module, weights)
    if origin:
        module.__dict__["__archdsl_weights__"] = origin
    return module.eval()


def _from_config(folder: Path) -> tuple[nn.Module, Path, str]:
    path = folder / CONFIG
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        if config["format"] > FORMAT:
            raise ValueError(f"it was written by archdsl {config['archdsl_version']}; this is {__version__}")
        spec, model, input = str(config["spec"]), str(config["model"]), config["input"]
        settings = {name: restored(value) for name, value in config["settings"].items()}
        origin = str(config.get("weights", ""))
        size = {name: tuple(one) for name, one in input.items()} if isinstance(input, dict) else tuple(input)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise _unusable(str(path), reason) from error
    module = api.load(f"{spec}\n", model=model, input=size, settings=settings).build()
    return module, folder / WEIGHTS, origin


def _of_run(folder: Path) -> nn.Module:
    from archdsl.runs.folder import RunFolder

    run = RunFolder(folder)
    if not run.info.is_file() or not run.spec.is_file():
        raise _unusable(str(folder), f"it has neither {CONFIG}, as `save_pretrained` writes it, nor {RUN} of a run")
    info = run.read_info()
    return api.load(run.spec, model=info.model, input=info.input, settings=info.settings).build()


def _downloaded(name: str, revision: str | None) -> Path:
    """The files of a repository, downloaded by huggingface_hub."""
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise _unusable(name, "there is no such folder, and it is no `user/name` of the Hugging Face Hub")
    hub = _hub()
    try:
        files = [CONFIG, WEIGHTS, RUN]
        return Path(hub.snapshot_download(name, revision=revision, allow_patterns=files))
    except Exception as error:  # the network, the disk and the server can fail in any way
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise _unusable(name, reason) from error


def push_to_hub(module: nn.Module, name: str, *, private: bool = False, message: str = "Upload by archdsl") -> str:
    """Upload a module as a repository `user/name` of the Hugging Face Hub, which is made if it does not exist.

    Log in with `hf auth login`, or set HF_TOKEN. Returns the address of the commit.

    Raises:
        SpecError: the module was not built from a spec, or huggingface_hub is not installed.
    """
    hub = _hub()
    with TemporaryDirectory() as folder:
        _save(module, Path(folder), name)
        client = hub.HfApi()
        client.create_repo(name, private=private, exist_ok=True)
        return str(client.upload_folder(repo_id=name, folder_path=folder, commit_message=message))


def _hub() -> Any:
    with needed_for("the Hugging Face Hub"):
        import huggingface_hub
    return huggingface_hub


def _unusable(source: str, reason: str) -> SpecError:
    return SpecError([Diagnostic(NotPretrained(source, reason), path=source)])
