-- Sends no cookie, query or user agent a second time.
local number = 0
local pattern

function init(_arguments)
  local lines = {
    "GET " .. wrk.path .. "?q=%d&page=%d HTTP/1.1",
    "Host: " .. wrk.headers["Host"],
    "User-Agent: bench/%d (client %d)",
    "Cookie: session=%d; seen=%d",
  }
  pattern = table.concat(lines, "\r\n") .. "\r\n\r\n"
end

function request()
  number = number + 1
  return string.format(pattern, number, number, number, number, number, number)
end
