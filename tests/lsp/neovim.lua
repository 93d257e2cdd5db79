-- Drives a second Neovim as a user would: opens a file, waits for diagnostics, types, completes.
-- Usage: nvim --headless -u NONE -c "luafile neovim.lua", with FILE, CONFIG and REPORT in the environment.

local child = vim.fn.jobstart({ vim.v.progpath, "--embed", "--headless", "-u", "NONE", "-n" }, { rpc = true })

local function lua(code, ...)
  return vim.rpcrequest(child, "nvim_exec_lua", code, { ... })
end

local function wait(what, code)
  local value
  local done = vim.wait(60000, function()
    value = lua(code)
    return value ~= vim.NIL and value ~= false
  end, 50)
  if not done then
    error("waited in vain for " .. what)
  end
  return value
end

local function main()
  lua("vim.cmd('luafile ' .. ...)", vim.env.CONFIG)
  vim.rpcrequest(child, "nvim_command", "edit " .. vim.fn.fnameescape(vim.env.FILE))
  local messages = wait("diagnostics", [[
    local found = vim.diagnostic.get(0)
    if #found == 0 then return false end
    return vim.tbl_map(function(each) return { line = each.lnum, column = each.col, text = each.message } end, found)
  ]])

  -- Correct the misspelt word by typing.
  vim.rpcrequest(child, "nvim_input", "gg/Pedict<CR>cwPredict<Esc>")
  wait("no diagnostics", "return #vim.diagnostic.get(0) == 0")

  -- Complete after `gold.` in a new line of the metric.
  vim.rpcrequest(child, "nvim_input", "/feedback<CR>Oaccept = gold.<C-x><C-o>")
  local items = wait("completion", [[
    local info = vim.fn.complete_info({ "items" })
    if #info.items == 0 then return false end
    return vim.tbl_map(function(each) return each.word end, info.items)
  ]])
  vim.rpcrequest(child, "nvim_input", "<C-n><C-y> == pred.intent<Esc>")
  local line = wait("the chosen item", [[
    local line = vim.api.nvim_get_current_line()
    return line:find("== pred.intent", 1, true) and line or false
  ]])
  wait("no diagnostics", "return #vim.diagnostic.get(0) == 0")
  return { messages = messages, items = items, line = line }
end

local fine, result = pcall(main)
local report = io.open(vim.env.REPORT, "w")
report:write(vim.json and vim.json.encode(fine and result or { error = tostring(result) }) or vim.fn.json_encode(fine and result or { error = tostring(result) }))
report:close()
pcall(vim.rpcnotify, child, "nvim_command", "qall!")
vim.fn.jobwait({ child }, 5000)
vim.cmd("qall!")
