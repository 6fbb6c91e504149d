// One dashboard on one page, by Grafana's own components; bars and heatmaps, which no package holds, are drawn here.
import 'uplot/dist/uPlot.min.css';
import React from 'react';
import { createRoot } from 'react-dom/client';
import { firstValueFrom } from 'rxjs';

// Required, not imported: their ES modules take CommonJS ones as Node.js does, which esbuild follows to the letter.
const {
  ThemeContext, createDataFrame, createTheme, dateTime, getDisplayProcessor, getFieldDisplayName, standardTransformers,
  standardTransformersRegistry, transformDataFrame, FieldType,
} = require('@grafana/data');
const { BigValue, GlobalStyles, PanelChrome, Table, TimeSeries } = require('@grafana/ui');

const { sheet, mode } = window as any;
const theme = createTheme({ colors: { mode } });
const WIDTH = 1600, GAP = 8, ROW = 30;
const COLUMN = (WIDTH - 2 * GAP + GAP) / 24;
const transformers = new Map(Object.values(standardTransformers).map((one: any) => [one.id, one]));
standardTransformersRegistry.setInit(() =>
  [...transformers.values()].map((one) => ({ id: one.id, name: one.name, transformation: async () => one })) as any);

const named = (legend: string, labels: Record<string, string>) =>
  legend === '__auto'
    ? Object.entries(labels).filter(([key]) => key !== '__name__').map(([, value]) => value).join(' ') || 'Value'
    : legend.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, key) => labels[key] ?? '').trim();

const merged = (target: any, source: any): any => {
  for (const [key, value] of Object.entries(source)) {
    target[key] = value && typeof value === 'object' && !Array.isArray(value) ? merged({ ...target[key] }, value) : value;
  }
  return target;
};

const matches = (matcher: any, name: string, field: any) => {
  if (matcher.id === 'byName') return matcher.options === name || matcher.options === field.name;
  const found = /^\/(.*)\/$/.exec(matcher.options);
  return new RegExp(found ? found[1] : matcher.options).test(name);
};

// What applyFieldOverrides does in Grafana, where a registry of all panels' options is at hand.
function configured(frames: any[], panel: any) {
  for (const frame of frames) {
    for (const [at, field] of frame.fields.entries()) {
      const name = getFieldDisplayName(field, frame, frames);
      const { links, ...kept } = merged(structuredClone(panel.fieldConfig.defaults), field.config);
      field.config = kept;
      for (const override of panel.fieldConfig.overrides.filter((one: any) => matches(one.matcher, name, field))) {
        for (const { id, value } of override.properties) {
          if (id === 'links') continue;
          const [head, tail] = id.split('.');
          if (tail) field.config[head] = { ...field.config[head], [tail]: value };
          else field.config[head] = value;
        }
      }
      field.state = { ...field.state, displayName: undefined, seriesIndex: field.state?.seriesIndex ?? at - 1 };
      if (field.type === FieldType.number || field.type === FieldType.time) {
        if (field.type === FieldType.time) field.config = { custom: field.config.custom };
      } else {
        delete field.config.unit;
      }
      field.display = getDisplayProcessor({ field, theme, timeZone: 'utc' });
    }
  }
  return frames;
}

function series(panel: any) {
  let index = 0;
  return panel.answers.flatMap((answer: any) => answer.series.map((one: any) => {
    const frame: any = createDataFrame({
      refId: answer.refId,
      fields: [
        { name: 'Time', type: FieldType.time, values: one.points.map(([at]: number[]) => at * 1000) },
        {
          name: 'Value', type: FieldType.number, values: one.points.map(([, value]: number[]) => value),
          labels: one.labels, config: { displayNameFromDS: named(answer.legend, one.labels) },
        },
      ],
    });
    frame.fields[1].state = { seriesIndex: index++ };
    return frame;
  }));
}

