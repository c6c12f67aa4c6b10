/** The plugins of the soak: sixteen that do their work, four that are told what harm to do. */
import { join } from 'node:path'
import { writePlugin } from '../support/plugin-folder.ts'

export const honestNames = Array.from({ length: 16 }, (_, index) => `honest-${index + 1}`)
export const hostileNames = Array.from({ length: 4 }, (_, index) => `hostile-${index + 1}`)

/** What each attack does when its scaler is asked. */
export const attacks: Readonly<Record<string, string>> = {
  none: `return hold('at peace')`,
  loop: `for (;;);`,
  native: `Array.prototype.includes.call({ length: 2 ** 53 - 1 }, 1)`,
  mapLeak: `const map = new Map(); for (let key = 0; ; key += 1) map.set(key, key)`,
  slowLeak: `for (let index = 0; index < 50_000; index += 1) leaked.push({ index }); return hold('leaking')`,
  strings: `const kept = []; for (;;) kept.push('x'.repeat(2 ** 26).split(''))`,
  hostileError: `throw new Proxy({}, { get() { for (;;); } })`,
  throws: `throw new Error('no idea')`,
  nonsense: `return { replicas: 'many', reason: 5 }`,
  largeAnswer: `return { hold: true, reason: 'x'.repeat(5_000_000) }`,
  callFlood: `await Promise.all(Array.from({ length: 1_900 }, () => ctx.kv.list())); return hold('flooded')`,
  logFlood: `for (let line = 0; line < 1_500; line += 1) ctx.log.warn('x'.repeat(2_000)); return hold('shouted')`,
  lateLoop: `await ctx.kv.get('x'); for (;;);`,
  abandoned: `new Promise(() => {}); ctx.kv.get('x'); return hold('left something behind')`,
}

const honest = `import { definePlugin } from '@orchestry/sdk'
let asked = 0
export default definePlugin({
  scaler: {
    metrics: ['rps', 'cpuPercent'],
    async decide({ app, metrics, ctx, hold }) {
      asked += 1
      if (asked % 10 === 0) await ctx.kv.put('asked', asked)
      if (asked % 50 === 0) ctx.log.info('asked again', { app: app.name, asked })
      const rps = metrics.rps?.mean
      return rps === undefined ? hold('no traffic yet') : { replicas: Math.max(1, Math.ceil(rps / 500)), reason: rps.toFixed(1) }
    },
  },
})
`

const hostile = `import { definePlugin, Type } from '@orchestry/sdk'
const leaked = []
const attacks = {
${Object.entries(attacks)
  .map(([name, body]) => `  async ${name}({ ctx, hold }) { ${body} },`)
  .join('\n')}
}
export default definePlugin({
  config: Type.Object({ attack: Type.String({ default: 'none' }) }),
  scaler: { metrics: [], decide: (input) => attacks[input.config.attack](input) },
})
`

const capabilities = [{ kind: 'kv' }, { kind: 'log' }]

/** Writes all twenty below `root`; returns their folders. */
export async function writePlugins(root: string): Promise<string[]> {
  const folders: string[] = []
  for (const name of honestNames)
    folders.push(await writePlugin(join(root, name), { name, manifest: { capabilities }, code: honest }))
  const limits = { timeoutMs: 400, hostCalls: 2_000 }
  for (const name of hostileNames)
    folders.push(await writePlugin(join(root, name), { name, manifest: { capabilities, limits }, code: hostile }))
  return folders
}
