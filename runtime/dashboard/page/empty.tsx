/** What somebody sees who has just started Orchestry: the next command, complete. */
import { useState } from 'preact/hooks'

/** Where the command line looks when nothing is said. */
const defaultPort = '8000'
const elsewhere = location.port === defaultPort ? '' : ` --url ${location.origin}`

const apply = `npx orchestry apply${elsewhere} -f - <<'YAML'
apiVersion: v1
kind: App
metadata: { name: hello }
spec:
  command: [node, -e, "require('http').createServer((q, s) => s.end('hello')).listen(process.env.PORT)"]
scaling:
  minReplicas: 1
  maxReplicas: 5
  targets: { rpsPerReplica: 20 }
YAML`

export function Empty() {
  return (
    <div class="card empty">
      <h3>No app runs yet</h3>
      <p>Paste this into a terminal in the folder of Orchestry, and the app appears here:</p>
      <Command text={apply} />
      <p>Or watch a minute of everything, from one replica to many and back:</p>
      <Command text="npm run demo" />
      <p class="faint">
        The API is described at <a href="/openapi.json">/openapi.json</a>.
      </p>
    </div>
  )
}

function Command({ text }: { text: string }) {
  const [isCopied, setCopied] = useState(false)
  const copy = () =>
    navigator.clipboard.writeText(text).then(
      () => setCopied(true),
      () => setCopied(false),
    )
  return (
    <div class="command">
      <pre>{text}</pre>
      {/* Browsers lend the clipboard only to pages they trust: loopback is, another address without TLS is not. */}
      {window.isSecureContext && (
        <button type="button" onClick={copy}>
          {isCopied ? 'copied' : 'copy'}
        </button>
      )}
    </div>
  )
}
