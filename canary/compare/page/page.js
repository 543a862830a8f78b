/* SPDX-License-Identifier: Apache-2.0 */
"use strict";
(() => {
/*
 * Everything shown is computed from the data below; text is only ever set as
 * text. What kernel is chosen and which cell is open stands in the address:
 * #fault/way/kernel.
 */
const page = JSON.parse(document.getElementById("data").textContent);
const doc = page.document;
const ways = page.words.ways;
/* The worst first: what several kernels say of a cell is what the worst says. */
const severity = ["lost", "goes-on", "recovered", "not-done", "held",
	"no-effect", "not-run", "no-variant"];
const endings = new Map(page.words.endings.map((e) => [e.name, e.words]));
const cells = new Map(page.cells.map((c) => [key(c.fault, c.kernel, c.way), c]));
const runs = new Map(doc.runs.map((r) => [key(r.fault, r.kernel, r.way), r]));
let kernel = doc.kernels.length === 1 ? doc.kernels[0] : "";
let opened = null; /* { fault, way, kernel } */

function key(fault, ofKernel, way) {
	return JSON.stringify([fault, ofKernel, way]);
}

function byId(id) {
	return document.getElementById(id);
}

/* An element: attributes, then children (text or elements; null is skipped). */
function el(name, attributes, ...children) {
	const svg = ["svg", "g", "path", "line", "text", "title", "use"].includes(name);
	const e = svg ? document.createElementNS("http://www.w3.org/2000/svg", name)
		: document.createElement(name);

	for (const [k, v] of Object.entries(attributes || {})) {
		if (k === "on")
			e.addEventListener("click", v);
		else if (v !== null && v !== undefined && v !== false)
			e.setAttribute(k, v === true ? "" : v);
	}
	for (const child of children.flat(Infinity))
		if (child !== null && child !== undefined && child !== "")
			e.append(child);
	return e;
}

function icon(ending) {
	return el("svg", { class: "icon", "aria-hidden": "true", viewBox: "0 0 16 16" },
		el("use", { href: "#i-" + ending }));
}

function sign(ending) {
	return el("span", { class: "sign " + ending }, icon(ending));
}

function seconds(s) {
	if (s === null)
		return "never";
	if (s < 9.95)
		return s.toFixed(1) + " s";
	if (s < 99.5)
		return Math.round(s) + " s";
	const whole = Math.round(s);
	return Math.floor(whole / 60) + " min " + String(whole % 60).padStart(2, "0") + " s";
}

function upper(text) {
	return text.slice(0, 1).toUpperCase() + text.slice(1);
}

function plural(n, one, many) {
	return n + " " + (n === 1 ? one : many || one + "s");
}

/* "6.1.0-37" of "6.1.0-37-cloud-amd64". */
function shortKernel(name) {
	return name.replace(/-(cloud-)?amd64$/, "");
}

function wayOf(name) {
	return ways.find((w) => w.name === name);
}

function faultOf(id) {
	return doc.faults.find((f) => f.id === id);
}

/* Of one kernel, or of the kernel on which it ended worst. */
function cellOf(fault, way, ofKernel) {
	if (ofKernel)
		return cells.get(key(fault, ofKernel, way));
	return doc.kernels.map((k) => cells.get(key(fault, k, way)))
		.reduce((worst, c) => !worst || severity.indexOf(c.ending) <
			severity.indexOf(worst.ending) ? c : worst, null);
}

/* ---- curves ---- */

/* Steps [s, hosts] of the sum of @some runs. A run keeps its last value. */
function sumOf(some) {
	const changes = [];

	for (const r of some) {
		let before = 0;
		for (const [t, hosts] of r.down) {
			if (hosts !== before)
				changes.push([t / 1000, hosts - before]);
			before = hosts;
		}
	}
	changes.sort((a, b) => a[0] - b[0]);
	const steps = [[0, 0]];
	for (const [t, by] of changes) {
		const last = steps[steps.length - 1];
		if (last[0] === t)
			last[1] += by;
		else
			steps.push([t, last[1] + by]);
	}
	return steps;
}

function endOf(some) {
	return Math.max(0, ...some.map((r) => r.down.length
		? r.down[r.down.length - 1][0] / 1000 : 0));
}

function curvesOf(filter) {
	return ways.map((w) => {
		const some = doc.runs.filter((r) => r.way === w.name && r.failed === null && filter(r));
		const steps = sumOf(some);
		return {
			way: w.name, runs: some.length, steps, end: endOf(some),
			hosts: some.reduce((n, r) => n + r.hosts, 0),
			last: steps[steps.length - 1][1],
			most: Math.max(...steps.map((s) => s[1])),
		};
	}).filter((c) => c.runs);
}

function ticks(max, count) {
	const rough = max / count;
	const power = 10 ** Math.floor(Math.log10(rough || 1));
	const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough);
	const list = [];

	/* The last one is not below the highest value. */
	for (let v = 0; v < max + step; v += step)
		list.push(Math.round(v * 1e6) / 1e6);
	return list;
}

const dashes = { A: null, B: "7 3", C: "2 3" };

/* How wide a sheet is, while one is printed. */
let sheet = 0;

function drawCurves(into, curves, height, strong) {
	const width = sheet || Math.max(200, into.clientWidth || 640);
	const names = curves.map((c) => `${c.way}  ${c.last} down`);
	const left = 34, right = 16 + 7 * Math.max(...names.map((n) => n.length));
	const top = 10, bottom = 38;
	const end = Math.max(1, ...curves.map((c) => c.end));
	const scale = ticks(Math.max(1, ...curves.map((c) => strong ? c.hosts : c.most)), 4).filter(Number.isInteger);
	const hosts = scale[scale.length - 1];
	const x = (t) => left + t / end * (width - left - right);
	const y = (h) => top + (1 - h / hosts) * (height - top - bottom);
	const says = curves.map((c) => `${c.way}: at most ${c.most} of ${c.hosts} hosts down, ${c.last} at the end`).join("; ");
	const svg = el("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "Hosts down over time. " + says });

	for (const h of scale)
		svg.append(el("line", { class: "grid", x1: left, x2: width - right, y1: y(h), y2: y(h) }),
			el("text", { x: left - 8, y: y(h) + 4, "text-anchor": "end" }, String(h)));
	for (const t of ticks(end, width < 500 ? 4 : 8).filter((v) => v <= end))
		svg.append(el("text", { x: x(t), y: height - bottom + 18, "text-anchor": "middle" }, String(Math.round(t * 10) / 10)));
	svg.append(el("text", { x: width - right, y: height - 2, "text-anchor": "end" }, "seconds after the fault reached the fleet"));
	const places = [];
	for (const c of curves) {
		let path = `M${x(0)} ${y(0)}`;
		for (const [t, h] of c.steps)
			path += `H${x(t).toFixed(1)}V${y(h).toFixed(1)}`;
		path += `H${x(c.end).toFixed(1)}`;
		/* Nobody watched any longer: faint from there on. */
		svg.append(el("path", { class: "line unwatched", d: `M${x(c.end)} ${y(c.last)}H${x(end)}`, stroke: `var(--way-${c.way})` }));
		svg.append(el("path", {
			class: "line" + (strong && c.way !== strong ? " dim" : ""), d: path,
			stroke: `var(--way-${c.way})`, "stroke-dasharray": dashes[c.way],
		}));
		places.push({ c, at: y(c.last) });
	}
	/* Names at the ends of the lines, pushed apart where these meet. */
	places.sort((a, b) => a.at - b.at || b.c.way.localeCompare(a.c.way));
	for (let i = places.length - 1, room = height - bottom + 4; i >= 0; i--) {
		places[i].at = Math.min(places[i].at, room);
		room = places[i].at - 15;
	}
	for (const { c, at } of places)
		svg.append(el("text", { class: "name", x: width - right + 8, y: at + 4, style: `fill: var(--way-${c.way})` },
			names[curves.indexOf(c)]));
	into.replaceChildren(svg);
}

/* Drawn to the width that there is, so that its letters keep their size. */
const charts = new Map();
const watcher = new ResizeObserver((entries) => {
	for (const e of entries)
		charts.get(e.target)?.();
});

function chart(into, curves, height, strong) {
	const draw = () => drawCurves(into, curves, height, strong);

	charts.set(into, draw);
	watcher.observe(into);
	draw();
}

/* ---- the page's parts ---- */

function showHead() {
	const total = page.totals[kernel];
	const made = doc.runs.filter((r) => r.failed === null).length;

	byId("headline").textContent = total.headline ? total.headline + "." : "Nothing was run yet.";
	byId("lede").textContent = `${plural(doc.faults.length, "fault")} of a kernel security sensor, on `
		+ (kernel ? shortKernel(kernel) : plural(doc.kernels.length, "kernel"))
		+ ", each on small fleets of virtual machines that were watched from outside. A host counts once for each fault. "
		+ "B and C got every faulty version in spite of what the gate said of it, so that the lines behind the gate are seen too.";
	document.title = "belay compare: " + (total.headline || "nothing was run yet");
	byId("foot").textContent = `Made: ${doc.made}. belay ${doc.belay}. ${plural(made, "run")}.`
		+ " This page is one file and asks no network for anything; compare.json beside it holds the same results.";
}

function showKernels() {
	const nav = byId("kernels");

	if (doc.kernels.length < 2)
		return;
	nav.hidden = false;
	nav.replaceChildren(...["", ...doc.kernels].map((k) => el("button", {
		type: "button", "aria-pressed": String(k === kernel), on: () => choose(k),
	}, k ? shortKernel(k) : "All kernels")));
}

function showTotals() {
	byId("totals").replaceChildren(...ways.map((w) => {
		const t = page.totals[kernel][w.name];
		const facts = [
			["Got the faulty version", `${whole(t.exposed)} of ${whole(t.hosts)}`],
			["Crashes", whole(t.crashes)], ["Reboots", whole(t.reboots)],
			["Longest time to recover", t.longest],
		];
		const some = t.runs > t.failed;

		if (w.name !== "A")
			facts.push(["Crashes laid to the right version", t.crashed ? `${t.blamed} of ${t.crashed}` : "no crash"],
				["Rejected by the gate", `${t.rejected} of ${t.runs - t.failed}`]);
		facts.push(["As the catalogue expects", `${t.as_expected} of ${t.runs - t.failed}`]);
		if (t.failed)
			facts.push(["Could not be run", t.failed]);
		return el("li", { style: `--way: var(--way-${w.name})` },
			el("p", { class: "who", title: w.words }, el("b", {}, w.name), w.title),
			el("p", { class: "big" }, some ? String(t.lost) : null,
				el("small", {}, some ? ` of ${t.hosts} hosts lost` : "nothing was run")),
			some || t.failed ? el("dl", { class: "facts" }, (some ? facts : facts.slice(-1))
				.map(([k, v]) => [el("dt", {}, k), el("dd", {}, String(v))])) : null);
	}));
}

function showCurve() {
	const curves = curvesOf((r) => !kernel || r.kernel === kernel);

	chart(byId("curve"), curves, 300, null);
	byId("curve-note").textContent = "All faults laid over one another, each from the moment at which it reached its fleet: "
		+ curves.map((c) => `${c.way} is ${plural(c.runs, "run")} with ${c.hosts} hosts`).join(", ")
		+ ". A run whose watch has ended keeps its last value.";
}

function showLegend() {
	const there = new Set(page.cells.map((c) => c.ending));

	byId("legend").replaceChildren(...[...endings].filter(([name]) => there.has(name))
		.map(([name, words]) => el("li", {}, sign(name), words)));
}

/* A word alone in a cell has to say what it is about. */
function stopWords(c) {
	return c.stop === "never" ? "never stopped" : c.stop;
}

function cellButton(fault, way) {
	const c = cellOf(fault.id, way, kernel);
	const run = runs.get(key(fault.id, c.kernel, way));
	const same = doc.kernels.filter((k) => cells.get(key(fault.id, k, way)).ending === c.ending).length;

	return el("button", {
		type: "button", class: "cell " + c.ending, "aria-expanded": "false",
		"data-fault": fault.id, "data-way": way,
		on: () => toggle({ fault: fault.id, way, kernel: c.kernel }),
	}, icon(c.ending), el("span", {},
		el("span", { class: "unseen" }, `${wayOf(way).title}: ${endings.get(c.ending)}. Stopped at: `),
		el("b", {}, stopWords(c)), c.past ? " → " + c.past : null,
		el("small", {}, c.harm || c.why.slice(0, 60) + (c.why.length > 60 ? "…" : "")),
		!kernel && same < doc.kernels.length
			? el("small", {}, `on ${same} of ${doc.kernels.length} kernels`) : null,
		run && run.failed === null && !run.as_expected
			? el("small", { class: "odd" }, "not as expected") : null));
}

function showMatrix() {
	const head = el("thead", { role: "rowgroup" }, el("tr", { role: "row" },
		el("th", { scope: "col", role: "columnheader" }, "Fault"),
		ways.map((w) => el("th", { scope: "col", role: "columnheader", style: `--way: var(--way-${w.name})` },
			el("b", {}, w.name), el("span", { class: "full" }, w.title),
			el("span", { class: "short" }, { A: "pushed", B: "module", C: "eBPF" }[w.name])))));
	const body = el("tbody", { role: "rowgroup" }, doc.faults.map((f) => el("tr", { role: "row", id: "row-" + f.id },
		el("th", { scope: "row", role: "rowheader" }, el("span", { class: "fault" },
			el("span", { class: "number" }, f.number || ""), el("span", {}, f.title || f.id))),
		ways.map((w) => el("td", { role: "cell" }, cellButton(f, w.name))))));

	byId("matrix").replaceChildren(head, body);
}

/* ---- a cell's story ---- */

/* What the catalogue expects there: a later kernel may have its own. */
function expectedOf(fault, way, ofKernel) {
	const number = (v) => v.split(".").slice(0, 2).reduce((n, part) => n * 1000 + parseInt(part, 10), 0);
	const later = fault.later || fault.expect?.later;
	const e = later && number(ofKernel) >= number(later.since) && later[way] || fault.expect?.[way];

	if (!e)
		return "";
	if (typeof e === "string")
		return `The catalogue expects: ${e}.`;
	return `The catalogue expects: gate ${e.gate}, past it ${e.past}.`;
}

function verdictOf(run, cell) {
	const gate = run.gate;
	const lines = [];

	if (gate.verdict === "not asked")
		lines.push("No gate was asked.");
	else
		lines.push(`The gate: ${gate.verdict}${gate.check ? " by " + gate.check : ""}.`
			+ (gate.verdict === "rejected" ? " With it on, no host gets this version." : ""));
	lines.push(`${gate.verdict === "not asked" ? "Stopped by" : "Past the gate, stopped by"}: ${run.past_gate.stopped_by}${cell.harm ? "; " + cell.harm : ""}.`);
	return lines;
}

function numbersOf(run) {
	const blamed = run.attributed === null ? "no crash" : run.attributed ? "yes" : "no";
	const numbers = [
		["Hosts in the fleet", run.hosts], ["Got the faulty version", run.exposed],
		["Lost at the end", run.lost], ["Crashes", run.crashes], ["Reboots", run.reboots],
		["Outage, summed over hosts", run.outage_s ? seconds(run.outage_s) : "none"],
		["Until all were well for good", run.recover_s === 0 ? "none was down" : seconds(run.recover_s)],
		["The run took", seconds(run.seconds)],
	];
	if (run.way !== "A") /* where nobody is there to do it */
		numbers.splice(-1, 0, ["Crash laid to this version", blamed]);
	return numbers;
}

/* "all hosts: version 1", or each by itself. */
function liveOf(versions) {
	const say = (v) => v ? "version " + v : "nothing";

	return versions.every((v) => v === versions[0]) ? "All hosts: " + say(versions[0])
		: versions.map((v, i) => `host ${i + 1}: ${say(v)}`).join(", ");
}

/* Of each host what it kept; open where that is little. */
function evidenceOf(run) {
	const hosts = [...new Set(run.evidence.map((e) => e.host))];

	return hosts.map((host) => {
		const kept = run.evidence.filter((e) => e.host === host);
		return el("details", { open: run.evidence.length < 3 },
			el("summary", {}, `${host || "fleet"}: ${plural(kept.length, "record")}`),
			kept.map((e) => el("pre", { tabindex: "0" }, e.text)));
	});
}

function timelineOf(run) {
	return el("ol", { class: "timeline" }, run.timeline.map((l) => el("li", {},
		el("span", { class: "t" }, (l.t_ms / 1000).toFixed(1) + " s"),
		el("span", { class: "host" }, l.host || "fleet"), el("span", { class: "text" }, l.text))));
}

function runParts(fault, at, run, cell) {
	const parts = [
		el("div", { class: "verdict" }, verdictOf(run, cell).map((l) => el("p", {}, l)),
			el("p", { class: "expect" }, expectedOf(fault, at.way, at.kernel)
				+ (run.as_expected ? " So it was." : " It was not so."))),
		el("h4", {}, at.way === "A" ? "In numbers" : "Past the gate, in numbers"),
		el("dl", { class: "facts" }, numbersOf(run).map(([k, v]) => [el("dt", {}, k), el("dd", {}, String(v))])),
	];
	if (run.live_after.length)
		parts.push(el("h4", {}, "Live at the end"), el("p", { class: "soft" }, liveOf(run.live_after)));
	return parts;
}

/* What needs the width of the panel. */
function accountOf(run) {
	const parts = [];

	if (run.timeline.length)
		parts.push(el("h4", {}, "What happened"), timelineOf(run));
	if (run.gate.words)
		parts.push(el("h4", {}, "The gate's words"), el("pre", { tabindex: "0" }, run.gate.words));
	if (run.evidence.length)
		parts.push(el("h4", {}, "Evidence that hosts kept"), evidenceOf(run));
	if (run.logs.length)
		parts.push(el("h4", {}, "Logs"), run.logs.map((l) => el("details", {},
			el("summary", {}, l.name), el("pre", { tabindex: "0" }, l.text))));
	return parts;
}

function storyOf(fault) {
	const incidents = Array.isArray(fault.incidents) ? fault.incidents : [];

	return [
		fault.what ? [el("h4", {}, "The fault"), el("p", { class: "prose" }, fault.what)] : null,
		fault.story ? [el("h4", {}, "The story behind it"), el("p", { class: "prose" }, fault.story)] : null,
		incidents.length ? el("ul", { class: "incidents" }, incidents.map((i) => el("li", {}, i))) : null,
	];
}

/* The same fault and way on the other kernels. */
function otherKernels(at) {
	if (doc.kernels.length < 2)
		return null;
	return el("div", { class: "switch", role: "group", "aria-label": "Kernel of this story" }, doc.kernels.map((k) => el("button", {
		type: "button", "aria-pressed": String(k === at.kernel), on: () => open({ ...at, kernel: k }, "kernel"),
	}, icon(cells.get(key(at.fault, k, at.way)).ending), shortKernel(k))));
}

function panelOf(at) {
	const fault = faultOf(at.fault);
	const way = wayOf(at.way);
	const cell = cells.get(key(at.fault, at.kernel, at.way));
	const run = runs.get(key(at.fault, at.kernel, at.way));
	const curve = el("div", { class: "chart" });
	const usable = run && run.failed === null;
	const curves = curvesOf((r) => r.fault === at.fault && r.kernel === at.kernel);
	const panel = el("div", { class: "panel", role: "region", tabindex: "-1", "aria-label": `${fault.title || fault.id}, ${way.title}` },
		el("header", {}, el("h3", {}, fault.title || fault.id),
			el("button", { type: "button", class: "close", on: () => close(true) }, "Close")),
		el("p", { class: "soft" }, el("b", { style: `color: var(--way-${at.way})` }, `${at.way}  ${way.title}`),
			`: ${way.words}. Kernel ${at.kernel}.`),
		otherKernels(at),
		el("div", { class: "columns" },
			el("div", {}, storyOf(fault)),
			el("div", {}, usable ? runParts(fault, at, run, cell)
				: el("div", { class: "verdict" }, el("p", {}, el("b", {}, upper(endings.get(cell.ending)) + ".")),
					cell.why ? el("p", {}, cell.why) : null,
					cell.ending === "no-variant" ? null : el("p", { class: "expect" }, expectedOf(fault, at.way, at.kernel))))),
		curves.length ? [el("h4", {}, "Hosts down over time, this fault on this kernel"), curve] : null,
		usable ? accountOf(run) : null);

	return { panel, draw: () => curves.length && chart(curve, curves, 190, at.way) };
}

function addressOf(at) {
	return "#" + [at.fault, at.way, at.kernel].map(encodeURIComponent).join("/");
}

function buttonOf(at) {
	return [...document.querySelectorAll(".cell")].find((b) => b.dataset.fault === at.fault && b.dataset.way === at.way);
}

function close(back) {
	if (!opened)
		return;
	const button = buttonOf(opened);
	for (const old of document.querySelectorAll(".opened"))
		old.remove();
	for (const into of [...charts.keys()].filter((c) => !c.isConnected)) {
		watcher.unobserve(into);
		charts.delete(into);
	}
	button?.setAttribute("aria-expanded", "false");
	button?.removeAttribute("aria-controls");
	opened = null;
	history.replaceState(null, "", location.pathname + location.search);
	if (back)
		button?.focus();
}

/* @from: "cell", "kernel" (of an open story) or "address". */
function open(at, from) {
	close(false);
	const button = buttonOf(at);
	const { panel, draw } = panelOf(at);
	const row = el("tr", { class: "opened", role: "row", id: "story" },
		el("td", { class: "story", role: "cell", colspan: String(1 + ways.length) }, panel));

	button.setAttribute("aria-expanded", "true");
	button.setAttribute("aria-controls", "story");
	button.closest("tr").after(row);
	opened = at;
	draw();
	history.replaceState(null, "", addressOf(at));
	if (from === "kernel")
		row.querySelector(".switch [aria-pressed=true]")?.focus({ preventScroll: true });
	else if (from === "address")
		button.closest("tr").scrollIntoView({ block: "start" });
}

function toggle(at) {
	if (opened && opened.fault === at.fault && opened.way === at.way)
		close(true);
	else
		open(at, "cell");
}

function openAddress() {
	let parts;

	try {
		parts = location.hash.slice(1).split("/").map(decodeURIComponent);
	} catch {
		return; /* a stray % in an address that somebody typed */
	}
	const [fault, way, ofKernel] = parts;
	if (!faultOf(fault) || !wayOf(way))
		return;
	const cell = cellOf(fault, way, doc.kernels.includes(ofKernel) ? ofKernel : kernel);
	if (cell)
		open({ fault, way, kernel: cell.kernel }, "address");
}

/* Arrows go from cell to cell, Escape closes. Tab does what it always does. */
document.addEventListener("keydown", (e) => {
	if (e.key === "Escape" && opened) {
		close(true);
		return;
	}
	const here = e.target.closest?.(".cell");
	const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -ways.length, ArrowDown: ways.length }[e.key];
	if (!here || !by || e.altKey || e.ctrlKey || e.metaKey)
		return;
	const all = [...document.querySelectorAll(".cell")];
	const next = all[all.indexOf(here) + by];
	if (next) {
		e.preventDefault();
		next.focus();
	}
});

/* ---- overhead ---- */

const sides = [
	{ key: "module", name: "Module", colour: "var(--way-B)" },
	{ key: "ebpf_dispatch", name: "eBPF, behind dispatchers", colour: "var(--way-C)" },
	{ key: "ebpf_direct", name: "eBPF, direct", colour: "color-mix(in srgb, var(--way-C) 55%, var(--paper))" },
];

/* With its thousands apart. */
function whole(n) {
	return Math.round(n).toLocaleString("en").replace("-", "−");
}

function costTable(cases) {
	const most = Math.max(...cases.flatMap((c) => sides.map((s) => c[s.key]?.instructions || 0)));
	const key = sides.map((s) => el("span", { style: "white-space: nowrap; margin-right: 1.1rem" },
		el("span", { style: `display: inline-block; width: .8rem; height: .5rem; margin-right: .35rem; background: ${s.colour}` }), s.name));

	return el("table", { class: "cost" },
		el("caption", {}, "Instructions per event, less the same without a sensor. ", key),
		el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Event"), el("th", { scope: "col" }, "Indicators"),
			el("th", { scope: "col", class: "bars hide" }, el("span", { class: "unseen" }, "Bars")),
			el("th", { scope: "col", class: "n" }, "Module"), el("th", { scope: "col", class: "n" }, "eBPF"),
			el("th", { scope: "col", class: "n" }, "eBPF / module"))),
		el("tbody", {}, cases.map((c) => el("tr", {},
			el("th", { scope: "row" }, `${c.event}, ${c.outcome}`), el("td", { class: "n" }, whole(c.indicators)),
			el("td", { class: "bars hide", "aria-hidden": "true" }, sides.map((s) => c[s.key] ? el("span", {
				class: "bar", style: `width: ${Math.max(0, c[s.key].instructions / most * 100).toFixed(1)}%; background: ${s.colour}`,
			}) : null)),
			el("td", { class: "n" }, c.module ? whole(c.module.instructions) : ""),
			el("td", { class: "n" }, c.ebpf_dispatch ? whole(c.ebpf_dispatch.instructions) : ""),
			el("td", { class: "n" }, c.module && c.module.instructions > 0 && c.ratio_dispatch > 0
				? c.ratio_dispatch.toFixed(2) + " ×" : "–")))));
}

