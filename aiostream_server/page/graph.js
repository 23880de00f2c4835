// A team as a picture: its agents on a circle, arrows from each to those that can speak after it, and who speaks now.
// Where there are too many for a circle, they stand in rows.

import { colourOf, drawn, element } from "./dom.js";
import { speakersOf } from "./shape.js";
import { shortened, someOf } from "./words.js";

/** @typedef {import("./shape.js").Speaker} Speaker */
/** @typedef {import("./shape.js").Arrow} Arrow */
/** @typedef {{x: number, y: number}} Place */

const CIRCLE_WIDTH = 360;
const RADIUS = 13;
const LABEL_CHARS = 18;
const RING_PX = 20;
const LABEL_PX = 20;
const SMALLEST = 70;
const MOST_ON_A_CIRCLE = 24;
const PER_ROW = 8;
const ROW_WIDTH = 480;
const ROW_PX = 50;
const ROW_LABEL_CHARS = 8;
const MOST_ARROWS = 400;
const MOST_TOOLS = 12;

let graphs = 0;

export class Graph {
    /**
     * @param {import("./shape.js").Shape|null} shape
     * @param {string} title
     */
    constructor(shape, title) {
        const { speakers, arrows } = shape === null ? { speakers: [], arrows: [] } : speakersOf(shape);
        this._speakers = speakers;
        this._arrows = arrows;
        this._title = title;
        /** @type {Map<string, SVGGElement>} */
        this._nodes = new Map();
        graphs += 1;
        this._tip = `tip-${graphs}`;
        this._drawing = drawn("svg", { class: "graph", role: "img" });
        this.picture = element("div", { class: "picture" }, this._drawing);
        this._draw();
    }

    /**
     * Show who speaks. Speakers that the team's shape does not have are added at the end.
     * @param {Set<string>} speaking
     * @param {string[]} agents Those of the run, in the order of their lanes, which gives them their colours.
     * @param {Set<string>} heard Others that did something.
     */
    light(speaking, agents, heard) {
        const unknown = agents.filter((name) => !this._nodes.has(name));
        if (unknown.length) {
            this._speakers.push(...unknown.map((name) => ({ name, kind: "", model: null, tools: [], isPerson: false, isManager: false })));
            this._draw();
        }
        for (const [name, node] of this._nodes) {
            const lane = agents.indexOf(name);
            const shown = `node ${colourOf(lane)}${speaking.has(name) ? " speaking" : ""}${lane < 0 && !heard.has(name) ? "" : " heard"}`;
            if (node.getAttribute("class") !== shown) node.setAttribute("class", shown);
        }
    }

    _draw() {
        const isCircle = this._speakers.length <= MOST_ON_A_CIRCLE;
        const { places, height } = isCircle ? onCircle(this._speakers) : inRows(this._speakers);
        const arrows = this._arrows.filter(({ from, to }) => places.has(from) && places.has(to)).slice(0, MOST_ARROWS);
        const names = someOf(this._speakers.map((each) => each.name), MOST_ON_A_CIRCLE);
        this.picture.classList.toggle("many", !isCircle);
        if (!isCircle) this.picture.tabIndex = 0; // it scrolls
        this._drawing.setAttribute("viewBox", `0 0 ${isCircle ? CIRCLE_WIDTH : ROW_WIDTH} ${height}`);
        this._drawing.setAttribute("aria-label", `${this._title}: ${names || "a team that cannot be shown"}`);
        const chars = isCircle ? LABEL_CHARS : ROW_LABEL_CHARS;
        this._nodes = new Map(this._speakers.map((speaker) => [speaker.name, node(speaker, at(places, speaker.name), chars)]));
        this._drawing.replaceChildren(tip(this._tip), ...arrows.map((each) => arrow(each, places, this._tip)), ...this._nodes.values());
    }
}

