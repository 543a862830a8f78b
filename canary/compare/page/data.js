/* SPDX-License-Identifier: Apache-2.0 */
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