async function rows(panel: any) {
  const many = panel.answers.length > 1;
  const frames = panel.answers.map((answer: any) => {
    const labels = [...new Set(answer.series.flatMap((one: any) => Object.keys(one.labels)))].sort() as string[];
    const value = many ? `Value #${answer.refId}` : 'Value';
    return createDataFrame({
      refId: answer.refId,
      fields: answer.series.length === 0 ? [] : [
        { name: 'Time', type: FieldType.time, values: answer.series.map((one: any) => one.points[0][0] * 1000) },
        ...labels.map((name) =>
          ({ name, type: FieldType.string, values: answer.series.map((one: any) => one.labels[name] ?? '') })),
        { name: value, type: FieldType.number, values: answer.series.map((one: any) => one.points[0][1]) },
      ],
    });
  });
  return firstValueFrom(transformDataFrame(panel.transformations ?? [], frames as any));
}

const Empty = ({ panel }: any) => (
  <div style={{ display: 'grid', placeItems: 'center', height: '100%', color: theme.colors.text.secondary, fontSize: 16 }}>
    {panel.fieldConfig.defaults.noValue}
  </div>
);

function Lines({ panel, width, height }: any) {
  const frames = configured(series(panel), panel);
  if (!frames.length) return <Empty panel={panel} />;
  const legend = { ...panel.options.legend, showLegend: true };
  const timeRange: any = {
    from: dateTime(sheet.from * 1000), to: dateTime(sheet.to * 1000),
    raw: { from: dateTime(sheet.from * 1000), to: dateTime(sheet.to * 1000) },
  };
  return <TimeSeries frames={frames} width={width} height={height} timeRange={timeRange} timeZone="utc"
    legend={legend} options={panel.options} />;
}

function Tile({ panel, width, height }: any) {
  const frames = configured(series(panel), panel);
  if (!frames.length) return <Empty panel={panel} />;
  const [time, field] = frames[0].fields;
  const value = field.display([...field.values].reverse().find((one: any) => one !== null) ?? null);
  value.title = '';
  const known = field.values.filter((one: any) => one !== null);
  const [min, max] = [Math.min(...known), Math.max(...known)];
  field.state = { ...field.state, range: { min, max, delta: max - min } };
  const sparkline = panel.options.graphMode === 'area' && known.length > 1 ? { x: time, y: field } : undefined;
  return <BigValue value={value} width={width} height={height} theme={theme} sparkline={sparkline as any}
    colorMode={panel.options.colorMode} graphMode={panel.options.graphMode} textMode={'value' as any}
    justifyMode={'center' as any} />;
}

function Rows({ panel, width, height, frames }: any) {
  const shown = configured(frames, panel)[0];
  if (!shown?.length) return <Empty panel={panel} />;
  return <Table data={shown} width={width} height={height} columnMinWidth={panel.fieldConfig.defaults.custom.minWidth} />;
}

