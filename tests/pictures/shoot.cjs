// node shoot.cjs SHEET.json MODE OUT MAX_HEIGHT: draws the sheet in Chromium; OUT-1.png, OUT-2.png … of at most 256 colours.
const { chromium } = require('playwright-core');
const { existsSync, readFileSync } = require('node:fs');
const sharp = require('sharp');

const ICONS = 'node_modules/@grafana/ui/dist/public/img/icons/';
const FONTS = 'node_modules/@fontsource/inter/files/';
// Grafana's own font, which its packages ask for and do not hold.
const faces = () => [400, 500].map((weight) => `@font-face { font-family: Inter; font-weight: ${weight};
  src: url(http://sheet/fonts/inter-latin-${weight}-normal.woff2); }`).join('\n');

// How many pixels further off a row may begin.
const WITHIN = 700;
// Parts of about the same height, cut between panels, above a row rather than within one.
const cut = ({ height, breaks }, most) => {
  const parts = [];
  for (let top = 0; top < height;) {
    const left = Math.ceil((height - top) / most);
    const fit = breaks.filter(({ at }) => at > top && at - top <= most);
    const wanted = top + (height - top) / left;
    const off = ({ at, row }) => Math.abs(at - wanted) + (row ? 0 : WITHIN);
    const end = left === 1 || !fit.length ? height : fit.reduce((a, b) => (off(b) < off(a) ? b : a)).at;
    parts.push([top, end]);
    top = end;
  }
  return parts;
};

async function main([file, mode, out, most]) {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] });
  try {
    const page = await browser.newPage({ viewport: { width: 1600, height: 1200 } });
    page.on('console', (said) => said.type() === 'error' && !said.text().includes('404') && console.error('console:', said.text().slice(0, 400)));
    page.on('pageerror', (error) => console.error('page:', error.message.slice(0, 400)));
    const part = (name) => readFileSync(name, 'utf8');
    const given = JSON.stringify({ sheet: JSON.parse(part(file)), mode }).replaceAll('<', '\\u003c');
    const html = `<!doctype html><meta charset="utf-8"><style>${part('sheet.css')}\n${faces()}</style><div id="root"></div>
      <script>Object.assign(window, ${given})</script><script>${part('sheet.js')}</script>`;
    await page.route('http://sheet/**', (route) => {
      const { pathname } = new URL(route.request().url());
      if (pathname === '/') return route.fulfill({ body: html, contentType: 'text/html' });
      const file = [ICONS + pathname.split('/img/icons/')[1], FONTS + pathname.split('/fonts/')[1]].find(existsSync);
      return file ? route.fulfill({ path: file }) : route.fulfill({ status: 404 });
    });
    await page.goto('http://sheet/');
    await page.waitForFunction(() => window.drawn || window.failed, undefined, { timeout: 60_000 });
    const [drawn, failed] = await page.evaluate(() => [window.drawn, window.failed]);
    if (failed) throw new Error(failed);
    const { width, height } = drawn;
    await page.setViewportSize({ width, height });
    await page.waitForTimeout(500);
    const taken = await page.screenshot({ clip: { x: 0, y: 0, width, height } });
    for (const [at, [top, end]] of cut(drawn, Number(most)).entries()) {
      await sharp(taken).extract({ left: 0, top, width, height: end - top })
        .png({ palette: true, colours: 256, dither: 0, effort: 10, compressionLevel: 9 }).toFile(`${out}-${at + 1}.png`);
    }
  } finally {
    await browser.close();
  }
}

main(process.argv.slice(2)).catch((error) => { console.error(error.message); process.exit(1); });
