/** `/ui/parts.css`: the ring, the tables, the charts, the siblings. */
export const partsStyle = `
.zone-0 { --paint: var(--zone-0); } .zone-1 { --paint: var(--zone-1); }
.zone-2 { --paint: var(--zone-2); } .zone-3 { --paint: var(--zone-3); }
.zone-4 { --paint: var(--zone-4); } .zone-5 { --paint: var(--zone-5); }
.shade-0 { --tone: var(--paint); }
.shade-1 { --tone: color-mix(in oklab, var(--paint) 62%, var(--surface)); }
.shade-2 { --tone: color-mix(in oklab, var(--paint) 78%, var(--ink)); }
.shade-3 { --tone: color-mix(in oklab, var(--paint) 38%, var(--surface)); }
.swatch {
  display: inline-block; width: 11px; height: 11px; border-radius: 3px; background: var(--tone);
  margin-right: 7px; flex: none;
}
.ring-card { display: flex; flex-direction: column; }
#ring { display: block; width: 100%; max-width: 420px; margin: 0 auto; }
.slice { fill: var(--tone); transition: opacity 160ms ease; }
.slice.away { fill: url("#away"); }
.away-ground { fill: var(--sunken); }
.away-line { fill: var(--bad); }
.has-highlight .slice:not(.is-highlight) { opacity: 0.14; }
.marker { fill: var(--accent); }
.ring-count {
  fill: var(--ink); font-size: 38px; font-weight: 600; text-anchor: middle;
  letter-spacing: -0.02em;
}
.ring-word { fill: var(--muted); font-size: 14px; text-anchor: middle; }
.legend {
  display: flex; flex-wrap: wrap; justify-content: center; gap: 4px 18px; font-size: 13px;
  margin: 12px 0 6px;
}
.legend .swatch { margin-right: 3px; }
.legend .swatch:last-of-type { margin-right: 7px; }
.ring-card .note { text-align: center; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
.cards th, .cards td { padding: 8px 10px; text-align: left; border-top: 1px solid var(--line); }
.cards th.number, .cards td.number { text-align: right; }
.cards thead th {
  border-top: 0; font-size: 13px; font-weight: 500; color: var(--muted); white-space: nowrap;
  padding-top: 0;
}
.cards tbody th { font-weight: 600; white-space: nowrap; }
.cards th:first-child, .cards td:first-child { padding-left: 0; }
.cards th:last-child, .cards td:last-child { padding-right: 0; }
.cards tr.is-selected { background: color-mix(in oklab, var(--accent) 9%, transparent); }
.cards tr.fallback { color: var(--muted); }
.member-name {
  border: 0; background: none; padding: 2px 6px 2px 2px; min-height: 28px; font-weight: 600;
  white-space: nowrap;
}
.member-name[aria-pressed="true"] { color: var(--accent); }
.state { white-space: nowrap; }
.share-cell { display: inline-flex; align-items: center; gap: 10px; }
.share { width: 84px; height: 8px; border-radius: 4px; overflow: hidden; }
.share .track { fill: var(--sunken); }
.share .filled { fill: var(--tone); }
.members-card { display: flex; flex-direction: column; }
.transfers { margin-top: auto; padding-top: 14px; }
.transfers li { display: flex; align-items: center; gap: 12px; flex-wrap: wrap; padding: 3px 0; }
progress { appearance: none; flex: 1 1 120px; height: 8px; border: 0; accent-color: var(--accent); }
progress::-webkit-progress-bar { background: var(--sunken); border-radius: 4px; }
progress::-webkit-progress-value { background: var(--accent); border-radius: 4px; }
progress::-moz-progress-bar { background: var(--accent); border-radius: 4px; }
.charts { display: grid; grid-template-columns: 1fr 1fr; gap: 28px; }
.now { display: flex; gap: 26px; }
.now dt { font-size: 13px; color: var(--muted); white-space: nowrap; }
.now dd { font-size: 20px; font-weight: 600; letter-spacing: -0.01em; white-space: nowrap; }
.charts > div, .traffic-card { display: flex; flex-direction: column; }
.charts { flex: 1; }
.chart { display: block; width: 100%; height: 96px; min-height: 96px; flex: 1; margin: 10px 0 4px; }
.chart .line { fill: none; stroke-width: 2; vector-effect: non-scaling-stroke; }
.chart .line { stroke-linejoin: round; stroke-linecap: round; }
.chart .base { stroke: var(--line); vector-effect: non-scaling-stroke; }
.line.line-a { stroke: var(--accent); }
.line.line-b { stroke: var(--muted); stroke-dasharray: 5 4; }
.key { display: inline-block; width: 16px; margin-right: 6px; vertical-align: middle; }
.key.line-a { border-top: 2px solid var(--accent); }
.key.line-b { border-top: 2px dashed var(--muted); }
.pairs { border-collapse: separate; border-spacing: 3px; font-size: 13px; }
.pairs th { font-weight: 500; color: var(--muted); padding: 2px 6px; text-align: center; }
.pairs td { text-align: center; border-radius: 6px; padding: 5px 4px; white-space: nowrap; }
.pairs .fresh { background: color-mix(in oklab, var(--accent) 26%, var(--surface)); }
.pairs .recent { background: color-mix(in oklab, var(--accent) 12%, var(--surface)); }
.pairs .old, .pairs .never { background: var(--sunken); color: var(--muted); }
#work-status { font-size: 13px; }
#lookup-form { display: flex; gap: 12px; align-items: end; flex-wrap: wrap; }
#lookup-form label { flex: 1 1 140px; }
#lookup-form label.wide { flex: 4 1 260px; }
#lookup-status { margin-top: 14px; font-weight: 500; outline-offset: 4px; }
#lookup-status:empty { display: none; }
#lookup-result > * { margin-top: 8px; }
.siblings {
  display: grid; gap: 14px; grid-template-columns: repeat(auto-fit, minmax(min(300px, 100%), 1fr));
  margin-top: 14px;
}
.sibling {
  border: 1px solid var(--line); border-radius: 10px; padding: 14px 16px; min-width: 0;
  display: flex; flex-direction: column; gap: 8px; align-items: start;
}
.sibling h4 { font-size: 14px; font-weight: 600; }
.sibling .facts { font-size: 13px; }
pre {
  margin: 0; width: 100%; max-height: 240px; overflow: auto; background: var(--sunken);
  border-radius: 8px; padding: 10px 12px; white-space: pre-wrap; overflow-wrap: anywhere;
  font: 13px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; flex: 1 0 auto;
}
@media (max-width: 680px) {
  .charts { grid-template-columns: 1fr; }
  .cards thead { position: absolute; width: 1px; height: 1px; overflow: hidden; }
  .cards thead { clip-path: inset(50%); }
  .cards, .cards tbody, .cards td, .cards tbody th { display: block; }
  .cards tbody tr {
    display: grid; grid-template-columns: 1fr 1fr; column-gap: 28px;
    border-top: 1px solid var(--line); padding: 10px 0;
  }
  .cards tbody th { grid-column: 1 / -1; grid-row: 1; }
  .share { width: 48px; }
  .cards tbody td, .cards tbody th { border: 0; padding: 2px 0; }
  .cards tbody td, .cards tbody td.number {
    display: flex; justify-content: space-between; gap: 16px; text-align: right;
  }
  .cards tbody td::before { content: attr(data-label); color: var(--muted); }
}
@media (prefers-reduced-motion: reduce) { * { transition: none; scroll-behavior: auto; } }
@media (forced-colors: active) {
  .slice { stroke: CanvasText; stroke-width: 0.5; }
  .swatch { forced-color-adjust: none; }
}
`;
