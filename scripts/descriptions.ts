// Field and type descriptions for `kubectl explain` and OpenAPI, read at build time from the declaration files of the
// pinned npm package @kubernetes/client-node (Apache-2.0): the facts hold names and relations only.

import { readdirSync, readFileSync } from 'node:fs';

/** Type name in the facts -> description of the type (key '') and of its fields. */
export type Descriptions = Record<string, Record<string, string>>;

const MODELS = new URL('../node_modules/@kubernetes/client-node/dist/gen/models/', import.meta.url);

const clean = (comment: string) =>
  comment
    .replace(/^\/\*\*|\*\/$/g, '')
    .replace(/^\s*\* ?/gm, '')
    .replaceAll(/\\(['"])/g, '$1')
    .replaceAll(/\s+/g, ' ')
    .trim();

interface Model {
  readonly about: string;
  readonly fields: ReadonlyMap<string, string>;
}

function readModel(file: string): Model {
  const text = readFileSync(new URL(file, MODELS), 'utf8');
  const body = text.slice(text.indexOf('export declare class'));
  const before = text.slice(0, text.indexOf('export declare class'));
  const about = before.match(/\/\*\*(?:(?!\*\/)[\s\S])*\*\/\s*$/)?.[0].trim() ?? '';
  const fields = new Map<string, string>();
  for (const m of body.matchAll(/(\/\*\*(?:(?!\*\/)[\s\S])*\*\/)\s*'([^']+)'\??:/g)) fields.set(m[2]!, clean(m[1]!));
  return { about: clean(about), fields };
}

/** Models are named V1Pod, or CoreV1Event where two groups have the same name. */
function modelFiles(): ReadonlyMap<string, string> {
  const files = readdirSync(MODELS).filter((name) => name.endsWith('.d.ts'));
  return new Map(files.map((name) => [name.slice(0, -'.d.ts'.length), name]));
}

const capital = (word: string) => word[0]!.toUpperCase() + word.slice(1);

/** `types` are the names in the facts with the JSON names of their fields. */
export function describe(types: ReadonlyMap<string, readonly string[]>): Descriptions {
  const files = modelFiles();
  const out: Descriptions = {};
  for (const [type, fields] of types) {
    const [group = '', version = '', name = ''] = type.split('.');
    const plain = `${capital(version)}${name}`;
    const file = files.get(`${capital(group)}${plain}`) ?? files.get(plain);
    if (!file) continue;
    const model = readModel(file);
    const texts: Record<string, string> = {};
    if (model.about) texts[''] = model.about;
    for (const field of fields) {
      const text = model.fields.get(field) ?? model.fields.get(`_${field}`);
      if (text) texts[field] = text;
    }
    if (Object.keys(texts).length) out[type] = texts;
  }
  return out;
}
