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
import { Plugin, PluginCapabilities, PluginList, PluginUsage } from './shapes.ts'

const tag = 'plugins'
const strict = { additionalProperties: false }
const unknown = ['ORC_PLUGIN_UNKNOWN'] as const
const instance = Type.Optional(Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,62}$' }))

const list = operation({ tag, summary: 'All installed plugins', answers: { 200: PluginList } })
const install = operation({
  tag,
  summary: 'Install a plugin from a directory on this machine; the same id again is an upgrade',
  body: Type.Object(
    {
      source: Type.Object({ path: Type.String({ minLength: 1, maxLength: 4096 }) }, strict),
      config: Type.Optional(Type.Unknown()),
      instance,
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
  body: Type.Object({ config: Type.Unknown(), instance }, strict),
  answers: { 200: Plugin },
  errors: [...unknown, 'ORC_PLUGIN_CONFIG_INVALID', 'ORC_API_VALIDATION'],
})
const actions = {
  enable: operation({ tag, summary: 'Let a plugin serve', answers: { 200: Plugin }, errors: unknown }),
  disable: operation({ tag, summary: 'Take a plugin out of service', answers: { 200: Plugin }, errors: unknown }),
  reset: operation({
    tag,
    summary: 'End a quarantine and close open breakers',
    answers: { 200: Plugin },
    errors: [...unknown, 'ORC_PLUGIN_QUARANTINED'],
  }),
}
const usage = operation({ tag, summary: 'What a plugin has used', answers: { 200: PluginUsage }, errors: unknown })
const capabilities = operation({
  tag,
  summary: 'What a plugin may do, and why it says it must',
  answers: { 200: PluginCapabilities },
  errors: unknown,
})

export function mountPlugins(api: Api, { plugins }: ApiDeps): void {
  const shown = (c: Context<ApiEnv>): PluginView => plugins.show(c.req.param('id') ?? '')

  api.get(
    '/api/v1/plugins',
    list.handle(() => json({ plugins: plugins.list() })),
  )
  api.post(
    '/api/v1/plugins',
    install.handle(async (c) => {
      const { source, config, instance: name } = await install.body(c)
      await requireDirectory(source.path)
      const before = new Set(plugins.list().map(({ id }) => id))
      const installed = await plugins.install({
        path: source.path,
        kind: 'directory',
        ...(config !== undefined && { config }),
        ...(name !== undefined && { instance: name }),
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
      const { config, instance: name } = await configure.body(c)
      return json(await plugins.configure(id, config, name))
    }),
  )
  for (const action of ['enable', 'disable', 'reset'] as const)
    api.post(
      `/api/v1/plugins/:id/${action}`,
      actions[action].handle(async (c) => {
        await actions[action].body(c)
        return json(await plugins[action](shown(c).id))
      }),
    )
  api.get(
    '/api/v1/plugins/:id/usage',
    usage.handle((c) => {
      const { id, state, memoryMb, restarts, pid, instances } = shown(c)
      const used = instances.map(({ name, breaker, usage: sum }) => ({ name, breaker, usage: sum }))
      return json({ id, state, memoryMb, restarts, pid, instances: used })
    }),
  )
  api.get(
    '/api/v1/plugins/:id/capabilities',
    capabilities.handle((c) => {
      const { id, capabilities: records, limits } = shown(c)
      return json({ id, capabilities: records, limits })
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
