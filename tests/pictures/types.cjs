// Holds dashboards against Grafana's own types: `node types.cjs FILE.json...`; prints what does not fit, status 1 then.
const { execFileSync } = require('node:child_process');
const { readFileSync, writeFileSync } = require('node:fs');
const { basename } = require('node:path');
const schema = require('@grafana/schema');

// Keys that Grafana writes and its types leave to the data source, or to one kind of variable.
const LEFT_OPEN = ["'\"definition\"' does not exist in type 'VariableModel'",
  "'\"filters\"' does not exist in type 'VariableModel'",
  "'\"expr\"' does not exist in type 'AnnotationQuery<DataQuery>'"];
const TSC = ['--noEmit', '--skipLibCheck', '--strict', '--module', 'esnext', '--moduleResolution', 'bundler',
  '--target', 'es2022', 'types.ts'];

const files = process.argv.slice(2);
const text = files.map((file) => `export const ${basename(file, '.json')}: Dashboard = ${readFileSync(file)};`);
writeFileSync('types.ts', ["import type { Dashboard } from '@grafana/schema';", ...text].join('\n'));

let said = '';
try {
  execFileSync('node_modules/.bin/tsc', TSC, { encoding: 'utf8' });
} catch (error) {
  if (error.stdout === undefined) throw error;
  said = error.stdout;
}

// JSON has the words of an enumeration, which TypeScript takes for no members of it.
const isMember = (line) => {
  const found = /Type '"([^"]+)"' is not assignable to type '(\w+)'/.exec(line);
  return found !== null && Object.values(schema[found[2]] ?? {}).includes(found[1]);
};
const wrong = said.split('\n').filter(
  (line) => line.startsWith('types.ts') && !isMember(line) && !LEFT_OPEN.some((one) => line.includes(one)));
console.log(wrong.join('\n') || `${files.length} dashboards fit @grafana/schema`);
process.exit(wrong.length ? 1 : 0);
