"""What Redis runs in one step: the algebra of `slots.py` in Lua, over the keys of one partition.

KEYS[1] is the partition's ledger, a hash: counters, and for each bucket the rows pending (b), held (h), the keys held
(k) and the labels parked (p). Rows go by the bucket of their key's first row, labels by that of the second in which
they are given up. What is too old by `now` is treated as gone, whatever the server's own clock still keeps.
"""

from typing import Final

from exporter.pending.contract import OUTCOMES

_SLOT: Final = """
local moved = {}
local function move(name, by) moved[name] = (moved[name] or 0) + by end
local function write()
  for name, by in pairs(moved) do
    if by ~= 0 then redis.call('HINCRBY', KEYS[1], name, string.format('%d', by)) end
  end
end
local now, width, age = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local function bucket_of(slot) return math.floor(struct.unpack('<I4', slot, 11) / width) end
local function until_of(slot) return (struct.unpack('<I4', slot, #slot - 3)) end
local function due(bucket) return (bucket + 1) * width + age end
local function read(key)
  local slot = redis.call('GET', key) or ''
  local stop = #slot - #slot % 40
  if #slot > 40 and #slot < 48 then stop = 0 end
  if stop > 0 and due(bucket_of(slot)) <= now then return '', 0 end
  if stop == 0 and slot ~= '' and until_of(slot) <= now then return '', 0 end
  return slot, stop
end
local function keep(key, slot, stop)
  local last = stop > 0 and due(bucket_of(slot)) or until_of(slot)
  redis.call('SET', key, slot, 'PX', string.format('%d', math.ceil((last - now) * 1000)))
end
-- One that is there, as long as it would have been.
local function change(key, slot) redis.call('SET', key, slot, 'KEEPTTL') end
local function held(name) return tonumber(redis.call('HGET', KEYS[1], name) or '0') end
"""

# ARGV[4]: rows that may be held, ARGV[5]: the rows, one behind the other. Replies with the place of each row that
# joined, and its label.
PUT: Final = (
    _SLOT
    + """
local room = tonumber(ARGV[4]) - held('rows')
local found = {}
local function again(slot, stop, row)
  local whose = string.sub(row, 2, 10)
  for at = 1, stop, 40 do
    if string.sub(slot, at + 1, at + 9) == whose then return 'repeated' end
  end
  if stop >= 320 or room <= 0 then return 'evicted' end
end
for at = 2, #KEYS do
  local row = string.sub(ARGV[5], 40 * at - 79, 40 * at - 40)
  local slot, stop = read(KEYS[at])
  local refused = again(slot, stop, row)
  if refused then
    move(refused, 1)
    if refused == 'evicted' then move('predictions', 1) end
  else
    local tail = string.sub(slot, stop + 1)
    if stop == 0 and tail ~= '' then
      move('p' .. math.floor(until_of(slot) / width), -1)
      move('waiting', -1)
      move('released', 1)
      tail = string.sub(tail, 1, -5)
    end
    slot = string.sub(slot, 1, stop) .. row .. tail
    local bucket = bucket_of(slot)
    keep(KEYS[at], slot, stop + 40)
    room = room - 1
    move('predictions', 1)
    move('rows', 1)
    move('h' .. bucket, 1)
    if stop == 0 then
      move('keys', 1)
      move('k' .. bucket, 1)
    end
    if tail == '' then
      move('b' .. bucket, 1)
    else
      move('joined', 1)
      found[#found + 1] = at - 2
      found[#found + 1] = tail
    end
  end
end
write()
return found
"""
)

# ARGV[4]: until when to park, ARGV[5]: labels that may be parked, ARGV[6]: the labels, each behind a byte of its
# length. Replies with one string, for a thousand small ones would cost the client more than all else: for each label
# the place of its outcome, the lengths of the rows and of the value that was there before, and these.
TAKE: Final = (
    _SLOT
    + f"local places = {{{', '.join(f'{word} = {place}' for place, word in enumerate(OUTCOMES))}}}"
    + """
local room = tonumber(ARGV[5]) - held('waiting')
local function come(key, label)
  local slot, stop = read(key)
  if slot == '' then
    if room <= 0 then
      move('refused_labels', 1)
      return 'full', '', ''
    end
    room = room - 1
    keep(key, label .. struct.pack('<I4', tonumber(ARGV[4])), 0)
    move('p' .. math.floor(tonumber(ARGV[4]) / width), 1)
    move('waiting', 1)
    move('parked', 1)
    return 'parked', '', ''
  end
  local rows, old, wait = string.sub(slot, 1, stop), string.sub(slot, stop + 1), ''
  if old == '' then
    change(key, rows .. label)
    move('joined', stop / 40)
    move('b' .. bucket_of(slot), -stop / 40)
    return 'joined', rows, ''
  end
  if stop == 0 then old, wait = string.sub(old, 1, -5), string.sub(old, -4) end
  local earlier = struct.unpack('<d', old) <= struct.unpack('<d', label)
  if earlier then change(key, rows .. label .. wait) end
  if string.sub(old, 9) == string.sub(label, 9) then return 'duplicate', '', '' end
  if not earlier then return 'stale', '', '' end
  if stop == 0 then return 'parked', '', '' end
  return 'corrected', rows, string.sub(old, 9)
end
local found, from = {}, 1
for at = 2, #KEYS do
  local label
  label, from = struct.unpack('Bc0', ARGV[6], from)
  local outcome, rows, before = come(KEYS[at], label)
  found[#found + 1] = struct.pack('<BI2B', places[outcome], #rows, #before) .. rows .. before
end
write()
return table.concat(found)
"""
)

