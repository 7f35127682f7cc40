"""Labels, and the scopes that give every part its state_dict key."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from archdsl.diagnostics import Help, Located, Note
from archdsl.diagnostics.codes.names import BadLabel, DuplicateName
from archdsl.text.limits import MAX_LABEL
from archdsl.text.source import Span

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
        help = "use a different label in each iteration, for example with the loop variable: `name{i}`"
        return Located(DuplicateName("the name", name), span, helps=(Help(help),))
    return Located(DuplicateName("the name", name), span, notes=(Note("first defined here", first),))


def check_label(name: str, span: Span) -> None:
    """Reject a label that cannot be a submodule's name."""
    if len(name) > MAX_LABEL:
        raise Located(BadLabel(f"{name[:20]}...", f"it has {len(name):,} characters; the limit is {MAX_LABEL}"), span)
    if not LABEL.fullmatch(name):
        raise Located(BadLabel(name, "expected letters, digits, `_` and `-`"), span)
    if name in RESERVED_LABELS or name.startswith("__"):
        raise Located(BadLabel(name, "torch.nn.Module has an attribute of that name"), span)