function goalLine(g) {
	const ending = g.reached ? "held" : "goes-on";

	if (typeof g.value !== "number")
		return el("p", { class: "goal" }, sign(ending), el("span", {}, `${g.what}: not measured: ${g.why || "no value"}`));
	return el("p", { class: "goal" }, sign(ending), el("span", {}, `${g.what}: ${Number(g.value).toFixed(2)}, to reach ${g.to_reach}: ${g.reached ? "reached" : "not reached"}`));
}

function dropsLine(d) {
	const names = { module: "module", "ebpf-dispatch": "eBPF behind dispatchers", "ebpf-direct": "eBPF direct" };

	return el("li", {}, `${names[d.way] || d.way}: ${whole(d.dropped)} of ${whole(d.sent)} events dropped (${Number(d.percent).toFixed(2)} %)`);
}

/* Beside others that do the same, with as few things to look for as ours can
 * have and still look. */
function peerTable(o) {
	const there = o.peers.filter((p) => p.there && Array.isArray(p.cases));
	const few = Math.min(...o.cases.map((c) => c.indicators).filter((n) => n > 0));
	const ours = o.cases.filter((c) => c.indicators === few);
	const cost = (p, c) => p.cases.find((x) => x.event === c.event && x.outcome === c.outcome)?.instructions;

	return [
		el("ul", { class: "note" }, o.peers.map((p) => el("li", {}, el("b", {}, p.name), `: ${p.there ? p.what : "not measured: " + p.why}`))),
		there.length && ours.length ? el("table", { class: "cost small" },
			el("caption", {}, `Instructions per event, less the same without any of them; ours with ${whole(few)} indicators.`),
			el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Event"),
				["Module", "eBPF", ...there.map((p) => p.name)].map((name) => el("th", { scope: "col", class: "n" }, name)))),
			el("tbody", {}, ours.map((c) => el("tr", {}, el("th", { scope: "row" }, `${c.event}, ${c.outcome}`),
				[c.module?.instructions, c.ebpf_dispatch?.instructions, ...there.map((p) => cost(p, c))]
					.map((n) => el("td", { class: "n" }, typeof n === "number" ? whole(n) : "–")))))) : null,
	];
}