# Buckets that have passed leave what is held.
EXPIRE: Final = (
    _SLOT
    + """
local fields = redis.call('HGETALL', KEYS[1])
for at = 1, #fields, 2 do
  local kind, bucket = string.match(fields[at], '^([bhkp])(%d+)$')
  if kind then
    local count = tonumber(fields[at + 1])
    local passed = due(tonumber(bucket)) <= now
    if kind == 'p' then passed = (tonumber(bucket) + 1) * width <= now end
    if passed then
      redis.call('HDEL', KEYS[1], fields[at])
      if kind == 'b' then move('expired', count) end
      if kind == 'h' then move('rows', -count) end
      if kind == 'k' then move('keys', -count) end
      if kind == 'p' then move('waiting', -count) end
    elseif count == 0 then
      redis.call('HDEL', KEYS[1], fields[at])
    end
  end
end
write()
return 0
"""
)

# KEYS: hours, ledger, the hour's cells. ARGV: hour, limit, cells refused already, names and values. 0: it is settled.
ADD_CELLS: Final = """
if redis.call('HGET', KEYS[1], ARGV[1] .. ':settled') then return 0 end
redis.call('HSETNX', KEYS[1], ARGV[1], '')
local size = tonumber(redis.call('HGET', KEYS[2], 'size') or '0')
local limit, grown, refused = tonumber(ARGV[2]), 0, tonumber(ARGV[3])
for at = 4, #ARGV, 2 do
  local known = redis.call('HEXISTS', KEYS[3], ARGV[at]) == 1
  if known or size + grown < limit then
    redis.call('HINCRBYFLOAT', KEYS[3], ARGV[at], ARGV[at + 1])
    if not known then grown = grown + 1 end
  else
    refused = refused + 1
  end
end
redis.call('HINCRBY', KEYS[2], 'size', grown)
redis.call('HINCRBY', KEYS[2], 'refused_cells', refused)
return 1
"""

# KEYS: hours, the hour's cells. ARGV: hour, owner, until, now. Replies with the cells, or 0.
CLAIM: Final = """
local hour = ARGV[1]
if not redis.call('HGET', KEYS[1], hour) or redis.call('HGET', KEYS[1], hour .. ':settled') then return 0 end
local ends = tonumber(redis.call('HGET', KEYS[1], hour .. ':until') or '0')
if ends > tonumber(ARGV[4]) and redis.call('HGET', KEYS[1], hour) ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], hour, ARGV[2], hour .. ':until', ARGV[3])
return redis.call('HGETALL', KEYS[2])
"""

# KEYS: hours. ARGV: hour, owner, now.
SETTLE: Final = """
local hour = ARGV[1]
if redis.call('HGET', KEYS[1], hour) ~= ARGV[2] or redis.call('HGET', KEYS[1], hour .. ':settled') then return 0 end
if tonumber(redis.call('HGET', KEYS[1], hour .. ':until') or '0') <= tonumber(ARGV[3]) then return 0 end
redis.call('HDEL', KEYS[1], hour .. ':until')
redis.call('HSET', KEYS[1], hour .. ':settled', '1')
return 1
"""

# KEYS: hours, ledger, the hour's cells. ARGV: hour.
FORGET: Final = """
redis.call('HINCRBY', KEYS[2], 'size', -redis.call('HLEN', KEYS[3]))
redis.call('DEL', KEYS[3])
redis.call('HDEL', KEYS[1], ARGV[1], ARGV[1] .. ':until', ARGV[1] .. ':settled')
return 1
"""

SCRIPTS: Final = (PUT, TAKE, EXPIRE, ADD_CELLS, CLAIM, SETTLE, FORGET)
