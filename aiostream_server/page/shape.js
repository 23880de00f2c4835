// What a team is made of, as /v1/teams tells it, taken apart: who speaks, and who can speak after whom.

import { nameOf } from "./words.js";

/**
 * @typedef {Object} Shape
 * @property {string} name
 * @property {string} kind
 * @property {string|null} model
 * @property {string[]} tools
 * @property {boolean} is_person
 * @property {{how: string, shape: Shape}[]} inside
 * @property {Shape[]} [members] Of a group.
 * @property {{source: string, target: string, when: string}[]} [edges]
 * @property {{name: string, kind: string, model: string|null, tools: string[]}|null} [manager]
 */
/** @typedef {{name: string, kind: string, model: string|null, tools: string[], isPerson: boolean, isManager: boolean}} Speaker */
/** @typedef {{from: string, to: string, what: string, isDashed?: boolean, isBothWays?: boolean}} Arrow */

/**
 * The speakers of a team, and the arrows between them. Nested teams are taken apart.
 * @param {Shape} shape
 */
export function speakersOf(shape) {
    /** @type {Map<string, Speaker>} */
    const speakers = new Map();
    /** @type {Arrow[]} */
    const arrows = [];
    /** @param {Partial<Speaker> & {name: string}} facts */
    const add = ({ name: given, kind = "", model = null, tools = [], isPerson = false, isManager = false }) => {
        const name = nameOf(given);
        if (!speakers.has(name)) speakers.set(name, { name, kind, model, tools, isPerson, isManager });
    };
    /**
     * @param {Shape} part
     * @returns {string[]} The names of its speakers, the first one first.
     */
    const visit = (part) => {
        if (part.members === undefined) {
            add({ ...part, isPerson: part.is_person });
            for (const inside of part.inside) {
                for (const name of visit(inside.shape)) arrows.push({ from: nameOf(part.name), to: name, what: inside.how, isDashed: true });
            }
            return [nameOf(part.name)];
        }
        const within = new Map(part.members.map((member) => [member.name, visit(member)]));
        const firstOf = (/** @type {string} */ name) => within.get(name)?.[0] ?? nameOf(name);
        for (const edge of part.edges ?? []) arrows.push({ from: firstOf(edge.source), to: firstOf(edge.target), what: edge.when });
        const all = [...within.values()].flat();
        if (!part.manager) return all;
        add({ ...part.manager, isManager: true });
        for (const [first] of within.values()) arrows.push({ from: nameOf(part.manager.name), to: first, what: "chooses", isBothWays: true });
        return [nameOf(part.manager.name), ...all];
    };
    visit(shape);
    return { speakers: [...speakers.values()], arrows };
}
