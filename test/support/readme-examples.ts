/** The files that a page shows, so that tests can use them as a reader would. */
import { readFile } from 'node:fs/promises'

/** Every fenced block that follows `<!-- example: path -->`, by that path. */
export async function readmeExamples(page: string): Promise<Map<string, string>> {
  const text = await readFile(page, 'utf8')
  const blocks = text.matchAll(/^<!-- example: (?<path>\S+) -->\n```\w+\n(?<body>[\s\S]*?)^```$/gm)
  return new Map([...blocks].map(({ groups }) => [groups?.path ?? '', groups?.body ?? '']))
}
