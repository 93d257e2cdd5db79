-- How far a line is indented: two columns for each bracket that a line before it leaves open.

local M = {}

-- Brackets that a line opens, less those that it closes; what stands in strings and comments does not count.
local function balance(line)
  local bare = line:gsub('\\.', ""):gsub('"[^"]*"?', ""):gsub("#.*", "")
  local _, opened = bare:gsub("[%{%(%[]", "")
  local _, closed = bare:gsub("[%}%)%]]", "")
  local _, leading = (bare:match("^%s*[%}%)%]]+") or ""):gsub("[%}%)%]]", "")
  return opened - closed, leading
end

function M.of(number)
  local above = vim.fn.prevnonblank(number - 1)
  if above == 0 then
    return 0
  end
  -- The inside of a text of several lines is its writer's.
  for _, id in ipairs(vim.fn.synstack(number, 1)) do
    if vim.fn.synIDattr(id, "name") == "dspecText" then
      return -1
    end
  end
  local width = vim.fn.shiftwidth()
  local change, leading = balance(vim.fn.getline(above))
  local steps = math.max(change + leading, 0) > 0 and 1 or (change + leading < 0 and -1 or 0)
  local _, closes = balance(vim.fn.getline(number))
  return math.max(vim.fn.indent(above) + width * steps - (closes > 0 and width or 0), 0)
end

return M
