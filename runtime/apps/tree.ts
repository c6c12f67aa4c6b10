/** A document in which every value knows where the user wrote it, also after it was moved. Pure. */

/** `path` is a JSON pointer into what the user wrote; line and column count from 1 and are absent for values without a text. */
export interface Place {
  readonly path: string
  readonly line?: number
  readonly column?: number
}
/** `text` is the scalar as written: the version `1.10` is not the number 1.1. */
export type Leaf = {
  readonly kind: 'leaf'
  readonly at: Place
  value: string | number | boolean | null
  readonly text: string
}
export type List = { readonly kind: 'list'; readonly at: Place; readonly items: Tree[] }
export type Field = { readonly keyAt: Place; node: Tree }
export type Mapping = { readonly kind: 'mapping'; readonly at: Place; readonly fields: Map<string, Field> }
export type Tree = Leaf | List | Mapping

export const splitPointer = (pointer: string): string[] =>
  pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))

export function plainOf(tree: Tree): unknown {
  if (tree.kind === 'leaf') return tree.value
  if (tree.kind === 'list') return tree.items.map(plainOf)
  return Object.fromEntries([...tree.fields].map(([key, { node }]) => [key, plainOf(node)]))
}

/** The value at a pointer, with the place of its key (for values in lists: of the value). */
export function findIn(tree: Tree, pointer: string): { node: Tree; keyAt: Place } | undefined {
  let node = tree
  let keyAt = tree.at
  for (const part of splitPointer(pointer)) {
    const next: Field | undefined =
      node.kind === 'mapping'
        ? node.fields.get(part)
        : node.kind === 'list' && node.items[Number(part)]
          ? { node: node.items[Number(part)] as Tree, keyAt: (node.items[Number(part)] as Tree).at }
          : undefined
    if (!next) return undefined
    node = next.node
    keyAt = next.keyAt
  }
  return { node, keyAt }
}

/** The nearest that was written at or above a pointer, and how much of the pointer that is. */
export function nearestIn(tree: Tree, pointer: string): { node: Tree; keyAt: Place; length: number } {
  for (let path = pointer; path !== ''; path = path.slice(0, path.lastIndexOf('/'))) {
    const found = findIn(tree, path)
    if (found) return { ...found, length: path.length }
  }
  return { node: tree, keyAt: tree.at, length: 0 }
}
