/** OS-03: who owns a sandbox process turns on other processes and on the kernel. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { refusedSyscalls } from '../../runtime/sandbox/syscalls.ts'
import { isAlive } from '../support/processes.ts'
import { waitFor } from '../support/wait-for.ts'
import { attack, begin, findPlaces, type Place, writeScript } from './os-attacker.ts'

const places = await findPlaces()
const all = typeof places === 'string' ? [] : places
const strict = all.filter(({ tier }) => tier === 3)
const numbers =
  process.arch === 'x64' || process.arch === 'arm64' ? refusedSyscalls(process.arch) : new Map<string, number>()

function bystander(t: { after(run: () => void): void }): number {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' })
  t.after(() => void child.kill('SIGKILL'))
  return child.pid as number
}

describe('OS-03 a sandbox process that turns on others', { skip: typeof places === 'string' && places }, () => {
  const ends: Record<Place['tier'], string> = { 3: 'ESRCH', 2: 'EPERM', 1: 'done', 0: 'done' }
  for (const place of all)
    test(`${place.name}: killing another process is ${ends[place.tier]}`, async (t) => {
      const victim = bystander(t)
      const { ended, killed } = await attack(t, place, `told('killed', kill('KILL', ${victim}));`)
      assert.equal(ended, 'exit code 0')
      assert.equal(killed, ends[place.tier])
      if (place.tier >= 2) assert.ok(isAlive(victim))
      else assert.match(place.lacks, /it runs as the user of Orchestry/)
    })

  for (const place of strict) {
    test(`${place.name}: the kernel refuses every call that is refused by name`, async (t) => {
      assert.ok(numbers.size > 100)
      const tries = [...numbers].map(([name, number]) => `told('${name}', syscall(${number}, 0, 0, 0, 0, 0, 0) >= 0);`)
      const { ended, ...told } = await attack(t, place, tries.join('\n'))
      assert.equal(ended, 'exit code 0')
      assert.deepEqual(told, Object.fromEntries([...numbers.keys()].map((name) => [name, 'EPERM'])))
    })

    test(`${place.name}: no processes, no groups of its own, no other user, no lifted limit`, async (t) => {
      const clone3 = 435
      const script = `
        told('fork', defined(fork()));
        told('clone3', syscall(${clone3}, 0, 0) >= 0);
        told('later', syscall(470, 0) >= 0);
        told('session', syscall(${numbers.get('setsid')}) >= 0);
        $< = 0; told('root', $< == 0);
        told('everybody', kill('KILL', 1) && 0);
        my $ok = eval { exec('/bin/sh', '-c', 'true') }; told('exec', $ok);
      `
      const { ended, root, everybody, ...told } = await attack(t, place, script)
      assert.equal(ended, 'exit code 0')
      assert.notEqual(root, 'done')
      assert.ok(everybody !== undefined)
      assert.deepEqual(told, { fork: 'EPERM', clone3: 'ENOSYS', later: 'ENOSYS', session: 'EPERM', exec: 'ENOENT' })
    })

    test(`${place.name}: who speaks the x32 dialect is killed`, async (t) => {
      if (process.arch !== 'x64') return t.skip('only x86-64 has it')
      const { ended, after } = await attack(t, place, `syscall(0x40000000 + 39); told('after', 1);`)
      assert.deepEqual([ended, after], ['signal SIGSYS', undefined])
    })
  }

  const bounded = all.filter(({ tier }) => tier >= 2)
  for (const place of bounded)
    test(`${place.name}: threads and processes are bounded`, async (t) => {
      const script = `
        my $count = 0; my $errno = 0;
        while ($count < 1000) { my $pid = fork(); if (!defined $pid) { $errno = $! + 0; last } if ($pid == 0) { sleep 60; exit } $count++ }
        print "errno $errno\\ncount $count\\n"; sleep 60;
      `
      const { told, child, ended } = begin(t, place.launch(await writeScript(t, script)))
      await waitFor(() => told.has('count'), { what: 'the bomb to have gone off' })
      await child.locate()
      const limit = () => Number(/Max processes\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/limits`, 'latin1'))?.[1])
      await waitFor(() => limit() < 500, { what: 'a bound on its processes' })
      assert.equal(told.get('errno'), place.tier === 3 ? 'EPERM' : 'EAGAIN')
      assert.ok(Number(told.get('count')) < limit(), `${told.get('count')} processes`)
      child.kill()
      assert.match(await ended, /SIGKILL/)
      await child.gone
    })
})
