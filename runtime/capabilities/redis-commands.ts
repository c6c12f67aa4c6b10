/**
 * The Redis commands that a plugin can be granted, with where their keys stand. Whatever is not here cannot be granted:
 * a command whose keys we cannot find is one whose keys we cannot check. None of them blocks, runs code, changes the server or
 * makes it answer more than it holds (`SETRANGE`, `SRANDMEMBER` with a negative count).
 */

/** Where keys stand among the arguments. `pattern`: none, but a MATCH that is held to the granted prefixes. */
type Keys = 'none' | 'first' | 'second' | 'firstTwo' | 'all' | 'odd' | 'pattern'

export interface CommandShape {
  readonly keys: Keys
  /** Arguments behind the name, at least and at most. */
  readonly least: number
  readonly most: number
  /** What the first argument may be, where it is a word of the command. */
  readonly words?: RegExp
}

const many = 1_023
const key = (least: number, most = least): CommandShape => ({ keys: 'first', least, most })
const keys: CommandShape = { keys: 'all', least: 1, most: many }
const pairs: CommandShape = { keys: 'odd', least: 2, most: many }

const shapes: Readonly<Record<string, CommandShape>> = {
  // Texts and numbers
  GET: key(1),
  SET: key(2, 8),
  SETNX: key(2),
  SETEX: key(3),
  PSETEX: key(3),
  GETSET: key(2),
  GETDEL: key(1),
  GETEX: key(1, 3),
  GETRANGE: key(3),
  STRLEN: key(1),
  APPEND: key(2),
  INCR: key(1),
  DECR: key(1),
  INCRBY: key(2),
  DECRBY: key(2),
  INCRBYFLOAT: key(2),
  MGET: keys,
  MSET: pairs,
  MSETNX: pairs,
  // Any kind of value
  EXISTS: keys,
  DEL: keys,
  UNLINK: keys,
  TOUCH: keys,
  TYPE: key(1),
  TTL: key(1),
  PTTL: key(1),
  EXPIRE: key(2, 3),
  PEXPIRE: key(2, 3),
  EXPIREAT: key(2, 3),
  PEXPIREAT: key(2, 3),
  PERSIST: key(1),
  // Lists
  LLEN: key(1),
  LRANGE: key(3),
  LINDEX: key(2),
  LPOS: key(2, 8),
  LPUSH: key(2, many),
  RPUSH: key(2, many),
  LPUSHX: key(2, many),
  RPUSHX: key(2, many),
  LPOP: key(1, 2),
  RPOP: key(1, 2),
  LSET: key(3),
  LREM: key(3),
  LTRIM: key(3),
  LINSERT: key(4),
  LMOVE: { keys: 'firstTwo', least: 4, most: 4 },
  RPOPLPUSH: { keys: 'firstTwo', least: 2, most: 2 },
  // Hashes
  HGET: key(2),
  HSET: key(3, many),
  HSETNX: key(3),
  HMGET: key(2, many),
  HGETALL: key(1),
  HDEL: key(2, many),
  HEXISTS: key(2),
  HLEN: key(1),
  HKEYS: key(1),
  HVALS: key(1),
  HSTRLEN: key(2),
  HINCRBY: key(3),
  HINCRBYFLOAT: key(3),
  HSCAN: key(2, 6),
  // Sets
  SADD: key(2, many),
  SREM: key(2, many),
  SMEMBERS: key(1),
  SISMEMBER: key(2),
  SMISMEMBER: key(2, many),
  SCARD: key(1),
  SSCAN: key(2, 6),
  SMOVE: { keys: 'firstTwo', least: 3, most: 3 },
  SINTER: keys,
  SUNION: keys,
  SDIFF: keys,
  // Sorted sets
  ZADD: key(3, many),
  ZREM: key(2, many),
  ZSCORE: key(2),
  ZMSCORE: key(2, many),
  ZCARD: key(1),
  ZCOUNT: key(3),
  ZRANGE: key(3, 9),
  ZREVRANGE: key(3, 4),
  ZRANGEBYSCORE: key(3, 7),
  ZREVRANGEBYSCORE: key(3, 7),
  ZRANK: key(2, 3),
  ZREVRANK: key(2, 3),
  ZINCRBY: key(3),
  ZPOPMIN: key(1, 2),
  ZPOPMAX: key(1, 2),
  ZREMRANGEBYSCORE: key(3),
  ZREMRANGEBYRANK: key(3),
  ZSCAN: key(2, 6),
  // Streams
  XLEN: key(1),
  XADD: key(4, many),
  XRANGE: key(3, 5),
  XREVRANGE: key(3, 5),
  XDEL: key(2, many),
  XTRIM: key(3, 6),
  XACK: key(3, many),
  XPENDING: key(2, 8),
  XINFO: { keys: 'second', least: 2, most: 3, words: /^(stream|groups|consumers)$/i },
  // Counting of distinct values
  PFADD: key(1, many),
  PFCOUNT: keys,
  // The server
  PING: { keys: 'none', least: 0, most: 0 },
  TIME: { keys: 'none', least: 0, most: 0 },
  DBSIZE: { keys: 'none', least: 0, most: 0 },
  INFO: { keys: 'none', least: 0, most: 1, words: /^[a-z]{1,20}$/i },
  SCAN: { keys: 'pattern', least: 1, most: 7, words: /^\d{1,20}$/ },
}
const byName: ReadonlyMap<string, CommandShape> = new Map(Object.entries(shapes))

/** By its name in capitals; undefined for what nobody is granted. */
export const shapeOf = (name: string): CommandShape | undefined => byName.get(name)

/** The arguments that are keys. */
export function keysAmong({ keys }: CommandShape, args: readonly string[]): readonly string[] {
  if (keys === 'first') return args.slice(0, 1)
  if (keys === 'second') return args.slice(1, 2)
  if (keys === 'firstTwo') return args.slice(0, 2)
  if (keys === 'all') return args
  if (keys === 'odd') return args.filter((_, index) => index % 2 === 0)
  return []
}
