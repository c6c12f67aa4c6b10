/** `/api/v1/plugins`: what is installed, what it may do and how it fares. Ids hold a slash: `%2F` it, or leave the scope out. */
import { stat } from 'node:fs/promises'
import { isAbsolute } from 'node:path'
import type { Context } from 'hono'
import * as Type from 'typebox'
import { OrchestryError } from '../errors.ts'
import type { PluginView } from '../plugins/plugins.ts'
import type { Api, ApiDeps, ApiEnv } from './deps.ts'
import { operation } from './operation.ts'
import { json, nothing } from './reply.ts'
import { Plugin, PluginCapabilities, PluginList, PluginLogLines, PluginTightened, PluginUsage } from './shapes.ts'

const tag = 'plugins'
const strict = { additionalProperties: false }
const unknown = ['ORC_PLUGIN_UNKNOWN'] as const
const instance = Type.Optional(Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,62}$' }))

const list = operation({ tag, summary: 'All installed plugins', answers: { 200: PluginList } })
const install = operation({
  tag,
  summary: 'Install a plugin from a directory on this machine; the same id again is an upgrade',
  description:
    'A first installation that asks for network, files, programs, secrets, scaling or a JIT needs `grants: "asked"`. An ' +
    'upgrade that asks for more than was granted is kept until it is approved, while the old version serves.',
  body: Type.Object(
    {
      source: Type.Object({ path: Type.String({ minLength: 1, maxLength: 4096 }) }, strict),
      config: Type.Optional(Type.Unknown()),
      instance,
      /** Agrees to everything that the manifest asks for. */
      grants: Type.Optional(Type.Literal('asked')),
    },
    strict,
  ),
  answers: { 201: Plugin, 200: Plugin },
  errors: [
    'ORC_API_VALIDATION',
    'ORC_PLUGIN_PACKAGE_INVALID',
    'ORC_PLUGIN_MANIFEST_INVALID',
    'ORC_PLUGIN_BUNDLE_FAILED',
    'ORC_PLUGIN_CONFIG_INVALID',
    'ORC_PLUGIN_ENGINE_MISMATCH',
    'ORC_PLUGIN_ACTIVATE_FAILED',
    'ORC_PLUGIN_CONSENT_NEEDED',
    'ORC_PLUGIN_EXISTS',
  ],
})
const show = operation({ tag, summary: 'One plugin', answers: { 200: Plugin }, errors: unknown })
const remove = operation({
  tag,
  summary: 'Dispose of a plugin and forget it',
  answers: { 204: { media: '', about: 'Gone' } },
  errors: unknown,
})
const configure = operation({
  tag,
  summary: 'Give an instance of the plugin a new config; the old one serves until the new one does',
  description:
    'Without `config` the instance keeps the one it has. With `isDefault` it answers for apps that name none of its kind; of load ' +
    'balancers only one can, so the others do no more.',
  body: Type.Object(
    { config: Type.Optional(Type.Unknown()), instance, isDefault: Type.Optional(Type.Boolean()) },
    { ...strict, minProperties: 1 },
  ),
  answers: { 200: Plugin },
  errors: [...unknown, 'ORC_PLUGIN_CONFIG_INVALID', 'ORC_API_VALIDATION'],
})
const actions = {
  enable: operation({ tag, summary: 'Let a plugin serve', answers: { 200: Plugin }, errors: unknown }),
  disable: operation({ tag, summary: 'Take a plugin out of service', answers: { 200: Plugin }, errors: unknown }),
  approve: operation({
    tag,
    summary: 'Agree to what the waiting version asks for, and bring it up',
    answers: { 200: Plugin },
    errors: [...unknown, 'ORC_PLUGIN_NOTHING_PENDING', 'ORC_PLUGIN_CONFIG_INVALID', 'ORC_PLUGIN_ACTIVATE_FAILED'],
  }),
  reset: operation({
    tag,
    summary: 'End a quarantine and close open breakers',
    answers: { 200: Plugin },
    errors: [...unknown, 'ORC_PLUGIN_QUARANTINED'],
  }),
}
const usage = operation({
  tag,
  summary: 'What each instance of a plugin has used: in all, by hook, and by hook and app',
  answers: { 200: PluginUsage },
  errors: unknown,
})
const capabilities = operation({
  tag,
  summary: 'What a plugin may do, why it says it must, and what each instance used it for',
  answers: { 200: PluginCapabilities },
  errors: unknown,
})
const tighten = operation({
  tag,
  summary:
    'The least that would have been enough for what was used; with `apply` that is all there is from now on, `undo` gives it back',
  body: Type.Object({ apply: Type.Optional(Type.Boolean()), undo: Type.Optional(Type.Boolean()), instance }, strict),
  answers: { 200: PluginTightened },
  errors: [...unknown, 'ORC_API_VALIDATION'],
})
const logs = operation({
  tag,
  summary: 'The newest lines that a plugin logged, oldest first',
  query: Type.Object({ lines: Type.Integer({ minimum: 1, maximum: 500, default: 100 }) }, strict),
  answers: { 200: PluginLogLines },
  errors: [...unknown, 'ORC_API_VALIDATION'],
})