function Bars({ panel, width, height, frames }: any) {
  const [shown] = configured(frames, panel);
  if (!shown?.length) return <Empty panel={panel} />;
  const label = shown.fields.find((field: any) => field.type === FieldType.string);
  const columns = shown.fields.filter((field: any) => field.type === FieldType.number);
  const bottom = 66, left = 44, top = 8, inner = height - bottom - top;
  const largest = Math.max(...columns.flatMap((field: any) => field.values.map((one: any) => one ?? 0)), 1e-9);
  const slot = (width - left) / shown.length, bar = slot * 0.8 / columns.length;
  const colours = theme.visualization.palette.map((name: string) => theme.visualization.getColorByName(name));
  const colour = (field: any, at: number) =>
    field.config.color?.fixedColor ? theme.visualization.getColorByName(field.config.color.fixedColor) : colours[at];
  return (
    <svg width={width} height={height} style={{ font: `12px ${theme.typography.fontFamily}` }}>
      {[0, 0.5, 1].map((part) => (
        <g key={part}>
          <line x1={left} x2={width} y1={top + inner * (1 - part)} y2={top + inner * (1 - part)} stroke={theme.colors.border.weak} />
          <text x={left - 6} y={top + inner * (1 - part) + 4} textAnchor="end" fill={theme.colors.text.secondary}>
            {`${(largest * part * 100).toFixed(0)}%`}
          </text>
        </g>
      ))}
      {columns.map((field: any, at: number) => field.values.map((value: number, row: number) => (
        <rect key={`${at} ${row}`} x={left + slot * row + slot * 0.1 + bar * at} width={bar} fill={colour(field, at)} opacity={0.8}
          y={top + inner * (1 - (value ?? 0) / largest)} height={inner * (value ?? 0) / largest} />
      )))}
      {label.values.map((text: string, row: number) => (
        <text key={row} textAnchor="end" fill={theme.colors.text.secondary}
          transform={`translate(${left + slot * (row + 0.6)},${top + inner + 12}) rotate(-35)`}>{text.slice(0, panel.options.xTickLabelMaxLength)}</text>
      ))}
      {columns.map((field: any, at: number) => (
        <g key={at} transform={`translate(${left + at * 110},${height - 10})`}>
          <rect width={12} height={4} y={-6} rx={2} fill={colour(field, at)} />
          <text x={18} fill={theme.colors.text.primary}>{getFieldDisplayName(field, shown)}</text>
        </g>
      ))}
    </svg>
  );
}

function Cells({ panel, width, height }: any) {
  const frames = series(panel);
  if (!frames.length) return <Empty panel={panel} />;
  const cumulative = panel.answers[0].format === 'heatmap';
  const names = frames.map((frame: any) => frame.fields[1].config.displayNameFromDS);
  const order = names.map((_: string, at: number) => at);
  if (cumulative) order.sort((a: number, b: number) => Number(names[a].replace('+Inf', 'Infinity')) - Number(names[b].replace('+Inf', 'Infinity')));
  const times = [...new Set(frames.flatMap((frame: any) => [...frame.fields[0].values]))].sort() as number[];
  const at = new Map(times.map((time, index) => [time, index]));
  const grid = order.map((index: number) => {
    const line = new Array(times.length).fill(0);
    frames[index].fields[0].values.forEach((time: number, n: number) => { line[at.get(time)!] = frames[index].fields[1].values[n] ?? 0; });
    return line;
  });
  const cells = cumulative ? grid.map((line: number[], n: number) => line.map((v, t) => Math.max(0, v - (n ? grid[n - 1][t] : 0)))) : grid;
  const left = 64, bottom = 22, inner = height - bottom;
  const group = Math.max(1, Math.floor(times.length / 60)), count = Math.ceil(times.length / group);
  const sums = cells.map((line: number[]) => Array.from({ length: count }, (_, n) => line.slice(n * group, (n + 1) * group).reduce((a, b) => a + b, 0)));
  const largest = Math.max(...sums.flat(), 1e-9), w = (width - left) / count, h = inner / cells.length;
  const blues = mode === 'dark' ? ['#0b1f3a', '#8ab8ff'] : ['#e6f0ff', '#08306b'];
  const mix = (part: number) => `color-mix(in oklab, ${blues[0]} ${100 - 100 * part}%, ${blues[1]})`;
  const every = Math.ceil(cells.length / (inner / 16));
  return (
    <svg width={width} height={height} style={{ font: `11px ${theme.typography.fontFamily}` }}>
      {sums.map((line: number[], row: number) => line.map((value, n) => value > 0 && (
        <rect key={`${row} ${n}`} x={left + n * w} y={inner - (row + 1) * h} width={w - 1} height={Math.max(h - 1, 1)}
          fill={mix(Math.sqrt(value / largest))} />
      )))}
      {order.map((index: number, row: number) => row % every === 0 && (
        <text key={row} x={left - 6} y={inner - row * h - h / 2 + 4} textAnchor="end" fill={theme.colors.text.secondary}>{names[index].slice(0, 8)}</text>
      ))}
      {[0, 0.25, 0.5, 0.75].map((part) => (
        <text key={part} x={left + part * (width - left)} y={height - 6} fill={theme.colors.text.secondary}>
          {new Date(times[Math.floor(part * times.length)]).toISOString().slice(11, 16)}
        </text>
      ))}
    </svg>
  );
}

