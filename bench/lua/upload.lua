-- Sends a body of as many bytes as the first argument says.
function init(arguments)
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/octet-stream"
  wrk.body = string.rep("a", tonumber(arguments[1]))
end