/* No emulation there, and not all that is wanted can be measured. */
function nativeTable(native) {
	const measured = native.cases.filter((c) => c.measured);

	return [
		measured.length ? el("table", { class: "cost small" },
			el("caption", {}, `Nanoseconds per filtered event on Linux ${native.kernel}, without the lab's emulation; to reach: ${native.to_reach}.`),
			el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Event"), el("th", { scope: "col", class: "n" }, "Indicators"),
				el("th", { scope: "col", class: "n" }, "ns"), el("th", { scope: "col" }, el("span", { class: "unseen" }, "Reached")))),
			el("tbody", {}, measured.map((c) => el("tr", {}, el("th", { scope: "row" }, c.event),
				el("td", { class: "n" }, whole(c.indicators)), el("td", { class: "n" }, c.ns.toFixed(1)),
				el("td", {}, c.ns <= native.to_reach ? "reached" : "not reached"))))) : null,
		el("ul", { class: "note" }, native.cases.filter((c) => !c.measured)
			.map((c) => el("li", {}, `${c.event}: not measured: ${c.why}`))),
	];
}

function showOverhead() {
	const o = doc.overhead;

	if (!o)
		return;
	byId("overhead").hidden = false;
	byId("overhead-body").replaceChildren(
		...[o.note, o.kernel ? "Kernel " + o.kernel + "." : ""].filter((t) => typeof t === "string" && t)
			.map((t) => el("p", { class: "note" }, t)),
		...(Array.isArray(o.goals) ? o.goals.map(goalLine) : []),
		Array.isArray(o.cases) && o.cases.length ? costTable(o.cases)
			: el("pre", { tabindex: "0" }, JSON.stringify(o, null, 2)),
		...(Array.isArray(o.drops) && o.drops.length
			? [el("h3", {}, "At saturation"), el("ul", {}, o.drops.map(dropsLine))] : []),
		...(Array.isArray(o.peers) && o.peers.length && Array.isArray(o.cases)
			? [el("h3", {}, "Beside others"), ...peerTable(o)] : []).filter(Boolean),
		...(Array.isArray(o.native?.cases)
			? [el("h3", {}, "On the machine's own kernel"), ...nativeTable(o.native)] : []).filter(Boolean));
}

