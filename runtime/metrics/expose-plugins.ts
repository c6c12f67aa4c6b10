/** The series of plugins: what each instance has used and how it fares. */
import { Counter, Gauge, type Registry } from 'prom-client'
import type { PluginView } from '../plugins/plugins.ts'
import type { HookUsage } from '../sandbox/sandbox.ts'

/**
 * By hook, never by app: the number of hooks is fixed. Sandboxes count from their own start; where one was replaced the counter
 * begins again, which Prometheus understands.
 */
const counted: readonly { name: string; help: string; of(usage: HookUsage): number }[] = [
  { name: 'orchestry_plugin_calls_total', help: 'Hook calls', of: ({ calls }) => calls },
  { name: 'orchestry_plugin_errors_total', help: 'Hook calls that failed', of: ({ errors }) => errors },
  { name: 'orchestry_plugin_cpu_seconds_total', help: 'CPU time in hook calls', of: ({ cpuMs }) => cpuMs / 1000 },
  { name: 'orchestry_plugin_wall_seconds_total', help: 'Time in hook calls', of: ({ wallMs }) => wallMs / 1000 },
  { name: 'orchestry_plugin_host_calls_total', help: 'Uses of capabilities', of: ({ hostCalls }) => hostCalls },
  {
    name: 'orchestry_plugin_received_bytes_total',
    help: 'Bytes handed to it, with what its host calls brought',
    of: ({ bytesIn }) => bytesIn,
  },
  {
    name: 'orchestry_plugin_sent_bytes_total',
    help: 'Bytes it answered, with the arguments of its host calls',
    of: ({ bytesOut }) => bytesOut,
  },
  { name: 'orchestry_plugin_drops_total', help: 'Hook calls and host calls refused', of: ({ drops }) => drops },
]
const breakerStates = ['closed', 'open', 'halfOpen'] as const
const bytesPerMb = 1024 * 1024

export function describePlugins(registry: Registry): (plugins: readonly PluginView[]) => void {
  const registers = [registry]
  const perInstance = ['plugin', 'instance']
  const perHook = [...perInstance, 'hook']
  const gauge = (name: string, help: string, labelNames: string[]) => new Gauge({ name, help, labelNames, registers })
  const counters = counted.map(({ name, help, of }) => ({
    of,
    series: new Counter({ name, help, labelNames: perHook, registers }),
  }))
  const peak = gauge('orchestry_plugin_hook_peak_heap_bytes', 'Largest heap measured while the hook was used', perHook)
  const heap = gauge('orchestry_plugin_heap_bytes', 'Heap of the isolate', perInstance)
  const breaker = gauge('orchestry_plugin_breaker_state', 'Which state its breaker is in', [...perInstance, 'state'])
  const memory = gauge('orchestry_plugin_memory_bytes', 'Memory of the process that runs the plugin', ['plugin'])
  const serving = gauge('orchestry_plugin_serving', 'Whether every instance can be called', ['plugin', 'version'])
  const quarantined = gauge('orchestry_plugin_quarantined', 'Whether it died too often and is left alone', ['plugin'])
  const restarts = new Counter({
    name: 'orchestry_plugin_restarts_total',
    help: 'How often its process had to be started again',
    labelNames: ['plugin'],
    registers,
  })
  const all = [...counters.map(({ series }) => series), heap, peak, breaker, memory, serving, quarantined, restarts]

  function setInstance(plugin: string, instance: PluginView['instances'][number]): void {
    const { name, usage, usageByHook = [], breaker: state } = instance
    const labels = { plugin, instance: name }
    for (const one of breakerStates) breaker.set({ ...labels, state: one }, one === state ? 1 : 0)
    for (const used of usageByHook) {
      const { hook, peakHeapMb } = used
      for (const { series, of } of counters) series.inc({ ...labels, hook }, sound(of(used)))
      peak.set({ ...labels, hook }, sound(peakHeapMb * bytesPerMb))
    }
    if (usage !== undefined) heap.set(labels, sound(usage.heapMb * bytesPerMb))
  }

  return (plugins) => {
    for (const series of all) series.reset()
    for (const { id, version, state, restarts: count, memoryMb, instances } of plugins) {
      serving.set({ plugin: id, version }, state === 'serving' ? 1 : 0)
      quarantined.set({ plugin: id }, state === 'quarantined' ? 1 : 0)
      restarts.inc({ plugin: id }, count)
      memory.set({ plugin: id }, memoryMb * bytesPerMb)
      for (const instance of instances) setInstance(id, instance)
    }
  }
}

/** Some of these numbers come from the plugin's own process: a wrong one must not cost the others their scrape. */
function sound(value: number): number {
  return Number.isFinite(value) && value > 0 ? value : 0
}