export function mountPlugins(api: Api, { plugins, pluginLogs }: ApiDeps): void {
  const shown = (c: Context<ApiEnv>): PluginView => plugins.show(c.req.param('id') ?? '')

  api.get(
    '/api/v1/plugins',
    list.handle(() => json({ plugins: plugins.list() })),
  )
  api.post(
    '/api/v1/plugins',
    install.handle(async (c) => {
      const { source, config, instance: name, grants } = await install.body(c)
      await requireDirectory(source.path)
      const before = new Set(plugins.list().map(({ id }) => id))
      const installed = await plugins.install({
        path: source.path,
        kind: 'directory',
        ...(config !== undefined && { config }),
        ...(name !== undefined && { instance: name }),
        isAgreed: grants === 'asked',
      })
      return json(installed, before.has(installed.id) ? 200 : 201, {
        Location: `/api/v1/plugins/${encodeURIComponent(installed.id)}`,
      })
    }),
  )
  api.get(
    '/api/v1/plugins/:id',
    show.handle((c) => json(shown(c))),
  )
  api.delete(
    '/api/v1/plugins/:id',
    remove.handle(async (c) => {
      await remove.body(c)
      await plugins.remove(shown(c).id)
      return nothing()
    }),
  )
  api.put(
    '/api/v1/plugins/:id/config',
    configure.handle(async (c) => {
      const { id } = shown(c)
      const { config, instance: name, isDefault } = await configure.body(c)
      const options = { ...(name !== undefined && { instance: name }), ...(isDefault !== undefined && { isDefault }) }
      return json(await plugins.configure(id, config, options))
    }),
  )
  for (const action of ['enable', 'disable', 'approve', 'reset'] as const)
    api.post(
      `/api/v1/plugins/:id/${action}`,
      actions[action].handle(async (c) => {
        await actions[action].body(c)
        return json(await plugins[action](shown(c).id))
      }),
    )
  api.get(
    '/api/v1/plugins/:id/usage',
    usage.handle((c) => json(plugins.usageOf(shown(c).id))),
  )
  api.get(
    '/api/v1/plugins/:id/capabilities',
    capabilities.handle((c) => {
      const { id, capabilities: records, limits } = shown(c)
      return json({ id, capabilities: records, limits, instances: plugins.usesOf(id) })
    }),
  )
  api.post(
    '/api/v1/plugins/:id/tighten',
    tighten.handle(async (c) => {
      const { id } = shown(c)
      const { apply = false, undo = false, instance: name } = await tighten.body(c)
      const wanted = { isToApply: apply, isToUndo: undo, ...(name !== undefined && { instance: name }) }
      return json(await plugins.tighten(id, wanted))
    }),
  )
  api.get(
    '/api/v1/plugins/:id/logs',
    logs.handle((c) => {
      const { id } = shown(c)
      return json({ id, lines: pluginLogs(id, logs.query(c).lines) })
    }),
  )
}

/** A path means something only on this machine, which is where a loopback client is. */
async function requireDirectory(path: string): Promise<void> {
  const refuse = (what: string): never => {
    throw new OrchestryError(
      'ORC_API_VALIDATION',
      `source.path is ${JSON.stringify(path)}, which ${what}. It must be the absolute path of a plugin's directory on this machine. Nothing was installed.`,
      { problems: [{ path: '/source/path', message: what }] },
    )
  }
  if (!isAbsolute(path) || path.includes('\0')) refuse('is not an absolute path')
  const found = await stat(path).catch((thrown: NodeJS.ErrnoException) => refuse(`cannot be read (${thrown.code})`))
  if (!found.isDirectory()) refuse('is not a directory')
}
