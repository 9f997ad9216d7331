import { parseSync, Visitor } from 'oxc-parser'
import type {
  ArrowFunctionExpression,
  ExportAllDeclaration,
  ExportNamedDeclaration,
  Function as FunctionNode,
  ImportDeclaration,
  Program,
  PropertyKey,
  Statement,
} from 'oxc-parser'

export interface Import {
  /** As written; undefined where it is not a plain string. */
  readonly specifier: string | undefined
  readonly line: number
  /** The names of the values taken from it: none where nothing is left at run time, `*` where it may be anything. */
  readonly values: readonly string[]
}
export interface Measured {
  readonly name: string
  readonly line: number
  readonly lines: number
}
export interface Source {
  readonly imports: readonly Import[]
  /** Every name in the code (not in strings or comments) with the line where it first stands. */
  readonly names: ReadonlyMap<string, number>
  readonly functions: readonly Measured[]
  /** Lines of statements that exist at run time. */
  readonly codeLines: readonly number[]
}

type LineAt = (offset: number) => number
const isType = (node: { importKind?: string; exportKind?: string }): boolean =>
  node.importKind === 'type' || node.exportKind === 'type'

const leavesNothing = (statement: Statement): boolean =>
  ['TSInterfaceDeclaration', 'TSTypeAliasDeclaration'].includes(statement.type) ||
  ('declare' in statement && statement.declare) ||
  (statement.type === 'ExportNamedDeclaration' && isType(statement)) ||
  (statement.type === 'ExportAllDeclaration' && isType(statement)) ||
  (statement.type === 'ImportDeclaration' && isType(statement))

const codeLinesOf = (program: Program, lineAt: LineAt): number[] => {
  const lines = new Set<number>()
  for (const statement of program.body.filter(each => !leavesNothing(each))) {
    for (let line = lineAt(statement.start); line <= lineAt(statement.end); line++) lines.add(line)
  }
  return [...lines]
}

/** The names of what is no type. */
const valuesOf = ({ importKind, specifiers }: ImportDeclaration): string[] => {
  if (importKind === 'type') return []
  const values = specifiers.filter(each => !('importKind' in each && isType(each)))
  // `import './x.ts'` runs all of it, `import x` and `import * as x` may use any of it.
  if (values.length === 0) return ['*']
  return values.map(each => ('imported' in each && 'name' in each.imported ? each.imported.name : '*'))
}

const importsIn = (program: Program, lineAt: LineAt): Import[] => {
  const imports: Import[] = []
  const add = (source: { value: unknown; start: number }, values: readonly string[]): void => {
    const specifier = typeof source.value === 'string' ? source.value : undefined
    imports.push({ specifier, values, line: lineAt(source.start) })
  }
  const exported = (node: ExportNamedDeclaration | ExportAllDeclaration): void => {
    if (node.source) add(node.source, isType(node) ? [] : ['*'])
  }
  new Visitor({
    ImportDeclaration: node => add(node.source, valuesOf(node)),
    ExportNamedDeclaration: exported,
    ExportAllDeclaration: exported,
    ImportExpression: ({ source }) => add({ start: source.start, value: 'value' in source && source.value }, ['*']),
    TSImportType: ({ source }) => add(source, []),
  }).visit(program)
  return imports
}

const namesIn = (program: Program, lineAt: LineAt): Map<string, number> => {
  const names = new Map<string, number>()
  const add = (node: { name: string; start: number }): void => {
    if (!names.has(node.name)) names.set(node.name, lineAt(node.start))
  }
  new Visitor({ Identifier: add, PrivateIdentifier: add }).visit(program)
  return names
}

const functionsIn = (program: Program, lineAt: LineAt): Measured[] => {
  const functions: Measured[] = []
  /** What a function that begins at an offset is called by what holds it. */
  const held = new Map<number, string>()
  const hold = ({ key, value }: { key: PropertyKey; value: { start: number } | null }): void => {
    if (value && (key.type === 'Identifier' || key.type === 'PrivateIdentifier')) held.set(value.start, key.name)
  }
  const measure = (node: FunctionNode | ArrowFunctionExpression): void => {
    const line = lineAt(node.start)
    const name = node.id?.name ?? held.get(node.start) ?? 'a function'
    functions.push({ name, line, lines: lineAt(node.end) - line + 1 })
  }
  new Visitor({
    VariableDeclarator: ({ id, init }) => {
      if (id.type === 'Identifier' && init) held.set(init.start, id.name)
    },
    MethodDefinition: hold,
    PropertyDefinition: hold,
    Property: hold,
    FunctionDeclaration: measure,
    FunctionExpression: measure,
    ArrowFunctionExpression: measure,
  }).visit(program)
  return functions
}

/** What the checks want to know of a TypeScript file. Throws where it is not one. */
export const parse = (file: string, text: string): Source => {
  const { program, errors } = parseSync(file, text)
  if (errors[0]) throw new Error(`${file}: ${errors[0].message}`)
  const starts = [0, ...[...text.matchAll(/\n/g)].map(({ index }) => index + 1)]
  const lineAt = (offset: number): number => {
    const after = starts.findIndex(start => start > offset)
    return after < 0 ? starts.length : after
  }
  return {
    imports: importsIn(program, lineAt),
    names: namesIn(program, lineAt),
    functions: functionsIn(program, lineAt),
    codeLines: codeLinesOf(program, lineAt),
  }
}
