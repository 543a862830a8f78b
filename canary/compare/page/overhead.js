/* SPDX-License-Identifier: Apache-2.0 */
/* What an event costs, from the JSON of scripts/bench sensor. */

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
