/* SPDX-License-Identifier: Apache-2.0 */
/* Hosts down over time, drawn from the points of runs. */

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
