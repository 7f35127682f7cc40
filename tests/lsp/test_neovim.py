"""Neovim, with its own client and the file of editors/vim, shows what the server says."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EDITORS = Path(__file__).parents[2] / "editors"
#: Waits for an error, asks for hover and the definition, and writes what came.
SCRIPT = """
vim.opt.runtimepath:append(vim.env.PLUGIN)
vim.cmd("filetype plugin on")
require("archdsl").setup({ cmd = vim.json.decode(vim.env.SERVER) })
vim.cmd("edit " .. vim.env.SPEC)
vim.wait(20000, function() return #vim.diagnostic.get(0) > 0 end, 20)
local found = vim.diagnostic.get(0)[1]
local function ask(method, line, character)
  local params = { textDocument = { uri = vim.uri_from_bufnr(0) }, position = { line = line, character = character } }
  for _, answer in pairs(vim.lsp.buf_request_sync(0, method, params, 20000)) do return answer.result end
end
local hover = ask("textDocument/hover", 1, 25)
local target = ask("textDocument/definition", 1, 47)
local file = io.open(vim.env.OUT, "w")
local answers = { message = found.message, line = found.lnum, hover = hover.contents.value, target = target }
file:write(vim.json.encode(answers))
file:close()
vim.cmd("qall!")
"""
SPEC = "block unit(n) { conv(n, 3); relu }\nmodel m { input(1x9x9); conv(2, 3, paddin=1); unit(4) }\n"


@pytest.mark.skipif(shutil.which("nvim") is None, reason="there is no Neovim")
def test_neovim_shows_errors_and_hover(tmp_path: Path) -> None:
    (tmp_path / "m.arch").write_text(SPEC)
    (tmp_path / "try.lua").write_text(SCRIPT)
    environment = {
        **os.environ,
        "PLUGIN": str(EDITORS / "vim"),
        "SERVER": json.dumps([sys.executable, "-m", "archdsl", "lsp"]),
        "SPEC": str(tmp_path / "m.arch"),
        "OUT": str(tmp_path / "out.json"),
        "XDG_STATE_HOME": str(tmp_path),
    }
    command = [
        "nvim",
        "--headless",
        "-u",
        "NONE",
        "-i",
        "NONE",
        "-c",
        f"luafile {tmp_path / 'try.lua'}",
        "-c",
        "cquit!",
    ]
    ran = subprocess.run(command, check=False, env=environment, capture_output=True, text=True, timeout=120)
    assert (tmp_path / "out.json").exists(), ran.stderr
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["line"] == 1
    assert "`paddin`" in found["message"]
    assert "convolution" in found["hover"].lower()
    assert found["target"][0]["range"]["start"] == {"line": 0, "character": len("block ")}
