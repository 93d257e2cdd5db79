-- The language server and the commands of code lenses. Works from Neovim 0.7 on, without other plugins.

local M = {}

-- What `setup` changes. `on_attach` is called with the client and the buffer, as Neovim's own clients call it.
local settings = { cmd = { "dspc", "lsp" }, on_attach = nil, capabilities = nil }

local MARKERS = { "dspec.toml", "pyproject.toml", ".git" }

-- The arguments of `dspc` for each command that the server may put above a declaration.
local COMMANDS = {
  ["dspc.check"] = { "check", "FILE" },
  ["dspc.plan"] = { "plan", "FILE", "NAME" },
  ["dspc.compile"] = { "compile", "FILE", "NAME" },
  ["dspc.eval"] = { "eval", "FILE", "NAME" },
  ["dspc.test"] = { "test", "FILE", "NAME" },
  ["dspc.run"] = { "run", "FILE", "NAME" },
  ["dspc.showPrompt"] = { "show", "FILE", "--prompt", "NAME" },
}

local clients = {} -- by their root, for Neovim 0.7

function M.setup(given)
  settings = vim.tbl_extend("force", settings, given or {})
end

local function exists(path)
  return vim.loop.fs_stat(path) ~= nil
end

local function root_of(file)
  local folder = vim.fn.fnamemodify(file, ":p:h")
  local at = folder
  while true do
    for _, marker in ipairs(MARKERS) do
      if exists(at .. "/" .. marker) then
        return at
      end
    end
    local above = vim.fn.fnamemodify(at, ":h")
    if above == at then
      return folder
    end
    at = above
  end
end

function M.start(buffer)
  local file = vim.api.nvim_buf_get_name(buffer)
  if file == "" then
    return
  end
  if vim.fn.executable(settings.cmd[1]) == 0 then
    vim.notify_once(("dspec: `%s` is not on the PATH; see `cmd` of require('dspec').setup"):format(settings.cmd[1]), vim.log.levels.WARN)
    return
  end
  local config = {
    name = "dspc",
    cmd = settings.cmd,
    root_dir = root_of(file),
    on_attach = settings.on_attach,
    capabilities = settings.capabilities,
    init_options = { commands = vim.tbl_keys(COMMANDS) },
  }
  if vim.lsp.start then
    vim.lsp.start(config, { bufnr = buffer })
  else -- 0.7
    local id = clients[config.root_dir]
    if not id or not vim.lsp.get_client_by_id(id) then
      id = vim.lsp.start_client(config)
      clients[config.root_dir] = id
    end
    if id then
      vim.lsp.buf_attach_client(buffer, id)
    end
  end
  vim.bo[buffer].omnifunc = "v:lua.vim.lsp.omnifunc"
end

-- Runs `dspc` in a terminal below, where it can be watched, and ended with Ctrl-C.
local function run(arguments)
  local command = vim.list_extend({ settings.cmd[1] }, arguments)
  vim.cmd("botright 15new")
  vim.fn.termopen(command)
  vim.cmd("normal! G")
end

-- One `name=value` after the other, until nothing is entered.
local function ask_for_inputs(arguments)
  vim.ui.input({ prompt = "input, as name=value (empty: run): " }, function(answer)
    if answer == nil then
      return
    elseif answer == "" then
      run(arguments)
    else
      ask_for_inputs(vim.list_extend(arguments, { "--input", answer }))
    end
  end)
end

function M.command(id, uri, name)
  local file = vim.uri_to_fname(uri)
  local buffer = vim.fn.bufnr(file)
  if buffer ~= -1 and vim.bo[buffer].modified then
    vim.api.nvim_buf_call(buffer, function()
      vim.cmd("write")
    end)
  end
  local arguments = {}
  for _, word in ipairs(COMMANDS[id]) do
    table.insert(arguments, ({ FILE = file, NAME = name })[word] or word)
  end
  if id == "dspc.run" then
    ask_for_inputs(arguments)
  else
    run(arguments)
  end
end

for id in pairs(COMMANDS) do
  vim.lsp.commands[id] = function(command)
    M.command(id, unpack(command.arguments))
  end
end

return M
