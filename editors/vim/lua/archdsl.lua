-- Neovim's own client for `archdsl lsp`: require("archdsl").setup(), or setup({ cmd = { ".venv/bin/archdsl", "lsp" } }).
local M = {}

local function start(options)
  local config = vim.tbl_extend("force", { name = "archdsl", cmd = { "archdsl", "lsp" }, root_dir = vim.fn.getcwd() }, options or {})
  if vim.lsp.start then -- Neovim 0.8 and newer
    vim.lsp.start(config)
    return
  end
  M.client = M.client or vim.lsp.start_client(config)
  vim.lsp.buf_attach_client(0, M.client)
end

function M.setup(options)
  vim.api.nvim_create_autocmd("FileType", {
    pattern = "arch",
    callback = function()
      start(options)
    end,
  })
  if vim.lsp.inlay_hint and vim.lsp.inlay_hint.enable then -- Neovim 0.10 and newer
    vim.api.nvim_create_autocmd("LspAttach", {
      callback = function(event)
        if vim.bo[event.buf].filetype == "arch" then
          vim.lsp.inlay_hint.enable(true, { bufnr = event.buf })
        end
      end,
    })
  end
end

return M
