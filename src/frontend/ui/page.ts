/** `/ui`: the page's bones. Its words are here or in its scripts; how it looks is not. */
export const page = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Starling</title>
<link rel="icon" href="/ui/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/ui/app.css">
<link rel="stylesheet" href="/ui/parts.css">
<script type="module" src="/ui/app.js"></script>
</head>
<body>
<a class="skip" href="#lookup">Skip to the look-up of a key</a>
<header>
  <div class="brand">
    <img src="/ui/icon.svg" alt="" width="28" height="28">
    <h1>Starling <span id="cluster-name" class="muted"></span></h1>
  </div>
  <p class="verdict"><span id="verdict" role="status" data-level="unknown">Asking …</span>
    <span id="verdict-more" class="muted"></span></p>
  <button type="button" id="token-button" class="quiet" hidden>Token …</button>
</header>
<p id="trouble" role="alert" hidden></p>
<main>
<dl class="figures">
  <div><dt>Members reachable</dt><dd id="figure-members">–</dd></div>
  <div><dt>Hints waiting</dt><dd id="figure-hints">–</dd></div>
  <div><dt>Oldest comparison</dt><dd id="figure-stale">–</dd></div>
  <div><dt>Copies of keys</dt><dd id="figure-records">–</dd></div>
  <div><dt>Ring</dt><dd id="figure-ring">–</dd></div>
</dl>
<section class="card ring-card" aria-labelledby="ring-title">
  <h2 id="ring-title">Ring</h2>
  <svg id="ring" viewBox="0 0 400 400" role="img" aria-label="The ring"></svg>
  <ul id="legend" class="legend"></ul>
  <p class="muted note">A slice is a partition; the outermost circle its first primary.</p>
</section>
<section class="card members-card" aria-labelledby="members-title">
  <h2 id="members-title">Members</h2>
  <div class="scroll">
  <table class="cards">
    <caption class="visually-hidden">Members of the ring; choose one to bring it out</caption>
    <thead><tr>
      <th scope="col">Member</th><th scope="col">Zone</th><th scope="col">State</th>
      <th scope="col">Share</th><th scope="col" class="number">Keys</th>
      <th scope="col" class="number"><abbr
        title="Deleted, evicted or expired, and kept until every member knows">Dead</abbr></th>
      <th scope="col" class="number">Stored</th><th scope="col" class="number">Hints held</th>
      <th scope="col" class="number">Last exchange</th>
    </tr></thead>
    <tbody id="members-body"></tbody>
  </table>
  </div>
  <div class="transfers">
    <h3 id="transfers-title">Transfers</h3>
    <ul id="transfers" aria-labelledby="transfers-title"></ul>
  </div>
</section>
<section class="card traffic-card" aria-labelledby="traffic-title">
  <h2 id="traffic-title">Traffic <span class="muted">of this frontend, two minutes</span></h2>
  <div class="charts">
  <div>
    <dl class="now">
      <div><dt><span class="key line-a"></span>reads/s</dt><dd id="reads-now">–</dd></div>
      <div><dt><span class="key line-b"></span>writes/s</dt><dd id="writes-now">–</dd></div>
      <div><dt>failed/s</dt><dd id="failed-now">–</dd></div>
    </dl>
    <svg id="rate-chart" class="chart" viewBox="0 0 300 72" preserveAspectRatio="none" role="img"
      aria-label="Reads and writes a second over the last two minutes"></svg>
    <p id="rate-scale" class="muted note"></p>
  </div>
  <div>
    <dl class="now">
      <div><dt><span class="key line-a"></span>median</dt><dd id="p50-now">–</dd></div>
      <div><dt><span class="key line-b"></span>99 %</dt><dd id="p99-now">–</dd></div>
      <div><dt>repairs/s</dt><dd id="repairs-now">–</dd></div>
    </dl>
    <svg id="latency-chart" class="chart" viewBox="0 0 300 72" preserveAspectRatio="none"
      role="img" aria-label="Median and 99th percentile of the time to answer"></svg>
    <p id="latency-scale" class="muted note"></p>
  </div>
  </div>
</section>
<section class="card converge-card" aria-labelledby="converge-title">
  <h2 id="converge-title">Convergence <span class="muted">since each pair compared</span></h2>
  <div class="scroll"><table id="pairs" class="pairs"></table></div>
  <div class="actions">
    <button type="button" id="compare">Compare now</button>
    <button type="button" id="deliver">Deliver hints now</button>
    <p id="work-status" role="status" class="muted"></p>
  </div>
</section>
<section class="card lookup-card" id="lookup" aria-labelledby="lookup-title">
  <h2 id="lookup-title">One key</h2>
  <form id="lookup-form" autocomplete="off">
    <label>Namespace <input id="namespace" name="namespace" required maxlength="64"
      spellcheck="false" autocapitalize="none"></label>
    <label class="wide">Key <input id="key" name="key" required maxlength="512"
      spellcheck="false" autocapitalize="none"></label>
    <button type="submit" class="primary">Look up</button>
  </form>
  <p id="lookup-status" role="status" tabindex="-1"></p>
  <div id="lookup-result"></div>
</section>
</main>
<dialog id="token-dialog" aria-labelledby="token-title">
  <form id="token-form">
    <h2 id="token-title">Token</h2>
    <p id="token-reason" class="muted"></p>
    <label>Bearer token <input id="token" type="password" required autocomplete="off"></label>
    <p class="muted note">Kept for this tab only, until it is closed.</p>
    <div class="actions">
      <button type="submit" class="primary">Use it</button>
      <button type="button" id="token-cancel">Cancel</button>
    </div>
  </form>
</dialog>
<noscript><p class="noscript">This page needs JavaScript; /v1/cluster says the same as JSON.</p>
</noscript>
</body>
</html>
`;

/** A murmuration of three, in the accent's colour on either ground. */
export const icon = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">
<g fill="none" stroke="#6b5ce0" stroke-width="3.2" stroke-linecap="round" stroke-linejoin="round">
<path d="M4 9c4-1 6 1 7 4 1-3 4-5 8-4"/>
<path d="M14 19c3-1 5 0 6 3 1-3 4-4 8-3"/>
<path d="M3 24c2-.6 4 0 5 2 1-2 3-2.6 5-2"/>
</g></svg>
`;
