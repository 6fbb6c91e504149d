-- Cycles through the requests of a file and prints one line of totals.
-- Refuses to know what the requests say: `bench/traffic.py` writes the file, `bench/load/wrk.py` reads the line.

local SEPARATOR = "\n\30\n"
local prepared = {}
local position = 0

function init(args)
  local file = assert(io.open(args[1], "rb"))
  local text = file:read("*a")
  file:close()
  local from = 1
  while true do
    local first, last = text:find(SEPARATOR, from, true)
    prepared[#prepared + 1] = text:sub(from, (first or 0) - 1)
    if not first then break end
    from = last + 1
  end
end

function request()
  position = position % #prepared + 1
  return prepared[position]
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    "BENCH requests=%d duration_us=%d connect=%d read=%d write=%d timeout=%d status=%d\n",
    summary.requests, summary.duration, errors.connect, errors.read, errors.write, errors.timeout,
    errors.status))
end