/* ---- on paper ---- */

/* What a click would have shown, without the logs. */
function showAppendix() {
	byId("appendix").replaceChildren(el("h2", {}, "The faults"), ...doc.faults.map((f) => el("article", {},
		el("h3", {}, `${f.number ? f.number + "  " : ""}${f.title || f.id}`),
		el("p", {}, [f.what, f.story].filter(Boolean).join(" ")),
		el("ul", {}, ways.map((w) => {
			const c = cellOf(f.id, w.name, kernel);
			const alike = kernel || doc.kernels.every((k) => cells.get(key(f.id, k, w.name)).ending === c.ending);
			return el("li", {}, el("b", {}, w.name + " "), [stopWords(c) + (c.past ? " → " + c.past : ""), c.harm || c.why].filter(Boolean).join("; ")
				+ (alike ? "" : ` (on ${shortKernel(c.kernel)}, the worst)`));
		})))));
}

/* An open story is printed with its logs. */
addEventListener("beforeprint", () => {
	sheet = 700;
	for (const draw of charts.values())
		draw();
	for (const d of document.querySelectorAll(".panel details:not([open])"))
		d.setAttribute("data-shut", d.open = true);
});
addEventListener("afterprint", () => {
	sheet = 0;
	for (const draw of charts.values())
		draw();
	for (const d of document.querySelectorAll("[data-shut]")) {
		d.open = false;
		d.removeAttribute("data-shut");
	}
});

function showAll() {
	showHead();
	showKernels();
	showTotals();
	showCurve();
	showMatrix();
	showAppendix();
}

function choose(k) {
	const at = opened;

	close(false);
	kernel = k;
	showAll();
	byId("kernels").querySelector("[aria-pressed=true]")?.focus();
	if (at)
		open({ ...at, kernel: k || at.kernel }, "choose");
}

showLegend();
showOverhead();
showAll();
openAddress();
addEventListener("hashchange", openAddress);
})();
