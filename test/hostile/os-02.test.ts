/** OS-02: who owns a sandbox process reads what is ours, what is other plugins', and what is the machine's. */
import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { tempDir } from '../support/temp-dir.ts'
import { attack, findPlaces } from './os-attacker.ts'

const places = await findPlaces()

describe('OS-02 a sandbox process that reads files', { skip: typeof places === 'string' && places }, () => {
  for (const place of typeof places === 'string' ? [] : places)
    test(`${place.name} ${place.tier === 3 ? 'finds none' : place.tier === 2 ? 'may read none of ours' : 'says what it cannot hold back'}`, async (t) => {
      const dataDir = await tempDir(t)
      const store = join(dataDir, 'bundles')
      await mkdir(store, { mode: 0o700 })
      const [secret, bundle] = [join(dataDir, 'key'), join(store, 'another.js')]
      for (const path of [secret, bundle]) await writeFile(path, 'not yours', { mode: 0o600 })
      const { ended, list, write, ...told } = await attack(
        t,
        place,
        `
        open_read('secret', '${secret}'); open_read('bundle', '${bundle}'); open_read('parent', '/proc/${process.pid}/environ');
        open_read('init', '/proc/1/environ'); open_read('memory', '/proc/${process.pid}/mem'); open_read('shadow', '/etc/shadow');
        open_read('passwd', '/etc/passwd'); open_read('proc', '/proc/self/status'); open_read('dev', '/dev/zero');
        open_read('sys', '/sys/kernel/uevent_seqnum'); open_read('tmp', '/tmp');
        open_read('escape', '/../../../../etc/passwd'); open_read('stdin', '/dev/stdin');
        opendir(D, '/') && print 'list ', join(',', sort grep { !/^\\./ } readdir(D)), "\\n";
        told('write', open(my $w, '>', '/orchestry/program.cjs'));
      `,
      )
      assert.equal(ended, 'exit code 0', JSON.stringify(told))
      if (place.tier === 3) {
        for (const [what, result] of Object.entries(told)) assert.equal(result, 'ENOENT', what)
        // Not one more than the loader, the libraries and the two programs need.
        assert.ok(
          (list ?? '').split(',').every((name) => ['lib', 'lib64', 'usr', 'orchestry', 'bin'].includes(name)),
          list,
        )
        assert.ok((list ?? '').includes('orchestry'))
        assert.equal(write, 'EROFS')
      } else {
        if (place.tier === 2) assert.notEqual(told.shadow, 'done')
        assert.equal(told.secret, place.tier === 2 ? 'EACCES' : 'done')
        assert.equal(told.bundle, place.tier === 2 ? 'EACCES' : 'done')
        if (place.tier === 2)
          for (const what of ['parent', 'init', 'memory'] as const) assert.equal(told[what], 'EACCES', what)
        assert.match(place.lacks, /could read what its user may read/)
      }
    })
})