/** @param {Speaker[]} speakers */
function onCircle(speakers) {
    const manager = speakers.find((each) => each.isManager);
    const around = speakers.filter((each) => each !== manager);
    const radius = around.length < 2 && !manager ? 0 : Math.max(SMALLEST, (around.length * (RADIUS * 2 + RING_PX)) / (2 * Math.PI));
    const height = 2 * radius + 4 * RADIUS + 40;
    const centre = { x: CIRCLE_WIDTH / 2, y: height / 2 - 6 };
    const wide = Math.max(Math.min(radius, CIRCLE_WIDTH / 2 - 40), Math.min(CIRCLE_WIDTH / 2 - 70, radius * 1.3));
    /** @type {Map<string, Place>} */
    const places = new Map();
    around.forEach(({ name }, index) => {
        const angle = (2 * Math.PI * index) / around.length - Math.PI / 2;
        places.set(name, { x: centre.x + (radius ? wide : 0) * Math.cos(angle), y: centre.y + radius * Math.sin(angle) });
    });
    if (manager) places.set(manager.name, centre);
    return { places, height };
}

/** @param {Speaker[]} speakers */
function inRows(speakers) {
    const place = (/** @type {number} */ index) => ({ x: (ROW_WIDTH / PER_ROW) * ((index % PER_ROW) + 0.5), y: ROW_PX * Math.floor(index / PER_ROW) + RADIUS + 4 });
    return { places: new Map(speakers.map(({ name }, index) => [name, place(index)])), height: ROW_PX * Math.ceil(speakers.length / PER_ROW) };
}

/**
 * @param {Map<string, Place>} places
 * @param {string} name
 */
const at = (places, name) => places.get(name) ?? { x: 0, y: 0 };

/** @param {string} id */
const tip = (id) =>
    drawn(
        "defs",
        null,
        drawn(
            "marker",
            { id, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto-start-reverse" },
            drawn("path", { d: "M0 0L8 4L0 8z", class: "tip" }),
        ),
    );

/**
 * @param {Arrow} arrow
 * @param {Map<string, Place>} places
 * @param {string} tip
 */
function arrow({ from, to, what, isDashed, isBothWays }, places, tip) {
    const [begin, end] = [at(places, from), at(places, to)];
    const attributes = { class: `arrow${isDashed ? " dashed" : ""}`, "marker-end": `url(#${tip})`, "marker-start": isBothWays ? `url(#${tip})` : null };
    const label = what ? drawn("title", null, `${from} → ${to}: ${what}`) : null;
    if (from === to) {
        const [x, y] = [begin.x, begin.y - RADIUS];
        return drawn("path", { ...attributes, d: `M${x - 6} ${y}C${x - 22} ${y - 26} ${x + 22} ${y - 26} ${x + 6} ${y}` }, label);
    }
    const [dx, dy] = [end.x - begin.x, end.y - begin.y];
    const length = Math.hypot(dx, dy) || 1;
    const [ux, uy] = [dx / length, dy / length];
    const bow = isBothWays ? 0 : Math.min(16, length / 8);
    const [mx, my] = [(begin.x + end.x) / 2 - uy * bow, (begin.y + end.y) / 2 + ux * bow];
    const [leave, reach] = [gap(uy), gap(-uy)];
    const path = `M${begin.x + ux * leave} ${begin.y + uy * leave}Q${mx} ${my} ${end.x - ux * reach} ${end.y - uy * reach}`;
    return drawn("path", { ...attributes, d: path }, label);
}

/**
 * How far from an agent's middle an arrow begins: below it stands the agent's name.
 * @param {number} down The part of its direction that leads down.
 */
const gap = (down) => RADIUS + (down > 0.6 ? LABEL_PX : 3);

/**
 * @param {Speaker} speaker
 * @param {Place} place
 * @param {number} chars The longest label.
 */
function node(speaker, place, chars) {
    const { name, kind, model, tools, isPerson, isManager } = speaker;
    const facts = [kind, model && `model ${model}`, tools.length && `tools: ${someOf(tools, MOST_TOOLS)}`].filter(Boolean).join(" · ");
    return drawn(
        "g",
        { class: "node colour-none", transform: `translate(${place.x} ${place.y})` },
        drawn("title", null, facts ? `${name}: ${facts}` : name),
        drawn("circle", { r: RADIUS }),
        drawn("text", { class: "inner", y: 4.5 }, isPerson ? "🙋" : isManager ? "⌘" : ([...name][0] ?? "?").toUpperCase()),
        drawn("text", { class: "label", y: RADIUS + 13 }, shortened(name, chars)),
    );
}
