// A team as a picture: its agents on a circle, arrows from each to those that can speak after it, and who speaks now.

import { colourOf, drawn } from "./dom.js";

const WIDTH = 360;
const RADIUS = 13;
const LABEL_CHARS = 18;
const RING_PX = 20;
const SMALLEST = 70;

/** The speakers of a `shape` of /v1/teams, and the arrows between them. Nested teams are taken apart. */
export function speakersOf(shape) {
    const speakers = [];
    const arrows = [];
    const add = (name, facts) => {
        if (!speakers.some((each) => each.name === name)) speakers.push({ name, ...facts });
        return name;
    };
    const visit = (part) => {
        if (part.members === undefined) {
            add(part.name, { kind: part.kind, model: part.model, tools: part.tools, isPerson: part.is_person });
            for (const inside of part.inside) {
                for (const name of visit(inside.shape)) arrows.push({ from: part.name, to: name, what: inside.how, isDashed: true });
            }
            return [part.name];
        }
        const within = new Map(part.members.map((member) => [member.name, visit(member)]));
        const firstOf = (name) => within.get(name)?.[0] ?? name;
        for (const edge of part.edges) arrows.push({ from: firstOf(edge.source), to: firstOf(edge.target), what: edge.when });
        const all = [...within.values()].flat();
        if (part.manager) {
            const { name, kind, model, tools } = part.manager;
            add(name, { kind, model, tools, isManager: true });
            for (const member of within.values()) arrows.push({ from: name, to: member[0], what: "chooses", isBothWays: true });
            return [name, ...all];
        }
        return all;
    };
    visit(shape);
    return { speakers, arrows };
}

/** The picture of a team. `light(names)` shows who speaks; unknown speakers are added at the end of the circle. */
export class Graph {
    constructor(shape, title) {
        const { speakers, arrows } = shape === null ? { speakers: [], arrows: [] } : speakersOf(shape);
        this._speakers = speakers;
        this._arrows = arrows;
        this._title = title;
        this._nodes = new Map();
        this.picture = drawn("svg", { class: "graph", role: "img" });
        this._draw();
    }

    /** `agents`: those of the run, in the order of their lanes, which gives them their colours. */
    light(speaking, agents) {
        const unknown = agents.filter((name) => !this._nodes.has(name));
        if (unknown.length) {
            this._speakers.push(...unknown.map((name) => ({ name, kind: "", tools: [] })));
            this._draw();
        }
        for (const [name, node] of this._nodes) {
            const has = agents.indexOf(name);
            node.setAttribute("class", `node ${colourOf(has)}${speaking.has(name) ? " speaking" : ""}${has < 0 ? "" : " heard"}`);
        }
    }

    _draw() {
        const manager = this._speakers.find((each) => each.isManager);
        const around = this._speakers.filter((each) => each !== manager);
        const radius = around.length < 2 && !manager ? 0 : Math.max(SMALLEST, (around.length * (RADIUS * 2 + RING_PX)) / (2 * Math.PI));
        const height = 2 * radius + 4 * RADIUS + 40;
        const centre = { x: WIDTH / 2, y: height / 2 - 6 };
        const wide = Math.max(radius, Math.min(WIDTH / 2 - 70, radius * 1.3));
        const places = new Map();
        around.forEach(({ name }, index) => {
            const angle = (2 * Math.PI * index) / around.length - Math.PI / 2;
            places.set(name, { x: centre.x + (radius ? wide : 0) * Math.cos(angle), y: centre.y + radius * Math.sin(angle) });
        });
        if (manager) places.set(manager.name, centre);
        const arrows = this._arrows.filter(({ from, to }) => places.has(from) && places.has(to));
        const names = this._speakers.map((each) => each.name).join(", ");
        this.picture.setAttribute("viewBox", `0 0 ${WIDTH} ${height}`);
        this.picture.setAttribute("aria-label", `${this._title}: ${names || "a team that cannot be shown"}`);
        this._nodes = new Map(this._speakers.map((speaker) => [speaker.name, node(speaker, places.get(speaker.name))]));
        this.picture.replaceChildren(tip(), ...arrows.map((each) => arrow(each, places)), ...this._nodes.values());
    }
}

const tip = () =>
    drawn(
        "defs",
        null,
        drawn(
            "marker",
            { id: "tip", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto-start-reverse" },
            drawn("path", { d: "M0 0L8 4L0 8z", class: "tip" }),
        ),
    );

function arrow({ from, to, what, isDashed, isBothWays }, places) {
    const [begin, end] = [places.get(from), places.get(to)];
    const attributes = { class: `arrow${isDashed ? " dashed" : ""}`, "marker-end": "url(#tip)", "marker-start": isBothWays ? "url(#tip)" : null };
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
    const gap = RADIUS + 3;
    const path = `M${begin.x + ux * gap} ${begin.y + uy * gap}Q${mx} ${my} ${end.x - ux * gap} ${end.y - uy * gap}`;
    return drawn("path", { ...attributes, d: path }, label);
}

function node(speaker, place) {
    const { name, kind, model, tools, isPerson, isManager } = speaker;
    const shown = name.length > LABEL_CHARS ? `${name.slice(0, LABEL_CHARS - 1)}…` : name;
    const facts = [kind, model && `model ${model}`, tools?.length && `tools: ${tools.join(", ")}`].filter(Boolean).join(" · ");
    return drawn(
        "g",
        { class: "node colour-none", transform: `translate(${place.x} ${place.y})` },
        drawn("title", null, facts ? `${name}: ${facts}` : name),
        drawn("circle", { r: RADIUS }),
        drawn("text", { class: "inner", y: 4.5 }, isPerson ? "🙋" : isManager ? "⌘" : name.slice(0, 1).toUpperCase()),
        drawn("text", { class: "label", y: RADIUS + 13 }, shown),
    );
}
