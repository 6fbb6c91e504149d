// Prints what Grafana itself knows, for tests/dashboards/grafana.json: its version, ids of units and transformations.
Object.defineProperty(globalThis, 'navigator', { value: { language: 'en-US', languages: ['en-US'] } });
const { getValueFormats, standardTransformers } = require('@grafana/data');
const { readFileSync } = require('node:fs');

const version = JSON.parse(readFileSync('node_modules/@grafana/data/package.json')).version;
const units = getValueFormats().flatMap((group) => group.submenu.map((format) => format.value)).sort();
const transformations = Object.values(standardTransformers).map((one) => one.id).sort();
console.log(JSON.stringify({ version, units, transformations }, null, 1));
