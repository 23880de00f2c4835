// A run as lanes over time: a lane for each agent, with bars for what it said, its model calls and its tool calls.
// The picture is as wide as the run is long, in seconds, so a longer run changes one number and no bar.

import { colourOf, drawn, element, tell } from "./dom.js";
import { count, seconds } from "./words.js";

/** @typedef {import("./items.js").Bar} Bar */
/** @typedef {import("./items.js").Item} Item */
/** @typedef {{item: Bar, shape: SVGRectElement}} Shown */

const LANE = 34;
const HEIGHTS = { model: [3, 6], message: [11, 11], call: [24, 7] };
const SHORTEST_S = 0.02;
const STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400];
const MOST_MARKS = 6;

export class Timeline {
    /**
     * @param {import("./run_log.js").RunLog} log
     * @param {(item: Bar) => void} onChosen A bar was clicked.
     */
    constructor(log, onChosen) {
        this._log = log;
        this._onChosen = onChosen;
        /** @type {Map<Bar, Shown>} In the order in which they are known. */
        this._bars = new Map();
        /** @type {Set<Shown>} */
        this._open = new Set();
        this._lanes = 0;
        this._now = 0;
        this._long = 0;
        this._high = 0;
        this._names = element("div", { class: "lane-names" });
        this._chart = drawn("svg", { class: "lanes", preserveAspectRatio: "none", onclick: (/** @type {Event} */ event) => this._clicked(event), onkeydown: (/** @type {KeyboardEvent} */ event) => this._pressed(event) });
        this._marks = element("div", { class: "marks", "aria-hidden": "true" });
        this.figure = element("div", { class: "timeline", role: "group", "aria-label": "Timeline: arrow keys go from bar to bar" }, this._names, element("div", { class: "chart" }, this._chart, this._marks));
    }

    /**
     * Bring these items up to date, and stretch what goes on.
     * @param {(Item|Bar)[]} items
     * @param {number} now In seconds from the run's beginning.
     */
    show(items, now) {
        this._now = now;
        this._showLanes();
        for (const item of items) if (item.kind !== "remark" && item.agent) this._showBar(item);
        for (const shown of this._open) this._stretch(shown);
        this._scale();
    }

    _showLanes() {
        const { agents, models } = this._log;
        for (const agent of agents.slice(this._lanes)) {
            this._names.append(element("div", { class: `lane-name ${colourOf(this._lanes)}`, title: agent }, element("b", null, agent), element("span", { class: "cost" })));
            this._lanes += 1;
        }
        agents.forEach((agent, index) => {
            const sum = models.costs.get(agent);
            const cost = this._names.children[index].lastElementChild;
            if (sum && cost) tell(cost, `${sum.prompt.toLocaleString("en")} in, ${sum.completion.toLocaleString("en")} out`);
        });
    }

    /** @param {Bar} item */
    _showBar(item) {
        let shown = this._bars.get(item);
        if (shown === undefined) {
            const lane = this._log.agents.indexOf(item.agent);
            const [top, height] = HEIGHTS[item.kind];
            const shape = drawn("rect", { y: lane * LANE + top, height, x: item.begin, tabindex: this._bars.size ? -1 : 0, role: "button" });
            shown = { item, shape };
            this._bars.set(item, shown);
            this._chart.append(shape);
        }
        this._stretch(shown);
        const failed = item.kind === "call" ? item.isError : item.kind === "model" && item.usage?.error;
        const says = item.kind === "message" && item.says === "thinking" ? " thinking" : "";
        const lane = this._log.agents.indexOf(item.agent);
        shown.shape.setAttribute("class", `bar ${item.kind}${says} ${colourOf(lane)}${item.end === null ? " open" : ""}${failed ? " failed" : ""}`);
        shown.shape.setAttribute("aria-label", describe(item));
        if (item.end === null) this._open.add(shown);
        else this._open.delete(shown);
    }

    /** @param {Shown} shown */
    _stretch({ item, shape }) {
        shape.setAttribute("x", String(item.begin));
        shape.setAttribute("width", String(Math.max((item.end ?? this._now) - item.begin, SHORTEST_S)));
    }

    _scale() {
        const long = Math.max(this._now, 0.5);
        const high = Math.max(this._lanes, 1) * LANE;
        if (this._long === long && this._high === high) return;
        [this._long, this._high] = [long, high];
        this._chart.setAttribute("viewBox", `0 0 ${long} ${high}`);
        this._chart.style.height = `${high}px`;
        const step = STEPS.find((each) => long / each <= MOST_MARKS) ?? Math.ceil(long / MOST_MARKS);
        const wanted = Math.floor(long / step);
        while (this._marks.children.length > wanted) this._marks.lastElementChild?.remove();
        while (this._marks.children.length < wanted) this._marks.append(element("span"));
        [...this._marks.children].forEach((mark, index) => {
            tell(mark, seconds((index + 1) * step));
            /** @type {HTMLElement} */ (mark).style.left = `${(100 * (index + 1) * step) / long}%`;
        });
    }

    /** @param {Event} event */
    _clicked(event) {
        const found = [...this._bars.values()].find(({ shape }) => shape === event.target);
        if (found) this._choose(found);
    }

    /** @param {Shown} shown */
    _choose(shown) {
        this._reach(shown);
        this._onChosen(shown.item);
    }

    /**
     * One bar at a time can be reached by the tabulator; the arrow keys go to others.
     * @param {Shown} shown
     */
    _reach({ shape }) {
        for (const each of this._chart.querySelectorAll('[tabindex="0"]')) each.setAttribute("tabindex", "-1");
        shape.setAttribute("tabindex", "0");
        shape.focus();
    }

    /** @param {KeyboardEvent} event */
    _pressed(event) {
        const bars = [...this._bars.values()].sort((one, other) => one.item.begin - other.item.begin);
        const at = bars.findIndex(({ shape }) => shape === event.target);
        if (at < 0) return;
        const lane = bars.filter(({ item }) => item.agent === bars[at].item.agent);
        const within = lane.indexOf(bars[at]);
        /** @type {Record<string, () => Shown|undefined>} */
        const keys = {
            ArrowRight: () => bars[at + 1],
            ArrowLeft: () => bars[at - 1],
            ArrowDown: () => lane[within + 1],
            ArrowUp: () => lane[within - 1],
            Home: () => bars[0],
            End: () => bars[bars.length - 1],
        };
        if (event.key === "Enter" || event.key === " ") this._choose(bars[at]);
        else if (Object.hasOwn(keys, event.key)) this._reach(keys[event.key]() ?? bars[at]);
        else return;
        event.preventDefault();
    }
}

/** @param {Bar} item */
function describe(item) {
    const took = item.end === null ? "so far" : seconds(item.end - item.begin);
    if (item.kind === "model") return `${item.agent}: model call, ${took}${item.usage ? `, ${count(item.usage.completion_tokens, "token")}` : ""}`;
    if (item.kind === "call") return `${item.agent}: tool ${item.tool}, ${took}`;
    return `${item.agent}: ${item.says}, ${took}`;
}
