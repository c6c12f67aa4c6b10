/** The tiny real app that tests run as replicas. */
import { fileURLToPath } from 'node:url'

/** Path of the replica server; what it can be told is written at its top. */
export const replicaServer = fileURLToPath(new URL('replica-server.js', import.meta.url))

/** argv of one replica: this very Node, no shell. */
export const replicaCommand: readonly string[] = [process.execPath, replicaServer]
