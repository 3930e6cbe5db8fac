/** `/ui/app.css`: colours, type and the page's grid. One accent; zones have their own colours. */
export const style = `
:root {
  color-scheme: light dark;
  --ground: #f6f6f4; --surface: #ffffff; --sunken: #f1f1ee;
  --ink: #1c1d22; --muted: #5d606b; --line: #e3e3de;
  --accent: #5546c8; --accent-ink: #ffffff;
  --good: #1b7f4d; --warn: #94600a; --bad: #b3261e;
  /* Okabe and Ito's colours, which the colour-blind can tell apart; darker where they are pale. */
  --zone-0: #0072b2; --zone-1: #e69f00; --zone-2: #009e73;
  --zone-3: #cc79a7; --zone-4: #56b4e9; --zone-5: #d55e00;
  --radius: 14px; --gap: 16px;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #101216; --surface: #181b21; --sunken: #20242c;
    --ink: #e9eaee; --muted: #a0a5b1; --line: #2b303a;
    --accent: #a79bff; --accent-ink: #15131f;
    --good: #58c98d; --warn: #e8b14c; --bad: #ff8a80;
    --zone-0: #3a9bdc; --zone-1: #e6a823; --zone-2: #1fb58a;
    --zone-3: #d98fb7; --zone-4: #7cc7f0; --zone-5: #e57a2e;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 1280px; padding: 20px clamp(14px, 3vw, 36px) 48px;
  background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
  font-variant-numeric: tabular-nums;
}
h1, h2, h3, h4, p, dl, dd, ul { margin: 0; padding: 0; }
h1 { font-size: 21px; font-weight: 650; letter-spacing: -0.015em; }
h1 span { font-weight: 400; margin-left: 4px; }
h2 { font-size: 15px; font-weight: 650; margin-bottom: 12px; }
h2 span { font-weight: 400; font-size: 13px; margin-left: 4px; }
h3 { font-size: 13px; font-weight: 600; margin: 18px 0 8px; }
ul { list-style: none; }
.muted { color: var(--muted); }
.note { font-size: 13px; }
.mono { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; font-size: 13px; }
.number { text-align: right; white-space: nowrap; }
.good { color: var(--good); } .warn { color: var(--warn); } .bad { color: var(--bad); }
.visually-hidden {
  position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%);
  white-space: nowrap;
}
.skip {
  position: absolute; left: 16px; top: -60px; background: var(--accent); color: var(--accent-ink);
  padding: 8px 14px; border-radius: 8px; z-index: 2;
}
.skip:focus { top: 12px; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 4px; }
header { display: flex; align-items: center; gap: 14px 20px; flex-wrap: wrap; margin-bottom: 18px; }
.brand { display: flex; align-items: center; gap: 10px; }
.verdict { flex: 1 1 260px; }
#verdict { font-weight: 500; margin-right: 4px; }
#verdict::before { content: "●"; font-size: 12px; margin-right: 8px; }
#verdict[data-level="good"]::before { color: var(--good); }
#verdict[data-level="warn"]::before { content: "◆"; color: var(--warn); }
#verdict[data-level="bad"]::before { content: "▲"; color: var(--bad); }
#verdict[data-level="unknown"]::before { color: var(--muted); }
#trouble, .noscript {
  border: 1px solid var(--bad); color: var(--bad); background: var(--surface);
  border-radius: var(--radius); padding: 10px 16px; margin-bottom: var(--gap);
}
main { display: grid; gap: var(--gap); grid-template-columns: repeat(12, minmax(0, 1fr)); }
.card {
  background: var(--surface); border: 1px solid var(--line); border-radius: var(--radius);
  padding: 18px 20px; min-width: 0;
}
.figures {
  grid-column: 1 / -1; display: grid; grid-template-columns: repeat(5, 1fr);
  background: var(--surface); border: 1px solid var(--line); border-radius: var(--radius);
}
.figures div { padding: 14px 20px; border-left: 1px solid var(--line); }
.figures div:first-child { border-left: 0; }
.figures dt { font-size: 13px; color: var(--muted); }
.figures dd { font-size: 24px; font-weight: 600; letter-spacing: -0.02em; line-height: 1.25; }
.ring-card { grid-column: span 4; }
.members-card { grid-column: span 8; }
.traffic-card { grid-column: span 7; }
.converge-card { grid-column: span 5; }
.lookup-card { grid-column: 1 / -1; scroll-margin-top: 12px; }
button, input { font: inherit; color: inherit; }
button {
  background: var(--surface); border: 1px solid var(--line); border-radius: 8px;
  padding: 6px 14px; cursor: pointer; font-weight: 500; min-height: 36px;
}
button:hover { background: var(--sunken); }
button:disabled { opacity: 0.55; cursor: default; }
button.primary {
  background: var(--accent); border-color: var(--accent); color: var(--accent-ink);
}
button.primary:hover { filter: brightness(1.08); }
button.quiet { border-color: transparent; background: transparent; color: var(--muted); }
button.quiet:hover { background: var(--sunken); color: var(--ink); }
input {
  background: var(--ground); border: 1px solid var(--line); border-radius: 8px;
  padding: 6px 11px; min-height: 36px; width: 100%;
}
label { display: block; font-size: 13px; color: var(--muted); }
label input { display: block; margin-top: 3px; font-size: 15px; color: var(--ink); }
.actions { display: flex; align-items: center; gap: 10px; flex-wrap: wrap; margin-top: 14px; }
dialog {
  border: 1px solid var(--line); border-radius: var(--radius); background: var(--surface);
  color: var(--ink); padding: 22px 24px; width: min(420px, calc(100vw - 32px));
}
dialog::backdrop { background: rgb(10 12 16 / 45%); }
dialog p { margin-bottom: 12px; }
@media (max-width: 1000px) {
  .ring-card, .members-card, .traffic-card, .converge-card { grid-column: 1 / -1; }
}
@media (max-width: 680px) {
  .figures { grid-template-columns: repeat(2, 1fr); }
  .figures div { border-left: 0; border-top: 1px solid var(--line); padding: 10px 16px; }
  .figures div:first-child { grid-column: 1 / -1; border-top: 0; }
  .figures dd { font-size: 20px; }
  .card { padding: 16px; }
  .brand { flex: 1; }
  .verdict { order: 3; flex-basis: 100%; }
}
@media (prefers-contrast: more) { :root { --line: currentColor; --muted: var(--ink); } }
`;
