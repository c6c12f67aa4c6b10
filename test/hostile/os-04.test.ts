/** OS-04: who owns a sandbox process takes memory, descriptors and disk. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { waitFor } from '../support/wait-for.ts'
import { attack, begin, findPlaces, writeScript } from './os-attacker.ts'

const places = await findPlaces()

describe('OS-04 a sandbox process that takes all it can', { skip: typeof places === 'string' && places }, () => {
  for (const place of typeof places === 'string' ? [] : places) {
    test(`${place.name}: four gigabytes of memory end it, and nobody else`, async (t) => {
      const before = process.memoryUsage().rss
      const { ended, after, complaint } = await attack(
        t,
        place,
        `print "before done\\n"; my @kept; push @kept, 'x' x 2**26 for 1 .. 64; told('after', 1);`,
      )
      assert.equal(after, undefined)
      assert.match(`${ended} ${complaint}`, /exit code|Out of memory/)
      assert.notEqual(ended, 'exit code 0')
      assert.ok(process.memoryUsage().rss - before < 64 * 1024 * 1024)
    })

    test(`${place.name}: descriptors end at 64, and a limit once set is not lifted`, async (t) => {
      const script = `
        my @kept; my $count = 0;
        while ($count < 10000) { open(my $h, '<&', 3) or last; push @kept, $h; $count++ }
        told('descriptors', 0); print "count $count\\n";
      `
      const { ended, descriptors, count } = await attack(t, place, script)
      assert.equal(ended, 'exit code 0')
      assert.equal(descriptors, 'EMFILE')
      assert.ok(Number(count) < 64, count)
    })

    test(`${place.name}: no byte is written to a disk`, async (t) => {
      const target = join(tmpdir(), `orchestry-test-fill-${process.pid}-${place.tier}`)
      t.after(async () => (await import('node:fs/promises')).rm(target, { force: true }))
      const script = `
        $SIG{XFSZ} = 'IGNORE';
        my $opened = open(my $h, '>', '${target}'); told('open', $opened);
        if ($opened) { told('write', defined(syswrite($h, 'x' x 4096))) }
      `
      const { ended, open, write } = await attack(t, place, script)
      assert.equal(ended, 'exit code 0')
      if (place.tier === 3) assert.equal(open, 'ENOENT')
      else assert.deepEqual([open, write], ['done', 'EFBIG'])
      if (existsSync(target)) assert.equal(readFileSync(target).length, 0)
    })

    test(`${place.name}: it leaves no core`, async (t) => {
      const { told, child } = begin(t, place.launch(await writeScript(t, `print "there done\\n"; sleep 60;`)))
      await waitFor(() => told.has('there'), { what: 'the attack to run' })
      await child.locate()
      const limits = readFileSync(`/proc/${child.pid}/limits`, 'latin1')
      for (const [name, value] of Object.entries({ 'core file size': 0, 'file size': 0, 'open files': 64 }))
        assert.match(limits, new RegExp(`Max ${name} +${value} +${value} `))
      assert.match(limits, /Max data size +1275068416 +1275068416 /)
    })
  }
})
