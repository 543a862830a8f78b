/* SPDX-License-Identifier: Apache-2.0 */
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
	const later = (fault.expect?.later || []).filter((l) => l[way] && number(ofKernel) >= number(l.since));
	const e = (later.pop() || fault.expect)?.[way];

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
