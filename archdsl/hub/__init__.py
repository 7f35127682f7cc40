"""Trained networks as folders and as repositories of the Hugging Face Hub."""

from archdsl.hub.pretrained import from_pretrained, push_to_hub, save_pretrained

__all__ = ["from_pretrained", "push_to_hub", "save_pretrained"]
