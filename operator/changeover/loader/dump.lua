-- wrk's whole latency histogram as one line of JSON, for changeover.loader.wrk to read.
-- wrk calls setup() just before its clock starts and done() when the run is over.

local ffi = require("ffi")
ffi.cdef[[
  typedef struct { uint64_t count, limit, min, max; uint64_t data[]; } changeover_stats;  /* stats.h of wrk 4 */
  typedef struct { long tv_sec, tv_usec; } changeover_timeval;
  int gettimeofday(changeover_timeval *tv, void *zone);
]]

wrk.method = os.getenv("CHANGEOVER_METHOD") or wrk.method
local body = os.getenv("CHANGEOVER_BODY")
local takes_body = {POST = true, PUT = true, PATCH = true}  -- which says its length even without one
if body and (body ~= "" or takes_body[wrk.method]) then wrk.body = body end  -- wrk counts its length

local function microseconds()  -- since the epoch: Lua's own clock has whole seconds only
  local now = ffi.new("changeover_timeval")
  ffi.C.gettimeofday(now, nil)
  return tonumber(now.tv_sec) * 1000000 + tonumber(now.tv_usec)
end

local prepared

function setup(thread)
  prepared = microseconds()
end

-- latency(i) walks the array from its start for every i, which takes minutes for a slow server's spread of values; the
-- array itself is read in milliseconds. Whatever does not look like the expected struct is read the slow way.
local function direct(latency)
  local stats = ffi.cast("changeover_stats **", latency)[0]
  if tonumber(stats.min) ~= latency.min or tonumber(stats.max) ~= latency.max then return nil end
  if stats.max > stats.limit then return nil end
  local pairs_, counted = {}, 0
  for value = latency.min, latency.max do
    local count = tonumber(stats.data[value])
    if count ~= 0 then
      pairs_[#pairs_ + 1] = string.format("[%d,%d]", value, count)
      counted = counted + count
    end
  end
  if counted ~= tonumber(stats.count) then return nil end
  return pairs_
end

local function by_interface(latency)
  local pairs_ = {}
  for index = 1, #latency do
    local value, count = latency(index)
    pairs_[#pairs_ + 1] = string.format("[%d,%d]", value, count)
  end
  return pairs_
end

function done(summary, latency, requests)
  local ended = microseconds()
  local buckets = {}
  if summary.requests > 0 then buckets = direct(latency) or by_interface(latency) end
  local errors = summary.errors
  io.write(string.format(
    '\n{"preparedMicros":%.0f,"endedMicros":%.0f,"durationMicros":%d,"requests":%d,"bytes":%.0f,'
      .. '"errors":{"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d},"buckets":[',
    prepared, ended, summary.duration, summary.requests, summary.bytes,
    errors.connect, errors.read, errors.write, errors.status, errors.timeout))
  io.write(table.concat(buckets, ","), "]}\n")
end
