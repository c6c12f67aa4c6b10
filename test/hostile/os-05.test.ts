/** OS-05: who owns a sandbox process tries to outlive it. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, test } from 'node:test'
import { isAlive } from '../support/processes.ts'
import { waitFor } from '../support/wait-for.ts'
import { begin, findPlaces, writeScript } from './os-attacker.ts'

const places = await findPlaces()
/** Ignores what can be ignored; its grandchild leaves session and group, keeps the channel, and stays until we say a word. */
const script = `
  $SIG{$_} = 'IGNORE' for qw(TERM HUP INT PIPE USR1 USR2);
  my $pid = fork();
  if (defined $pid && $pid == 0) {
    syscall(SETSID); exit if fork();
    open(my $channel, '+<&=', 3); syswrite($channel, 'x'); sysread($channel, $pid, 1); exit;
  }
  told('child', defined $pid); print "there done\\n"; sleep 1 while 1;
`.replace('SETSID', process.arch === 'arm64' ? '157' : '112')

describe('OS-05 a sandbox process that wants to stay', { skip: typeof places === 'string' && places }, () => {
  for (const place of typeof places === 'string' ? [] : places) {
    test(`${place.name}: SIGTERM and the like are nothing to it, and killing is`, async (t) => {
      const { told, child, ended } = begin(t, place.launch(await writeScript(t, script)))
      await waitFor(() => told.has('there'), { what: 'the attack to run' })
      assert.equal(told.get('child'), place.tier === 3 ? 'EPERM' : 'done')
      await child.locate()
      process.kill(child.pid, 'SIGTERM')
      await new Promise((resolve) => setTimeout(resolve, 50))
      assert.ok(isAlive(child.pid))
      const { pid } = child
      child.kill()
      assert.match(await ended, /SIGKILL/)
      await waitFor(() => !isAlive(pid), { what: 'the process itself to be gone' })
    })

    const isHeld = place.tier >= 2
    test(`${place.name}: ${isHeld ? 'no grandchild stays with the channel' : 'that a grandchild stays is said'}`, async (t) => {
      const { args, ...launch } = place.launch(await writeScript(t, script))
      // The namespace must hold by itself: here the list of system calls, which allows no grandchild, is taken away.
      const list = args.indexOf('--seccomp')
      const without = list === -1 ? args : args.toSpliced(list, 2)
      const { child, ended } = begin(t, { ...launch, args: without })
      child.channel.resume()
      const closed = once(child.channel, 'close').then(() => true)
      await once(child.channel, 'data')
      child.kill()
      await ended
      await child.gone
      const later = new Promise<boolean>((resolve) => setTimeout(() => resolve(false), isHeld ? 5_000 : 300))
      assert.equal(await Promise.race([closed, later]), isHeld)
      if (isHeld) return
      assert.match(place.lacks, /could start others/)
      child.channel.write('x')
      await closed
    })
  }
})
