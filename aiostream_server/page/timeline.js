// A run as lanes over time: a lane for each agent, with bars for what it said, its model calls and its tool calls.
// The picture is as wide as the run is long, in seconds, so a longer run changes one number and no bar.

import { colourOf, count, drawn, element, seconds } from "./dom.js";

const LANE = 34;
const HEIGHTS = { model: [3, 6], message: [11, 11], call: [24, 7] };
const SHORTEST_S = 0.02;
const STEPS = [0.1, 0.25, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600];
const MOST_MARKS = 6;

/** `onChosen(item)` is called with a message, a tool call or a model call that was clicked. */
export class Timeline {
    constructor(log, onChosen) {
        this._log = log;
        this._onChosen = onChosen;
        this._bars = new Map();
        this._lanes = 0;
        this._calls = 0;
        this._names = element("div", { class: "lane-names" });
        this._chart = drawn("svg", { class: "lanes", preserveAspectRatio: "none" });
        this._marks = element("div", { class: "marks", "aria-hidden": "true" });
        this.figure = element("div", { class: "timeline", role: "group", "aria-label": "Timeline" }, this._names, element("div", { class: "chart" }, this._chart, this._marks));
    }

    show(items) {
        this._showLanes();
        for (const item of items) if (item.kind !== "remark" && item.agent) this._showBar(item, `${item.kind}-${item.id}`);
        for (const [index, call] of this._log.modelCalls.slice(this._calls).entries()) this._showBar(call, `model-${this._calls + index}`);
        this._calls = this._log.modelCalls.length;
        for (const [item, bar] of this._bars.values()) if (item.end === null) this._stretch(item, bar);
        this._scale();
    }

    _showLanes() {
        const { agents, usage } = this._log;
        for (const agent of agents.slice(this._lanes)) {
            const cost = element("span", { class: "cost" });
            this._names.append(element("div", { class: `lane-name ${colourOf(agents.indexOf(agent))}` }, element("b", null, agent), cost));
        }
        this._lanes = agents.length;
        agents.forEach((agent, index) => {
            const sum = usage.get(agent);
            const text = sum ? `${sum.prompt.toLocaleString("en")} in, ${sum.completion.toLocaleString("en")} out` : "";
            const cost = this._names.children[index].lastChild;
            if (cost.textContent !== text) cost.textContent = text;
        });
    }

    _showBar(item, id) {
        if (this._bars.has(id)) {
            this._stretch(...this._bars.get(id));
            return;
        }
        const lane = this._log.agents.indexOf(item.agent);
        const [top, height] = HEIGHTS[item.kind];
        const choose = () => this._onChosen(item);
        const bar = drawn("rect", {
            class: `bar ${item.kind} ${item.says ?? ""} ${colourOf(lane)}`,
            y: lane * LANE + top,
            height,
            tabindex: 0,
            role: "button",
            onclick: choose,
            onkeydown: (event) => {
                if (event.key === "Enter" || event.key === " ") {
                    event.preventDefault();
                    choose();
                }
            },
        });
        this._bars.set(id, [item, bar]);
        this._stretch(item, bar);
        this._chart.append(bar);
    }

    _stretch(item, bar) {
        const end = item.end ?? this._log.now;
        bar.setAttribute("x", item.begin);
        bar.setAttribute("width", Math.max(end - item.begin, SHORTEST_S));
        bar.setAttribute("aria-label", describe(item));
        bar.classList.toggle("open", item.end === null);
        bar.classList.toggle("failed", Boolean(item.isError || item.error));
    }

    _scale() {
        const long = Math.max(this._log.now, 0.5);
        const high = Math.max(this._lanes, 1) * LANE;
        this._chart.setAttribute("viewBox", `0 0 ${long} ${high}`);
        this._chart.style.height = `${high}px`;
        const step = STEPS.find((each) => long / each <= MOST_MARKS) ?? Math.ceil(long / MOST_MARKS);
        const wanted = Math.floor(long / step);
        while (this._marks.children.length > wanted) this._marks.lastChild.remove();
        while (this._marks.children.length < wanted) this._marks.append(element("span"));
        [...this._marks.children].forEach((mark, index) => {
            mark.textContent = seconds((index + 1) * step);
            mark.style.left = `${(100 * (index + 1) * step) / long}%`;
        });
    }
}

function describe(item) {
    const took = item.end === null ? "so far" : seconds(item.end - item.begin);
    if (item.kind === "model") return `${item.agent}: model call, ${took}, ${count(item.completion_tokens, "token")}`;
    if (item.kind === "call") return `${item.agent}: tool ${item.tool}, ${took}`;
    return `${item.agent}: ${item.says}, ${took}`;
}