const KINDS: any = { timeseries: Lines, stat: Tile, table: Rows, barchart: Bars, heatmap: Cells };

function Panel({ panel, frames }: any) {
  const { x, y, w, h } = panel.gridPos;
  const place = { position: 'absolute' as const, left: GAP + x * COLUMN, top: 52 + y * (ROW + GAP) };
  const width = w * COLUMN - GAP, height = h * (ROW + GAP) - GAP;
  if (panel.type === 'row') {
    return <div style={{ ...place, fontSize: 18, fontWeight: 500, lineHeight: `${height}px` }}>
      {panel.collapsed ? '›' : '⌄'}&ensp;{panel.title}
      {panel.collapsed && <span style={{ color: theme.colors.text.secondary, fontSize: 13 }}>&ensp;({panel.panels.length} panels)</span>}
    </div>;
  }
  const Kind = KINDS[panel.type];
  return (
    <div style={place}>
      <PanelChrome title={panel.title} description={panel.description} width={width} height={height}>
        {(innerWidth: number, innerHeight: number) => <Kind panel={panel} frames={frames} width={innerWidth} height={innerHeight} />}
      </PanelChrome>
    </div>
  );
}

async function draw() {
  // Axes are as wide as their labels, which are measured once.
  await Promise.all([400, 500].map((weight) => document.fonts.load(`${weight} 12px Inter`)));
  const prepared = await Promise.all(sheet.panels.map(async (panel: any) =>
    ({ panel, frames: panel.transformations ? await rows(panel) : [] })));
  const bottom = Math.max(...sheet.panels.map((panel: any) => panel.gridPos.y + panel.gridPos.h));
  const height = 52 + bottom * (ROW + GAP) + GAP;
  document.body.style.cssText = `margin:0;width:${WIDTH}px;height:${height}px;background:${theme.colors.background.canvas}`;
  createRoot(document.getElementById('root')!).render(
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <div style={{ position: 'relative', width: WIDTH, height, color: theme.colors.text.primary, fontFamily: theme.typography.fontFamily }}>
        <div style={{ padding: '12px 16px', fontSize: 18, display: 'flex', gap: 14, alignItems: 'baseline' }}>
          <b>{sheet.title}</b>
          {sheet.variables.map((one: any) => (
            <span key={one.label} style={{ fontSize: 12, color: theme.colors.text.secondary }}>
              {one.label} <span style={{ color: theme.colors.text.primary }}>{one.value}</span>
            </span>
          ))}
        </div>
        {prepared.map(({ panel, frames }, at) => <Panel key={at} panel={panel} frames={frames} />)}
      </div>
    </ThemeContext.Provider>,
  );
  await document.fonts.ready;
  // Where the page may be cut: above a panel, and through none. A row's header goes with what is below it.
  const spans = sheet.panels.map(({ gridPos: { y, h }, type }: any) => [y, y + h + (type === 'row' ? 1 : 0)]);
  const headers = new Set(sheet.panels.filter((panel: any) => panel.type === 'row').map((panel: any) => panel.gridPos.y));
  const breaks = [...new Set<number>(spans.map(([top]: number[]) => top))].sort((a, b) => a - b)
    .filter((at) => !spans.some(([top, end]: number[]) => top < at && at < end))
    .map((at) => ({ at: 52 + at * (ROW + GAP), row: headers.has(at) }));
  setTimeout(() => { (window as any).drawn = { width: WIDTH, height, breaks }; }, 1500);
}

draw().catch((error) => { (window as any).failed = String(error?.stack ?? error); });
