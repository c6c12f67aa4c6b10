export * as Type from 'typebox'
export * from './capabilities.ts'
export * from './hooks.ts'
export * from './manifest.ts'
export * from './model.ts'
export { definePlugin, type Hold, type HookDefinition, type PluginDefinition, type Tools } from './plugin.ts'
/** The version of the plugin API that `engine` in a manifest is compared with. */
export const apiVersion = '1.0.0'
