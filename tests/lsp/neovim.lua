-- Drives a second Neovim as a user would: opens a file, waits for problems, applies a fix, completes, asks, renames.
-- Usage: nvim --headless -u NONE -c "luafile neovim.lua", with FILE, WORDS, ROWS and REPORT in the environment.

local child = vim.fn.jobstart({ vim.v.progpath, "--embed", "--headless", "-n", "-i", "NONE" }, { rpc = true })

local function lua(code, ...)
  return vim.rpcrequest(child, "nvim_exec_lua", code, { ... })
end

local function type_in(keys)
  vim.rpcrequest(child, "nvim_input", keys)
end

local function wait(what, code, ...)
  local value
  local arguments = { ... }
  local done = vim.wait(60000, function()
    value = lua(code, unpack(arguments))
    return value ~= vim.NIL and value ~= false
  end, 20)
  if not done then
    error("waited in vain for " .. what)
  end
  return value
end

-- Asks again where no answer came: a server refuses what is asked of a text that changes meanwhile.
local function ask(what, request, code)
  local value
  for _ = 1, 12 do
    lua(request)
    local done = vim.wait(5000, function()
      value = lua(code)
      return value ~= vim.NIL and value ~= false
    end, 20)
    if done then
      return value
    end
  end
  error("asked in vain for " .. what)
end

local found = {}

local function main()
  vim.rpcrequest(child, "nvim_command", "edit " .. vim.fn.fnameescape(vim.env.FILE))
  found.messages = wait("problems", [[
    local found = vim.diagnostic.get(0)
    if #found == 0 then return false end
    return vim.tbl_map(function(each) return { line = each.lnum, column = each.col, text = each.message } end, found)
  ]])

  -- Take the first fix of the misspelt word: as the menu is answered, so is this.
  lua([[vim.ui.select = function(items, options, chosen)
    vim.g.offered = vim.tbl_map(options.format_item, items)
    chosen(items[1], 1)
  end]])
  type_in("gg/Pedict<CR>")
  wait("the word", [[return vim.fn.expand("<cword>") == "Pedict"]])
  lua("vim.lsp.buf.code_action()")
  wait("the fix", [[return vim.api.nvim_get_current_line():find("= Predict(", 1, true) ~= nil]])
  found.offered = lua("return vim.g.offered")
  wait("no problem", "return #vim.diagnostic.get(0) == 0")

  -- Hover, and to the definition of what is under the cursor.
  type_in("gg/Predict(Route<CR>f(l")
  wait("the word", [[return vim.fn.expand("<cword>") == "Route"]])
  found.hover = ask("a hover", "vim.lsp.buf.hover()", [[
    for _, window in ipairs(vim.api.nvim_list_wins()) do
      if vim.api.nvim_win_get_config(window).relative ~= "" then
        return table.concat(vim.api.nvim_buf_get_lines(vim.api.nvim_win_get_buf(window), 0, -1, false), "\n")
      end
    end
    return false
  ]])
  found.definition = ask("the definition", "vim.lsp.buf.definition()", [[
    local line = vim.api.nvim_get_current_line()
    return line:find("^signature") and line or false
  ]])

  -- Complete after `gold.` in a new line of the metric.
  type_in("/feedback<CR>Oaccept = gold.<C-x><C-o>")
  found.items = wait("completion", [[
    local info = vim.fn.complete_info({ "items" })
    if #info.items == 0 then return false end
    return vim.tbl_map(function(each) return each.word end, info.items)
  ]])
  type_in("<C-n><C-y> == pred.intent<Esc>")
  found.line = wait("the chosen item", [[
    local line = vim.api.nvim_get_current_line()
    return line:find("== pred.intent", 1, true) and line or false
  ]])
  wait("no problem", "return #vim.diagnostic.get(0) == 0")

  -- Indentation, as it is typed; the formatter puts an untidy line right.
  type_in("gg/^metric<CR>Orecord Line {<CR>field   sku:str<CR>}<CR><Esc>")
  found.typed = wait("what was typed", [[
    local at = vim.fn.search("^record Line", "nw")
    local lines = vim.api.nvim_buf_get_lines(0, at - 1, at + 2, false)
    return at > 0 and lines[3] == "}" and lines or false
  ]])
  lua("if vim.lsp.buf.format then vim.lsp.buf.format() else vim.lsp.buf.formatting_sync(nil, 5000) end")
  found.formatted = wait("the format", [[
    local at = vim.fn.search("^record Line", "nw")
    local line = vim.fn.getline(at + 1)
    return line:find("sku: str", 1, true) and line or false
  ]])

  -- Rename everywhere.
  type_in("gg/^signature Route<CR>w")
  wait("the word", [[return vim.fn.expand("<cword>") == "Route"]])
  lua([[vim.lsp.buf.rename("Sort")]])
  wait("the new name", [[return vim.api.nvim_get_current_line():find("signature Sort", 1, true) ~= nil]])
  found.renamed = lua([[return vim.fn.getline(vim.fn.search("= Predict", "nw"))]])

  -- What can be run stands above the declarations; a plan opens in a terminal.
  found.lenses = ask("lenses", "vim.lsp.codelens.refresh()", [[
    local lenses = vim.lsp.codelens.get(0)
    if #lenses == 0 then return false end
    return vim.tbl_map(function(each) return each.command.title end, lenses)
  ]])
  lua([[
    for _, lens in ipairs(vim.lsp.codelens.get(0)) do
      if lens.command.command == "dspc.plan" then vim.lsp.commands["dspc.plan"](lens.command) return end
    end
  ]])
  found.plan = wait("the plan", [[
    local text = table.concat(vim.api.nvim_buf_get_lines(0, 0, -1, false), "\n")
    return vim.bo.buftype == "terminal" and text:find("in all", 1, true) and text or false
  ]])

  -- Colours without the server.
  local words = vim.json and vim.json.decode(vim.env.WORDS) or vim.fn.json_decode(vim.env.WORDS)
  vim.rpcrequest(child, "nvim_command", "split " .. vim.fn.fnameescape(vim.env.SAMPLE))
  found.colours = lua([[return vim.tbl_map(function(place)
    return vim.fn.synIDattr(vim.fn.synID(place[1], place[2], 1), "name")
  end, ...)]], words)
end

local fine, problem = pcall(main)
if not fine then
  found.error = tostring(problem)
end
local report = io.open(vim.env.REPORT, "w")
report:write(vim.json and vim.json.encode(found) or vim.fn.json_encode(found))
report:close()
pcall(vim.rpcnotify, child, "nvim_command", "qall!")
vim.fn.jobwait({ child }, 5000)
vim.cmd("qall!")
