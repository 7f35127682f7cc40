"""Names: scopes that give every part its state_dict key, and suggestions for misspelt ones."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from archdsl.diagnostics import Help, Note
from archdsl.diagnostics.names import BadLabel, DuplicateName
from archdsl.elaborate.errors import Located
from archdsl.limits import MAX_LABEL
from archdsl.source import Span

LABEL = re.compile(r"[A-Za-z0-9_-]+")

#: What torch.nn.Module and torch.nn.Sequential call their own, so that no submodule can have the name;
#: names that begin with two underscores are reserved too.
#: The front end has no torch to ask; a test compares the two.
RESERVED_LABELS = frozenset(
    """
    T_destination _apply _backward_hooks _backward_pre_hooks _buffers _call_impl _compiled_call_impl
    _forward_hooks _forward_hooks_always_called _forward_hooks_with_kwargs _forward_pre_hooks
    _forward_pre_hooks_with_kwargs _get_backward_hooks _get_backward_pre_hooks _get_item_by_idx _get_name
    _is_full_backward_hook _load_from_state_dict _load_state_dict_post_hooks _load_state_dict_pre_hooks
    _maybe_warn_non_full_backward_hook _modules _named_members _non_persistent_buffers_set _parameters
    _register_load_state_dict_pre_hook _register_state_dict_hook _replicate_for_data_parallel
    _save_to_state_dict _slow_forward _state_dict_hooks _state_dict_pre_hooks _version _wrapped_call_impl
    add_module append apply bfloat16 buffers call_super_init children compile cpu cuda double dump_patches eval
    extend extra_repr float forward get_buffer get_extra_state get_parameter get_submodule half insert ipu
    load_state_dict modules mtia named_buffers named_children named_modules named_parameters parameters pop
    register_backward_hook register_buffer register_forward_hook register_forward_pre_hook
    register_full_backward_hook register_full_backward_pre_hook register_load_state_dict_post_hook
    register_load_state_dict_pre_hook register_module register_parameter register_state_dict_post_hook
    register_state_dict_pre_hook requires_grad_ set_extra_state set_submodule share_memory state_dict to
    to_empty train training type xpu zero_grad
    """.split()  # noqa: SIM905  (a list of words reads better than a column of strings)
)


@dataclass(slots=True)
class Scope:
    """A scope of names: `path` is its state_dict prefix, `taken` the names in it with their places."""

    path: str = ""
    taken: dict[str, Span] = field(default_factory=dict)
    positions: int = 0

    def full(self, name: str) -> str:
        """The state_dict prefix of a part of this scope."""
        return f"{self.path}.{name}" if self.path else name

    def take(self, label: str | None, span: Span) -> str:
        """The name of the next part: its label, or its position among all parts of the scope."""
        name = str(self.positions) if label is None else label
        self.positions += 1
        if name in self.taken:
            raise _taken(name, span, self.taken[name])
        self.taken[name] = span
        return name


def _taken(name: str, span: Span, first: Span) -> Located:
    if first == span:
        help = "each round of a loop needs a label of its own, such as one with the loop's variable: `name{i}`"
        return Located(DuplicateName("the name", name), span, helps=(Help(help),))
    return Located(DuplicateName("the name", name), span, notes=(Note("the first is here", first),))


def check_label(name: str, span: Span) -> None:
    """Refuse a label that cannot be a submodule's name."""
    if len(name) > MAX_LABEL:
        raise Located(BadLabel(f"{name[:20]}...", f"it has {len(name):,} characters, at most {MAX_LABEL}"), span)
    if not LABEL.fullmatch(name):
        raise Located(BadLabel(name, "it has letters, digits, `_` and `-` only"), span)
    if name in RESERVED_LABELS or name.startswith("__"):
        raise Located(BadLabel(name, "torch.nn.Module has an attribute of that name"), span)


#: What other libraries call things, in the form that `_plain` gives.
ALIASES = {
    "fc": "linear",
    "fullyconnected": "linear",
    "lrn": "local_response_norm",
    "bn": "batchnorm",
    "dropout2d": "channel_dropout",
    "spatialdropout": "channel_dropout",
    "featuredropout": "channel_dropout",
    "deconv": "conv_transpose",
    "zeropad": "pad",
    "swish": "silu",
    "interpolate": "upsample",
    "globalavgpool": "adaptive_avgpool",
    "globalaveragepooling": "adaptive_avgpool",
    "cat": "concat",
    "hardtanh6": "relu6",
    "henormal": "kaiming_normal",
    "heuniform": "kaiming_uniform",
    "glorotnormal": "xavier_normal",
    "glorotuniform": "xavier_uniform",
    "filters": "out_channels",
    "units": "out_features",
    "strides": "stride",
    "droppath": "stochastic_depth",
}


#: Longer names are not compared, and no more known names than these: the time grows with both lengths and their number.
LONGEST = 64
MOST = 1_000


def suggestion(name: str, known: Iterable[str]) -> str | None:
    """The known name that was most likely meant: PyTorch's or another library's name, a slip, or a part of it."""
    if len(name) > LONGEST:
        return None
    return _suggestion(name, tuple(dict.fromkeys(known)))


@lru_cache(1_000)
def _suggestion(name: str, names: tuple[str, ...]) -> str | None:
    """The same, kept: a loop repeats its mistakes."""
    plain = _plain(name)
    for alias in (name.lower(), plain):
        if ALIASES.get(alias) in names:
            return ALIASES[alias]
    same = [one for one in names if plain and _plain(one) == plain]
    if same:
        return same[0]
    near = [one for one in names if _may_be_near(name.lower(), one.lower())][:MOST]
    slips = sorted((_distance(name.lower(), one.lower()), one) for one in near)
    if slips and slips[0][0] <= len(name) // 3:
        return slips[0][1]
    parts = [
        one for one in sorted(names) if min(len(one), len(name)) > 2 and _begins_or_ends(one.lower(), name.lower())
    ]
    return parts[0] if parts else None


def _plain(name: str) -> str:
    """A name without case, underscores and PyTorch's number of axes: `MaxPool2d` and `max_pool` are both `maxpool`."""
    return re.sub(r"(?<=.)[123]d$", "", name.lower()).replace("_", "")


def _begins_or_ends(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    return long.startswith(short) or long.endswith(short)


def _may_be_near(name: str, other: str) -> bool:
    """Whether the distance can be a third of the name's length: each letter that only one of them has adds to it."""
    most = len(name) // 3
    return abs(len(name) - len(other)) <= most and len(set(name) - set(other)) <= most


def _distance(one: str, other: str) -> int:
    """How many letters are to be changed, added, left out or swapped with the next one."""
    rows = [list(range(len(other) + 1))]
    for i, a in enumerate(one, 1):
        row = [i]
        for j, b in enumerate(other, 1):
            cost = min(rows[-1][j] + 1, row[j - 1] + 1, rows[-1][j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                cost = min(cost, rows[-2][j - 2] + 1)
            row.append(cost)
        rows.append(row)
    return rows[-1][-1]
