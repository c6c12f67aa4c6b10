/** OS-01: who owns a sandbox process reaches for the network. */
import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { describe, test } from 'node:test'
import { attack, findPlaces } from './os-attacker.ts'

const places = await findPlaces()

describe('OS-01 a sandbox process that reaches for the network', { skip: typeof places === 'string' && places }, () => {
  for (const place of typeof places === 'string' ? [] : places)
    test(`${place.name} ${place.tier === 3 ? 'has none' : 'says that it holds nothing of it back'}`, async (t) => {
      let connections = 0
      const server = createServer((socket) => {
        connections += 1
        socket.destroy()
      })
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      t.after(() => void server.close())
      const { port } = server.address() as { port: number }
      const script = `
        my $there = pack('S n a4 x8', 2, ${port}, "\\x7f\\0\\0\\1"); my $any = pack('S n a4 x8', 2, 0, "\\0\\0\\0\\0");
        told('tcp', socket(T, 2, 1, 0) && connect(T, $there));
        told('udp', socket(U, 2, 2, 0) && send(U, 'x', 0, $there));
        told('bind', socket(B, 2, 1, 0) && bind(B, $any) && listen(B, 1));
        told('ipv6', socket(V, 10, 1, 0));
        told('netlink', socket(N, 16, 3, 0));
        told('raw', socket(R, 2, 3, 1));
        told('unix', socket(X, 1, 1, 0));
        told('pair', socketpair(P, Q, 1, 1, 0));
        told('channel', open(C, '+<&=', 3) && connect(C, $there));
      `
      const { ended, channel, ...told } = await attack(t, place, script)
      assert.equal(ended, 'exit code 0', JSON.stringify(told))
      assert.notEqual(channel, 'done')
      assert.equal(told.raw, 'EPERM')
      if (place.tier === 3) {
        for (const [what, result] of Object.entries(told)) assert.equal(result, 'EPERM', what)
        assert.equal(connections, 0)
      } else {
        assert.deepEqual([told.tcp, told.udp, told.bind], ['done', 'done', 'done'])
        assert.match(place.lacks, /could reach the network/)
      }
    })
})
